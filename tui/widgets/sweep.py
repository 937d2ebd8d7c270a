"""A sweep as a table of trials, and what is known of it in a few lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import DataTable

from engine import sweeps
from engine.state import Status
from engine.sweeps import SweepState, Trial
from tui.feed import SweepShot
from tui.keys import shown
from tui.safe import clean
from tui.widgets.figures import duration, left, right
from tui.widgets.marks import status_mark

OUTCOMES: dict[sweeps.Outcome, str] = {
    "running": "●",
    "complete": "✓",
    "pruned": "■",
    "failed": "✗",
}
MARKED = "◆"
STATE = 1
"""The column of words; all others are figures."""
NUMBER_WIDTH, STATE_WIDTH, INTERVAL_WIDTH = 4, 12, 21
"""Cells of "◆ 12", "■ unfinished" and "0.8120 [0.780, 0.840]"."""
VALUE_WIDTH = 7
WIDEST = 16
"""Cells of a setting's column."""


class TrialTable(DataTable[Text]):
    """A line a trial, in the order in which they were drawn; the cursor stays on its trial."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown("trials", ("enter", "select_cursor", "Open", "open", "Open the run of the trial"))
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1)
        self._shown: list[list[str]] = []
        self._heads: list[str] = []

    def show(self, shot: SweepShot, marked: int = 0) -> None:
        """marked: the number of the trial that another is to be compared with.

        At first the cursor stands on the trial under way, or where none is on the best one; from the last
        trial it goes on to the next one.
        """
        judged_by = "loss" if shot.plan.objective == sweeps.LOSS else shot.plan.objective
        heads = ["", "state", judged_by, *sweeps.short(list(shot.plan.over))]
        rows = [cells(shot, trial, marked) for trial in shot.state.trials]
        before, last = len(self._shown), self.cursor_row == len(self._shown) - 1
        if heads != self._heads:
            self._heads, self._shown = heads, []
            self.clear(columns=True)
            for number, head in enumerate(heads):
                self.add_column(_cell(head, number), width=_width(shot, number), key=str(number))
        for number, row in enumerate(rows):
            if number >= len(self._shown):
                self.add_row(*(_cell(words, at) for at, words in enumerate(row)), key=str(number))
            elif row != self._shown[number]:
                for at, words in enumerate(row):
                    self.update_cell(str(number), str(at), _cell(words, at), update_width=True)
        self._shown = rows
        if not before and rows:
            best = None if shot.alive else sweeps.best(shot.state, shot.plan.objective)
            self.move_cursor(row=best.number - 1 if best else len(rows) - 1)
        elif last and len(rows) > before:
            self.move_cursor(row=len(rows) - 1)


def _width(shot: SweepShot, column: int) -> int | None:
    """Of what will stand in a column whose words change as the runs go on: nothing moves then."""
    if column <= STATE:
        return (NUMBER_WIDTH, STATE_WIDTH)[column]
    plan = shot.plan
    if column == STATE + 1 and (plan.seeds > 1 or plan.objective in sweeps.SHARES):
        return max(len(plan.objective), INTERVAL_WIDTH)
    return VALUE_WIDTH if column == STATE + 1 and plan.objective == sweeps.LOSS else None


def _cell(words: str, column: int) -> Text:
    return Text(words, no_wrap=True, overflow="ellipsis", justify="left" if column == STATE else "right")


def cells(shot: SweepShot, trial: Trial, marked: int = 0) -> list[str]:
    """Number, state, value with its interval, settings: where there are many keys, these are what is cut."""
    objective = shot.plan.objective
    best = sweeps.best(shot.state, objective)
    number = f"{MARKED} {trial.number}" if trial.number == marked else str(trial.number)
    is_best = best is not None and best.number == trial.number
    state: str = "best" if is_best else trial.state
    if trial.state == "running":
        state = under_way(shot, trial)
    return [
        number,
        f"{OUTCOMES[trial.state]} {clean(state, newlines=False)}",
        sweeps.figure(trial, objective) or "–",
        *(clean(value(trial.setting.get(key)), newlines=False)[:WIDEST] for key in shot.plan.over),
    ]


def under_way(shot: SweepShot, trial: Trial) -> str:
    """How far the run of a trial is; that of a sweep without one waits to be taken up."""
    if shot.under_way is None or shot.under_way.name not in trial.runs:
        return "unfinished" if not shot.alive else "running"
    now = shot.now
    if now.status == "waiting":
        return "waits"
    return f"{now.step:,}/{now.total:,}" if now.total else now.phase or "starts"


def value(given: Any) -> str:
    """A setting's value as it would be typed, numbers to four digits."""
    if isinstance(given, float):
        return f"{given:.4g}"
    return given if isinstance(given, str) else json.dumps(given)


def status_line(shot: SweepShot) -> Content:
    """What it does now, and how much of what it may do is done."""
    plan, state = shot.plan, shot.state
    made = f"{state.runs} of {plan.runs} runs" if plan.runs else f"{state.runs} runs"
    hours = f" of {plan.hours:g} h" if plan.hours else ""
    trained = f" · {duration(state.seconds)} of training{hours}" if state.seconds else ""
    done = f"{made}{trained} · {plan.method}"
    status: Status = state.status
    return Content.assemble(status_mark(status), "  ", (done, "$foreground-muted"))


def standing(shot: SweepShot) -> Content:
    """Why the sweep has ended, where it has, and the best so far with its interval."""
    plan, state = shot.plan, shot.state
    lines = []
    if state.reason and state.status in ("failed", "crashed"):
        lines.append(Content.styled(f"✗ {clean(state.reason, newlines=False)}; r goes on", "$text-error"))
    elif state.reason:
        lines.append(Content.styled(clean(state.reason, newlines=False), "$foreground-muted"))
    best = sweeps.best(state, plan.objective)
    if best is None:
        lines.append(Content("No trial is complete yet: nothing can be called the best."))
    else:
        names = dict(zip(plan.over, sweeps.short(list(plan.over)), strict=True))
        settings = ", ".join(f"{names.get(key, key)} {value(given)}" for key, given in best.setting.items())
        seeds = "of one seed" if len(best.values) < 2 else f"the mean of {len(best.values)} seeds"
        figure = f"{plan.objective} {sweeps.figure(best, plan.objective)}, {seeds}"
        shown = clean(settings, newlines=False)
        lines.append(Content.assemble(f"Best: trial {best.number}, {figure}: ", (shown, "bold")))
    return Content("\n").join(lines)


def importance(state: SweepState, over: Sequence[str], width: int) -> Content:
    """How much each setting has mattered, as bars."""
    if not state.importance:
        return Content.styled("shown once eight trials are complete", "$foreground-muted")
    names = dict(zip(over, sweeps.short(list(over)), strict=True))
    shown = [(clean(names.get(key, key), newlines=False), share) for key, share in state.importance.items()]
    name_room = min(max(len(name) for name, _ in shown), max(6, width // 2))
    bar_room = max(4, width - name_room - 6)
    lines = [
        Content.assemble(
            left(name, name_room) + " ",
            ("━" * max(1, round(share * bar_room)), "$primary"),
            " " * (bar_room - max(1, round(share * bar_room))),
            right(f"{share:.0%}", 5),
        )
        for name, share in shown
    ]
    said = f"of {state.importance_of} complete trials"
    return Content("\n").join([*lines, Content.styled(said, "$foreground-muted")])
