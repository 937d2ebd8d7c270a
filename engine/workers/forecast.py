"""What the memory forecast says of a run whose rows are rendered, before its model is loaded. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from engine import fit
from engine.fit import Fit
from engine.footprint import Device
from engine.memory import Remedy, Rows
from engine.schema import Recipe, Settled
from engine.shapes import Unknown

USUAL = 99
"""Per cent of the rows that the usual length is enough for."""


def lengths(rows: Path) -> np.ndarray:
    """Tokens of each row in a file of rendered rows, of shape (rows,)."""
    with pa.memory_map(str(rows)) as file, pa.ipc.open_stream(file) as stream:
        counts = [pc.list_value_length(batch.column("input_ids")).to_numpy() for batch in stream]
    return np.concatenate(counts)


def rows(lengths: np.ndarray, validation: Sequence[int]) -> Rows:
    """What there is to know of the rows; lengths, validation: tokens of each."""
    return Rows(
        longest=int(lengths.max()),
        usual=int(np.percentile(lengths, USUAL, method="higher")),
        evaluated=max(validation, default=0),
        mean=float(lengths.mean()),
        count=len(lengths),
    )


def forecast(recipe: Recipe, plan: Settled, rows: Rows) -> Fit | Unknown:
    """For the longest real rows; plan: [train] as it is run."""
    return _forecast(recipe, plan, rows, here())


def ways_out(recipe: Recipe, plan: Settled, rows: Rows, found: Fit | Unknown) -> list[Remedy]:
    """What would lower the memory of a run that was seen to run out of it, whatever its forecast said."""
    if isinstance(found, Unknown):
        return []
    # What the forecast came to was too much: so less than that is free for the run.
    free = min(found.forecast.device.free, found.forecast.total - 1)
    again = _forecast(recipe, plan, rows, replace(found.forecast.device, free=free))
    return again.remedies if isinstance(again, Fit) else []


def here() -> Device:
    """Where this process trains. On a CPU what it holds already is its own to use."""
    device = fit.device()
    if device.kind == "cpu":
        return replace(device, free=device.free + psutil.Process().memory_info().rss)
    return device


def total(found: Fit | Unknown) -> int | None:
    """Bytes, where they are known."""
    return found.forecast.total if isinstance(found, Fit) else None


def facts(found: Fit | Unknown) -> dict[str, Any]:
    """As an event tells it."""
    if isinstance(found, Unknown):
        return {"reason": found.reason}
    made = found.forecast
    return {
        "total": made.total,
        "free": made.device.free,
        "verdict": made.verdict,
        "terms": {term.name: term.bytes for term in made.terms},
    }


def _forecast(recipe: Recipe, plan: Settled, rows: Rows, device: Device) -> Fit | Unknown:
    return fit.fit(recipe.model_copy(update={"train": plan}), device, rows)
