"""Trainings that take turns on one device: all are loaded, one runs, the others are stopped (SIGSTOP).

So what else the machine does falls on all of them alike, and loading and compiling is paid once. A step
counts for a turn if it began and ended in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

WARM = 3
"""Steps of each before its first turn: libraries compile and allocators grow in them."""


class Step(NamedTuple):
    """When a step ended in Unix seconds, its tokens without padding, and bytes that torch has reserved."""

    ended: float
    tokens: int
    reserved: int


@dataclass(frozen=True)
class Arm:
    """A training under way: its process, its steps so far, and whether it is alive."""

    name: str
    pid: int
    steps: Callable[[], Sequence[Step]]
    alive: Callable[[], bool]


def interleaved(arms: Sequence[Arm], turns: int, seconds: float, least: int) -> dict[str, list[float]]:
    """Tokens a second of each arm in each turn, which lasts so long and until `least` steps count.

    Raises SystemExit if one of them dies. Those that are alive are left stopped; `end` ends them.
    """
    for arm in arms:
        _until(arm, lambda arm=arm: len(arm.steps()) >= WARM)  # type: ignore[misc]
        os.kill(arm.pid, signal.SIGSTOP)
    found: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for turn in range(turns):
        # Turned round each time, so that none always runs on what another has left behind.
        for arm in arms if turn % 2 == 0 else list(reversed(arms)):
            found[arm.name].append(_turn(arm, seconds, least))
    return found


def rate(steps: Sequence[Step]) -> float:
    """Tokens a second from the end of the first step to the end of the last."""
    return sum(step.tokens for step in steps[1:]) / (steps[-1].ended - steps[0].ended)


def end(arms: Sequence[Arm]) -> None:
    """End all of them: these processes were started for this alone."""
    for arm in arms:
        with contextlib.suppress(ProcessLookupError):
            os.kill(arm.pid, signal.SIGKILL)


def watched(arm: Arm, seconds: float, least: int) -> float:
    """Tokens a second of an arm that runs, from now on for so long and until `least` steps count."""
    began = time.time()

    def whole() -> list[Step]:
        # The first that ends in this time had begun before it: it only says when the next one begins.
        return [step for step in arm.steps() if step.ended > began]

    _until(arm, lambda: time.time() - began >= seconds and len(whole()) > least)
    return rate(whole())


def _turn(arm: Arm, seconds: float, least: int) -> float:
    os.kill(arm.pid, signal.SIGCONT)
    found = watched(arm, seconds, least)
    os.kill(arm.pid, signal.SIGSTOP)
    return found


def _until(arm: Arm, reached: Callable[[], Any]) -> None:
    while not reached():
        if not arm.alive():
            raise SystemExit(f"{arm.name} ended before its turn was over")
        time.sleep(0.02)
