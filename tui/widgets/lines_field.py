"""A field of several lines, apart from that of one: the first screen should not load an editor.

It holds what it shows, as the other does.
"""

from __future__ import annotations

from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from tui.safe import typed


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
