"""Count how often base and tuned are right on held-out rows."""

from __future__ import annotations

import argparse
from typing import Any

from engine import doctor, runs, sources
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _ask, _print

summary = "score base and tuned on held-out rows"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--part", choices=sources.PARTS, default="test", help="default: test")
    parser.add_argument("--rows", type=int, metavar="N", help="at most N rows a set (default: the recipe's)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    found = trained(arguments.run_name)
    if arguments.rows is not None and arguments.rows < 1:
        raise UserError(f"--rows {arguments.rows}: must be 1 or more")
    limit = () if arguments.rows is None else ("--rows", str(arguments.rows))

    async def score(worker: _ask.Conversation) -> dict[str, Any]:
        return await worker.wait("evaluated")

    answer = _ask.talk("evaluate", str(found.path), "--part", arguments.part, *limit, what=score)
    if arguments.json:
        _print.say_json({"run": found.name, **{k: v for k, v in answer.items() if k != "kind"}})
        return 0
    head = ("SET", "METRIC", "ROWS", "BASE RIGHT", "TUNED RIGHT")
    rows = [
        (
            each["source"],
            each["metric"],
            f"{each['rows']:,}",
            _share(each["base"], each["rows"]),
            _share(each["tuned"], each["rows"]),
        )
        for each in answer["sets"]
    ]
    _print.say(_print.table(head, rows, right=("ROWS", "BASE RIGHT", "TUNED RIGHT")))
    _print.say(f"{answer['part']} rows, {answer['seconds']:.0f} s; each answer: {answer['file']}")
    return 0


def trained(name: str) -> Run:
    """A run that can be asked. Raises UserError where it has no adapter, or nothing can be loaded here."""
    found = runs.find(name)
    if problem := doctor.training_problem():
        raise UserError(problem)
    if not (found.adapter / "adapter_config.json").is_file():
        status = found.state().status
        raise UserError(f"{found.name} has no adapter yet ({status}); it is there once a run has ended")
    return found


def _share(right: int, rows: int) -> str:
    return f"{right:,} ({right / rows:.1%})" if rows else "-"
