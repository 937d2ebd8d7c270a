"""A run that was stopped or killed ends with the adapter of one that was left alone, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kill
from engine import runs
from engine.errors import UserError
from engine.events import Tail
from engine.runs import Run
from engine.state import RunState
from tests.conftest import wait_for_end

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PICKLES = {".pt", ".pth", ".bin", ".pkl", ".ckpt"}


def tormented(*asked: str) -> dict[str, Any]:
    """The last word of the kill harness."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kill.py"), *asked],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def until(run: Run, step: int) -> None:
    state, tail = RunState(), Tail(run.events)
    while state.step < step:
        assert runs.is_alive(run), "\n".join(runs.log_tail(run))
        for event in tail.read():
            state.fold(event)


def finished(run: Run) -> str:
    """The digest of the adapter of a run that has ended well."""
    assert run.state().status == "finished", "\n".join(runs.log_tail(run))
    return hashlib.sha256((run.adapter / "adapter_model.safetensors").read_bytes()).hexdigest()


def test_killed_at_random_it_ends_with_the_same_adapter() -> None:
    said = tormented("--kills", "3", "--each", "3", "--short")
    assert said["kills"] >= 3 and said["wrong"] == 0


@pytest.mark.long
def test_stopped_and_resumed_it_ends_with_the_same_adapter() -> None:
    alone, run = runs.create(kill.plan()), runs.create(kill.plan())
    for one in (alone, run):
        runs.launch(one)
        if one is run:
            until(run, 3)
            assert runs.stop(run)
        wait_for_end(one)
    state = run.state()
    assert state.status == "stopped" and 3 <= state.step < 9 and state.saved
    assert (run.checkpoints / f"step-{state.step}").is_dir()
    runs.resume(run)
    with pytest.raises(UserError, match="alive"):
        runs.resume(run)
    wait_for_end(run)
    state = run.state()
    assert finished(run) == finished(alone) and state.resumes == 1
    assert [step for step, _ in state.losses] == list(range(1, 10))
    weights = (run.adapter / "adapter_model.safetensors").read_bytes()
    whole = {path.name for path in (run.checkpoints / "step-9").iterdir()}
    assert whole >= {"adapter_config.json", "tokenizer.json", "chat_template.jinja", "optimizer.safetensors"}
    assert (run.checkpoints / "step-9" / "adapter_model.safetensors").read_bytes() == weights
    index = json.loads((run.checkpoints / "index.json").read_text())
    assert index["last"] == 9 and (run.checkpoints / f"step-{index['best']}").is_dir()
    assert not [path for path in run.path.rglob("*") if path.suffix in PICKLES or path.name.endswith(".part")]


@pytest.mark.long
def test_killed_thirty_times() -> None:
    assert tormented("--kills", "30")["wrong"] == 0
