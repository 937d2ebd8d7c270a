"""The rows of one reason of the ledger, fifty at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable

from engine.errors import RunFailed
from tui.feed import RowsFeed
from tui.feed.ledger import RunLedger
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.ledger_table import EntriesTable, whole
from tui.widgets.quiet import Quiet

PAGE = 50


class EntriesScreen(StepScreen):
    """A table of entries; the one under the cursor stands below in full."""

    STEP = 3
    HELP = (
        "Each line is one row of your files: where it stands, what was found in it, how it begins. The row "
        "under the cursor is shown in full below, with the byte at which it begins.\n\n"
        "Fifty rows are shown at a time; left and right turn the pages. A run lists the same in the file "
        "ledger.jsonl of its folder, and `ift-tui data FILE --ledger` prints it."
    )

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, rows: RowsFeed | RunLedger, reason: str) -> None:
        super().__init__()
        self._rows = rows
        self._reason = reason
        self._start = 0
        self._total = 0
        self._entries: list[dict[str, Any]] = []

    def body(self) -> ComposeResult:
        with Container(id="entries"):
            with Vertical(classes="panel", id="page"):
                yield Quiet("reading …", id="entries-state")
                yield EntriesTable()
            with VerticalScroll(classes="panel", id="entry", can_focus=False) as panel:
                panel.border_title = "This row"
                yield Quiet(id="whole")

    def on_mount(self) -> None:
        self.query_one("#page").border_title = Content(clean(self._reason, newlines=False))
        self.query_one(EntriesTable).focus()
        self._ask()

    @work(exclusive=True)
    async def _ask(self) -> None:
        said = self.query_one("#entries-state", Quiet)
        try:
            page = await self._rows.ledger(self._reason, self._start, PAGE)
        except RunFailed as error:
            said.show(f"✗ {clean(str(error))}")
            return
        if not self.stands:
            return
        said.display = False
        self._total, self._entries = page["total"], page["entries"]
        self.query_one(EntriesTable).show(self._entries)
        last = self._start + len(self._entries)
        title = f"{clean(self._reason, newlines=False)} · {self._start + 1:,} to {last:,} of {self._total:,}"
        self.query_one("#page").border_title = Content(title + ("  ◂ ▸" if self._total > PAGE else ""))
        self._describe()
        self.refresh_bindings()

    def _describe(self) -> None:
        at = self.query_one(EntriesTable).cursor_row
        if 0 <= at < len(self._entries):
            self.query_one("#whole", Quiet).show(whole(self._entries[at]))

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._describe()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "turn":
            by = parameters[0]
            return self._start + PAGE < self._total if by == 1 else self._start > 0
        return True

    def action_turn(self, by: int) -> None:
        self._start += by * PAGE
        self._ask()
