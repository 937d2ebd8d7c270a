"""A terminal too small for any screen: one sentence in place of broken panels; what runs is not touched."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual._compositor import LayoutUpdate
from textual.geometry import Region, Size
from textual.strip import Strip

LEAST = Size(60, 15)
SENTENCE = "Make the terminal larger: 80x24 is enough. Whatever runs goes on."


def is_too_small(size: Size) -> bool:
    return size.width < LEAST.width or size.height < LEAST.height


def notice(size: Size) -> LayoutUpdate:
    """The sentence in the middle of a screen of this size, and nothing else on it."""
    lines = wrapped(SENTENCE, max(1, size.width))[: size.height]
    above = (size.height - len(lines)) // 2
    rows = [""] * above + lines + [""] * (size.height - above - len(lines))
    strips: list[Iterable[Strip]] = [[Strip([Segment(row.center(size.width)[: size.width])])] for row in rows]
    return LayoutUpdate(strips, Region(0, 0, *size))


def wrapped(words: str, width: int) -> list[str]:
    """Lines of at most that many characters; a word that is longer is cut."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word[:width])
    return [line for line in lines if line]
