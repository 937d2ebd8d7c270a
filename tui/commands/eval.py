"""Measure base, tuned and checkpoints on held-out rows, with intervals, and what training cost besides."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine import beside, doctor, evals, runs
from engine.errors import UserError
from engine.evals import Evaluation
from engine.runs import Run
from tui.commands import _ask, _print

summary = "measure base and tuned on held-out rows"

SHOWN = 3  # rows that gained, and lost, most
MOST_EXAMPLES = 32


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument(
        "--part", choices=evals.HELD_OUT, default="held-out", help="default: test rows, else validation rows"
    )
    parser.add_argument("--rows", type=int, metavar="N", help="at most N rows a set (default: the recipe's)")
    parser.add_argument(
        "--checkpoint",
        type=int,
        action="append",
        default=[],
        metavar="STEP",
        help="one more column; repeatable",
    )
    parser.add_argument(
        "--with", dest="others", action="append", default=[], metavar="RUN[@STEP]",
        help="one more column: another run of the same base, or its checkpoint; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--average", action="store_true", help="one more column: all adapters' logits averaged"
    )
    parser.add_argument(
        "--examples",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="one more column: the base with N training rows before each question; repeatable",
    )
    parser.add_argument("--no-general", action="store_true", help="leave out the test of forgetting")
    parser.add_argument("--no-likelihood", action="store_true", help="leave out the likelihood of choices")
    parser.add_argument(
        "--saved", action="store_true", help="the last evaluation of this part; nothing is run"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help="write a report: .md, .csv (rows) or .json (all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    kind = evals.kind_of(arguments.to) if arguments.to else ""
    if arguments.rows is not None and arguments.rows < 1:
        raise UserError(f"--rows {arguments.rows}: must be 1 or more")
    if arguments.average and not (arguments.checkpoint or arguments.others):
        raise UserError("--average needs two adapters or more; name --with or --checkpoint too")
    for words in arguments.others:
        beside.named(runs.find(arguments.run_name), words)
    if wrong := [count for count in arguments.examples if not 1 <= count <= MOST_EXAMPLES]:
        raise UserError(f"--examples {wrong[0]}: must be from 1 to {MOST_EXAMPLES}")
    found = runs.find(arguments.run_name) if arguments.saved else trained(arguments.run_name)
    if not arguments.saved:
        _evaluate(found, arguments)
    part = evals.saved_part(found, arguments.part)
    made = evals.read(found, part)
    if arguments.to:
        _write(arguments.to, evals.exported(made, kind))
    if arguments.json:
        _print.say_json({**made.summary, "file": str(found.path / "evals" / f"{part}.jsonl")})
        return 0
    _say(made)
    _print.say(f"each answer: {found.path / 'evals' / (part + '.jsonl')}")
    if arguments.to:
        _print.say(f"report: {arguments.to}")
    return 0


def trained(name: str) -> Run:
    """A run that can be asked. Raises UserError where it has no adapter, or nothing can be loaded here."""
    found = runs.find(name)
    if problem := doctor.training_problem():
        raise UserError(problem)
    if not found.has_result:
        status = found.state().status
        raise UserError(f"{found.name} has no adapter yet ({status}); it is there once a run has ended")
    return found


def _evaluate(found: Run, arguments: argparse.Namespace) -> None:
    asked = ["--part", arguments.part]
    asked += [] if arguments.rows is None else ["--rows", str(arguments.rows)]
    for step in arguments.checkpoint:
        asked += ["--checkpoint", str(step)]
    for words in arguments.others:
        asked += ["--with", words]
    for count in dict.fromkeys(arguments.examples):
        asked += ["--examples", str(count)]
    flags = {"--average": arguments.average, "--no-general": arguments.no_general}
    flags["--no-likelihood"] = arguments.no_likelihood
    asked += [flag for flag, given in flags.items() if given]

    async def score(worker: _ask.Conversation) -> dict[str, Any]:
        return await worker.wait("evaluated")

    _ask.talk("evaluate", str(found.path), *asked, what=score)


def _say(made: Evaluation) -> None:
    facts, columns = made.summary, made.columns
    for column in facts["columns"]:
        if column.get("apart"):  # written before there was such a thing
            _print.say(f"{column['column']}: {column['apart']}")
    for one in facts["sets"]:
        _print.say(f"{one['source']}: {one['rows']:,} {facts['part']} rows, judged by {one['metric']}")
        by_column = {name: evals.figures(one, name) for name in columns}
        names = list(dict.fromkeys(figure for said in by_column.values() for figure in said))
        rows = [[figure, *(by_column[name].get(figure, "-") for name in columns)] for figure in names]
        print(_print.table(["", *columns], rows, right=columns), flush=True)
        for name in columns[1:]:
            _print.say(f"{name}: better on {one['better'][name]:,} rows, worse on {one['worse'][name]:,}")
            for figure in ("right", "rougeL", "loss"):
                if told := one["differences"][name].get(figure):
                    _print.say(f"  {figure} {evals.difference(told, figure)}")
                for member, against in one.get("against", {}).get(name, {}).items():
                    if told := against.get(figure):
                        _print.say(f"  {figure} against {member} {evals.difference(told, figure)}")
        _print.say()
    if general := facts.get("general"):
        _print.say(f"forgetting: loss on {general['rows']} general instructions and texts")
        rows = evals.general_rows(general, columns)
        print(_print.table(("", "", "LOSS", "CHANGE"), rows, right=("LOSS",)), flush=True)
        _print.say()
    if len(columns) > 1:
        for title, shown in zip(("gained", "lost"), evals.extremes(made, SHOWN), strict=True):
            for row in shown:
                _print.say(f"{title}: {_print.short(evals.question(row), 70)}")
                for name in columns[:2]:
                    _print.say(f"  {name}: {_print.short(row[name].get('text', ''), 66)}")
    _print.say(
        f"{facts['seconds']:.0f} s; intervals hold 95% of {facts['settings']['resamples']:,} resamples"
    )


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); the evaluation itself is kept"
        ) from None
