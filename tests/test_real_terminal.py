"""The walk on a real terminal, with the real worker: the terminal closes, the run goes on and is resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_worker_turn import kill, until

from benchmarks.disconnect import Viewer, part
from engine import runs


@pytest.fixture
def ended(home: Path) -> Iterator[None]:
    yield
    for run in runs.list_runs():
        kill(run)


def press(viewer: Viewer, keys: bytes, until: bytes) -> None:
    viewer.read(0.5)  # what is painted is not always what takes keys already
    os.write(viewer.terminal, keys)
    viewer.wait_for(until)


@pytest.mark.long
def test_a_run_survives_its_terminal_and_is_resumed_from_the_screen(ended: None) -> None:
    viewer = Viewer(ignore_hangup=True)
    viewer.wait_for(b"guided")
    press(viewer, b"\r", until=b"Licence")
    press(viewer, b"\r", until=b"1 of 2,400")
    press(viewer, b"\r", until=b"epochs")
    press(viewer, b"\x0e", until=b"training")
    (run,) = runs.list_runs()
    gone = part(viewer, "closed")
    assert gone.seconds is not None and gone.seconds < 5.0
    assert runs.is_alive(run)
    step = run.state().step

    viewer = Viewer()
    viewer.wait_for(b"training")
    until(lambda: run.state().step > step + 2)
    press(viewer, b"s", until=b"Save and stop?")
    press(viewer, b"\r", until=b"stopped")
    until(lambda: run.state().status == "stopped" and not runs.is_alive(run))
    stopped = run.state().step
    assert (run.checkpoints / f"step-{stopped}").is_dir()
    viewer.wait_for(b"Resume")
    press(viewer, b"r", until=b"newest whole checkpoint")
    press(viewer, b"\r", until=b"starting")
    until(lambda: run.state().resumes == 1 and run.state().step > stopped)
    os.write(viewer.terminal, b"q")
    viewer.read(20.0, until=b"goes on")
    assert viewer.wait()[0] is not None and runs.is_alive(run)
