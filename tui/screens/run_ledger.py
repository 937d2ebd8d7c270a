"""The ledger that a run has written: every row that it does not use as it stands."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import DataTable

from engine.errors import RunFailed
from engine.runs import Run
from tui.feed.ledger import RunLedger
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.ledger_table import TotalsTable, summed
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress


class RunLedgerScreen(StepScreen):
    """Totals by reason; enter opens the rows of one."""

    STEP = 5
    HELP = (
        "Nothing vanishes: a row is used as it stands, used with a change that is listed here, or left out "
        "with its file, its line and the reason. This is what the run itself has written, in ledger.jsonl of "
        "its folder, when it rendered its rows; enter opens the rows of a reason."
    )
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._ledger = RunLedger(run)
        self._totals: list[dict[str, Any]] = []

    def body(self) -> ComposeResult:
        with Container(id="ledger"), Vertical(classes="panel", id="totals") as panel:
            panel.border_title = "Ledger of the run"
            yield Quiet("reading …", id="ledger-state")
            yield TotalsTable()

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4}))

    def on_mount(self) -> None:
        self._read()

    @work(exclusive=True)
    async def _read(self) -> None:
        said = self.query_one("#ledger-state", Quiet)
        try:
            self._totals = await self._ledger.totals()
        except RunFailed as error:
            said.show(Content.styled(f"✗ {clean(str(error))}", "$text-error"))
            return
        if not self.stands:
            return
        table = self.query_one(TotalsTable)
        table.show(self._totals)
        table.display = bool(self._totals)
        self.query_one("#totals").border_subtitle = Content(summed(self._totals))
        if self._totals:
            table.focus()
        else:
            said.show("✓ Nothing is listed: every row is used as it stands, or none was rendered yet.")
        self._describe()

    @property
    def _pointed_at(self) -> dict[str, Any] | None:
        at = self.query_one(TotalsTable).cursor_row
        return self._totals[at] if 0 <= at < len(self._totals) else None

    def _describe(self) -> None:
        if total := self._pointed_at:
            self.query_one("#ledger-state", Quiet).show(
                Content.assemble((f"{clean(total['reason'])}: ", "bold"), clean(total["meaning"]))
            )

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._describe()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        from tui.screens.entries import EntriesScreen

        if total := self._pointed_at:
            self.open_beside(EntriesScreen(self._ledger, total["reason"]))
