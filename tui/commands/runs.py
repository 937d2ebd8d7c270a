"""List the runs, newest first; those in the archive, and what each takes on disk, where that is asked."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine import housekeeping, reading, runs
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _print

summary = "list runs, newest first"

NO_RUNS = "No runs yet. Start one: ift-tui train first-steps"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archived", action="store_true", help="the runs in the archive instead")
    parser.add_argument("--disk", action="store_true", help="what each run takes on disk, by part")
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    known = housekeeping.archived() if arguments.archived else runs.list_runs()
    found = [_facts(each) for each in known]
    if arguments.disk:
        found = [{**facts, "disk": housekeeping.disk(each)} for facts, each in zip(found, known, strict=True)]
    if arguments.json:
        _print.say_json(found)
        return 0
    if not found:
        none = "The archive is empty." if arguments.archived else NO_RUNS
        _print.say(none)
        return 0
    if arguments.disk:
        _say_disk(found)
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


def _say_disk(found: list[dict[str, Any]]) -> None:
    """A column for each part that any of them has, the largest first."""
    total = Counter[str]()
    for each in found:
        total += Counter(each["disk"])
    parts = [part for part, _ in total.most_common()]
    rows = [
        [each["name"], *(_print.size(each["disk"].get(part)) for part in parts), _sum(each["disk"])]
        for each in found
    ]
    rows.append(["all", *(_print.size(total[part]) for part in parts), _sum(total)])
    head = ["RUN", *(part.upper() for part in parts), "TOTAL"]
    _print.say(_print.table(head, rows, right=head[1:]))


def _sum(parts: Mapping[str, int]) -> str:
    return _print.size(sum(parts.values()))


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
