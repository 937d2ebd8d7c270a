"""The line in front of a device: real processes wait in it, are moved, leave, and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import hardware, turns
from engine.errors import UserError
from engine.runs import Run

WORKER = """
import sys, time
from pathlib import Path
from engine import runs, turns
run = runs.Run(Path(sys.argv[1]))
held = runs.hold_lock(run)
turns.join(run, "cpu")
print("joined", flush=True)
while (lock := turns.take(run, "cpu")) is None:
    time.sleep(0.02)
print("took", flush=True)
sys.stdin.readline()
"""


def run_at(home: Path, name: str) -> Run:
    path = home / "runs" / name
    path.mkdir(parents=True)
    (path / "recipe.toml").touch()
    return Run(path)


@contextmanager
def worker(run: Run) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "joined\n"
        yield process
    finally:
        process.kill()
        process.wait()


def took(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "took\n"


def test_runs_wait_their_turn_and_are_moved(home: Path) -> None:
    first, second, third = (run_at(home, name) for name in ("first", "second", "third"))
    assert turns.holder("cpu") is None and turns.waiting("cpu") == []
    with worker(first) as one:
        assert took(one)
        assert turns.holder("cpu") == first
        with worker(second) as two, worker(third) as three:
            assert turns.waiting("cpu") == [second, third]
            turns.move(third, "cpu", -1)
            assert turns.waiting("cpu") == [third, second]
            turns.move(third, "cpu", -1)  # further than to the front nobody goes
            assert turns.waiting("cpu") == [third, second]
            os.kill(one.pid, signal.SIGKILL)
            assert took(three)
            assert (turns.holder("cpu"), turns.waiting("cpu")) == (third, [second])
            turns.move(second, "cpu", 5)
            three.kill()
            assert took(two)
            assert turns.waiting("cpu") == []


def test_who_waits_can_leave_or_die(home: Path) -> None:
    first, second, third = (run_at(home, name) for name in ("first", "second", "third"))
    with worker(first) as one, worker(second) as two, worker(third) as three:
        assert took(one)
        two.kill()
        two.wait()
        assert turns.waiting("cpu") == [third]
        turns.leave(third, "cpu")
        assert turns.waiting("cpu") == []
        turns.join(third, "cpu")
        one.kill()
        assert took(three)


def test_a_torn_line_is_none(home: Path) -> None:
    first = run_at(home, "first")
    (home / "turns").mkdir()
    (home / "turns" / "cpu.order").write_text('["fir')
    with worker(first) as one:
        assert took(one)


def test_no_run_takes_the_device_of_another(home: Path) -> None:
    first = run_at(home, "first")
    with worker(first) as one:
        assert took(one)
        assert turns.take(run_at(home, "second"), "cpu") is None
        assert turns.take(run_at(home, "third"), "gpu-1") is not None
    until = time.monotonic() + 5
    while turns.holder("cpu") is not None:
        assert time.monotonic() < until


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, "gpu-0"), ("", "cpu"), ("-1", "cpu"), ("1,0", "gpu-1"), ("GPU-3f/2", "gpu-GPU-3f_2")],
)
def test_the_device_is_the_first_that_may_be_seen(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: str
) -> None:
    gpu = hardware.Gpu(0, "H200", None, None, None, None, None, None, "")
    monkeypatch.setattr(hardware, "gpus", lambda: [gpu])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert turns.device() == expected
    monkeypatch.setattr(hardware, "gpus", list)
    assert turns.device() == "cpu"


def test_where_nothing_can_be_written_nobody_trains(home: Path) -> None:
    home.write_text("")
    assert turns.lines() == [] and turns.live() is None
    with pytest.raises(UserError, match="set IFT_TUI_HOME"):
        turns.ahead()
