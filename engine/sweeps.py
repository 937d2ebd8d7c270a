"""Sweeps: folders of their own beside the runs, and what their events say: trials, curves, the best so far.

A trial is one setting, tried in one run or, with other seeds, in several. engine/workers/sweep.py makes the
runs, one after another, through the line in front of the device. Its folder is as a run's:

    sweep.toml      the resolved recipe; runs and hours in it may be raised while it goes
    events.jsonl    what happened: of this alone it goes on, whatever was killed
    optuna.journal  the same trials for Optuna and its tools, written anew from the events at each start
    worker.log      what libraries print                lock    held by its worker for life

Event kinds, with what each carries beside `kind`, `seq` and `time`:

    started    name, pid; again where it is taken up
    trial      number (from 1), draw {key: value, or factor}, setting {key: value in the recipe}
    run        number, seed (from 0), run: name of the run, written before the run is made
    evaluated  number, seed, step, total, loss: of the adapter on the validation rows; at step 0, of the base
    resumed    number, seed, step: its worker had died, and was started again
    given_up   number, seed, step, reason: the run is asked to stop
    ended      number, state (complete | pruned | failed), value (mean, null without one), values [one a
               seed], rows (that were judged; null for a loss), seconds (that its runs worked), reason
    importance shares {key: from 0 to 1}, trials: how many it was computed from
    finished | stopped   reason
    failed     reason, mend
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine import events, private, runs
from engine.errors import UserError
from engine.events import Event
from engine.interval import Interval, of_mean, of_share
from engine.runs import Run, Worked

if TYPE_CHECKING:
    from engine.schema import Recipe
    from engine.sweep_plan import Sweep as Plan

Outcome = Literal["running", "complete", "pruned", "failed"]
Status = Literal["starting", "running", "finished", "stopped", "failed", "crashed"]

FILE = "sweep.toml"
LOSS = "validation loss"
SHARES = ("right", "exact", "normalised", "valid", "ended", "choice said: accuracy")
"""Objectives that count rows: their interval is known from one run."""


@dataclass(frozen=True)
class Sweep(Worked):
    """One sweep's folder."""

    @property
    def journal(self) -> Path:
        return self.path / "optuna.journal"

    def recipe(self) -> Recipe:
        """The recipe with its [sweep]. Raises UserError where it is missing or torn."""
        from engine import recipe  # with pydantic: a list of sweeps does without

        return recipe.load(self.path / FILE)

    def state(self) -> SweepState:
        """The fold over its events; without a last word and a worker it has crashed."""
        alive = runs.is_alive(self)  # asked first, as of a run
        return judged(fold(events.Tail(self.events).read()), alive, self)


@dataclass
class Trial:
    """One setting and what became of it."""

    number: int
    draw: dict[str, Any] = field(default_factory=dict)
    setting: dict[str, Any] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)  # names, one a seed
    curves: list[dict[int, float]] = field(default_factory=list)  # of each run: step -> validation loss
    totals: list[int] = field(default_factory=list)  # steps in all, of each run
    died: list[list[int]] = field(default_factory=list)  # of each run: the steps at which its worker died
    given_up: str = ""  # why its run was asked to stop
    state: Outcome = "running"
    value: float | None = None
    values: list[float] = field(default_factory=list)
    rows: int | None = None
    seconds: float = 0.0
    reason: str = ""


