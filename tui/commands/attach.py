"""Follow a run from its start; leaving does not stop it."""

from __future__ import annotations

import argparse

from engine import runs
from tui.commands import _follow, _print

summary = "follow a run from its first event; Ctrl-C leaves it running"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--json", action="store_true", help="the run's events, one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    if not arguments.json:
        _print.say(f"run {found.name}")
    return _follow.follow(found, arguments.json, stop_on_interrupt=False)
