"""Have a run save a checkpoint now and go on."""

from __future__ import annotations

import argparse

from engine import runs
from tui.commands import _tell

summary = "have a run save a checkpoint now and go on"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    _tell.tell(runs.find(arguments.run_name), "checkpoint", as_json=arguments.json)
    return 0
