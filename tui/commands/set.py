"""Change the learning rate or the number of steps of a run under way."""

from __future__ import annotations

import argparse

from engine import asking, runs
from engine.errors import UserError
from engine.schema import Method
from tui.commands import _tell

summary = "change a run's learning rate or number of steps while it trains"

KEYS = {"learning_rate": "learning rate", "steps": "steps"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument(
        "settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="learning_rate=1e-4 (its highest), steps=300 (in all)",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object for each setting")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    step, method = found.state().step, found.recipe().train.method
    asked = [_read(setting, step, method) for setting in arguments.settings]
    for do, value in asked:
        _tell.tell(found, do, value, arguments.json)
    return 0


def _read(setting: str, step: int, method: Method) -> tuple[str, float]:
    key, equals, text = setting.partition("=")
    do = KEYS.get(key.strip().removeprefix("train."))
    if not equals or do is None:
        raise UserError(f"{setting}: while a run trains, learning_rate=1e-4 or steps=300 can be set")
    return do, asking.value(do, text.strip(), step, method)
