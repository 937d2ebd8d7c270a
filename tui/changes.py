"""Sends the cells of the screen that have changed, and no others: the app may be at the end of a slow line.

Textual sends a widget whole whenever any of it is painted again: a chart of 80 x 24 cells is some 15 kB then,
for one new point. Here what the terminal shows is remembered, cell by cell, and the difference is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import _is_single_cell_widths, get_character_cell_size, split_graphemes
from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from tui.safe import is_seen

Cell = tuple[str, str]
"""What stands in a cell ("" in the second half of a wide character), and the numbers of its SGR sequence."""

Piece = tuple[int, int, Strip]
"""Column and line where a strip begins."""

UNKNOWN: Cell = ("", "?")

EMOJI = "\U0001f000"
"""From here on there are emoji and flags; wide characters below are as wide everywhere."""

SHORTEST_JUMP = 8
"""Cells that stay are passed over from this number on: to go to a place takes about as many bytes."""


class Shown:
    """What the terminal shows, as far as it is known."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._lines: list[list[Cell]] = []

    def forget(self) -> None:
        """The terminal may show anything: all is sent again."""
        self._size = (0, 0)

    def changes(self, update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate:
        """An update with the changed cells of this one, for a screen of (columns, lines).

        They are looked for when it is written: an update may come to nothing before.
        """
        return Changes(update, size, self)

    def difference(self, pieces: Iterable[Piece], size: tuple[int, int], colours: ColorSystem) -> str:
        """Sequences that make the terminal show these pieces, which it then does."""
        if size != self._size:
            columns, lines = self._size = size
            self._lines = [[UNKNOWN] * columns for _ in range(lines)]
        changed: dict[int, list[Cell]] = {}
        for x, y, strip in pieces:
            if 0 <= y < len(self._lines) and 0 <= x < size[0]:
                new = cells(strip, colours)[: size[0] - x]
                line = changed.get(y, self._lines[y])
                if new != line[x : x + len(new)]:
                    changed.setdefault(y, line.copy())[x : x + len(new)] = new
        sent: list[str] = []
        for y, line in changed.items():
            sent += (painted(line[a:b], a, y) for a, b in spans(self._lines[y], line))
            self._lines[y] = line
        return "".join([*sent, "\x1b[0m"]) if sent else ""


class Changes(CompositorUpdate):
    """An update of the screen, less what is there already."""

    def __init__(self, update: CompositorUpdate, size: tuple[int, int], shown: Shown) -> None:
        self._update, self._size, self._shown = update, size, shown

    def render_segments(self, console: Console) -> str:
        colours = console._color_system or ColorSystem.TRUECOLOR
        return self._shown.difference(pieces(self._update), self._size, colours)


def pieces(update: CompositorUpdate) -> Iterator[Piece]:
    """The strips of an update with their places."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for part in line:
                yield x, y, part
                x += part.cell_length
    elif isinstance(update, ChopsUpdate):
        for y, start, end in update.spans:
            for stop, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x <= end and stop > start:
                    yield x, y, strip if stop <= end else strip.crop(0, end - x)


def cells(strip: Strip, colours: ColorSystem) -> list[Cell]:
    """A strip cell by cell."""
    found: list[Cell] = []
    for text, style, _ in strip:
        how = (
            ""
            if style is None
            else (Strip.render_ansi(style, colours) if style._ansi is None else style._ansi)
        )
        if not text.isprintable():
            text = walled(text)
        if _is_single_cell_widths(text):
            found += [(character, how) for character in text]
            continue
        for start, end, width in split_graphemes(text)[0]:
            if width:
                found += [(text[start:end], how), ("", how)][:width]
            elif found:  # it is drawn with the one before
                found[-1] = (found[-1][0] + text[start:end], found[-1][1])
    return found


def walled(text: str) -> str:
    """As many cells without what a terminal obeys: the wall behind `clean`, if a widget passed it by."""
    return "".join(c if is_seen(c) else "\ufffd" * get_character_cell_size(c) for c in text)


def spans(old: list[Cell], new: list[Cell]) -> Iterator[tuple[int, int]]:
    """From where to where a line of cells must be painted."""
    differing = [place for place, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    if any(len(character) != 1 for character, _ in old) or any(len(character) != 1 for character, _ in new):
        # Terminals disagree about the width of some characters: what comes after them is painted as well.
        first = differing[0]
        while first and not new[first][0]:
            first -= 1
        yield first, len(new)
        return
    first = before = differing[0]
    for place in differing[1:]:
        if place - before > SHORTEST_JUMP:
            yield first, before + 1
            first = place
        before = place
    yield first, before + 1


def painted(line: list[Cell], x: int, y: int) -> str:
    """The sequences for cells side by side, from a place on; nothing is sent for an unknown one."""
    sent: list[str] = []
    before: str | None = None
    lost = True  # whether the terminal may be at another place than the next cell's
    for at, (character, how) in enumerate(line, x):
        if not character:
            lost = lost or how == UNKNOWN[1]
            continue
        if lost:
            sent.append(f"\x1b[{y + 1};{at + 1}H")
        if how != before:
            sent.append(f"\x1b[0;{how}m" if how else "\x1b[0m")
            before = how
        lost = is_doubtful(character)
        behind = line[at - x + 1 : at - x + 2]
        if lost and behind and not behind[0][0]:  # a terminal that gives it one cell would leave the other
            sent.append(f"  \x1b[{y + 1};{at + 1}H")
        sent.append(character)
    return "".join(sent)


def is_doubtful(character: str) -> bool:
    """Whether terminals disagree about its width: what comes next is then put where it belongs."""
    return len(character) > 1 or character >= EMOJI