@dataclass
class SweepState:
    """All that the events say so far. Only `fold` changes it."""

    status: Status = "starting"
    trials: list[Trial] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)
    importance_of: int = 0  # trials it was computed from
    started_at: float = 0.0
    updated_at: float = 0.0
    reason: str = ""
    mend: str = ""

    @property
    def runs(self) -> int:
        """How many runs were made, or begun."""
        return sum(len(trial.runs) for trial in self.trials)

    @property
    def seconds(self) -> float:
        """How long the runs of ended trials have worked."""
        return sum(trial.seconds for trial in self.trials)

    def fold(self, event: Event) -> None:
        """Take in one event. Unknown kinds and trials are passed over: old viewers read new sweeps."""
        self.updated_at = event.get("time", self.updated_at)
        match event:
            case {"kind": "started"}:
                self.status, self.reason, self.mend = "running", "", ""
                self.started_at = self.started_at or self.updated_at
            case {"kind": "trial", "number": number}:
                self.trials.append(Trial(number, event["draw"], event["setting"]))
            case {"kind": "importance"}:
                self.importance, self.importance_of = event["shares"], event.get("trials", 0)
            case {"kind": "finished" | "stopped" | "failed" as last_word}:
                self.status = last_word
                self.reason, self.mend = event.get("reason", ""), event.get("mend", "")
            case {"kind": str(kind), "number": int(number)} if 0 < number <= len(self.trials):
                _fold_trial(self.trials[number - 1], kind, event)


def _fold_trial(trial: Trial, kind: str, event: Event) -> None:
    match kind:
        case "run":
            trial.runs.append(event["run"])
            trial.curves.append({})
            trial.totals.append(0)
            trial.died.append([])
        case "evaluated":
            trial.curves[event["seed"]][event["step"]] = event["loss"]
            trial.totals[event["seed"]] = event.get("total", 0)
        case "resumed":
            trial.died[event["seed"]].append(event["step"])
        case "given_up":
            trial.given_up = event.get("reason", "")
        case "ended":
            trial.state = event["state"]
            trial.value, trial.values = event.get("value"), event.get("values", [])
            trial.rows, trial.seconds = event.get("rows"), event.get("seconds", 0.0)
            trial.reason = event.get("reason", "")


def fold(events: Iterable[Event]) -> SweepState:
    """The state after all of these events."""
    state = SweepState()
    for event in events:
        state.fold(event)
    return state


def judged(state: SweepState, alive: bool, sweep: Sweep) -> SweepState:
    """Mark as crashed what has no last word and no living worker, and say how it goes on."""
    if not alive and state.status in ("starting", "running"):
        state.status = "crashed"
        state.reason = "its process ended without a word; nothing of it is lost"
        state.mend = f"go on: ift-tui sweep {sweep.name} --resume"
    elif alive and runs.launched_at(sweep) > state.updated_at:
        state.status = "starting"
    return state


def create(plan: Recipe, now: datetime | None = None) -> Sweep:
    """Make the folder of a new sweep with its resolved recipe in it. Raises UserError."""
    return Sweep(runs.new_folder("sweeps", FILE, plan, now))


def launch(sweep: Sweep) -> None:
    """Start its worker, which outlives this process and its terminal. Raises RunFailed if it has one."""
    runs.launch(sweep, worker="sweep")


def list_sweeps() -> list[Sweep]:
    """All sweeps, newest first."""
    base = runs.home() / "sweeps"
    if not base.is_dir():
        return []
    return [Sweep(path) for path in sorted(base.iterdir(), reverse=True) if (path / FILE).is_file()]


def find(name: str) -> Sweep:
    """A sweep by its name, a part of it that only one has, or "last". Raises UserError."""
    known = list_sweeps()
    if name == "last" and known:
        return known[0]
    exact = [sweep for sweep in known if sweep.name == name]
    matches = exact or [sweep for sweep in known if name and name in sweep.name]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"{name}: no such sweep, and no recipe file; `ift-tui sweeps` lists the sweeps")
    raise UserError(
        f"{name}: {len(matches)} sweeps match ({matches[0].name}, {matches[1].name} ...); say more"
    )


def enlarge(sweep: Sweep, **budget: float) -> None:
    """Set runs or hours, or both; its worker heeds them before its next trial. Raises UserError."""
    from engine import recipe

    plan = recipe.changed(sweep.recipe(), sweep=budget)
    beside = sweep.path / f"{FILE}.part"
    private.write(beside, recipe.dumps(plan))
    beside.replace(sweep.path / FILE)


def enough(plan: Plan, state: SweepState) -> str:
    """Why no further trial is begun; "" where one is, so far as runs and hours go."""
    if plan.runs is not None and state.runs + plan.seeds > plan.runs:
        return f"its {plan.runs} runs are made"
    if plan.hours is not None and state.seconds >= plan.hours * 3600:
        return f"its {plan.hours:g} hours are used"
    return ""


