"""A canvas of braille dots, two by four to a character cell, with a style to each cell."""

from __future__ import annotations

from textual.content import Content

# Unicode's braille patterns: the bit of each dot, by row and column within its cell.
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BLANK = 0x2800


class Canvas:
    """Dots and characters are put onto it; where they meet, the last one's style is the cell's."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._bits = [[0] * width for _ in range(height)]
        self._chars = [[""] * width for _ in range(height)]
        self._styles = [[""] * width for _ in range(height)]

    def dot(self, x: int, y: int, style: str) -> None:
        """x counts from the left, y from the top, in dots. Outside there is nothing to paint on."""
        column, row = x // 2, y // 4
        if 0 <= column < self.width and 0 <= row < self.height:
            self._bits[row][column] |= BITS[y % 4][x % 2]
            self._styles[row][column] = style

    def line(self, x: int, y: int, to_x: int, to_y: int, style: str) -> None:
        """Dots from one to the other, both of them included."""
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            self.dot(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps), style)

    def put(self, column: int, row: int, char: str, style: str, over: bool = True) -> None:
        """A character in place of a cell's dots; or only where there is nothing yet."""
        if 0 <= column < self.width and 0 <= row < self.height and (over or self._is_free(column, row)):
            self._chars[row][column] = char
            self._styles[row][column] = style

    def rows(self) -> list[Content]:
        """Each row of cells; neighbours of one style are one span."""
        return [self._row(row) for row in range(self.height)]

    def _is_free(self, column: int, row: int) -> bool:
        return not self._chars[row][column] and not self._bits[row][column]

    def _row(self, row: int) -> Content:
        parts: list[tuple[str, str]] = []
        text, before = "", ""
        for char, bits, style in zip(self._chars[row], self._bits[row], self._styles[row], strict=True):
            if style != before and text:
                parts.append((text, before))
                text = ""
            text += char or (chr(BLANK + bits) if bits else " ")
            before = style
        return Content.assemble(*parts, (text, before))
