"""Take runs out of the list without losing anything of them; `unarchive` brings them back."""

from __future__ import annotations

import argparse

from engine import housekeeping, runs
from tui.commands import _print

summary = "take a run out of the list and keep it whole; unarchive brings it back"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    moved = housekeeping.archive(runs.find(arguments.run_name))
    if arguments.json:
        _print.say_json({"run": moved.name, "path": str(moved.path)})
    else:
        _print.say(f"{moved.name} is archived; `ift-tui unarchive {moved.name}` brings it back")
    return 0
