"""Lines of text that are set often; only those that have changed are painted again."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget


class Lines(Widget):
    """What is too wide or too far down is cut off. Its height is its container's."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Content] = []
        self.auto_links = False

    def show(self, lines: Sequence[Content]) -> None:
        before, self._lines = self._lines, list(lines)
        width = self.size.width
        changed = [
            Region(0, y, width, 1)
            for y in range(max(len(before), len(lines)))
            if y >= len(before) or y >= len(lines) or not before[y].is_same(lines[y])
        ]
        if changed and width:
            self.refresh(*changed)

    def render(self) -> Content:
        return Content("\n").join(self._lines)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < len(self._lines):
            drawn = Visual.to_strips(self, self._lines[y], width, 1, self.visual_style, pad=True)
            if drawn:
                return drawn[0]
        return Strip.blank(width, self.visual_style.rich_style)
