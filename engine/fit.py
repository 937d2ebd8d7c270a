"""Whether a recipe fits on this machine now: its model's config.json, what is free, the rows as counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from engine import hardware, hub, memory, models, shapes
from engine.errors import UserError
from engine.footprint import Device, Plan
from engine.memory import Disk, Forecast, Remedy
from engine.models import ModelInfo
from engine.recipe import Recipe
from engine.shapes import Shapes, Unknown

HALF = {"avx512_bf16", "amx_bf16"}
"""Flags of processors on which Unsloth computes in bfloat16."""


@dataclass(frozen=True)
class Fit:
    """The forecast of a run; remedies and disk are reckoned when they are asked for."""

    plan: Plan
    shapes: Shapes
    forecast: Forecast
    checkpoints: int
    """How many of them are kept."""

    @cached_property
    def remedies(self) -> list[Remedy]:
        """What would make it fit, where it does not."""
        return memory.remedies(self.plan, self.shapes, self.forecast.device)

    @cached_property
    def disk(self) -> Disk:
        """Bytes."""
        return memory.disk(self.plan, self.shapes, self.checkpoints)


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
    known = _shapes_of(plan.model.id, folder)
    if isinstance(known, Unknown):
        return known
    facts = memory.plan(plan, longest, usual, evaluated)
    return Fit(facts, known, memory.forecast(facts, known, device), plan.train.keep_checkpoints)


def of_models(plan: Recipe, listed: Iterable[ModelInfo], device: Device) -> dict[str, Fit | Unknown]:
    """By their ids, the forecasts of a recipe with other models in its model's place."""
    facts, kept = memory.plan(plan), plan.train.keep_checkpoints
    found: dict[str, Fit | Unknown] = {}
    for model in listed:
        known = _shapes_of(model.id, model.path)
        if isinstance(known, Unknown):
            found[model.id] = known
        else:
            found[model.id] = Fit(facts, known, memory.forecast(facts, known, device), kept)
    return found


def device() -> Device:
    """Where a run would train, and what is free there now: the first GPU that may be seen, or the host."""
    gpus = hardware.gpus()
    if gpus and gpus[0].free is not None:
        return Device("cuda", gpus[0].free)
    return Device("cpu", hardware.available_memory(), _half())


def _shapes_of(model_id: str, folder: Path | None) -> Shapes | Unknown:
    """By config.json, or what the catalogue knows of it."""
    if folder is not None and (folder / "config.json").is_file():
        return _shapes(folder / "config.json")
    config = models.catalogue_config(model_id)
    return shapes.read(config) if config else Unknown("its config.json is not on this machine yet")


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
