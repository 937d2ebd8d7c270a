"""The table of runs: repainted cell by cell, so that a live run's progress costs few bytes."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.widgets import DataTable

from tui.feed import RunLine
from tui.safe import clean
from tui.widgets.figures import ago, figure
from tui.widgets.marks import status_mark

Cell = Content | Text
COLUMNS = (("Run", 22), ("Model", 20), ("Status", 10), ("Step", 11), ("Loss", 6))
LONGEST_NAME = 22
LONGEST_MODEL = 20


class RunTable(DataTable[Text]):
    """Rows are runs, newest first; the cursor stays on its run when others come."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, show_cursor=True)
        self._shown: dict[str, list[str]] = {}

    def on_mount(self) -> None:
        for name, width in COLUMNS:
            self.add_column(Text(name, style="bold"), width=width, key=name)
        self.add_column(Text("Started", style="bold"), key="Started")

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
            self.add_row(*map(self._text, row), key=key)
        if held in rows:
            self.move_cursor(row=list(rows).index(held))

    def _amend(self, rows: dict[str, list[str]]) -> None:
        names = [name for name, _ in COLUMNS] + ["Started"]
        for key, row in rows.items():
            for name, new, old in zip(names, row, self._shown[key], strict=True):
                if new != old:
                    self.update_cell(key, name, self._text(new))

    def _text(self, words: str) -> Text:
        return Text(words, no_wrap=True)


def cells(line: RunLine, now: float) -> list[str]:
    """A run's figures, aligned, in the order of the columns."""
    steps = f"{line.step:>5}/{line.total:<5}" if line.total else ""
    return [
        clean(line.name, newlines=False)[:LONGEST_NAME],
        clean(model_name(line.model), newlines=False)[:LONGEST_MODEL],
        status_mark(line.status).plain,
        steps,
        figure(line.loss, 3).rjust(6),
        ago(max(0.0, now - line.started_at)),
    ]


def model_name(model_id: str) -> str:
    """A model's id without the folders before its name, where it is a path."""
    return model_id.rpartition("/")[2] if model_id.startswith(("/", "~", ".")) else model_id
