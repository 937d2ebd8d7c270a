"""The settings in which two recipes differ, as a table and one of them in full."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.content import Content
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from tui.safe import clean

Difference = tuple[str, str, str]
"""A key, and its two values."""


class DifferenceTable(DataTable[Text]):
    """A line a key; key, first and second share the width."""

    def __init__(self, found: Sequence[Difference], first: str, second: str) -> None:
        super().__init__(cursor_type="row", cell_padding=1)
        self._found = found
        self._heads = ("Setting", first, second)

    def on_mount(self) -> None:
        for number, head in enumerate(self._heads):
            self.add_column(_line(head), width=20, key=str(number))

    def on_resize(self, event: events.Resize) -> None:
        each = max(10, (event.size.width - 6) // 3)
        for number in range(3):
            self.columns[ColumnKey(str(number))].width = each
        at = self.cursor_row
        self.clear()
        for one in self._found:
            self.add_row(*map(_line, one))
        self.move_cursor(row=at)


def whole(one: Difference, first: str, second: str) -> Content:
    """A setting with both of its values, however long they are."""
    key, *values = one
    lines = [Content.styled(clean(key, newlines=False), "bold")]
    for name, value in zip((first, second), values, strict=True):
        said = clean(value, newlines=False)
        lines += [Content.assemble((clean(name, newlines=False), "$foreground-muted")), Content(said)]
    return Content("\n").join(lines)


def _line(text: str) -> Text:
    return Text(clean(text, newlines=False), no_wrap=True, overflow="ellipsis")
