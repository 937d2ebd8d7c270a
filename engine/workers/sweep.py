"""The detached process of one sweep: `python -P -m engine.workers.sweep SWEEP_DIRECTORY`.

It draws a setting, makes a run of it, starts that like any other (the run waits for the device, this process
never holds it), watches its events, and draws the next. No torch. All that it knows stands in its events:
killed at any moment and started again it takes up what was unfinished. A run that goes on meanwhile is
watched again, one that was killed is resumed, and a trial that ended is never tried twice. SIGTERM ends this
process; the run under way goes on.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from engine import objective, private, recipe, runs, space, sweeps, turns
from engine.errors import RunFailed, UserError
from engine.events import Tail
from engine.objective import Judged
from engine.runs import Run
from engine.schema import Recipe
from engine.state import RunState, fold
from engine.sweep_plan import Sweep as Plan
from engine.sweeps import Sweep, SweepState, Trial
from engine.workers.io import StopFlag, Stopped, keep_printing
from engine.workers.patience import PatientLog
from engine.workers.study import Study

SECONDS_BETWEEN_LOOKS = 0.5

MOST_DEATHS = 3
"""Times that a run's worker may die at the same step; if it does once more, something there kills it."""

MOST_FAILURES = 3
"""Trials in a row that may fail; then it is not their settings."""


@dataclass(frozen=True)
class Ended:
    """How a run of a trial ended: its figure, or why it has none."""

    state: sweeps.Outcome
    found: Judged | None = None
    reason: str = ""


def main() -> int:
    """Run the worker. Exit code 0 for finished or stopped, 1 for failed."""
    os.umask(0o077)
    sweep, stop = Sweep(Path(sys.argv[1])), StopFlag()
    lock = runs.hold_lock(sweep)
    keep_printing()
    log = PatientLog(sweep.events, stop)
    try:
        log.write("finished", reason=Conductor(sweep, log, stop).conduct())
    except Stopped as stopped:
        log.last_word("stopped", reason=str(stopped))
    except (UserError, RunFailed) as error:
        log.last_word("failed", reason=str(error), mend=_mend(sweep))
        return 1
    except Exception as error:
        traceback.print_exc()
        log.last_word("failed", reason=f"{type(error).__name__}: {error}", mend=_mend(sweep))
        return 1
    finally:
        os.close(lock)
    return 0


def _mend(sweep: Sweep) -> str:
    return f"what was tried is kept; mend it, then: ift-tui sweep {sweep.name} --resume"


