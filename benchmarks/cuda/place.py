"""Where a cell works: its folder, the models, and whether all of it is small enough for a CPU."""

from __future__ import annotations

import functools
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cuda import shapes
from engine import recipe, runs
from engine.events import Event, Tail
from engine.runs import Run
from engine.schema import Recipe

SECONDS_BETWEEN_LOOKS = 0.05


class NotHere(Exception):
    """What a cell cannot measure on this machine, and why."""


@dataclass(frozen=True)
class Place:
    """folder: the cell's own, gone afterwards; models: kept for the cells to come; data: of real text."""

    folder: Path
    models: Path
    tiny: bool

    def model(self, name: str) -> Path:
        """The folder of a random model of that public shape."""
        return shapes.make(name, self.models, self.tiny)

    def of(self, whole: int, small: int) -> int:
        """A number as it is asked for, or as a CPU can afford it."""
        return small if self.tiny else whole


@functools.cache
def on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def needs_gpu(what: str) -> None:
    if not on_gpu():
        raise NotHere(f"{what} needs a CUDA device")


def write_rows(file: Path, lengths: list[int], words: int = 1000, seed: int = 0) -> None:
    """Ids and labels, the first third of a row not trained. What follows what can be learnt: ids go up."""
    chance = random.Random(seed)
    with file.open("w", encoding="ascii") as out:
        for length in lengths:
            start = chance.randrange(words)
            ids = [4 + (start + place) % words for place in range(length)]
            labels = [-100] * (length // 3) + ids[length // 3 :]
            out.write(json.dumps({"input_ids": ids, "labels": labels}) + "\n")


def whole_rows(count: int, length: int) -> list[int]:
    """Lengths of rows that are full to the last token, as packing to a length leaves them."""
    return [length] * count


def short_rows(count: int, mean: int, seed: int = 0) -> list[int]:
    """Lengths as those of instructions are: many short ones, a few long, their mean as asked."""
    chance = random.Random(seed)
    drawn = [chance.lognormvariate(0.0, 0.8) for _ in range(count)]
    return [max(8, round(one * mean * count / sum(drawn))) for one in drawn]


def plan(model: Path, rows: Path, length: int, held: Path | None = None, **tables: Any) -> Recipe:
    """A recipe over such a file: 4-bit, LoRA of rank 16 on all linear layers, nothing measured at its end."""
    document: dict[str, Any] = {
        "name": "cuda",
        "model": {"id": str(model), "load_in_4bit": True},
        "data": {
            "sources": [
                {"path": str(rows), "format": "tokens", **({"validation": str(held)} if held else {})}
            ],
            "max_length": length,
            "validation": 0,
            "policy": {"duplicate": "keep", "leaked": "keep"},
        },
        "lora": {"rank": 16, "alpha": 32},
        "train": {"steps": 8, "save_every": 0, "probe": False, "learning_rate": 1e-3, "warmup_steps": 1},
        "evaluate": {"samples": 0, "at_end": 0},
    }
    for table, values in tables.items():
        document[table] |= values
    return recipe.parse(document)


def trained(plan: Recipe, environment: dict[str, str] | None = None) -> Run:
    """A run of the real worker, to its end. Raises SystemExit with the end of its log if it fails."""
    run = runs.create(plan)
    runs.launch(run, environment or {})
    wait(run)
    if (status := run.state().status) != "finished":
        raise SystemExit(f"the run is {status}: {run.state().reason}\n" + "\n".join(runs.log_tail(run)))
    return run


def wait(run: Run, until: Callable[[list[Event]], bool] = lambda events: False) -> None:
    """Until its worker is gone, or its events are what is waited for."""
    while runs.is_alive(run) and not until(told(run)):
        time.sleep(SECONDS_BETWEEN_LOOKS)


def told(run: Run, *kinds: str) -> list[Event]:
    """Its events so far, all of them or those of some kinds."""
    return [event for event in Tail(run.events).read() if not kinds or event["kind"] in kinds]


def use(folder: Path) -> None:
    """Have runs of this process and its children live in that folder, and ask no hub."""
    os.environ |= {**runs.WORKER_ENVIRONMENT, "IFT_TUI_HOME": str(folder), "HF_HUB_OFFLINE": "1"}
