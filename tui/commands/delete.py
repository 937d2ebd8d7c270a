"""Remove a run for good, or only its checkpoints; says what that is, and does it once it is confirmed."""

from __future__ import annotations

import argparse

from engine import housekeeping, runs
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _print

summary = "remove a run for good, or its checkpoints alone"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--checkpoints", action="store_true", help="its checkpoints alone; the adapter stays")
    parser.add_argument("--archived", action="store_true", help="an archived run")
    parser.add_argument("--yes", action="store_true", help="do it; without, it is only said what would go")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    find = housekeeping.find_archived if arguments.archived else runs.find
    found = find(arguments.run_name)
    if not arguments.yes:
        raise UserError(f"{_would(found, arguments.checkpoints)}; say so with --yes, nothing was removed")
    remove = housekeeping.drop_checkpoints if arguments.checkpoints else housekeeping.delete
    freed = remove(found)
    if arguments.json:
        _print.say_json(
            {"run": found.name, "removed": "checkpoints" if arguments.checkpoints else "all", "bytes": freed}
        )
    else:
        what = f"the checkpoints of {found.name} are" if arguments.checkpoints else f"{found.name} is"
        _print.say(f"{what} removed; {_print.size(freed)} are free again")
    return 0


def _would(found: Run, checkpoints: bool) -> str:
    taken = housekeeping.disk(found)
    if checkpoints:
        size = _print.size(taken.get("checkpoints", 0))
        return f"this removes the checkpoints of {found.name} ({size}); it could not be resumed from them"
    parts = housekeeping.lost(found)
    size = _print.size(sum(taken.values()))
    return f"this removes {found.name} ({size}) for good{': ' if parts else ''}{', '.join(parts)}"
