"""What people ask of a run under way: taken once, told, refused with a sentence, kept through a resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import kill
from engine import runs
from engine.errors import UserError
from engine.events import Tail
from engine.workers import control
from engine.workers.control import Controls
from engine.workers.pace import Change
from tests.conftest import wait_for_end


def test_lines_are_taken_once_and_a_torn_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "control.jsonl"
    controls = Controls(path, continued=False)
    assert list(controls.read()) == []
    path.write_bytes(b'{"do": "stop"}\nnonsense\n{"do": "ab')
    assert list(controls.read()) == [{"do": "stop"}, "nonsense"]
    assert list(controls.read()) == []
    with path.open("ab") as file:
        file.write(b'ort"}\n')
    assert list(controls.read()) == [{"do": "abort"}]
    assert list(Controls(path, continued=True).read()) == []  # what a former life was asked


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"do": "stop"}, ""),
        ({"do": "steps", "value": 6}, ""),
        ({"do": "learning rate", "value": 1e-4}, ""),
        ({"do": "dance"}, "nothing that a run can be told"),
        ({}, "nothing that a run can be told"),
        ({"do": "steps", "value": 5}, "cannot be had after 5"),
        ({"do": "steps", "value": 7.5}, "cannot be had"),
        ({"do": "steps", "value": True}, "cannot be had"),
        ({"do": "steps"}, "None steps"),
        ({"do": "learning rate", "value": 20}, "makes no sense"),
        ({"do": "learning rate", "value": "high"}, "makes no sense"),
        ({"do": "stop at evaluation"}, "train.eval_every is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(asked: control.Asked, words: str) -> None:
    said = control.objection(asked, 5, evaluates=False)
    assert bool(said) == bool(words) and words in said and "\n" not in said


def test_the_last_word_on_a_thing_is_what_holds() -> None:
    def told(step: int, what: str, value: float) -> control.Asked:
        return {"kind": "told", "step": step, "what": what, "value": value}

    known = [Change(3, "learning rate", 1e-4), Change(9, "learning rate", 9.0)]  # 9: not yet, at step 5
    heard = [told(3, "learning rate", 1e-4), told(9, "learning rate", 2e-4), told(8, "steps", 20)]
    assert control.replayed(known, heard, 5) == [
        Change(3, "learning rate", 1e-4),
        Change(8, "steps", 20),
        Change(9, "learning rate", 2e-4),
    ]
    heard.append(told(6, "learning rate", 3e-4))  # asked of the second life, before it came to 9 again
    assert control.replayed(known, heard, 5)[1:] == [Change(6, "learning rate", 3e-4), Change(8, "steps", 20)]
    # What a life before the beginning was told is void; what the checkpoint knows is not.
    assert control.replayed(known, [{"kind": "resumed", "step": 0, "from": None}, *heard], 5)[0] == known[0]
    heard.append({"kind": "resumed", "step": 0, "from": None})
    assert control.replayed([], heard, 0) == []


def test_a_run_that_is_not_alive_is_asked_nothing(home: Path) -> None:
    run = runs.create(kill.plan())
    with pytest.raises(UserError, match="not running"):
        runs.control(run, "stop")


@pytest.mark.slow
@pytest.mark.long
def test_a_run_does_as_it_is_told(home: Path) -> None:
    run = runs.create(kill.plan())
    asked = [
        {"do": "steps", "value": 30}, {"do": "learning rate", "value": 1e-3}, {"do": "dance"},
        {"do": "checkpoint"}, {"do": "stop at evaluation"},
    ]  # fmt: skip
    run.control.write_text("".join(json.dumps(one) + "\n" for one in asked), "utf-8")
    runs.launch(run)
    wait_for_end(run)
    state = run.state()
    assert (state.status, state.step, state.total) == ("stopped", 3, 30), "\n".join(runs.log_tail(run))
    events = list(Tail(run.events).read())
    assert [event["what"] for event in events if event["kind"] == "told"] == [
        "steps", "learning rate", "checkpoint", "stop at evaluation",
    ]  # fmt: skip
    assert len(state.warnings) == 1 and "dance" in state.warnings[0]
    assert [event["lr"] for event in events if event["kind"] == "step"][1] < 1e-3
    assert (run.checkpoints / "step-1").is_dir() or (run.checkpoints / "step-2").is_dir()
    assert (run.checkpoints / "step-3").is_dir() and state.saved
