"""How figures are written: the same everywhere, short enough for a column."""

from __future__ import annotations

from math import isfinite

from rich.cells import cell_len, set_cell_size

_SIZES = ("B", "kB", "MB", "GB", "TB")
_COUNTS = ("", "K", "M", "B", "T")


def size(count: float | None) -> str:
    """Bytes in decimal units: 4.2 GB."""
    if count is None:
        return "?"
    scaled, unit = _scaled(count, _SIZES)
    return f"{scaled:.0f} {unit}" if unit in ("B", "kB") or scaled >= 100 else f"{scaled:.1f} {unit}"


def short(count: float | None) -> str:
    """A count in three figures: 8.0B, 494M."""
    if count is None:
        return "?"
    scaled, unit = _scaled(count, _COUNTS)
    return f"{scaled:.1f}{unit}" if unit and scaled < 10 else f"{scaled:.0f}{unit}"


def counted(count: int, noun: str) -> str:
    """1 row, 1,234 rows."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def place_of(index: int, count: int | None) -> str:
    """Which row of how many, from 1; their number may not be known yet."""
    return f"{index + 1:,}" if count is None else f"{index + 1:,} of {count:,}"


def place_in_line(ahead: int) -> str:
    """1st in line, 2nd in line: how many runs come first, the one that trains among them."""
    place = max(1, ahead)
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending} in line"


def duration(seconds: float) -> str:
    """8 s, 1 min 12 s, 3 h 05 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def ago(seconds: float) -> str:
    """How long ago, in one unit; it changes rarely, so a list with it stays quiet."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name} ago"
    return "just now"


def figure(value: float | None, digits: int = 4) -> str:
    """A measured figure: 0.1234; tiny and huge ones in powers of ten."""
    if value is None:
        return "–"
    if not isfinite(value):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def cut(text: str, width: int) -> str:
    """At most that many cells of it; Chinese and emoji take two each."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


def left(text: str, width: int) -> str:
    """Exactly that many cells, filled up behind it."""
    return set_cell_size(cut(text, width), width)


def right(text: str, width: int) -> str:
    """Exactly that many cells, filled up before it."""
    shown = cut(text, width)
    return " " * (width - cell_len(shown)) + shown


def _scaled(count: float, units: tuple[str, ...]) -> tuple[float, str]:
    scaled = float(count)
    for unit in units[:-1]:
        if abs(scaled) < 999.5:
            return scaled, unit
        scaled /= 1000
    return scaled, units[-1]
