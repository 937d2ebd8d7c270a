"""What archiving, bringing back and deleting a sweep have in common as commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.errors import UserError
from engine.runs import Run
from engine.sweeps import Sweep
from tui.commands import _print


def flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sweep", action="store_true", help="a sweep; its runs stay, as runs of their own")
    parser.add_argument("--with-runs", action="store_true", help="with --sweep: its runs go along")


def check(arguments: argparse.Namespace) -> None:
    """Raises UserError where the flags make no sense together."""
    if arguments.with_runs and not arguments.sweep:
        raise UserError("--with-runs goes with --sweep; a run has no runs of its own, nothing was changed")


def say_moved(sweep: Sweep, along: Sequence[Run], done: str, back: str, as_json: bool) -> int:
    """Print what was moved. back: the command that undoes it, "" where none is wanted."""
    if as_json:
        _print.say_json({"sweep": sweep.name, "runs": [run.name for run in along]})
    else:
        undo = f"; `ift-tui {back} {sweep.name}` brings it back" if back else ""
        _print.say(f"{sweep.name}{with_runs(len(along))} {done}{undo}")
    return 0


def with_runs(count: int) -> str:
    """, with its 12 runs,"""
    return f" with {count} run{'' if count == 1 else 's'}" if count else ""
