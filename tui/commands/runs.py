"""List the runs, newest first."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from engine import reading, runs
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _print

summary = "list runs, newest first"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    found = [_facts(each) for each in runs.list_runs()]
    if arguments.json:
        _print.say_json(found)
        return 0
    if not found:
        _print.say("No runs yet. Start one: ift-tui train first-steps")
        return 0
    head = ("RUN", "MODEL", "STATUS", "STEP", "LOSS", "RIGHT", "STARTED")
    rows = [
        (
            each["name"],
            each["model"],
            each["status"],
            f"{each['step']:,}/{each['total']:,}" if each["total"] else "-",
            "-" if each["loss"] is None else f"{each['loss']:.3f}",
            "-" if each["right"] is None else "{:.0%} -> {:.0%}".format(*each["right"]),
            f"{datetime.fromtimestamp(each['started']):%Y-%m-%d %H:%M}" if each["started"] else "-",
        )
        for each in found
    ]
    print(_print.table(head, rows, right=("STEP", "LOSS", "RIGHT")), flush=True)
    return 0


def _facts(each: Run) -> dict[str, Any]:
    state = each.state()
    try:
        model = each.recipe().model.id
    except UserError:
        model = state.model
    return {
        "name": each.name,
        "path": str(each.path),
        "model": model,
        "status": state.status,
        "step": state.step,
        "total": state.total,
        "loss": state.loss,
        "right": state.right,
        "started": state.started_at or None,
        "reason": state.reason,
        "reading": reading.sentence(state),
    }
