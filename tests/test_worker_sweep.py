"""The process of a sweep on runs that are recorded, or alive: what it makes of how they ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from recorded import whole
from test_space import swept
from test_sweeps import made, recorded, trial

from engine import recipe, runs, sweeps
from engine.events import EventLog
from engine.runs import Run
from engine.sweeps import Sweep

Event = dict[str, Any]

LONGEST_WAIT = 60.0

# A train worker without what trains: it holds the lock, says its first word, and lives on until it is killed.
LIVING = """
import sys, time
from engine import runs
from engine.events import EventLog
run = runs.Run(runs.Path(sys.argv[1]))
lock = runs.hold_lock(run)
log = EventLog(run.events)
log.write("started", name=run.name, model="builtin:tiny")
log.write("evaluated", step=0, loss=3.5, rows=10, adapter=False)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def ran(name: str, events: Iterable[Event]) -> Run:
    """A run that was started, said this, and has no worker."""
    run = sweeps.run_of(name)
    run.path.mkdir(parents=True)
    (run.path / "recipe.toml").write_text(recipe.dumps(recipe.load("first-steps")))
    (run.path / "lock").touch()
    log = EventLog(run.events, clock=iter(range(1_000_000, 2_000_000)).__next__)
    for event in events:
        log.write(event["kind"], **{key: fact for key, fact in event.items() if key != "kind"})
    log.close()
    return run


def until(holds: Callable[[], bool], sweep: Sweep) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not holds():
        assert time.monotonic() < deadline, runs.log_tail(sweep)
        time.sleep(0.05)


def name_of(number: int) -> str:
    return f"20300102-1200{number:02}-a-{number:02}"


def test_each_run_that_ended_while_nobody_watched_is_counted_once_and_rightly() -> None:
    """Killed in five ways: a run had finished, been given up and then killed, failed, or had ended before."""
    given_up = {"kind": "given_up", "number": 3, "seed": 0, "step": 50, "reason": "above the median"}
    setting = {"lora.rank": 9999, "train.learning_rate": 1e-4}
    fifth: Event = {"kind": "trial", "number": 5, "draw": setting, "setting": setting}
    events = recorded(
        trial(1, [2.25]), trial(2, state=""), [*trial(3, state=""), given_up], trial(4, state=""), [fifth]
    )
    over = {"lora.rank": [8, 16, 24, 32, 9999], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}
    sweep = made(events, swept(over, runs=5))
    finished = whole(100)
    ran(name_of(2), finished)
    ran(name_of(3), finished[:-20])
    ran(name_of(4), [*finished[:-20], {"kind": "failed", "reason": "memory ran out", "mend": "lower it"}])
    sweeps.launch(sweep)
    until(lambda: not runs.is_alive(sweep), sweep)
    state = sweep.state()
    assert (state.status, state.reason) == ("finished", "its 5 runs are made"), runs.log_tail(sweep)
    assert [one.state for one in state.trials] == ["complete", "complete", "pruned", "failed", "failed"]
    second, third, fourth, last_one = state.trials[1:]
    last = [event["loss"] for event in finished if event["kind"] == "evaluated"][-1]
    assert second.value == last and second.values == [last]
    assert second.curves[0] == {0: 4.0, 50: 4.0, 100: last}  # what was noted is not noted again
    assert second.seconds == len(finished) - 1
    assert third.reason == "above the median" and third.value is None
    assert "memory ran out; lower it" in fourth.reason
    assert "less than or equal to 1024" in last_one.reason  # its setting is none; no run of it was made
    assert not sweeps.run_of(last_one.runs[0]).path.exists()
    assert {run.name for run in runs.list_runs()} == {name_of(number) for number in (2, 3, 4)}
    kinds = [event["kind"] for event in map(json.loads, sweep.events.read_text().splitlines())]
    assert kinds.count("ended") == 5 and kinds.count("resumed") == 0


def test_a_sweep_that_is_stopped_leaves_its_run_alone() -> None:
    over = {"lora.rank": [8, 16], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}
    sweep = made(recorded(trial(1, state="")[:2]), swept(over))
    run = ran(name_of(1), [])
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", LIVING, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        sweeps.launch(sweep)
        until(lambda: bool(sweep.state().trials[0].curves[0]), sweep)
        assert sweep.state().trials[0].curves == [{0: 3.5}]
        runs.stop(sweep)
        until(lambda: not runs.is_alive(sweep), sweep)
        state = sweep.state()
        assert state.status == "stopped" and "goes on by itself" in state.reason
        assert state.trials[0].state == "running" and runs.is_alive(run)
    finally:
        worker.kill()
        worker.communicate()


def test_seeds_are_averaged_and_hours_end_it_though_runs_are_left() -> None:
    second = "20300102-120001-a-01-2"
    seeds = [*trial(1, state="")[:2], {"kind": "run", "number": 1, "seed": 1, "run": second}]
    over = {"lora.rank": [8, 16], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}
    sweep = made(recorded(seeds), swept(over, runs=20, seeds=2, hours=0.05))
    first, other = ran(name_of(1), whole(100)), ran(second, whole(200))
    sweeps.launch(sweep)
    until(lambda: not runs.is_alive(sweep), sweep)
    state = sweep.state()
    assert (state.status, state.reason) == ("finished", "its 0.05 hours are used"), runs.log_tail(sweep)
    losses = [run.state().evaluations[-1].loss for run in (first, other)]
    (one,) = state.trials
    assert one.values == losses and one.value == pytest.approx(sum(losses) / 2)
    assert one.seconds == len(whole(100)) + len(whole(200)) - 2 > 0.05 * 3600
    low, high = sweeps.interval(one, "validation loss") or (0.0, 0.0)
    assert low < min(losses) < max(losses) < high  # of two seeds it is wide
    assert sweeps.best(state, "validation loss") is one and len(runs.list_runs()) == 2


def test_three_failures_in_a_row_end_it_with_the_last_ones_sentence() -> None:
    sweep = made(recorded(), swept({"lora.rank": [2000, 3000, 4000, 5000]}, method="grid"))
    sweeps.launch(sweep)
    until(lambda: not runs.is_alive(sweep), sweep)
    state = sweep.state()
    assert state.status == "failed" and len(state.trials) == 3
    assert "3 trials in a row failed" in state.reason and "lora.rank = 4000" in state.reason
    assert "--resume" in state.mend
