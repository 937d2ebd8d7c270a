"""A field to type into. It holds what it shows: nothing hidden is pasted, nothing is obeyed."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input

from tui.safe import clean, typed


class OneLine(Input):
    """One line; compact, as all of them are here."""

    # Textual lays the whole screen out with each letter; a field has the size of its place.
    virtual_size = Reactive(Size(0, 0))

    def __init__(
        self,
        value: str = "",
        placeholder: str = "",
        *,
        select_on_focus: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            value,
            clean(placeholder, newlines=False),
            compact=True,
            select_on_focus=select_on_focus,
            id=id,
            classes=classes,
        )

    def validate_value(self, value: str) -> str:
        return typed(value)
