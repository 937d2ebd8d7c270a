"""A sweep as a table of trials, and what is known of it in a few lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable

from engine import sweeps
from engine.state import Status
from engine.sweeps import SweepState, Trial
from tui.feed import SweepShot
from tui.safe import clean
from tui.widgets.figures import duration, left, right
from tui.widgets.marks import PHASE, status_mark

OUTCOMES: dict[sweeps.Outcome, str] = {
    "running": "●",
    "complete": "✓",
    "pruned": "■",
    "failed": "✗",
}
MARKED = "◆"
WIDEST = 16
"""Cells of a setting's column."""


class TrialTable(DataTable[Text]):
    """A line a trial, in the order in which they were drawn; the cursor stays on its trial."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "select_cursor",
            "Open",
            id="trials.open",
            key_display="enter",
            tooltip="Open the run of the trial",
        ),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1)
        self._shown: list[list[str]] = []
        self._heads: list[str] = []

    def show(self, shot: SweepShot, marked: int = 0) -> None:
        """marked: the number of the trial that another is to be compared with."""
        heads = ["", *sweeps.short(list(shot.plan.over)), shot.plan.objective, "state"]
        rows = [cells(shot, trial, marked) for trial in shot.state.trials]
        if heads != self._heads:
            self._heads, self._shown = heads, []
            self.clear(columns=True)
            for number, head in enumerate(heads):
                self.add_column(_cell(head, 0 < number < len(heads) - 1), key=str(number))
        last = len(heads) - 1
        for number, row in enumerate(rows):
            if number >= len(self._shown):
                self.add_row(*(_cell(words, at < last) for at, words in enumerate(row)), key=str(number))
            elif row != self._shown[number]:
                for at, words in enumerate(row):
                    self.update_cell(str(number), str(at), _cell(words, at < last), update_width=True)
        self._shown = rows


def _cell(words: str, figures: bool) -> Text:
    return Text(words, no_wrap=True, overflow="ellipsis", justify="right" if figures else "left")


def cells(shot: SweepShot, trial: Trial, marked: int = 0) -> list[str]:
    """Number, settings, value with its interval, state."""
    objective = shot.plan.objective
    best = sweeps.best(shot.state, objective)
    number = f"{MARKED} {trial.number}" if trial.number == marked else str(trial.number)
    is_best = best is not None and best.number == trial.number
    state: str = "best" if is_best else trial.state
    if trial.state == "running":
        state = under_way(shot, trial)
    return [
        number,
        *(clean(value(trial.setting.get(key)), newlines=False)[:WIDEST] for key in shot.plan.over),
        measured(trial, objective),
        f"{OUTCOMES[trial.state]} {clean(state, newlines=False)}",
    ]


def under_way(shot: SweepShot, trial: Trial) -> str:
    """How far the run of a trial is; that of a sweep without one waits to be taken up."""
    if shot.under_way is None or shot.under_way.name not in trial.runs:
        return "unfinished" if not shot.alive else "running"
    now = shot.now
    if now.status == "waiting":
        return "waits for the device"
    return f"{now.step:,}/{now.total:,}" if now.total else PHASE.get(now.phase, now.phase)


def measured(trial: Trial, objective: str) -> str:
    """A trial's value with its 95% interval, where one is known."""
    if trial.value is None:
        return "–"
    reach = sweeps.interval(trial, objective)
    return f"{trial.value:.4f}" + (f" [{reach[0]:.3f}, {reach[1]:.3f}]" if reach else "")


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
    done = f"{made} · {duration(state.seconds)} of training{hours} · {plan.method}"
    status: Status = state.status
    return Content.assemble(status_mark(status), "  ", (done, "$foreground-muted"))


def standing(shot: SweepShot) -> Content:
    """The best so far with its interval, or why the sweep has ended, a line each."""
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
        said = f"{plan.objective} {measured(best, plan.objective)}, {seeds}"
        shown = clean(settings, newlines=False)
        lines.append(Content.assemble(f"Best so far: trial {best.number}, ", (shown, "bold")))
        lines.append(Content(said))
    return Content("\n").join(lines)


def importance(state: SweepState, over: Sequence[str], width: int) -> Content:
    """How much each setting has mattered, as bars."""
    if not state.importance:
        return Content.styled("said from eight complete trials on", "$foreground-muted")
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
