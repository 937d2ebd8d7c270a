"""What differs between the recipes of two runs, key by key."""

from __future__ import annotations

import argparse

from engine import contrast
from tui.commands import _print

summary = "say in which settings two runs differ"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help="a run's name or part of it, `last`, or a recipe")
    parser.add_argument("second", metavar="B", help="another one")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    first, one = contrast.named(arguments.first)
    second, other = contrast.named(arguments.second)
    found = contrast.between(one, other)
    if arguments.json:
        differing = [each._asdict() for each in found]
        _print.say_json({"first": first, "second": second, "differing": differing})
    elif found:
        print(_print.table(("KEY", first, second), found), flush=True)
    else:
        _print.say(f"{first} and {second} have the same settings.")
    return 0
