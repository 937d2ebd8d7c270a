"""The table of runs: repainted cell by cell, so that a live run's progress costs few bytes."""

from __future__ import annotations

from typing import ClassVar, Literal

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from tui.feed import RunLine
from tui.safe import clean
from tui.widgets.figures import ago, place_in_line
from tui.widgets.marks import status_mark

Justify = Literal["left", "right"]

COLUMNS = {"Run": 12, "Model": 12, "Status": 12, "Step": 9, "Result": 10, "Started": 10}
RIGHT = {"Step", "Result", "Started"}
WIDEST_NAME = 64


class RunTable(DataTable[Text]):
    """Rows are runs, newest first; the cursor stays on its run when others come."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "Open", id="runs.open", key_display="enter", tooltip="Open the run"
        ),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1)
        self._shown: dict[str, list[str]] = {}

    def on_mount(self) -> None:
        for name, width in COLUMNS.items():
            header = Text(name, justify="right" if name in RIGHT else "left")
            self.add_column(header, width=width, key=name)

    def on_resize(self, event: events.Resize) -> None:
        """Names take the room that a wider terminal has."""
        spare = event.size.width - sum(COLUMNS.values()) - 2 * len(COLUMNS)
        for name in ("Run", "Model"):
            width = min(WIDEST_NAME, COLUMNS[name] + max(0, spare // 2))
            self.columns[ColumnKey(name)].width = width
        self.clear()
        self._fill(self._shown)

    def show(self, lines: tuple[RunLine, ...], now: float) -> None:
        rows = {str(line.run.path): cells(line, now) for line in lines}
        if list(rows) != list(self._shown):
            self._fill(rows)
        else:
            self._amend(rows)
        self._shown = rows

    def _fill(self, rows: dict[str, list[str]]) -> None:
        keys = list(self._shown)
        held = keys[self.cursor_row] if self.cursor_row < len(keys) else None
        self.clear()
        for key, row in rows.items():
            self.add_row(*map(self._text, COLUMNS, row), key=key)
        if held in rows:
            self.move_cursor(row=list(rows).index(held))

    def _amend(self, rows: dict[str, list[str]]) -> None:
        for key, row in rows.items():
            for name, new, old in zip(COLUMNS, row, self._shown[key], strict=True):
                if new != old:
                    self.update_cell(key, name, self._text(name, new))

    def _text(self, column: str, words: str) -> Text:
        justify: Justify = "right" if column in RIGHT else "left"
        return Text(words, no_wrap=True, overflow="ellipsis", justify=justify)


def cells(line: RunLine, now: float) -> list[str]:
    """A run's figures, aligned, in the order of the columns."""
    steps = f"{line.step}/{line.total}" if line.total else ""
    return [
        clean(line.name, newlines=False),
        clean(model_name(line.model), newlines=False),
        f"◌ waits, {place_in_line(line.ahead).split()[0]}" if line.ahead else status_mark(line.status).plain,
        steps,
        result(line),
        ago(max(0.0, now - line.started_at)),
    ]


def result(line: RunLine) -> str:
    """What came of it: right answers of base and tuned where they were counted, else the loss."""
    if line.right is not None:
        base, tuned = line.right
        return f"{base:.0%} → {tuned:.0%}"
    return "–" if line.loss is None else f"loss {line.loss:.2f}"


def model_name(model_id: str) -> str:
    """A model's id without the folders before its name, where it is a path."""
    return model_id.rpartition("/")[2] if model_id.startswith(("/", "~", ".")) else model_id
