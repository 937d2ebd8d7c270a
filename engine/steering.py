"""Sweeps as people steer them: started, taken up again, stopped, from a screen or a command."""

from __future__ import annotations

import time

from engine import dataset, doctor, runs, space, sweeps
from engine.errors import RunFailed, UserError
from engine.runs import Run
from engine.schema import Recipe
from engine.sweeps import Sweep

LONGEST_WAIT = 30.0
"""Seconds that a sweep may take to end once it is asked to."""


def start(plan: Recipe) -> Sweep:
    """Make a sweep of the recipe and launch its process. Raises UserError or RunFailed before anything is
    made, or RunFailed where the process cannot be started: the sweep is there then, and can be taken up.
    """
    space.check(plan)
    dataset.check(plan)
    _check_conducting()
    sweep = sweeps.create(plan)
    go_on(sweep)
    return sweep


def go_on(sweep: Sweep) -> None:
    """Launch its process, at first or after a stop or a kill. Raises UserError or RunFailed."""
    _check_conducting()
    try:
        sweeps.launch(sweep)
    except OSError as error:
        raise RunFailed(
            f"{sweep.name}: its process could not be started ({error}); `--resume` tries again"
        ) from None


def stop(sweep: Sweep, with_run: bool = False) -> Run | None:
    """End the process of a sweep, and have the run under way saved and stopped too where that is asked for.

    The run under way, None where there is none. Raises RunFailed where the process does not answer.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    while runs.is_alive(sweep):
        runs.stop(sweep)
        if time.monotonic() > deadline:
            raise RunFailed(f"{sweep.name} does not answer; its worker.log may say why, it begins no new run")
        time.sleep(0.1)
    run = sweeps.under_way(sweep.state())  # it may have begun another before it heard
    if with_run and run:
        runs.stop(run)
    return run


def most_runs(plan: Recipe) -> int | None:
    """How many runs a sweep of the recipe makes at most; None where hours alone end it."""
    assert plan.sweep is not None
    asked = plan.sweep.runs
    if plan.sweep.method != "grid":
        return asked
    whole = plan.sweep.seeds * (space.count(plan.sweep) or 1)
    return min(whole, asked or whole)


def _check_conducting() -> None:
    if problem := doctor.sweep_problem():
        raise UserError(problem)
