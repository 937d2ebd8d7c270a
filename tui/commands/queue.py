"""Who trains on which device, who waits for it in which order, and changes of that order."""

from __future__ import annotations

import argparse
from typing import Any

from engine import runs, turns
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.commands import _print

summary = "show which run trains and which wait, move one, or take it out"


def arguments(parser: argparse.ArgumentParser) -> None:
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--up", metavar="RUN", help="let a waiting run train one place earlier")
    change.add_argument("--down", metavar="RUN", help="let it train one place later")
    change.add_argument("--out", metavar="RUN", help="take it out; `ift-tui resume` puts it at the end again")
    parser.add_argument("--json", action="store_true", help="one JSON array, a device each")


def run(arguments: argparse.Namespace) -> int:
    if arguments.up:
        _move(arguments.up, -1)
    elif arguments.down:
        _move(arguments.down, 1)
    elif arguments.out:
        _take_out(arguments.out)
    lines = turns.lines()
    if arguments.json:
        _print.say_json([_facts(line) for line in lines])
        return 0
    rows = [row for line in lines for row in _rows(line)]
    if rows:
        print(_print.table(("DEVICE", "PLACE", "RUN", "STEP"), rows, right=("STEP",)), flush=True)
    else:
        _print.say("No run trains here, and none waits.")
    return 0


def _rows(line: turns.Line) -> list[tuple[str, str, str, str]]:
    found = [(line.device, "trains", line.holder.name, _step(line.holder))] if line.holder else []
    return found + [
        (line.device, f"waits {place}", run.name, "-") for place, run in enumerate(line.waiting, 1)
    ]


def _step(run: Run) -> str:
    state = run.state()
    return f"{state.step:,}/{state.total:,}" if state.total else "-"


def _facts(line: turns.Line) -> dict[str, Any]:
    holder = line.holder.name if line.holder else None
    return {"device": line.device, "trains": holder, "waiting": [run.name for run in line.waiting]}


def _move(name: str, by: int) -> None:
    run, device = _waiting(name)
    turns.move(run, device, by)


def _take_out(name: str) -> None:
    run, device = _waiting(name)
    if not runs.stop(run):
        raise RunFailed(f"{run.name} could not be reached; try again")
    turns.leave(run, device)


def _waiting(name: str) -> tuple[Run, str]:
    run = runs.find(name)
    device = turns.line_of(run)
    if device is None:
        raise UserError(f"{run.name} waits for no device; `ift-tui queue` shows the runs that do")
    return run, device
