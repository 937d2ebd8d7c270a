"""A sweep of twelve real runs that is killed, with its run and without, and comes to exactly twelve."""

from __future__ import annotations

import os
import signal
import time

import pytest

from engine import recipe, runs, sweeps
from engine.events import Tail
from engine.runs import Run, Worked
from engine.sweeps import Sweep

pytestmark = pytest.mark.long

RECIPE = {
    "name": "tiny",
    "data": {"max_length": 128, "sources": [{"path": "builtin:reviews", "cap": 200}]},
    "train": {
        "steps": 4, "eval_every": 1, "save_every": 1, "batch_size": 4, "gradient_accumulation": 1,
        "warmup_steps": 0, "gradient_checkpointing": False, "optimizer": "adamw", "probe": False,
    },
    "evaluate": {"rows": 16, "samples": 0, "at_end": 0},
    "sweep": {
        "runs": 12,
        "over": {
            "lora.rank": [4, 8, 16],
            "lora.alpha": {"factor_of": "lora.rank", "values": [1, 2]},
            "train.learning_rate": {"low": 1e-4, "high": 2e-2, "log": True},
        },
    },
}  # fmt: skip

LONGEST = 1_800.0


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return sweeps.create(recipe.parse(RECIPE))


def kill(one: Worked) -> None:
    os.kill(int((one.path / "lock").read_text()), signal.SIGKILL)
    while runs.is_alive(one):
        time.sleep(0.01)


def until_training(sweep: Sweep, number: int) -> Run:
    """The run of that trial, when it has made a step; the sweep must not have gone past it."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        trials = sweep.state().trials
        if len(trials) >= number and trials[number - 1].runs:
            assert trials[number - 1].state == "running", "it was over too soon"
            run = sweeps.run_of(trials[number - 1].runs[-1])
            if run.path.is_dir() and runs.is_alive(run) and run.state().step:
                return run
        assert runs.is_alive(sweep), runs.log_tail(sweep)
        time.sleep(0.05)
    raise AssertionError(f"trial {number} did not begin")


def until_over(sweep: Sweep) -> None:
    deadline = time.monotonic() + LONGEST
    while runs.is_alive(sweep):
        assert time.monotonic() < deadline, sweep.state()
        time.sleep(0.2)


def test_twelve_runs_are_twelve_whoever_is_killed(sweep: Sweep) -> None:
    sweeps.launch(sweep)
    kill(until_training(sweep, 3))  # the sweep lives: it takes the run up
    both = until_training(sweep, 6)
    kill(sweep)
    kill(both)
    assert sweep.state().status == "crashed"
    sweeps.launch(sweep)
    alone = until_training(sweep, 8)
    kill(sweep)
    while runs.is_alive(alone):  # it goes on to its end, and nobody watches
        time.sleep(0.2)
    sweeps.launch(sweep)
    until_over(sweep)

    state = sweep.state()
    assert (state.status, state.reason) == ("finished", "its 12 runs are made")
    assert [one.number for one in state.trials] == list(range(1, 13))
    assert all(one.state in ("complete", "pruned") for one in state.trials)
    names = [name for one in state.trials for name in one.runs]
    assert len(set(names)) == 12 and {run.name for run in runs.list_runs()} == set(names)
    ended = [event["number"] for event in Tail(sweep.events).read() if event["kind"] == "ended"]
    assert ended == list(range(1, 13))
    for trial in state.trials:  # taken up at a checkpoint, not begun again
        run = sweeps.run_of(trial.runs[0])
        steps = [event["step"] for event in Tail(run.events).read() if event["kind"] == "step"]
        assert steps == list(range(1, len(steps) + 1)) or trial.number in (3, 6)
        if trial.number in (3, 6):
            assert run.state().resumes == 1
        if trial.state == "complete":
            assert trial.value == run.state().evaluations[-1].loss
