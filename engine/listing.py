"""Runs and sweeps as they are found and sorted in a list."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from engine import remarks
from engine.errors import UserError
from engine.remarks import Remarks
from engine.runs import Run, Worked
from engine.state import RunState, Status

Order = Literal["date", "name", "state", "validation", "right"]
ORDERS: tuple[Order, ...] = get_args(Order)

STATES: tuple[Status, ...] = ("running", "starting", "waiting", "stopped", "failed", "crashed", "finished")
"""Those first that something is still to be done with."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a run, or a sweep, is found and sorted by.

    validation: the loss of the adapter that was saved, else the last one; right: the share that it
    answered right at its end, from 0 to 1.
    """

    folder: str
    name: str
    model: str
    status: Status
    started_at: float
    validation: float | None = None
    right: float | None = None
    remarks: Remarks = field(default_factory=Remarks)
    data: tuple[str, ...] = ()
    """Paths of the sources."""


L = TypeVar("L", bound=Listed)


def facts(run: Run, state: RunState) -> dict[str, Any]:
    """The fields of Listed that a run has; one whose recipe is torn is listed by the name of its folder."""
    try:
        name, model, data = named(run, "recipe.toml")
    except UserError:
        name, model, data = run.name, state.model or "?", ()
    return {
        "folder": run.name,
        "name": name,
        "model": model,
        "status": state.status,
        "started_at": state.started_at or run.path.stat().st_mtime,
        "validation": validation(state),
        "right": state.right[1] if state.right else None,
        "remarks": remarks.read(run),
        "data": data,
    }


def named(worked: Worked, file: str) -> tuple[str, str, tuple[str, ...]]:
    """Name, model and paths of the data in a recipe of the folder, unchecked. Raises UserError."""
    plan = worked.document(file)
    try:
        paths = [str(source["path"]) for source in plan.get("data", {}).get("sources", ())]
        return str(plan["name"]), str(plan["model"]["id"]), tuple(paths)
    except (LookupError, TypeError, AttributeError):
        raise UserError(f"{worked.path / file}: it has no name, model or sources; start anew") from None


def validation(state: RunState) -> float | None:
    """The validation loss of what was saved: of the best step where that one is kept, else of the last."""
    kept = state.kept_best.get("loss")
    if kept is not None:
        return float(kept)
    return state.evaluations[-1].loss if state.evaluations else None


def found(one: Listed, text: str) -> bool:
    """Whether every word of a search stands in its name, model, tags, note or paths of its data.

    A word with # before it is the beginning of a tag. Upper and lower case are alike.
    """
    tags = [tag.casefold() for tag in one.remarks.tags]
    about = "\n".join([one.folder, one.name, one.model, *tags, one.remarks.note, *one.data]).casefold()
    return all(
        any(tag.startswith(word[1:]) for tag in tags) if word.startswith("#") else word in about
        for word in text.casefold().split()
    )


def ordered(known: Iterable[L], by: Order) -> list[L]:
    """Newest first; or by name, by state, by the lowest loss, by the most right answers, and then by date."""
    newest = sorted(known, key=lambda one: one.folder, reverse=True)
    return newest if by == "date" else sorted(newest, key=lambda one: _place(one, by))


def _place(one: Listed, by: Order) -> tuple[Any, ...]:
    """What is not known comes last."""
    match by:
        case "name":
            return (one.name.casefold(),)
        case "state":
            return (STATES.index(one.status),)
        case "validation":
            known = one.validation is not None and math.isfinite(one.validation)
            return (not known, one.validation if known else 0.0)
        case "right":
            return (one.right is None, -(one.right or 0.0))
        case "date":
            return ()