class Conductor:
    """Makes the runs of a sweep; what it notes is folded into its state at once."""

    def __init__(self, sweep: Sweep, log: PatientLog, stop: StopFlag) -> None:
        self._sweep, self._log, self._stop = sweep, log, stop
        self._state: SweepState = sweeps.fold(Tail(sweep.events).read())
        self._note("started", name=sweep.name, pid=os.getpid())
        self._recipe = sweep.recipe()
        self._study = Study(sweep, self._plan, self._state)
        self._why = ""  # it has ended

    @property
    def _plan(self) -> Plan:
        assert self._recipe.sweep is not None  # a sweep's folder is made of no other
        return self._recipe.sweep

    def conduct(self) -> str:
        """Make all runs that are left to make. Returns why there are no more; raises what `main` says."""
        failures = 0
        while (trial := self._next()) is not None:
            self._work(trial)
            failures = failures + 1 if trial.state == "failed" else 0
            if failures == MOST_FAILURES:
                raise RunFailed(f"{failures} trials in a row failed, the last one so: {trial.reason}")
        return self._why

    def _next(self) -> Trial | None:
        """A trial that was left unfinished, else a new one while there are settings and a budget."""
        state = self._state
        if left := [trial for trial in state.trials if trial.state == "running"]:
            return left[0]
        if why := sweeps.enough(self._budget(), state):
            self._why = why
            return None
        if (draw := self._study.draw(state)) is None:
            self._why = "every setting was tried"
            return None
        setting = space.setting(self._recipe, draw)
        self._note("trial", number=len(state.trials) + 1, draw=draw, setting=setting)
        self._study.begin(state.trials[-1])
        return state.trials[-1]

    def _budget(self) -> Plan:
        """The plan with the runs and hours that the file says now: they may have been raised."""
        now = self._sweep.recipe().sweep
        return self._plan.model_copy(update={"runs": now.runs, "hours": now.hours}) if now else self._plan

    def _work(self, trial: Trial) -> None:
        """Make all runs of a trial, and note how it ended."""
        found: list[Judged] = []
        ended = Ended("complete")
        for seed in range(self._plan.seeds):
            if self._stop.wanted:
                raise Stopped("stopped between two runs")
            ended = self._tried(trial, seed)
            if ended.found is None:
                break
            found.append(ended.found)
        values = [one.value for one in found]
        rows = [one.rows for one in found if one.rows]
        self._note(
            "ended",
            number=trial.number,
            state=ended.state,
            value=fmean(values) if ended.state == "complete" else None,
            values=values,
            rows=sum(rows) or None,
            seconds=round(sum(map(_seconds, trial.runs)), 1),
            reason=ended.reason,
        )
        self._study.end(trial)
        shares, of = self._study.importance()
        if shares and ended.state == "complete":
            self._note("importance", shares=shares, trials=of)

    def _tried(self, trial: Trial, seed: int) -> Ended:
        """One run of a trial, made or taken up, watched to its end."""
        if seed == len(trial.runs):
            self._note("run", number=trial.number, seed=seed, run=self._name(trial, seed))
        run = sweeps.run_of(trial.runs[seed])
        try:
            plan = self._recipe_of(trial, seed)
            state = self._watched(trial, seed, run, plan)
        except UserError as error:
            return Ended("failed", reason=str(error))
        if state.status == "finished":
            try:
                return Ended("complete", objective.judged(run, state, self._plan.objective))
            except UserError as error:
                return Ended("failed", reason=str(error))
        if state.status == "stopped":
            return Ended("pruned", reason=trial.given_up or "stopped by hand")
        return Ended("failed", reason="; ".join(filter(None, (state.reason, state.mend))))

    def _name(self, trial: Trial, seed: int) -> str:
        """A name for a run that no other has: by date, recipe, trial, and seed where there are several."""
        stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{_short_name(self._recipe, trial, seed, self._plan.seeds)}"
        name, number = stamp, 1
        while sweeps.run_of(name).path.exists():
            number += 1
            name = f"{stamp}-{number}"
        return name

    def _recipe_of(self, trial: Trial, seed: int) -> Recipe:
        name = _short_name(self._recipe, trial, seed, self._plan.seeds)
        plan = space.applied(self._recipe, trial.setting, name)
        return recipe.changed(plan, train={"seed": plan.train.seed + seed}) if seed else plan

    def _watched(self, trial: Trial, seed: int, run: Run, plan: Recipe) -> RunState:
        """Start a run, or take it up, and return its state when it has ended for good."""
        seen = False  # alive, by this process
        tail, state = Tail(run.events), RunState()
        while True:
            alive = runs.is_alive(run)  # asked first: a dead worker's last word is then in what is read
            state.fold_all(tail.read())
            now = runs.judged(replace(state), alive, run)
            evaluated = self._curve(trial, seed, now)
            given_up = bool(trial.given_up) and seed == 0
            if given_up and now.status == "crashed":
                now.status = "stopped"  # killed, perhaps before it heard that it was to stop
            # What was stopped while nobody watched is taken up: it was stopped with the sweep.
            for_good = {"finished", "failed"} | ({"stopped"} if seen or given_up else set())
            if not alive and now.status in for_good:
                return now
            if self._stop.wanted:
                raise Stopped(f"stopped; {run.name} {'goes on by itself' if alive else 'is not over'}")
            if not alive:
                self._start(trial, seed, run, plan, now)
                state.status = "starting"  # its former last word is none any more
            elif evaluated and seed == 0:
                self._prune(trial, run)
            seen = True
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _start(self, trial: Trial, seed: int, run: Run, plan: Recipe, now: RunState) -> None:
        if not (run.path / "lock").exists():  # never started: its recipe may be torn
            private.folder(run.path)
            private.write(run.path / "recipe.toml", recipe.dumps(plan))
            turns.start(run)
            return
        if now.status == "crashed":
            self._note("resumed", number=trial.number, seed=seed, step=now.step)
            if (deaths := trial.died[seed].count(now.step)) > MOST_DEATHS:
                raise UserError(
                    f"{run.name}: {now.reason}, {deaths} times at step {now.step}; its checkpoints are kept, "
                    "its worker.log says what came before"
                )
        try:
            runs.resume(run, start=turns.start)
        except (UserError, RunFailed):
            if not runs.is_alive(run):  # else a person has just resumed it
                raise

    def _curve(self, trial: Trial, seed: int, now: RunState) -> bool:
        """Note what was evaluated since the last look; whether there was something."""
        found = {0: now.base_loss} if now.base_loss is not None else {}
        found |= {one.step: one.loss for one in now.evaluations}
        new = {step: loss for step, loss in found.items() if step not in trial.curves[seed]}
        for step, loss in new.items():
            self._note("evaluated", number=trial.number, seed=seed, step=step, total=now.total, loss=loss)
        if new and seed == 0:
            self._study.report(trial)
        return bool(new)

    def _prune(self, trial: Trial, run: Run) -> None:
        """Ask a hopeless run to save what it has and stop."""
        if trial.given_up or not self._plan.prune or not self._study.hopeless(trial):
            return
        step = max(trial.curves[0])
        reason = f"at step {step} its validation loss was above the median of the others"
        self._note("given_up", number=trial.number, seed=0, step=step, reason=reason)
        with suppress(UserError):  # it has just died: it is not taken up again
            runs.control(run, "stop")

    def _note(self, kind: str, **facts: Any) -> None:
        self._log.write(kind, **facts)
        self._state.fold({"kind": kind, **facts})


def _seconds(run: str) -> float:
    return fold(Tail(sweeps.run_of(run).events).read()).ran


def _short_name(plan: Recipe, trial: Trial, seed: int, seeds: int) -> str:
    return f"{plan.name[:54]}-{trial.number:02}" + (f"-{seed + 1}" if seeds > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
