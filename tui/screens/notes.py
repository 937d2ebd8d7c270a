"""All that a run had to say beside figures, in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from tui.widgets.quiet import Quiet


class NotesScreen(ModalScreen[None]):
    """A page over the train screen; the arrow keys scroll it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w,enter,q", "dismiss", "Close", id="notes.close", tooltip="Close the notes"),
    ]

    def __init__(self, notes: Sequence[Content]) -> None:
        super().__init__()
        self._notes = notes

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog notes") as box:
            box.border_title = "Notes"
            box.border_subtitle = "esc closes"
            yield Quiet(Content("\n\n").join(self._notes) if self._notes else "Nothing to note so far.")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
