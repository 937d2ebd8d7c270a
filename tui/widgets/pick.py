"""A field whose value is chosen from a list: a label, the value, and a hand that says there is more."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Label

from tui.keys import shown
from tui.safe import clean
from tui.widgets.quiet import Quiet


class Value(Quiet, can_focus=True):
    """The chosen value; enter, space or a click opens the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "pick",
            ("enter,space", "open", "Choose", "open", "Open the list to choose from"),
        ),
    ]

    class Opened(Message):
        """The list is wanted."""

    def action_open(self) -> None:
        self.post_message(self.Opened())

    def on_click(self) -> None:
        self.action_open()


class PickRow(Horizontal):
    """Draws a label with its value, and says when another one is wanted."""

    class Asked(Message):
        """Another value is wanted."""

        def __init__(self, row: PickRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, key: str, label: str, says: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.key = key
        self._label = label
        self._says = says
        self._value = Value()

    def compose(self) -> ComposeResult:
        yield Label(clean(self._label, newlines=False), classes="knob-label", markup=False)
        yield self._value
        yield Quiet(self._says, classes="knob-says")

    def on_value_opened(self, event: Value.Opened) -> None:
        event.stop()
        self.post_message(self.Asked(self))

    def show(self, value: str, found: str = "") -> None:
        """The value that was chosen; where none was, what was found."""
        chosen = Content(clean(value, newlines=False)) if value else Content.styled("–", "$foreground-muted")
        if found and not value:
            chosen = Content.styled(f"{clean(found, newlines=False)} (found)", "$foreground-muted")
        self._value.show(Content.assemble(("▾ ", "$text-accent"), chosen))

    def tell(self, says: str) -> None:
        """What the chosen value does."""
        self._says = says
        self.query_one(".knob-says", Quiet).show(says)

    def complain(self, sentence: str) -> None:
        """Show what is wrong, or where nothing is, what the field does."""
        self.set_class(bool(sentence), "-wrong")
        wrong = clean(sentence.partition(": ")[2], newlines=False)
        self.query_one(".knob-says", Quiet).show(f"✗ {wrong}" if sentence else self._says)
