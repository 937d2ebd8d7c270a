"""Start a run and follow it, or let it go on by itself."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from engine import chain, dataset, doctor, keys, recipe
from engine.errors import RunFailed, UserError
from engine.schema import Recipe
from tui.commands import _follow, _print, _turn

summary = "train a recipe's adapter; Ctrl-C saves and stops"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a bundled one")
    parser.add_argument("--detach", action="store_true", help="start it and return; it outlives the terminal")
    _turn.flags(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key, e.g. train.steps=20; nothing after = takes the key out",
    )
    parser.add_argument("--json", action="store_true", help="the run's events, one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    plan = changed(recipe.load(arguments.recipe), arguments.set)
    if problem := doctor.training_problem():
        raise UserError(problem)
    dataset.check(plan)
    beside = _turn.beside(arguments)
    try:
        started, *others = chain.start(plan, beside)
    except OSError as error:
        raise RunFailed(f"{plan.name}: the worker could not be started ({error}); no run was made") from None
    if arguments.detach:
        for one in (started, *others):
            _follow.detached(one, arguments.json)
        return 0
    if not arguments.json:
        _print.say(f"run {started.name}")
        for one in others:
            _print.say(f"then {one.name}: ift-tui attach {one.name}")
    return _follow.follow(started, arguments.json, stop_on_interrupt=True)


def changed(plan: Recipe, settings: list[str]) -> Recipe:
    """The recipe with KEY=VALUE settings applied and checked again. Raises UserError naming the setting."""
    if not settings:
        return plan
    document: dict[str, Any] = plan.model_dump(mode="json", exclude_none=True)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, e.g. --set train.steps=20")
        keys.put(document, key.strip(), _value(value.strip()) if value.strip() else None, "--set")
    return recipe.parse(document, "--set")


def _value(text: str) -> Any:
    """A TOML value, else the bare text; a path from here, because the run does not stay in this folder."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return str(Path(text).expanduser().absolute()) if text.startswith((".", "~")) else text
