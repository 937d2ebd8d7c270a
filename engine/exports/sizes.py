"""What an export will take on disk, before it is made, in bytes: known to a few per cent, rather too much."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine import models
from engine.errors import UserError
from engine.runs import Run

GGUF_BITS = {"f16": 16.0, "q8_0": 8.5, "q4_k_m": 4.9}
"""Bits a weight: q8_0 is blocks of 32 with a 16-bit scale; q4_k_m mixes 4- and 6-bit blocks (llama.cpp's
examples/quantize lists 4.89 for Llama 3 8B)."""

BESIDE = 1 << 20
"""Card, configuration, curve."""

ROOM = 1.02
"""Of the forecast, that must be free."""


def forecast(run: Run, kind: str, types: tuple[str, ...] = ("q8_0",), dtype_bytes: int = 2) -> int:
    """Bytes of one export as it will stand. Raises UserError where the model is not here any more."""
    adapter = folder(run.adapter) + BESIDE
    rows = run.rows / "train.arrow"
    data = 3 * rows.stat().st_size if rows.is_file() else 0  # numbers as JSON text
    begun = adapter if _begun(run) else BESIDE
    match kind:
        case "adapter":
            return adapter
        case "merged" | "ollama":
            return _parameters(run) * dtype_bytes + adapter
        case "gguf":
            return round(sum(_parameters(run) * GGUF_BITS.get(one, 16.0) / 8 for one in types)) + BESIDE
        case "hub":
            return 0
        case "llamafactory":
            return 2 * data + begun
        case _:
            return data + begun


def _begun(run: Run) -> bool:
    """Whether its adapter's first weights lie beside a script of it, as no seed gives them."""
    recipe = run.recipe()
    return recipe.train.method == "lora" and bool(recipe.model.adapter or recipe.lora.init == "loftq")


def folder(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def check_room(target: Path, needed: int) -> None:
    """Raise UserError unless the disk of a folder to be made has so many bytes free."""
    there = next(path for path in (target, *target.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed * ROOM:
        raise UserError(
            f"{target}: {free / 1e9:,.1f} GB are free, and the export needs {needed * ROOM / 1e9:,.1f} GB;"
            " nothing was written; free some space, or name another place with --out"
        )


def _parameters(run: Run) -> int:
    info = models.describe(run.recipe().model.id)
    if info.parameters is None:
        raise UserError(f"{info.id}: how large it is is not known; it is not on this machine")
    return info.parameters
