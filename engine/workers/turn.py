"""A run's turn at its device: it waits in the line, then keeps the device's lock for life."""

from __future__ import annotations

import os
import time
from functools import partial

from engine import runs, turns
from engine.events import EventLog
from engine.runs import Run
from engine.workers.io import StopFlag, Stopped

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_ASKING_FOR_STOP = 0.1

HELD = "IFT_TUI_DEVICE_FD"
"""Environment variable by which a worker that starts itself anew keeps the lock: "PROCESS:DESCRIPTOR"."""


def wait(run: Run, log: EventLog, stop: StopFlag) -> None:
    """Return when the run may train. Raises Stopped where it is asked to stop before that."""
    if os.environ.get(turns.BESIDE) or _has_lock():
        return
    device = turns.device()
    told = None
    while (lock := _taken(run, device)) is None:
        before = _before(run, device)
        if before and before != told:
            told = before
            log.write("queued", behind=before[-1], ahead=len(before))
        _sleep(run, device, stop)
    os.set_inheritable(lock, True)
    os.register_at_fork(after_in_child=partial(os.close, lock))  # the turn is this process's alone
    os.environ[HELD] = f"{os.getpid()}:{lock}"


def follow(run: Run, first: str, log: EventLog, stop: StopFlag) -> None:
    """Return when the run of that name, if there is one, has come to its end.

    Meanwhile this one stands in the line and lets others pass. Raises Stopped where the other one has ended
    too early, or where this one is asked to stop.
    """
    if not first:
        return
    other, device, told = Run(runs.home() / "runs" / first), turns.device(), False
    while runs.is_alive(other):
        if not told:
            log.write("queued", behind=first, ahead=1)
            told = True
        if not os.environ.get(turns.BESIDE):
            turns.let_pass(run, device)
        _sleep(run, device, stop)
    status = other.state().status if other.path.is_dir() else "gone"
    if status != "finished":
        turns.leave(run, device)
        raise Stopped(
            f"{first}, which this run goes on from, is {status}: nothing was trained; bring that one to its"
            " end, then resume this one"
        )


def _taken(run: Run, device: str) -> int | None:
    turns.join(run, device)  # again, where a line that was torn has lost it
    return turns.take(run, device)


def _before(run: Run, device: str) -> list[str]:
    """The names of the runs that come first."""
    holder, line = turns.holder(device), turns.waiting(device)
    before = line[: line.index(run)] if run in line else []
    return [each.name for each in ([holder] if holder else []) + before]


def _sleep(run: Run, device: str, stop: StopFlag) -> None:
    until = time.monotonic() + SECONDS_BETWEEN_LOOKS
    while time.monotonic() < until:
        if stop.wanted:
            turns.leave(run, device)
            raise Stopped("taken out of the line before its turn came")
        time.sleep(SECONDS_BETWEEN_ASKING_FOR_STOP)


def _has_lock() -> bool:
    """Whether this process has started itself anew and holds the lock already.

    The number of the process is part of it: a child of the worker inherits the variable, not the turn.
    """
    process, _, descriptor = os.environ.get(HELD, "").partition(":")
    if process != str(os.getpid()):
        return False
    try:
        os.fstat(int(descriptor))
    except (OSError, ValueError):
        return False
    return True
