"""Turns from the command line: refused, queued, moved, taken out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from test_worker_turn import busy, cpu, made, said, started, until  # noqa: F401

from engine import runs, turns
from engine.runs import Run
from tui import __main__ as front

TRAIN = ("train", "first-steps", "--set", "train.steps=1")


def test_where_another_trains_nothing_is_started_without_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    first = made("first")
    with busy(first):
        assert front.main(TRAIN) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        assert first.name in err and "--queue" in err and "--beside" in err
        assert runs.list_runs() == [first]


def test_a_queued_run_is_moved_and_taken_out(
    capsys: pytest.CaptureFixture[str],
    started: Callable[[str], Run],  # noqa: F811
) -> None:
    first = made("first")
    with busy(first):
        assert front.main([*TRAIN, "--queue", "--detach", "--json"]) == 0
        second = runs.find(json.loads(capsys.readouterr().out)["run"])
        third = started("third")
        assert turns.waiting("cpu") == [second, third]

        def queue(*arguments: str) -> list[str]:
            assert front.main(["queue", *arguments, "--json"]) == 0
            (line,) = json.loads(capsys.readouterr().out)
            assert (line["device"], line["trains"]) == ("cpu", first.name)
            waiting: list[str] = line["waiting"]
            return waiting

        assert queue() == [second.name, third.name]
        assert queue("--up", third.name) == [third.name, second.name]
        assert queue("--down", third.name) == [second.name, third.name]
        until(lambda: bool(said(second, "queued") and said(third, "queued")))
        assert queue("--out", second.name) == [third.name]
        until(lambda: second.state().status == "stopped")
        assert front.main(["queue", "--up", second.name]) == 2
        assert "waits for no device" in capsys.readouterr().err
        assert front.main(["queue"]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[1].split()[:3] == ["cpu", "trains", first.name]
        assert shown[2].split()[:4] == ["cpu", "waits", "1", third.name]
        assert front.main(["checkpoint", third.name]) == 2
        assert "waits for its turn" in capsys.readouterr().err
        assert front.main(["stop", third.name]) == 0
        assert "before its turn came" in capsys.readouterr().out


def test_an_empty_line_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["queue"]) == 0
    assert capsys.readouterr().out == "No run trains here, and none waits.\n"
