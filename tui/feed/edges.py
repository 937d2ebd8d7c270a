"""Where the screens touch the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import runs, turns
from engine.errors import RunFailed
from engine.runs import Run
from tui.feed.child import Child

if TYPE_CHECKING:
    from engine.auto import Choice
    from engine.fit import Fit
    from engine.hardware import Gpu, Host
    from engine.memory import Rows
    from engine.models import ModelInfo
    from engine.schema import Recipe, Settled
    from engine.shapes import Unknown
    from engine.sweeps import Sweep


def _models() -> list[ModelInfo]:
    from engine import models

    return models.list_models([Path.cwd()])


def _describe(id: str) -> ModelInfo:
    from engine import models

    return models.describe(id)


def _fit(plan: Recipe, rows: Rows) -> Fit | Unknown:
    from engine import fit

    return fit.fit(plan, fit.device(), rows)


def _settle(plan: Recipe, rows: Rows) -> tuple[Settled, tuple[Choice, ...]]:
    from engine import fit

    return fit.settle(plan, fit.device(), rows)


def _fits(plan: Recipe, models: Sequence[ModelInfo]) -> dict[str, Fit | Unknown]:
    from engine import fit

    return fit.of_models(plan, models, fit.device())


def _gpus() -> list[Gpu]:
    from engine import hardware

    return hardware.gpus()


def _host() -> Host:
    from engine import hardware

    return hardware.host(runs.home())


def _check_training() -> None:
    from engine import doctor

    if problem := doctor.training_problem():
        raise RunFailed(problem)


def _start(plan: Recipe, beside: bool) -> Run:
    """Make the run, or the runs of a chain, and launch their workers; the first one.

    Raises UserError or RunFailed, and then leaves nothing.
    """
    from engine import chain

    _check_training()
    return chain.start(plan, beside)[0]


def _start_sweep(plan: Recipe) -> Sweep:
    """Raises UserError or RunFailed."""
    from engine import steering

    return steering.start(plan)


def _resume_sweep(sweep: Sweep) -> None:
    """Raises UserError or RunFailed."""
    from engine import steering

    steering.go_on(sweep)


def _stop_sweep(sweep: Sweep, with_run: bool) -> Run | None:
    """The run under way; waits until the sweep's process is gone. Raises RunFailed."""
    from engine import steering

    return steering.stop(sweep, with_run)


def _changes(run: Run) -> list[str]:
    """What has changed since the run was started, a sentence each."""
    from engine import resume

    _check_training()
    return resume.changes(run)


def _resume(run: Run, beside: bool) -> None:
    """Take the run up again; all that has changed was confirmed. Raises UserError or RunFailed."""
    runs.resume(run, confirmed=True, start=lambda run: turns.start(run, beside))


def _move(run: Run, by: int) -> None:
    """Let a waiting run go forward (by < 0) or back in its line."""
    device = turns.line_of(run)
    if device is not None:
        turns.move(run, device, by)


@dataclass(frozen=True)
class Edges:
    """Where the screens touch the machine; tests put recorded ones in their place."""

    clock: Callable[[], float] = time.time
    models: Callable[[], list[ModelInfo]] = _models
    describe: Callable[[str], ModelInfo] = _describe
    gpus: Callable[[], list[Gpu]] = _gpus
    host: Callable[[], Host] = _host
    fit: Callable[[Recipe, Rows], Fit | Unknown] = _fit
    settle: Callable[[Recipe, Rows], tuple[Settled, tuple[Choice, ...]]] = _settle
    fits: Callable[[Recipe, Sequence[ModelInfo]], dict[str, Fit | Unknown]] = _fits
    ahead: Callable[[], list[Run]] = turns.ahead
    start: Callable[[Recipe, bool], Run] = _start
    stop: Callable[[Run], bool] = runs.stop
    control: Callable[..., None] = runs.control
    changes: Callable[[Run], list[str]] = _changes
    resume: Callable[[Run, bool], None] = _resume
    start_sweep: Callable[[Recipe], Sweep] = _start_sweep
    resume_sweep: Callable[[Sweep], None] = _resume_sweep
    stop_sweep: Callable[[Sweep, bool], Run | None] = _stop_sweep
    move: Callable[[Run, int], None] = _move
    child: Callable[..., Child] = Child
