"""Take runs and sweeps out of the list without losing anything of them; `unarchive` brings them back."""

from __future__ import annotations

import argparse

from engine import housekeeping, runs, sweep_keeping, sweeps
from tui.commands import _print, _swept

summary = "take a run or a sweep out of the list and keep it whole; unarchive brings it back"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN", help="a run's name or part of it, or `last`")
    _swept.flags(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    _swept.check(arguments)
    if arguments.sweep:
        sweep = sweeps.find(arguments.name)
        along = sweep_keeping.archive(sweep, arguments.with_runs)
        return _swept.say_moved(sweep, along, "is archived", "unarchive --sweep", arguments.json)
    moved = housekeeping.archive(runs.find(arguments.name))
    if arguments.json:
        _print.say_json({"run": moved.name, "path": str(moved.path)})
    else:
        _print.say(f"{moved.name} is archived; `ift-tui unarchive {moved.name}` brings it back")
    return 0
