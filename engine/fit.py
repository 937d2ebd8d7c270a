"""Whether a recipe fits on this machine now: its model's config.json, what is free, the rows as counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from engine import auto, hardware, hub, memory, models, shapes
from engine.auto import Choice
from engine.errors import UserError
from engine.footprint import Device, Plan
from engine.memory import Disk, Forecast, Remedy, Rows
from engine.models import ModelInfo
from engine.schema import Recipe, Settled
from engine.shapes import Shapes, Unknown

HALF = {"avx512_bf16", "amx_bf16"}
"""Flags of processors on which Unsloth computes in bfloat16."""

FLASH_FROM = (8, 0)
"""What a GPU must be able to do (CUDA's compute capability) for flash-attn 2 to run on it."""

UNKNOWN_ROWS = Rows()


@dataclass(frozen=True)
class Fit:
    """The forecast of a run; remedies and disk are reckoned when they are asked for."""

    plan: Plan
    shapes: Shapes
    forecast: Forecast
    train: Settled
    choices: tuple[Choice, ...]
    """What the recipe left open."""

    @cached_property
    def remedies(self) -> list[Remedy]:
        """What would make it fit, where it does not."""
        return memory.remedies(self.plan, self.shapes, self.forecast.device)

    @property
    def doubt(self) -> str:
        """What is likely wrong with the settings for this model; "" where nothing is."""
        return auto.doubt(self.train, self.shapes)

    @cached_property
    def disk(self) -> Disk:
        """Bytes."""
        return memory.disk(self.plan, self.shapes, self.train.keep_checkpoints)


def fit(recipe: Recipe, device: Device, rows: Rows = UNKNOWN_ROWS) -> Fit | Unknown:
    """The forecast of a recipe, with what it leaves open as it would be chosen.

    Reads config.json alone. Unknown, with the reason, for a model that is not here or of another kind.
    """
    return _fit(recipe, shapes_of(recipe), device, rows)


def settle(recipe: Recipe, device: Device, rows: Rows = UNKNOWN_ROWS) -> tuple[Settled, tuple[Choice, ...]]:
    """[train] as it would be run, also for a model whose memory is not known; and what was chosen."""
    return auto.settle(recipe, shapes_of(recipe), device, rows)


def of_models(recipe: Recipe, listed: Iterable[ModelInfo], device: Device) -> dict[str, Fit | Unknown]:
    """By their ids, the forecasts of a recipe with other models in its model's place."""
    return {
        model.id: _fit(recipe, _shapes_of(model.id, model.path), device, UNKNOWN_ROWS) for model in listed
    }


def shapes_of(recipe: Recipe) -> Shapes | Unknown:
    """Of a recipe's model."""
    try:
        folder = models.locate(recipe.model.id) or hub.snapshot(recipe.model.id)
    except UserError as error:
        return Unknown(str(error))
    return _shapes_of(recipe.model.id, folder)


def _fit(recipe: Recipe, known: Shapes | Unknown, device: Device, rows: Rows) -> Fit | Unknown:
    if isinstance(known, Unknown):
        return known
    train, choices = auto.settle(recipe, known, device, rows)
    facts = memory.plan(recipe, train, rows)
    return Fit(facts, known, memory.forecast(facts, known, device), train, choices)


def device() -> Device:
    """Where a run would train, and what is free there now: the first GPU that may be seen, or the host."""
    gpus = hardware.gpus()
    if gpus and gpus[0].free is not None:
        flash = (gpus[0].capability or (0, 0)) >= FLASH_FROM and find_spec("flash_attn") is not None
        return Device("cuda", gpus[0].free, flash=flash)
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
