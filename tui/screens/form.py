"""A few fields at once: typed values and ticks, checked before they are taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Checkbox, Input, Label

from tui.keys import hidden, shown
from tui.safe import clean
from tui.widgets.fields import OneLine
from tui.widgets.quiet import Quiet
from tui.widgets.ticks import Tick


@dataclass(frozen=True)
class Field:
    """What is asked for; a tick where the value is a bool. wide: a long text, its hint stands in it."""

    key: str
    value: str | bool
    says: str
    wide: bool = False


Fields = dict[str, Any]
"""By key: what was typed, without white space at its ends, or whether it was ticked."""


class FormScreen(ModalScreen[Fields | None]):
    """Enter takes it, escape leaves all as it was. `check` says what is wrong, "" where nothing is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "form",
            ("escape", "dismiss(None)", "Cancel", "cancel", "Cancel, and change nothing"),
        ),
        Binding("enter", "take", "Take", id="form.take", priority=True, tooltip="Take what the fields hold"),
        *hidden(
            "form",
            ("down", "app.focus_next", "Next field", "down", "Go to the next field"),
            ("up", "app.focus_previous", "Field before", "up", "Go to the field before"),
        ),
    ]

    def __init__(self, title: str, fields: Sequence[Field], check: Callable[[Fields], str]) -> None:
        super().__init__()
        self._title = title
        self._fields = fields
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form") as box:
            box.border_title = Content(clean(self._title, newlines=False))
            box.border_subtitle = "enter takes it · esc cancels"
            for field in self._fields:
                with Horizontal(classes="form-row", id=f"form-{field.key}"):
                    yield Label(field.key.replace("_", " "), classes="knob-label", markup=False)
                    if isinstance(field.value, bool):
                        yield Tick(field.value)
                    else:
                        hint = field.says if field.wide else ""
                        classes = "-wide-field" if field.wide else ""
                        yield OneLine(field.value, placeholder=hint, classes=classes)
                    if not field.wide:
                        yield Quiet(clean(field.says, newlines=False), classes="knob-says")
            yield Quiet("", id="wrong")

    def on_mount(self) -> None:
        self.query_one("#wrong").display = False

    def action_take(self) -> None:
        fields = {field.key: self._value(field.key) for field in self._fields}
        if wrong := self._check(fields):
            self.query_one("#wrong").display = True
            self.query_one("#wrong", Quiet).show(f"✗ {clean(wrong)}")
        else:
            self.dismiss(fields)

    def _value(self, key: str) -> Any:
        row = self.query_one(f"#form-{key}")
        for tick in row.query(Checkbox):
            return tick.value
        return row.query_one(Input).value.strip()
