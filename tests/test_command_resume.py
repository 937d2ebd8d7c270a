"""A run is told things and taken up again from the command line, with the real worker."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from test_worker_turn import kill, until

from benchmarks import kill as harness
from engine import recipe, resume, runs
from engine.events import EventLog, Tail
from engine.runs import Run
from tui import __main__ as front


def over(*events: dict[str, Any]) -> Run:
    """A run that has said these things and is gone."""
    run = runs.create(recipe.load("first-steps"))
    log = EventLog(run.events)
    for event in events:
        log.write(**event)
    return run


STARTED = {"kind": "started", "name": "x", "model": "builtin:tiny"}


def test_what_cannot_be_resumed_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    run = over(STARTED, {"kind": "finished", "step": 3, "path": None})
    assert front.main(["resume", run.name]) == 2
    assert "has come to its end" in capsys.readouterr().err
    lock = runs.hold_lock(run)
    assert front.main(["resume", run.name]) == 2
    assert "ift-tui attach" in capsys.readouterr().err
    os.close(lock)


def test_what_has_changed_must_be_confirmed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = over(STARTED, {"kind": "stopped", "step": 3, "path": None})
    (run.path / "environment.json").write_text(json.dumps(resume.facts(run)))
    with (run.path / "recipe.toml").open("a") as file:
        file.write("# another one\n")
    launched: list[Run] = []
    monkeypatch.setattr("engine.turns.start", lambda run, beside: launched.append(run))
    assert front.main(["resume", run.name, "--detach"]) == 2
    err = capsys.readouterr().err
    assert "recipe.toml is not the one" in err and "--yes" in err and err.count("\n") == 1
    assert launched == [] and not (run.path / "confirm.json").exists()
    assert front.main(["resume", run.name, "--detach", "--yes"]) == 0
    assert launched == [run] and "recipe.toml" in (run.path / "confirm.json").read_text()


def test_a_run_that_does_not_train_can_be_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = over(STARTED, {"kind": "stopped", "step": 3, "path": None})
    assert front.main(["checkpoint", stopped.name]) == 2
    assert "not running (stopped); resume it first" in capsys.readouterr().err
    loading = over(STARTED, {"kind": "phase", "phase": "load"})
    lock = runs.hold_lock(loading)
    assert front.main(["stop", loading.name, "--at-evaluation"]) == 2
    assert "has not begun to train" in capsys.readouterr().err
    os.close(lock)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("steps=2", "3 are done already"),
        ("steps=many", "whole number"),
        ("learning_rate=20", "too high for LoRA"),
        ("learning_rate=0", "above 0"),
        ("learning_rate=nan", "above 0"),
        ("rank=3", "learning_rate=1e-4 or steps=300"),
        ("steps", "learning_rate=1e-4 or steps=300"),
    ],
)
def test_what_makes_no_sense_is_not_asked(
    setting: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = over(STARTED, {"kind": "phase", "phase": "train"}, {"kind": "step", "step": 3, "loss": 1.0})
    lock = runs.hold_lock(run)
    assert front.main(["set", run.name, setting]) == 2
    assert words in capsys.readouterr().err and not run.control.exists()
    os.close(lock)


def test_a_run_that_starts_again_is_not_taken_for_over(home: Path) -> None:
    run = over(STARTED, {"kind": "stopped", "step": 3, "path": None})
    assert run.state().status == "stopped"
    until(lambda: runs.launched_at(run) == 0.0)
    lock = runs.hold_lock(run)
    os.utime(run.path / "lock", (run.state().updated_at + 1,) * 2)
    assert run.state().status == "starting"
    os.close(lock)


@pytest.mark.long
def test_told_killed_and_resumed(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    plan = recipe.changed(harness.plan(), train={"steps": 5_000, "save_every": 0, "eval_every": 0})
    run = runs.create(plan)
    runs.launch(run)
    try:
        until(lambda: run.state().step > 2)

        def answer(*arguments: str) -> dict[str, Any]:
            assert front.main([*arguments, "--json"]) == 0
            said: dict[str, Any] = json.loads(capsys.readouterr().out)
            return said

        assert answer("set", run.name, "learning_rate=1e-3")["answered"]
        assert front.main(["stop", run.name, "--at-evaluation"]) == 2
        assert "evaluates at its end only" in capsys.readouterr().err
        step = answer("checkpoint", run.name)["step"]
        until(lambda: (run.checkpoints / f"step-{step + 1}").is_dir())
        os.kill(int((run.path / "lock").read_text()), signal.SIGKILL)
        until(lambda: not runs.is_alive(run))
        assert run.state().status == "crashed"
        assert answer("resume", run.name, "--detach")["run"] == run.name
        assert run.state().status == "starting"
        until(lambda: run.state().resumes == 1 and run.state().step > step + 1)
        assert answer("set", run.name, f"steps={run.state().step + 400}")["answered"]
        capsys.readouterr()
        assert answer("stop", run.name, "--abort")["status"] == "stopped"
        resumed = [event for event in Tail(run.events).read() if event["kind"] == "resumed"]
        assert [event["step"] for event in resumed] == [step + 1]
        assert "aborted" in run.state().reason and not run.state().saved
    finally:
        kill(run)
