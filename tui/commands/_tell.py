"""Ask something of a run under way and print its answer."""

from __future__ import annotations

import time

from engine import runs
from engine.asking import Question
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.commands import _print

LONGEST_WAIT = 10.0
"""Seconds; the worker answers between two steps."""


def tell(run: Run, do: str, value: float | None = None, as_json: bool = False) -> None:
    """Ask, wait for the answer and print it. Raises UserError where it makes no sense to the run."""
    question = Question(run, do, value)
    deadline = time.monotonic() + LONGEST_WAIT
    facts = {"run": run.name, "asked": do, **({} if value is None else {"value": value})}
    while (answer := question.answer()) is None:
        if not runs.is_alive(run):
            status = run.state().status
            raise RunFailed(f"{run.name} ended before it heard that ({status}); `ift-tui attach` shows how")
        if time.monotonic() > deadline:
            said = f"it hears that after its step; `ift-tui attach {run.name}` shows the answer"
            _say(as_json, f"{run.name}: {said}", {**facts, "answered": False})
            return
        time.sleep(0.05)
    if not answer.taken:
        raise UserError(f"{run.name}: {answer.said}")
    _say(as_json, f"{run.name}: {answer.said}", {**facts, "answered": True, "step": answer.step})


def _say(as_json: bool, sentence: str, facts: dict[str, object]) -> None:
    if as_json:
        _print.say_json(facts)
    else:
        _print.say(sentence)
