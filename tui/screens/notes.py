"""A page over a screen: all that a run had to say beside figures, or that is known of an export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from tui.keys import shown
from tui.safe import clean
from tui.widgets.quiet import Quiet


class NotesScreen(ModalScreen[None]):
    """The arrow keys scroll it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "notes",
            ("escape,w,enter,q", "dismiss", "Close", "close", "Close the page"),
        ),
    ]

    def __init__(self, notes: Sequence[Content], title: str = "Notes") -> None:
        super().__init__()
        self._title = title
        self._notes = notes

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog notes") as box:
            box.border_title = Content(clean(self._title, newlines=False))
            box.border_subtitle = "esc closes"
            yield Quiet(Content("\n\n").join(self._notes) if self._notes else "Nothing to note so far.")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
