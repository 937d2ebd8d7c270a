"""A run outlives its viewers, and a viewer does not outlive its terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import disconnect
from benchmarks.disconnect import KINDS, Viewer, part
from engine import recipe, runs
from engine.runs import Run

# A train worker without what trains: it holds the lock and steps, whoever looks.
STEPPING = """
import sys, time
from engine import runs
from engine.events import EventLog
run = runs.Run(runs.Path(sys.argv[1]))
lock = runs.hold_lock(run)
log = EventLog(run.events)
log.write("started", name=run.name, model="builtin:tiny")
log.write("phase", phase="train")
step = 0
print("ready", flush=True)
while True:
    step += 1
    log.write("step", step=step, total=100000, loss=1.0, tokens=10, tokens_per_s=500.0, eta=10.0)
    time.sleep(0.1)
"""


@pytest.fixture
def stepping(home: Path) -> Iterator[Run]:
    run = runs.create(recipe.load("first-steps"))
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", STEPPING, str(run.path)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    yield run
    worker.kill()
    worker.wait()
    worker.stdout.close()


def test_viewers_lose_their_terminals_and_the_run_goes_on(stepping: Run) -> None:
    parted, cadence = disconnect.disconnects(stepping, len(KINDS), window=0.5)
    for each in parted:
        assert each.seconds is not None and each.seconds <= 1.5, each
        assert each.lively and each.cpu < 1.0, each
    assert stepping.state().status == "running" and cadence["disconnected"]["steps"] > 0


def test_a_command_that_follows_leaves_with_its_terminal(stepping: Run) -> None:
    viewer = Viewer(ignore_hangup=True, arguments=("attach", stepping.name))
    viewer.wait_for(b"step ")
    gone = part(viewer, "closed")
    assert gone.seconds is not None and gone.seconds <= 1.5


def test_two_viewers_look_at_one_run(stepping: Run) -> None:
    viewers = [Viewer(), Viewer()]
    for viewer in viewers:
        viewer.wait_for(b"running")
    for viewer in viewers:
        os.write(viewer.terminal, b"q")
        until = time.monotonic() + 20
        viewer.read(20.0, until=b"goes on")
        assert time.monotonic() < until
        assert viewer.wait()[0] is not None
        os.close(viewer.terminal)
    assert runs.is_alive(stepping)
