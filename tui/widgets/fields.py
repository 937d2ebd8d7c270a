"""Fields to type into. They hold what they show: nothing hidden is pasted, nothing is obeyed."""

from __future__ import annotations

from textual.widgets import Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from tui.safe import clean, typed


class OneLine(Input):
    """One line; compact, as all of them are here."""

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


class ManyLines(TextArea):
    """Several lines."""

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(_lines(text), language)

    def edit(self, edit: Edit) -> EditResult:
        edit.text = _lines(edit.text)
        return super().edit(edit)


def _lines(text: str) -> str:
    """Terminals paste a carriage return where a line ends."""
    return typed(text.replace("\r\n", "\n").replace("\r", "\n"), newlines=True)
