"""The ledger as tables: how many rows for each reason, and the entries of one reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import DataTable

from tui.keys import shown
from tui.safe import clean

ACTIONS = {
    "keep": "keep the row as it stands",
    "fix": "mend it and use it",
    "drop": "leave the row out",
    "stop": "refuse to train while there is one",
}


class TotalsTable(DataTable[Content]):
    """A line a reason: rows, what was done, what the recipe asks for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown("ledger", ("enter", "select_cursor", "Rows", "rows", "Open the rows of the reason"))
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row")

    def on_mount(self) -> None:
        for name, width in (("rows", 9), ("reason", 28), ("done", 9), ("policy", 7)):
            self.add_column(Text(name), width=width, key=name)

    def show(self, totals: Sequence[dict[str, Any]]) -> None:
        """List these; the cursor stays where it was."""
        at = self.cursor_row
        self.clear()
        for total in totals:
            style = "$text-warning" if total["done"] == "left out" else ""
            cells = (f"{total['rows']:>9,}", total["reason"], total["done"], total["action"])
            self.add_row(*(Content.styled(clean(cell, newlines=False), style) for cell in cells))
        self.move_cursor(row=min(at, len(totals) - 1))


class EntriesTable(DataTable[Text]):
    """A line an entry: where it stands, the particular of it, the beginning of the record."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "entries",
            ("right", "screen.turn(1)", "Next page", "next", "Turn to the next fifty"),
            ("left", "screen.turn(-1)", "Page before", "before", "Turn to the fifty before"),
        ),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row")

    def on_mount(self) -> None:
        self.add_column("place", key="place")
        self.add_column("what", key="what")
        self.add_column("record", key="record")

    def show(self, entries: Sequence[dict[str, Any]]) -> None:
        self.clear()
        for entry in entries:
            cells = (place(entry), entry["detail"], entry["excerpt"])
            self.add_row(*(Text(_short(clean(cell, newlines=False))) for cell in cells))


def place(entry: dict[str, Any]) -> str:
    """A file by its name, and the line."""
    return f"{PurePath(entry['file']).name} {entry['unit']} {entry['line']:,}"


def about(total: dict[str, Any]) -> Content:
    """What a reason means, its particulars, where the first rows are, what could be done."""
    details = [
        f"{clean(str(detail), newlines=False)} ({count:,})" for detail, count in total["details"] if detail
    ]
    first = ", ".join(clean(str(at), newlines=False) for at in total["first"])
    others = [action for action in total["actions"] if action != total["action"]]
    lines = [Content.assemble((f"{total['reason']}: ", "bold"), clean(total["meaning"], newlines=False))]
    if details:
        lines.append(Content("; ".join(details)))
    if first:
        lines.append(Content.styled(first, "$foreground-muted"))
    can = f"p changes it: {', '.join(others)}" if others else "nothing else can be done with these"
    lines.append(Content.styled(f"policy {total['action']} · {can}", "$foreground-muted"))
    return Content("\n").join(lines)


def whole(entry: dict[str, Any]) -> Content:
    """One entry in full."""
    return Content("\n").join(
        [
            Content.assemble(
                (clean(entry["file"], newlines=False), "bold"), f" {entry['unit']} {entry['line']:,}"
            ),
            Content.styled(f"byte {entry['offset']:,} · {entry['done']}", "$foreground-muted"),
            Content.styled(
                clean(": ".join(filter(None, (entry["reason"], entry["detail"]))), newlines=False),
                "$text-warning",
            ),
            Content(clean(entry["excerpt"])),
        ]
    )


def summed(totals: Sequence[dict[str, Any]]) -> str:
    """Left out, changed, kept and added rows on one line; empty where every row is used as it stands."""
    counts: dict[str, int] = {}
    for total in totals:
        counts[total["done"]] = counts.get(total["done"], 0) + total["rows"]
    words = {"left out": "left out", "changed": "changed", "kept": "noted", "added": "added"}
    return " · ".join(f"{counts[done]:,} {words[done]}" for done in words if counts.get(done))


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
