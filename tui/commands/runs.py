"""List the runs: newest first or sorted, all or those that are searched for, with what each takes on disk."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import housekeeping, listing, reading, runs
from engine.listing import ORDERS, Listed
from engine.runs import Run
from engine.state import RunState
from tui.commands import _print

summary = "list runs, newest first, or find and sort them"

NO_RUNS = "No runs yet. Start one: ift-tui train first-steps"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archived", action="store_true", help="the runs in the archive instead")
    parser.add_argument(
        "--search",
        metavar="TEXT",
        default="",
        help="those with these words in name, model, tags, note, data",
    )
    parser.add_argument(
        "--tag",
        metavar="TAG",
        action="append",
        default=[],
        help="those with this tag (given by `ift-tui tag`)",
    )
    parser.add_argument(
        "--sort", choices=ORDERS, default="date", help="lowest validation loss, most right answers ... first"
    )
    parser.add_argument("--disk", action="store_true", help="what each run takes on disk, by part")
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    known = housekeeping.archived() if arguments.archived else runs.list_runs()
    found = [_facts(one) for one in _wanted(known, arguments)]
    if arguments.disk:
        found = [{**facts, "disk": housekeeping.disk(Run(Path(facts["path"])))} for facts in found]
    if arguments.json:
        _print.say_json(found)
        return 0
    if not found:
        none = "The archive is empty." if arguments.archived else NO_RUNS
        _print.say(f"None of {len(known)} runs is like that." if known else none)
        return 0
    if arguments.disk:
        _say_disk(found)
        return 0
    tagged = any(each["tags"] for each in found)
    loss = "VALIDATION" if arguments.sort == "validation" else "LOSS"
    head = ("RUN", "MODEL", "STATUS", "STEP", loss, "RIGHT", "STARTED", *(["TAGS"] if tagged else []))
    rows = [
        (
            each["name"],
            each["model"],
            each["status"],
            f"{each['step']:,}/{each['total']:,}" if each["total"] else "-",
            "-" if each[loss.lower()] is None else f"{each[loss.lower()]:.3f}",
            "-" if each["right"] is None else "{:.0%} -> {:.0%}".format(*each["right"]),
            f"{datetime.fromtimestamp(each['started']):%Y-%m-%d %H:%M}" if each["started"] else "-",
            *([" ".join(each["tags"])] if tagged else []),
        )
        for each in found
    ]
    print(_print.table(head, rows, right=("STEP", loss, "RIGHT")), flush=True)
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


@dataclass(frozen=True, kw_only=True)
class Found(Listed):
    """A run with its events folded."""

    run: Run
    state: RunState


def _wanted(known: Sequence[Run], arguments: argparse.Namespace) -> list[Found]:
    """Those that are searched for, sorted. A tag is meant whole here: #good finds no `goodish`."""
    states = ((run, run.state()) for run in known)
    every = (Found(**listing.facts(run, state), run=run, state=state) for run, state in states)
    tags = {tag.lstrip("#").casefold() for tag in arguments.tag}
    kept = (one for one in every if tags <= {tag.casefold() for tag in one.remarks.tags})
    return listing.ordered((one for one in kept if listing.found(one, arguments.search)), arguments.sort)


def _facts(one: Found) -> dict[str, Any]:
    state = one.state
    return {
        "name": one.run.name,
        "path": str(one.run.path),
        "model": one.model,
        "status": state.status,
        "step": state.step,
        "total": state.total,
        "loss": state.loss,
        "validation": one.validation,
        "right": state.right,
        "started": state.started_at or None,
        "tags": one.remarks.tags,
        "note": one.remarks.note,
        "data": one.data,
        "reason": state.reason,
        "reading": reading.sentence(state),
    }
