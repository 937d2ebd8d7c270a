"""Where the screens touch the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import runs
from engine.errors import RunFailed
from engine.recipe import Recipe
from engine.runs import Run
from tui.feed.child import Child

if TYPE_CHECKING:
    from engine.hardware import Gpu, Host
    from engine.models import ModelInfo


def _models() -> list[ModelInfo]:
    from engine import models

    return models.list_models([Path.cwd()])


def _describe(id: str) -> ModelInfo:
    from engine import models

    return models.describe(id)


def _gpus() -> list[Gpu]:
    from engine import hardware

    return hardware.gpus()


def _host() -> Host:
    from engine import hardware

    return hardware.host(runs.home())


def _training_problem() -> str | None:
    from engine import doctor

    return doctor.training_problem()


def _start(plan: Recipe) -> Run:
    """Make the run, launch its worker. Raises UserError or RunFailed, and then leaves nothing."""
    problem = _training_problem()
    if problem:
        raise RunFailed(problem)
    run = runs.create(plan)
    try:
        runs.launch(run)
    except (OSError, RunFailed):
        runs.discard(run)
        raise
    return run


@dataclass(frozen=True)
class Edges:
    """Where the screens touch the machine; tests put recorded ones in their place."""

    clock: Callable[[], float] = time.time
    models: Callable[[], list[ModelInfo]] = _models
    describe: Callable[[str], ModelInfo] = _describe
    gpus: Callable[[], list[Gpu]] = _gpus
    host: Callable[[], Host] = _host
    start: Callable[[Recipe], Run] = _start
    stop: Callable[[Run], bool] = runs.stop
    child: Callable[..., Child] = Child