def best(state: SweepState, objective: str) -> Trial | None:
    """The complete trial with the best value; the earlier one of equals. None where none is complete."""
    known = [trial for trial in state.trials if trial.state == "complete" and trial.value is not None]
    sign = 1 if objective == LOSS else -1
    return min(known, key=lambda trial: sign * (trial.value or 0.0), default=None)


def interval(trial: Trial, objective: str) -> Interval | None:
    """The 95% interval of a trial's value: over its seeds, or of one run's share of rows; None where neither
    is known: one validation loss says nothing of how another seed would do.
    """
    if len(trial.values) > 1:
        return of_mean(trial.values)
    if objective in SHARES and trial.rows and trial.value is not None:
        return of_share(trial.value, trial.rows)
    return None


def figure(trial: Trial, objective: str) -> str:
    """A trial's value with its 95% interval, if known: 0.8120 [0.780, 0.840]; "" where it has none."""
    if trial.value is None:
        return ""
    reach = interval(trial, objective)
    return f"{trial.value:.4f}" + (f" [{reach[0]:.3f}, {reach[1]:.3f}]" if reach else "")


def best_on_all_data(sweep: Sweep) -> Recipe:
    """The recipe with the best setting, to be trained on every row. Raises UserError where none is known.

    No row is left to stop early by: a run that would have done so trains as long as its best one needed.
    """
    from engine import recipe, space

    plan = sweep.recipe()
    assert plan.sweep is not None
    found = best(sweep.state(), plan.sweep.objective)
    if found is None:
        raise UserError(f"{sweep.name} has no complete trial yet; nothing can be called its best")
    chosen = space.applied(plan, found.setting, name=f"{plan.name[:59]}-best")
    length: dict[str, Any] = {}
    if chosen.train.early_stopping:
        curve = {step: loss for step, loss in found.curves[0].items() if step}
        length = {"early_stopping": 0, "epochs": None, "steps": min(curve, key=lambda step: curve[step])}
    return recipe.changed(chosen, data={"all_data": True}, train=length)


def run_of(name: str) -> Run:
    """A run of a sweep by its name, whether or not it is there still."""
    return Run(runs.home() / "runs" / Path(name).name)


def under_way(state: SweepState) -> Run | None:
    """The run of a sweep that has a worker; None where none has."""
    names = [name for trial in state.trials if trial.state == "running" for name in trial.runs]
    return next((run for run in map(run_of, reversed(names)) if runs.is_alive(run)), None)


def live() -> Sweep | None:
    """The newest sweep that has a worker."""
    return next((sweep for sweep in list_sweeps() if runs.is_alive(sweep)), None)


def of(run: Run) -> Sweep | None:
    """The sweep that a run is one of; None of a run of its own."""
    said = json.dumps({"run": run.name})[1:-1].encode()  # sought as bytes: to fold all sweeps takes its time
    known = (sweep for sweep in list_sweeps() if sweep.events.is_file())
    return next((sweep for sweep in known if said in sweep.events.read_bytes()), None)


def short(names: Sequence[str]) -> list[str]:
    """Keys by their last part, where no two share it: learning_rate."""
    last = [key.rpartition(".")[2] for key in names]
    return [name if last.count(name) == 1 else key for key, name in zip(names, last, strict=True)]


def tenths(curve: dict[int, float], total: int) -> dict[int, float]:
    """Validation losses at each tenth of a run that its evaluations have passed, in a line between them.

    So runs can be compared whose steps are of other sizes or numbers.
    """
    found: dict[int, float] = {}
    steps = sorted(step for step in curve if step <= total)
    for tenth in range(1, 11) if total else ():
        at = total * tenth / 10
        before = [step for step in steps if step <= at]
        after = [step for step in steps if step >= at]
        if before and after:
            a, b = before[-1], after[0]
            share = (at - a) / (b - a) if b > a else 0.0
            found[tenth] = curve[a] + share * (curve[b] - curve[a])
    return found
