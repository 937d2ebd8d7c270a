"""List the sweeps, newest first."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from engine import sweep_keeping, sweeps
from engine.errors import UserError
from engine.sweeps import Sweep
from tui.commands import _print, _sweep

summary = "list sweeps, newest first"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archived", action="store_true", help="the sweeps in the archive instead")
    parser.add_argument(
        "--disk", action="store_true", help="what each takes on disk, alone and with its runs"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    known = sweep_keeping.archived() if arguments.archived else sweeps.list_sweeps()
    found = [{**_facts(each), **(_disk(each) if arguments.disk else {})} for each in known]
    if arguments.json:
        _print.say_json(found)
        return 0
    if not found and arguments.archived:
        _print.say("No sweep is in the archive.")
        return 0
    if not found:
        _print.say("No sweeps yet. A recipe with [sweep] starts one: ift-tui sweep RECIPE")
        return 0
    if arguments.disk:
        sized = [
            (each["sweep"], *map(_print.size, (each["bytes"], each["bytes_with_runs"]))) for each in found
        ]
        print(_print.table(("SWEEP", "ALONE", "WITH RUNS"), sized, right=("ALONE", "WITH RUNS")), flush=True)
        return 0
    head = ("SWEEP", "STATUS", "RUNS", "OBJECTIVE", "BEST", "STARTED")
    rows = [
        (
            each["sweep"],
            each["status"],
            f"{each['runs']}/{each['runs_wanted'] or '-'}",
            each["objective"],
            "-" if each["best"] is None else f"{each['best']:.4f}",
            f"{datetime.fromtimestamp(each['started']):%Y-%m-%d %H:%M}" if each["started"] else "-",
        )
        for each in found
    ]
    print(_print.table(head, rows, right=("RUNS", "BEST")), flush=True)
    return 0


def _facts(each: Sweep) -> dict[str, Any]:
    state = each.state()
    try:
        plan = each.recipe().sweep
    except UserError:  # torn: it is listed all the same
        plan = None
    objective = plan.objective if plan else "-"
    found = sweeps.best(state, objective)
    return {
        "sweep": each.name,
        "path": str(each.path),
        "status": state.status,
        "runs": state.runs,
        "runs_wanted": plan.runs if plan else None,
        "objective": objective,
        "best": found.value if found else None,
        "setting": _sweep.said(found.setting) if found else "",
        "started": state.started_at or None,
    }


def _disk(each: Sweep) -> dict[str, int]:
    return {
        "bytes": sweep_keeping.disk(each, with_runs=False),
        "bytes_with_runs": sweep_keeping.disk(each),
    }
