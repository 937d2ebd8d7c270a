"""Sweeps from the command line: started, looked at, enlarged, stopped; what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_space import swept
from test_sweeps import made, recorded, trial

from engine import recipe, runs, steering, sweeps, tried
from engine.schema import Recipe
from tui import __main__ as front

OVER = {"lora.rank": [8, 16], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}


@pytest.fixture
def plan() -> Recipe:
    return swept(OVER)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which a command ends."""
    assert front.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_sweep_is_shown_with_its_best(plan: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    shares = {"kind": "importance", "shares": {"train.learning_rate": 0.75, "lora.rank": 0.25}, "trials": 8}
    events = recorded(trial(1, [3.0, 3.1]), trial(2, [2.5, 2.6]), trial(3, state="pruned"), [shares])
    made([*events, {"kind": "stopped", "reason": "stopped between two runs"}], plan)
    assert front.main(["sweep", "last"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20300102-120000-run  stopped: 3 of 12 runs, 0.1 h, tpe"
    assert lines[1].split() == ["TRIAL", "rank", "learning_rate", "VALIDATION", "LOSS", "STATE"]
    assert lines[3].split()[:4] == ["2", "16", "0.0002", "2.5500"] and lines[3].endswith("complete")
    assert lines[4].split() == ["3", "24", "0.0003", "-", "pruned"]
    assert lines[5] == "best so far: trial 2, rank = 16, learning_rate = 0.0002"
    assert lines[6] == "  validation loss 2.5500 [1.915, 3.185], the mean of 2 seeds"
    assert lines[7] == "importance (of 8 complete trials): learning_rate 75%, rank 25%"
    assert lines[-1] == "next: ift-tui sweep 20300102-120000-run --train-best"
    assert max(map(len, lines)) <= 80


def test_programs_are_told_the_same(plan: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    made(recorded(trial(1, [3.0]), trial(2, [2.5])), plan)
    assert front.main(["sweep", "last", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["best"], facts["runs"], facts["runs_wanted"], facts["status"]) == (2, 2, 12, "crashed")
    assert [one["value"] for one in facts["trials"]] == [3.0, 2.5]
    assert facts["trials"][0]["curves"] == [{"0": 4.0, "50": 3.0}]
    assert front.main(["sweeps", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["sweep"], listed["best"]) == (facts["sweep"], 2.5)
    assert front.main(["sweeps"]) == 0
    shown = capsys.readouterr().out.splitlines()[1].split()
    assert shown[:3] == [facts["sweep"], "crashed", "2/12"] and "2.5000" in shown


def test_a_finished_sweep_that_is_resumed_with_nothing_left_ends_at_once(
    plan: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real process, followed to its last word."""
    made([*recorded(trial(1, [3.0]), trial(2, [2.5])), {"kind": "stopped", "reason": "by hand"}], plan)
    assert front.main(["sweep", "last", "--runs", "2"]) == 0
    out = capsys.readouterr().out
    assert "finished: 2 of 2 runs" in out and "its 2 runs are made" in out
    found = sweeps.find("last")
    assert not runs.is_alive(found) and runs.list_runs() == []


def test_what_makes_no_sense_is_refused(
    plan: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no [sweep]" in refused(capsys, "sweep", "first-steps")
    assert "no such sweep" in refused(capsys, "sweep", "nowhere")
    assert "goes with --stop" in refused(capsys, "sweep", "last", "--stop-run")
    file = tmp_path / "wild.toml"
    file.write_text(recipe.dumps(swept({"train.learning_rate": [1e-4, 1.0]})))
    assert "too high for LoRA" in refused(capsys, "sweep", str(file))
    assert sweeps.list_sweeps() == []
    made(recorded(trial(1, state="pruned")), plan)
    assert "is not running" in refused(capsys, "sweep", "last", "--stop")
    assert "no complete trial" in refused(capsys, "sweep", "last", "--train-best")
    assert "greater than or equal to 1" in refused(capsys, "sweep", "last", "--runs", "0")


def test_what_is_tried_is_said_on_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[Recipe]()

    def start(plan: Recipe) -> sweeps.Sweep:
        begun.append(plan)
        return made(recorded(), plan)

    monkeypatch.setattr(steering, "start", start)
    words = ["--over", "lora.rank=8, 16", "--over", "lora.alpha = 1x, 2x"]
    assert front.main(["sweep", "first-steps", *words, "--runs", "4", "--detach"]) == 0
    (plan,) = begun
    assert plan.sweep is not None and plan.sweep.runs == 4
    assert tried.said(plan) == "rank 8, 16 · alpha 1x, 2x" and plan.name == "first-steps"
    capsys.readouterr()
    assert "goes on for ever; set runs or hours" in refused(capsys, "sweep", "first-steps", *words)
    assert "write KEY=VALUES" in refused(capsys, "sweep", "first-steps", "--over", "lora.rank")
    assert "is no range" in refused(capsys, "sweep", "first-steps", "--over", "lora.rank=8 ..")
    assert "goes with a recipe" in refused(capsys, "sweep", "last", "--over", "lora.rank=8")


def test_no_sweep_yet_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["sweeps"]) == 0
    assert capsys.readouterr().out.startswith("No sweeps yet.")
