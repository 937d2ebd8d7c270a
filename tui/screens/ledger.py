"""The ledger: every row that is not used as it stands, by reason, and what is done with such rows."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable

from engine import recipe
from tui.draft import Draft
from tui.feed import RowsFeed
from tui.keys import shown
from tui.safe import clean
from tui.screens.choose import PickScreen
from tui.screens.messages import RecipeChanged
from tui.screens.step import StepScreen
from tui.widgets.ledger_table import ACTIONS, TotalsTable, about, summed
from tui.widgets.quiet import Quiet


class LedgerScreen(StepScreen):
    """Totals by reason, and the policy of each."""

    STEP = 3
    HELP = (
        "Nothing vanishes: a row is used as it stands, used with a change that is listed here, or left out "
        "with its file, its line and the reason. Enter opens the rows of a reason.\n\n"
        "p says what is done with them: keep uses them as they are, fix mends them, drop leaves them out, "
        "stop refuses to train while there is one. The choice goes into the recipe, and the rows are "
        "read again at once. A run writes the same ledger into its folder, as ledger.jsonl."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "ledger",
            ("p", "policy", "Policy", "policy", "Choose what is done with such rows"),
        ),
    ]

    def __init__(self, rows: RowsFeed) -> None:
        super().__init__()
        self._rows = rows
        self._totals: list[dict[str, Any]] = []

    def body(self) -> ComposeResult:
        with Container(id="ledger"):
            with Vertical(classes="panel", id="totals") as panel:
                panel.border_title = "Ledger"
                yield Quiet("", id="ledger-state")
                yield TotalsTable()
            with VerticalScroll(classes="panel", id="reason", can_focus=False) as panel:
                panel.border_title = "This reason"
                yield Quiet(id="about")

    def on_mount(self) -> None:
        self.query_one(TotalsTable).focus()
        self.draft_changed()

    def draft_changed(self) -> None:
        draft = self.draft
        if draft is None:
            return
        if draft.ledger is not None and draft.ledger != self._totals:
            self._totals = draft.ledger
            self.query_one(TotalsTable).show(self._totals)
            self._describe()
        self.query_one(TotalsTable).display = bool(self._totals)
        self.query_one("#ledger-state", Quiet).show(state(draft, bool(self._totals)))
        self.query_one("#totals").border_subtitle = Content(summed(self._totals))
        self.refresh_bindings()

    @property
    def pointed_at(self) -> dict[str, Any] | None:
        at = self.query_one(TotalsTable).cursor_row
        return self._totals[at] if 0 <= at < len(self._totals) else None

    def _describe(self) -> None:
        total = self.pointed_at
        self.query_one("#about", Quiet).show(about(total) if total else "")

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._describe()
        self.refresh_bindings()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        from tui.screens.entries import EntriesScreen

        total = self.pointed_at
        if total is not None:
            self.open_beside(EntriesScreen(self._rows, total["reason"]))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "policy" and self.is_mounted:
            total = self.pointed_at
            return total is not None and len(total["actions"]) > 1
        return True

    def action_policy(self) -> None:
        total = self.pointed_at
        if total is None:
            return
        actions = list(total["actions"])

        def choose(number: int | None) -> None:
            if number is not None and actions[number] != total["action"]:
                self._ask_for(total["reason"], actions[number])

        question = f"Rows with: {total['reason']}"
        answers = [f"{action:<5} {ACTIONS[action]}" for action in actions]
        self.app.push_screen(PickScreen(question, answers, actions.index(total["action"])), choose)

    def _ask_for(self, reason: str, action: str) -> None:
        assert self.draft is not None
        plan = self.draft.recipe
        policy = {**plan.data.policy, reason.replace(" ", "_"): action}
        self.post_message(RecipeChanged(recipe.changed(plan, data={"policy": policy})))


def state(draft: Draft, any_totals: bool) -> Content:
    """What is under way, or that there is nothing to list."""
    if draft.problem:
        return Content.styled(f"✗ {clean(draft.problem)}", "$text-error")
    if draft.shapeless:
        return Content("How the rows are read has to be chosen first.")
    if draft.scan is None:
        far = f" {draft.done:,} of {draft.total:,}" if draft.total else ""
        return Content.styled(f"reading the rows …{far}", "$foreground-muted")
    if not any_totals:
        return Content("✓ Every row is used as it stands.")
    return Content.styled("all rows are read; enter opens the rows of a reason", "$foreground-muted")
