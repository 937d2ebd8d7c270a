"""Whether a recipe fits on this machine now."""

from __future__ import annotations

import argparse
import dataclasses

from engine import fit, recipe
from engine.errors import UserError
from engine.shapes import Unknown
from tui.commands import _print

summary = "what a recipe's run will take, term by term, against what is free now"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a bundled one")
    parser.add_argument(
        "--longest", type=int, metavar="N", help="tokens of the longest row (default: data.max_length)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.epilog = "Exit code 1: it does not fit."


def run(arguments: argparse.Namespace) -> int:
    plan = recipe.load(arguments.recipe)
    if arguments.longest is not None and arguments.longest < 1:
        raise UserError(f"--longest {arguments.longest}: a row has at least one token")
    found = fit.fit(plan, fit.device(), arguments.longest)
    if isinstance(found, Unknown):
        raise UserError(f"{plan.model.id}: its memory is not known: {found.reason}")
    forecast = found.forecast
    if arguments.json:
        terms = [dataclasses.asdict(term) for term in forecast.terms]
        facts = {"total": forecast.total, "free": forecast.device.free, "device": forecast.device.kind}
        remedies = [dataclasses.asdict(one) for one in found.remedies]
        disk = dataclasses.asdict(found.disk)
        _print.say_json(
            {"verdict": forecast.verdict, **facts, "terms": terms, "remedies": remedies, "disk": disk}
        )
    else:
        _say(found)
    return 1 if forecast.verdict == "does not fit" else 0


def _say(found: fit.Fit) -> None:
    forecast = found.forecast
    rows = [(term.name, _print.size(term.bytes), term.how) for term in forecast.terms]
    rows.append(
        ("together", _print.size(forecast.total), f"{_print.size(forecast.device.free)} are free now")
    )
    _print.say(_print.table(("TERM", "SIZE", "HOW"), rows, right=("SIZE",)))
    _print.say(f"\n{forecast.verdict}")
    for one in found.remedies:
        changes = ", ".join(f"{key} = {str(value).lower()}" for key, value in one.changes)
        _print.say(f"  {changes}: {_print.size(one.total)}, {one.verdict}")
    disk = found.disk
    _print.say(
        f"disk: adapter {_print.size(disk.adapter)}, checkpoints {_print.size(disk.checkpoints)},"
        f" merged {_print.size(disk.merged)}"
    )
    for note in forecast.notes:
        _print.say(f"· {note}")
