"""Lines of text that are set often; only those that have changed are painted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

Draw = Callable[[int, int], Sequence[Content]]
"""Makes the lines for so many columns and lines."""


class Lines(Widget):
    """Drawn for the size that it has when it is painted: at the first paint, and at any other size, too.

    What is too wide or too far down is cut off. Its height is its container's.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Content] = []
        self._draw: Draw = lambda width, height: ()
        self._fits: Size | None = None
        self.auto_links = False

    def show(self, draw: Draw) -> None:
        self._draw = draw
        if self._fits is None or self._fits != self.size:
            self._fits = None
            self.refresh()
            return
        before, self._lines = self._lines, list(draw(*self.size))
        changed = [
            Region(0, y, self.size.width, 1)
            for y in range(max(len(before), len(self._lines)))
            if y >= len(before) or y >= len(self._lines) or not before[y].is_same(self._lines[y])
        ]
        if changed:
            self.refresh(*changed)

    @property
    def lines(self) -> Sequence[Content]:
        """What stands there."""
        if self._fits != self.size:
            self._fits, self._lines = self.size, list(self._draw(*self.size))
        return self._lines

    def render(self) -> Content:
        return Content("\n").join(self.lines)

    def render_line(self, y: int) -> Strip:
        lines, width = self.lines, self.size.width
        if y < len(lines):
            drawn = Visual.to_strips(self, lines[y], width, 1, self.visual_style, pad=True)
            if drawn:
                return drawn[0]
        return Strip.blank(width, self.visual_style.rich_style)
