"""Bring an archived run or sweep back into the list."""

from __future__ import annotations

import argparse

from engine import housekeeping, sweep_keeping
from tui.commands import _print, _swept

summary = "bring an archived run or sweep back into the list"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN", help="an archived run's name, or part of it")
    parser.add_argument("--sweep", action="store_true", help="a sweep, with all of its archived runs")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    if arguments.sweep:
        sweep = sweep_keeping.find_archived(arguments.name)
        along = sweep_keeping.unarchive(sweep)
        return _swept.say_moved(sweep, along, "is in the list again", "", arguments.json)
    moved = housekeeping.unarchive(housekeeping.find_archived(arguments.name))
    if arguments.json:
        _print.say_json({"run": moved.name, "path": str(moved.path)})
    else:
        _print.say(f"{moved.name} is in the list again")
    return 0
