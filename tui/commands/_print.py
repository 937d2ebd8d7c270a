"""What commands print: aligned tables, sizes for people, JSON for programs; foreign text only cleaned."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from tui.safe import clean


def say(text: str = "") -> None:
    """One or more lines on stdout, flushed: a run's log is watched while it grows."""
    print(clean(text), flush=True)


def warn(text: str) -> None:
    """One line on stderr."""
    print(clean(text), file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """A line on stderr that the next one replaces, where someone is there to see it. "" clears it."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + clean(text, newlines=False)[:width].ljust(width), end="\r", file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """One JSON document a line: ASCII, so no terminal can be told anything by what is in it."""
    print(json.dumps(value, default=str), flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Columns two spaces apart under their heads; those named in `right` hold numbers."""
    lines = [list(head), *([clean(cell, newlines=False) for cell in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            _padded(cell, size, name in right) for cell, size, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in lines
    )


def width(text: str) -> int:
    """Terminal cells that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def size(count: int | None) -> str:
    """Bytes for people: 4.7 GB. Powers of 1000, as disks and model pages count."""
    if count is None:
        return "-"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def number(count: int | None) -> str:
    """With separators: 12,345."""
    return "-" if count is None else f"{count:,}"


def parameters(count: int | None) -> str:
    """As models are named: 135M, 3.2B."""
    if count is None:
        return "-"
    if count >= 10**9:
        return f"{count / 10**9:.1f}B"
    return f"{count / 10**6:.0f}M" if count >= 10**7 else f"{count / 10**6:.1f}M"


def duration(seconds: float) -> str:
    """0:42, 1:02:03."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def marked(text: str, spans: Sequence[Sequence[int]]) -> str:
    """A rendered row, cleaned, with the characters that are trained marked: bold and underlined, or ⟦ ⟧."""
    start, end = ("\x1b[1;4m", "\x1b[0m") if in_colour() else ("⟦", "⟧")
    parts, at = [], 0
    for first, last in spans:
        # Attributes are set anew on each line: pagers and terminals may drop them at its end.
        inside = clean(text[first:last]).replace("\n", f"{end}\n{start}" if in_colour() else "\n")
        parts += [clean(text[at:first]), start, inside, end]
        at = last
    return "".join([*parts, clean(text[at:])])


def in_colour() -> bool:
    """Whether stdout is a terminal that shows attributes, and nobody asked for none."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ


def _padded(cell: str, size: int, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space
