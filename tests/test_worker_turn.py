"""The real worker before it imports anything heavy: it stands in the line, and leaves it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import recipe, runs, turns
from engine.events import Event, Tail
from engine.runs import Run

LONGEST_WAIT = 60.0


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def made(name: str) -> Run:
    return runs.create(recipe.load("first-steps").model_copy(update={"name": name}))


@contextmanager
def busy(run: Run) -> Iterator[None]:
    """The run has the device."""
    turns.join(run, "cpu")
    lock = os.open(runs.home() / "turns" / "cpu.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.pwrite(lock, run.name.encode(), 0)
    try:
        yield
    finally:
        os.close(lock)


@pytest.fixture
def started() -> Iterator[Callable[[str], Run]]:
    """Runs with real workers; what lives at the end is killed."""
    found: list[Run] = []

    def start(name: str) -> Run:
        found.append(made(name))
        turns.start(found[-1])
        return found[-1]

    yield start
    for run in found:
        kill(run)


def kill(run: Run) -> None:
    if runs.is_alive(run):
        os.kill(int((run.path / "lock").read_text()), signal.SIGKILL)
    until(lambda: not runs.is_alive(run))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def said(run: Run, kind: str) -> list[Event]:
    return [event for event in Tail(run.events).read() if event["kind"] == kind]


def test_a_run_waits_says_behind_whom_and_leaves_when_told(started: Callable[[str], Run]) -> None:
    first = made("first")
    with busy(first):
        second, third = started("second"), started("third")
        assert turns.waiting("cpu") == [second, third] and turns.ahead() == [first, second, third]
        until(lambda: bool(said(third, "queued")) and bool(said(second, "queued")))
        assert (third.state().status, third.state().behind, third.state().ahead) == (
            "waiting",
            second.name,
            2,
        )
        runs.stop(second)
        until(lambda: not runs.is_alive(second))
        state = second.state()
        assert state.status == "stopped" and "before its turn came" in state.reason and not state.saved
        until(lambda: third.state().ahead == 1)
        assert third.state().behind == first.name and not said(third, "phase")
    until(lambda: bool(said(third, "phase")))
    assert turns.holder("cpu") == third and third.state().status == "running"
    kill(third)
    assert turns.holder("cpu") is None
    state = third.state()
    assert state.status == "crashed" and "killed" in state.reason and "checkpoint" in state.mend
    assert state.signs["pid"]


def test_of_two_that_start_at_once_one_trains(started: Callable[[str], Run]) -> None:
    both = [started("one"), started("two")]
    until(lambda: any(said(run, "phase") for run in both) and any(said(run, "queued") for run in both))
    trains = [bool(said(run, "phase")) for run in both]
    assert sorted(trains) == [False, True]
    assert turns.holder("cpu") == both[trains.index(True)]


def test_beside_another_nobody_waits(started: Callable[[str], Run]) -> None:
    with busy(made("first")):
        run = made("beside")
        turns.start(run, beside=True)
        until(lambda: bool(said(run, "phase")))
        assert turns.waiting("cpu") == [] and turns.holder("cpu") != run
        kill(run)


AGAIN = """
import os, sys
from pathlib import Path
from engine import runs, turns
from engine.events import EventLog
from engine.workers import turn
from engine.workers.io import StopFlag
run = runs.Run(Path(sys.argv[1]))
if len(sys.argv) == 2:
    lock = runs.hold_lock(run)
turn.wait(run, EventLog(run.events), StopFlag())
print("has", flush=True)
sys.stdin.readline()
if len(sys.argv) == 2:
    os.set_inheritable(lock, True)
    os.execv(sys.executable, [*sys.orig_argv, "again"])
"""


def test_a_worker_that_starts_itself_anew_keeps_its_turn(home: Path) -> None:
    first, second = made("first"), made("second")
    worker = subprocess.Popen(
        [sys.executable, "-c", AGAIN, str(first.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin is not None and worker.stdout is not None
    for _ in range(2):
        assert worker.stdout.readline() == "has\n"
        assert turns.holder("cpu") == first and turns.take(second, "cpu") is None
        worker.stdin.write("\n")
        worker.stdin.flush()
    worker.communicate()
    assert worker.returncode == 0 and turns.holder("cpu") is None
