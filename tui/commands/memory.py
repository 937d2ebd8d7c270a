"""Whether a recipe fits on this machine now."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from engine import auto, doctor, fit, reading, recipe
from engine.errors import UserError
from engine.memory import Rows
from engine.schema import Recipe
from engine.shapes import Unknown
from tui.commands import _ask, _print

summary = "what a recipe's run will take, term by term, against what is free now"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a bundled one")
    parser.add_argument(
        "--longest", type=int, metavar="N", help="tokens of the longest row (default: data.max_length)"
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="load the model and measure two steps and an evaluation on the longest rows",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.epilog = "Exit code 1: it does not fit."


def run(arguments: argparse.Namespace) -> int:
    plan = recipe.load(arguments.recipe)
    if arguments.longest is not None and arguments.longest < 1:
        raise UserError(f"--longest {arguments.longest}: a row has at least one token")
    if arguments.probe:
        return _probe(plan, arguments.json)
    found = fit.fit(plan, fit.device(), Rows(longest=arguments.longest))
    if isinstance(found, Unknown):
        raise UserError(f"{plan.model.id}: its memory is not known: {found.reason}")
    forecast = found.forecast
    if arguments.json:
        terms = [dataclasses.asdict(term) for term in forecast.terms]
        facts = {"total": forecast.total, "free": forecast.device.free, "device": forecast.device.kind}
        remedies = [dataclasses.asdict(one) for one in found.remedies]
        disk = dataclasses.asdict(found.disk)
        chosen = auto.facts(found.choices)
        _print.say_json(
            {
                "verdict": forecast.verdict,
                **facts,
                "terms": terms,
                **chosen,
                "remedies": remedies,
                "disk": disk,
                "doubt": found.doubt,
            }
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
    print(_print.table(("TERM", "SIZE", "HOW"), rows, right=("SIZE",)), flush=True)
    _print.say(f"\n{forecast.verdict}")
    for one in found.remedies:
        changes = ", ".join(f"{key} = {str(value).lower()}" for key, value in one.changes)
        _print.say(f"  {changes}: {_print.size(one.total)}, {one.verdict}")
    for choice in found.choices:
        _print.say(f"auto: {reading.chosen(choice.key, choice.value, choice.why)}")
    disk, made = found.disk, "model" if found.plan.full else "adapter"
    _print.say(
        f"disk: {made} {_print.size(disk.result)}, checkpoints {_print.size(disk.checkpoints)},"
        f" merged {_print.size(disk.merged)}"
    )
    if found.doubt:
        _print.say(f"! {found.doubt}")
    for note in forecast.notes:
        _print.say(f"· {note}")


def _probe(plan: Recipe, as_json: bool) -> int:
    """Measure, and print forecast and measured beside each other."""
    if problem := doctor.training_problem():
        raise UserError(problem)

    async def ask(worker: _ask.Conversation) -> dict[str, Any]:
        return await worker.ask("probe", "probed", recipe=plan.model_dump(mode="json"))

    answer = _ask.talk("probe", what=ask)
    if as_json:
        _print.say_json({key: value for key, value in answer.items() if key not in ("kind", "id")})
    elif answer["fits"]:
        _say_measured(answer["forecast"], answer["measured"])
    else:
        _print.say(f"{answer['reason']}\n  {answer['mend']}")
    return 0 if answer["fits"] else 1


def _say_measured(forecast: dict[str, Any], measured: dict[str, Any]) -> None:
    rows = [
        (name, f"{found['rows']} x {found['length']:,} tokens", _print.size(found["peak"]))
        for name, found in (("two steps", measured["train"]), ("evaluation", measured["evaluation"]))
        if found
    ]
    print(_print.table(("MEASURED", "LONGEST BATCH", "PEAK"), rows, right=("PEAK",)), flush=True)
    free = f"{_print.size(forecast['free'])} were free" if "free" in forecast else ""
    if measured["forecast"]:
        peak = max(found["peak"] for found in (measured["train"], measured["evaluation"]) if found)
        share = measured["forecast"] / peak
        _print.say(
            f"\nforecast {_print.size(measured['forecast'])}, {share:.2f} of what was measured; {free}"
        )
    else:
        _print.say(f"\nno forecast: {forecast['reason']}")
    _print.say(
        f"a usual step takes {measured['seconds']:.3g} s, {measured['tokens_per_s']:,.0f} tokens/s:"
        f" about {_print.duration(measured['eta'])} for the whole run"
    )
