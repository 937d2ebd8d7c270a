"""What commands print: aligned tables, sizes for people, JSON for programs; foreign text only cleaned."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from engine.redact import redacted
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
    print(redacted(json.dumps(value, default=str)), flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Columns two spaces apart under their heads; those named in `right` hold numbers."""
    lines = [[clean(cell, newlines=False) for cell in row] for row in (head, *rows)]
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


def totalled(total: dict[str, Any]) -> str:
    """One reason of the ledger: 4 rows left out: missing field: output (a.jsonl lines 5, 10, 15, 20)."""
    details = [(str(detail), count) for detail, count in total["details"] if detail]
    if len(details) == 1:
        what = f": {'' if details[0][1] == total['rows'] else 'e.g. '}{details[0][0]}"
    else:
        what = ": " + ", ".join(f"{detail} ({count:,})" for detail, count in details) if details else ""
    rows = f"{total['rows']:,} row{'' if total['rows'] == 1 else 's'}"
    more = ", …" if total["rows"] > len(total["first"]) > 0 else ""
    where = f" ({places(total['first'])}{more})" if total["first"] else ""
    return f"{rows} {total['done']}: {total['reason']}{what}{where}"


def places(found: Sequence[str]) -> str:
    """ "a.jsonl line 5", "a.jsonl line 10" as one phrase: a.jsonl lines 5, 10."""
    split = [place.rpartition(" ") for place in found]
    if len(found) > 1 and len({before for before, _, _ in split}) == 1 and split[0][0]:
        return f"{split[0][0]}s {', '.join(number for _, _, number in split)}"
    return ", ".join(found)


def say_notes(notes: Sequence[dict[str, Any]]) -> None:
    """What was changed in a row, or seen in it."""
    for note in notes:
        say("  " + line(": ".join(filter(None, (note["done"], note["reason"], note["detail"])))))


def line(text: str) -> str:
    """Text that stays on its line."""
    return text.replace("\n", "⏎")


def short(text: str, most: int = 200) -> str:
    """The beginning of a text on one line."""
    return line(text if len(text) <= most else text[: most - 1] + "…")


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
