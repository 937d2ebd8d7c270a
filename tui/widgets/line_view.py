"""Any number of lines, of which only those in sight are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from tui.keys import hidden

MOST_KEPT = 2_000
"""Lines that are kept as they were drawn: scrolling draws only what comes into sight."""


class LineView(ScrollView, can_focus=True):
    """Shows lines that are already as wide as it is; a sequence may make each one when it is asked for."""

    # How wide lines are must not depend on whether they, being that wide, need a scrollbar.
    DEFAULT_CSS = "LineView { scrollbar-gutter: stable; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "lines",
            ("ctrl+d", "page(1)", "A page down", "down", "Scroll a page down"),
            ("ctrl+u", "page(-1)", "A page up", "up", "Scroll a page up"),
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Content] = ()
        self._strips: dict[tuple[int, int], Strip] = {}
        self.auto_links = False

    @property
    def text(self) -> str:
        """All lines without their styles."""
        return "\n".join(line.plain for line in self._lines)

    def draw(self, lines: Sequence[Content]) -> None:
        self._lines = lines
        self._strips.clear()
        self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        at, width = self.scroll_offset.y + y, self.size.width
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get((at, width))
        if strip is None:
            drawn = Visual.to_strips(self, self._lines[at], width, 1, self.visual_style, pad=True)
            strip = drawn[0] if drawn else Strip.blank(width, self.rich_style)
            if len(self._strips) < MOST_KEPT:
                self._strips[at, width] = strip
        return strip

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)
