"""The checkpoints of a run as folders: which are complete, which stay, whether there is room. No torch.

checkpoints/step-N/      complete or absent; snapshot.py says what is in it
checkpoints/index.json   {"last": N, "best": N or null, "loss": of the best}
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.workers import durable

STATE = "state.json"
ADAPTER = "adapter_model.safetensors"
WHOLE = "model.safetensors"
NAME = re.compile(r"step-([1-9][0-9]*)")

BYTES_A_WEIGHT = {"adamw": 12, "adamw_8bit": 8}
"""Of a trained weight: itself in 32 bits and the optimizer's two moments; 8-bit ones bring their scales."""

BYTES_BESIDE = 16 * 2**20
"""Tokenizer, random states, JSON."""


def step_of(path: Path) -> int:
    """The step in a checkpoint's name; 0 for what is none."""
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def missing(path: Path) -> str:
    """What a checkpoint lacks, in words; "" for a complete one."""
    try:
        state = json.loads((path / STATE).read_text("utf-8"))
        for name, size in state["files"].items():
            if (path / name).stat().st_size != size:
                return f"{name} is cut short"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        return f"{STATE} cannot be read ({type(error).__name__})"
    return "" if state.get("step") == step_of(path) else f"{STATE} is that of another step"


def listed(folder: Path) -> list[Path]:
    """All that is named like a checkpoint, oldest first, complete or not."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if step_of(path)), key=step_of)


def newest(folder: Path, passed_over: Callable[[Path, str], None] = lambda path, why: None) -> Path | None:
    """The newest complete checkpoint, whatever stands beside it; None where there is none."""
    for path in reversed(listed(folder)):
        lack = missing(path)
        if not lack:
            return path
        passed_over(path, lack)
    return None


def state(path: Path) -> dict[str, Any]:
    """The JSON facts of a complete checkpoint."""
    facts: dict[str, Any] = json.loads((path / STATE).read_text("utf-8"))
    return facts


def write(folder: Path, step: int, fill: Callable[[Path], dict[str, Any]]) -> Path:
    """Write one: fill(path) puts the files there and gives the facts that become its state."""
    path = folder / f"step-{step}"

    def whole(beside: Path) -> None:
        facts = fill(beside)
        sizes = {file.name: file.stat().st_size for file in beside.iterdir()}
        text = json.dumps({"step": step, **facts, "files": sizes}, indent=1)
        (beside / STATE).write_text(text + "\n", "utf-8")

    durable.folder(path, whole)
    return path


def settle(folder: Path, keep: int, best: int | None, loss: float | None) -> None:
    """Name the last and the best, then take old ones away: never the best, nor the newest `keep`."""
    complete = [path for path in listed(folder) if not missing(path)]
    there = best is not None and any(step_of(path) == best for path in complete)
    last = step_of(complete[-1]) if complete else None
    facts = {"last": last, "best": best if there else None, "loss": loss if there else None}
    durable.document(folder / "index.json", facts)
    for path in complete[:-keep]:
        if step_of(path) != best:
            durable.remove(path)


def sweep(folder: Path) -> None:
    """Take away what a kill left half written or half removed."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.suffix in (durable.PART, durable.GONE) and path.is_dir() and step_of(Path(path.stem)):
                shutil.rmtree(path, ignore_errors=True)


def size(trainable: int, optimizer: str) -> int:
    """Bytes that a checkpoint of that many trained weights takes, rather too many than too few."""
    return trainable * BYTES_A_WEIGHT[optimizer] + BYTES_BESIDE


def check_room(folder: Path, one: int, keep: int) -> None:
    """Raise UserError unless what will stand at once has room: `keep` checkpoints, the best, a new one."""
    needed = one * max(1, keep + 2 - len(listed(folder)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {free / 1e6:,.0f} MB are free, and checkpoints need {needed / 1e6:,.0f} MB; nothing"
            " was trained; free some space, or lower train.keep_checkpoints"
        )


def check_room_for_one(folder: Path, one: int) -> None:
    """Raise OSError (ENOSPC) before a write that would fill the disk."""
    if shutil.disk_usage(folder).free < one:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
