"""Whether a recipe fits on this machine now: its model's config.json, what is free, the rows as counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine import hardware, hub, memory, models
from engine.errors import UserError
from engine.footprint import Device
from engine.memory import Disk, Forecast, Remedy
from engine.recipe import Recipe
from engine.shapes import Shapes, Unknown

HALF = {"avx512_bf16", "amx_bf16"}
"""Flags of processors on which Unsloth computes in bfloat16."""


@dataclass(frozen=True)
class Fit:
    """The forecast of a run, what would make it fit where it does not, and what it leaves on the disk."""

    forecast: Forecast
    remedies: list[Remedy]
    disk: Disk


def fit(
    plan: Recipe,
    device: Device,
    longest: int | None = None,
    usual: int | None = None,
    evaluated: int | None = None,
) -> Fit | Unknown:
    """The forecast of a recipe.

    Tokens, where they are known: longest, of the longest row; usual, that 99% stay within; evaluated, of the
    longest validation row, 0 where there is none.
    Reads config.json alone. Unknown, with the reason, for a model that is not here or of another kind.
    """
    try:
        folder = models.locate(plan.model.id) or hub.snapshot(plan.model.id)
    except UserError as error:
        return Unknown(str(error))
    if folder is None or not (folder / "config.json").is_file():
        return Unknown("its config.json is not on this machine yet")
    shapes = _shapes(folder / "config.json")
    if isinstance(shapes, Unknown):
        return shapes
    facts = memory.plan(plan, longest, usual, evaluated)
    return Fit(
        memory.forecast(facts, shapes, device),
        memory.remedies(facts, shapes, device),
        memory.disk(facts, shapes, plan.train.keep_checkpoints),
    )


def device() -> Device:
    """Where a run would train, and what is free there now: the first GPU that may be seen, or the host."""
    gpus = hardware.gpus()
    if gpus and gpus[0].free is not None:
        return Device("cuda", gpus[0].free)
    return Device("cpu", hardware.available_memory(), _half())


@cache
def _shapes(config: Path) -> Shapes | Unknown:
    return memory.read(config)


@cache
def _half() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("flags")[2].partition("\n")[0]
    except OSError:
        return False
    return bool(HALF & set(flags.split()))
