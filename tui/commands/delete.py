"""Remove a run or a sweep for good, or only a run's checkpoints; says what goes, and does it once told so."""

from __future__ import annotations

import argparse

from engine import housekeeping, runs, sweep_keeping, sweeps
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _print, _swept

summary = "remove a run or a sweep for good, or a run's checkpoints alone"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--checkpoints", action="store_true", help="its checkpoints alone; the adapter stays")
    parser.add_argument("--archived", action="store_true", help="an archived one")
    _swept.flags(parser)
    parser.add_argument("--yes", action="store_true", help="do it; without, it is only said what would go")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    _swept.check(arguments)
    if arguments.sweep:
        return _sweep(arguments)
    find = housekeeping.find_archived if arguments.archived else runs.find
    found = find(arguments.name)
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


def _sweep(arguments: argparse.Namespace) -> int:
    if arguments.checkpoints:
        raise UserError("--checkpoints is for a run; name one of the sweep's, nothing was removed")
    find = sweep_keeping.find_archived if arguments.archived else sweeps.find
    found = find(arguments.name)
    along = sweep_keeping.runs_of(found) if arguments.with_runs else []
    what = f"{found.name}{_swept.with_runs(len(along))}"
    if not arguments.yes:
        size = _print.size(sweep_keeping.disk(found, arguments.with_runs))
        stay = (
            ""
            if arguments.with_runs
            else "; its runs stay, as runs of their own (--with-runs takes them too)"
        )
        raise UserError(
            f"this removes {what} ({size}) for good{stay}; say so with --yes, nothing was removed"
        )
    freed = sweep_keeping.delete(found, arguments.with_runs)
    if arguments.json:
        _print.say_json({"sweep": found.name, "runs": [run.name for run in along], "bytes": freed})
    else:
        _print.say(f"{what} is removed; {_print.size(freed)} are free again")
    return 0


def _would(found: Run, checkpoints: bool) -> str:
    taken = housekeeping.disk(found)
    if checkpoints:
        size = _print.size(taken.get("checkpoints", 0))
        return f"this removes the checkpoints of {found.name} ({size}); it could not be resumed from them"
    parts = housekeeping.lost(found)
    size = _print.size(sum(taken.values()))
    return f"this removes {found.name} ({size}) for good{': ' if parts else ''}{', '.join(parts)}"
