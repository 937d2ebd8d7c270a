"""The table of runs: repainted cell by cell, so that a live run's progress costs few bytes."""

from __future__ import annotations

from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from engine.listing import Order
from tui.feed import Row, RunLine, SweepLine
from tui.keys import shown
from tui.safe import clean
from tui.widgets.figures import ago, place_in_line
from tui.widgets.marks import status_mark

Justify = Literal["left", "right"]

COLUMNS = {"Run": 16, "Model": 8, "Status": 12, "Step": 9, "Result": 10, "Started": 10}
RIGHT = {"Step", "Result", "Started"}
WIDEST_NAME = 64

SORTED: dict[Order, tuple[str, str]] = {
    "date": ("Started", "Started"),
    "name": ("Run", "Run ▾"),
    "state": ("Status", "Status ▾"),
    "validation": ("Result", "Val loss ▴"),
    "right": ("Result", "Right ▾"),
}
"""By what the list is sorted: the column, and its head then. As it is sorted at first, nothing is marked."""

MARKED = "◆"
"""Before the run whose recipe waits for another to be compared with."""


class RunTable(DataTable[Text]):
    """Rows are runs and sweeps; the cursor stays on its run when others come, or the order changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown("runs", ("enter", "select_cursor", "Open", "open", "Open the run"))
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1)
        self._shown: dict[str, list[str]] = {}
        self._tags: dict[str, tuple[str, ...]] = {}
        self._by: Order = "date"

    def on_mount(self) -> None:
        for name, width in COLUMNS.items():
            self.add_column(self._head(name), width=width, key=name)

    def on_resize(self, event: events.Resize) -> None:
        """Names take the room that a wider terminal has."""
        spare = event.size.width - sum(COLUMNS.values()) - 2 * len(COLUMNS)
        for name, share in (("Run", 2), ("Model", 1)):
            width = min(WIDEST_NAME, COLUMNS[name] + max(0, spare * share // 3))
            self.columns[ColumnKey(name)].width = width
        self.clear()
        self._fill(self._shown)

    def show(self, rows: tuple[Row, ...], now: float, by: Order = "date", marked: str = "") -> None:
        """marked: the key of the row that has the mark."""
        shown = {row.key: cells(row, now, by, row.key == marked) for row in rows}
        tags = {row.key: row.line.remarks.tags for row in rows}
        alike = list(shown) == list(self._shown) and tags == self._tags
        self._tags = tags
        if by != self._by:
            self._by = by
            for name in COLUMNS:
                self.columns[ColumnKey(name)].label = self._head(name)
            alike = False
        if alike:
            self._amend(shown)
        else:
            self._fill(shown)
        self._shown = shown

    def _fill(self, rows: dict[str, list[str]]) -> None:
        keys, at = list(self._shown), self.cursor_row
        held = keys[at] if at < len(keys) else None
        self.clear()
        for key, row in rows.items():
            named = (self._named(key, row[0]), *row[1:])
            self.add_row(*map(self._text, COLUMNS, named), key=key)
        if held in rows:
            self.move_cursor(row=list(rows).index(held))
        elif rows:  # it has gone: the next one has its place
            self.move_cursor(row=min(at, len(rows) - 1))

    def _amend(self, rows: dict[str, list[str]]) -> None:
        for key, row in rows.items():
            for name, new, old in zip(COLUMNS, row, self._shown[key], strict=True):
                if new != old:
                    words = self._named(key, new) if name == "Run" else new
                    self.update_cell(key, name, self._text(name, words))

    def _named(self, key: str, name: str) -> str:
        """The name with as many tags as fit behind it: where there is no room, none is cut. Of a name that is
        too long itself the middle is left out: names of a series differ at their ends.
        """
        room = self.columns[ColumnKey("Run")].width
        if cell_len(name) == len(name) > room:
            return f"{name[: room - room // 2 - 1]}…{name[-(room // 2) :]}"
        for tag in self._tags.get(key, ()):
            longer = f"{name} #{clean(tag, newlines=False)}"
            if cell_len(longer) > room:
                break
            name = longer
        return name

    def _head(self, name: str) -> Text:
        column, head = SORTED[self._by]
        return self._text(name, head if name == column else name)

    def _text(self, column: str, words: str) -> Text:
        justify: Justify = "right" if column in RIGHT else "left"
        return Text(words, no_wrap=True, overflow="ellipsis", justify=justify)


def cells(row: Row, now: float, by: Order = "date", marked: bool = False) -> list[str]:
    """A run's or a sweep's figures, aligned, in the order of the columns."""
    line = row.line
    name = of_sweep(line.name, row.within) if row.within else line.name
    name = f"{MARKED} {name}" if marked else name
    if isinstance(line, SweepLine):
        sign = "▾" if row.unfolded else "▸"
        made = f"{len(line.runs)}/{line.wanted} runs" if line.wanted else f"{len(line.runs)} runs"
        status, steps = status_mark(line.status).plain, made.removesuffix(" runs" * (len(made) > 9))
        name = f"{sign} {name}"
    else:
        waits = f"◌ waits, {place_in_line(line.ahead).split()[0]}"
        status = waits if line.ahead else status_mark(line.status).plain
        steps = f"{line.step}/{line.total}" if line.total else ""
        name = f"  {name}" if row.within else name
    return [
        clean(name, newlines=False),
        clean(model_name(line.model), newlines=False),
        status,
        steps,
        result(line, by),
        ago(max(0.0, now - line.started_at)),
    ]


def result(line: RunLine | SweepLine, by: Order = "date") -> str:
    """What came of it: right answers of base and tuned where they were counted, else the loss; of a sweep the
    best objective. Where the list is sorted by a figure, that one.
    """
    if by == "validation":
        return "–" if line.validation is None else f"{line.validation:.4f}"
    if by == "right" and line.right is None:
        return "–"
    if isinstance(line, SweepLine):
        return "–" if line.best is None else f"best {line.best:.3f}"
    if line.right is not None and line.base_right is not None:
        return f"{line.base_right:.0%} → {line.right:.0%}"
    return "–" if line.loss is None else f"loss {line.loss:.2f}"


def of_sweep(name: str, sweep: str) -> str:
    """What a run of a sweep is called under it: trial 4, seed 2; its own name where it has another one."""
    prefix = f"{sweep[:54]}-"
    trial, _, seed = name.removeprefix(prefix).partition("-")
    if not (name.startswith(prefix) and trial.isdecimal() and (seed or "1").isdecimal()):
        return name
    return f"trial {int(trial)}" + (f", seed {seed}" if seed else "")


def model_name(model_id: str) -> str:
    """A model's id without what stands before its name: folders, the owner on the hub, builtin."""
    return model_id.rpartition("/")[2].removeprefix("builtin:")
