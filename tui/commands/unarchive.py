"""Bring an archived run back into the list."""

from __future__ import annotations

import argparse

from engine import housekeeping
from tui.commands import _print

summary = "bring an archived run back into the list"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="an archived run's name, or part of it")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    moved = housekeeping.unarchive(housekeeping.find_archived(arguments.run_name))
    if arguments.json:
        _print.say_json({"run": moved.name, "path": str(moved.path)})
    else:
        _print.say(f"{moved.name} is in the list again")
    return 0
