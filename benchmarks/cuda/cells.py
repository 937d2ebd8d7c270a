"""Every cell of the suite, in the order of its worth on a GPU that is only lent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from benchmarks.cuda import answering, bounds, proof, training
from benchmarks.cuda.place import Place

Part = Literal["proof", "train", "compare", "context", "fit", "idle"]

FITS = 60


class Cell(NamedTuple):
    """run: measures it, in a process of its own; minutes: what a GPU may take for it at most; asked: what it
    is held against, in words."""

    name: str
    part: Part
    run: Callable[[Place], dict[str, Any]]
    minutes: float
    asked: str


CELLS = [
    Cell("trains", "proof", proof.trains, 3, "patches, labels as rendered, loss falls, adapter in PEFT"),
    Cell("rows apart", "proof", proof.apart, 3, "a packed row's loss as alone, within 2e-3"),
    Cell("packed run", "proof", proof.packed_run, 4, "a run with rows packed: losses as padded"),
    Cell("full rows", "train", training.full_rows, 9, "8B, rows of 4,096: at least 1.00 of bare Unsloth"),
    Cell("short rows", "train", training.short_rows, 9, "8B, 150 tokens: at least 5 times stock TRL"),
    Cell("fastest", "train", training.fastest, 7, "8B, rows of 4,096: goal 14,500 tokens/s"),
    Cell("answers", "compare", answering.speed, 5, "8B: 200 tokens/s each, pair 1.10 of one, 150 ms, 3%"),
    Cell("unpacked", "train", training.unpacked, 8, "8B: weights unpacked once as fast, same losses"),
    Cell("answers unpacked", "compare", answering.unpacked, 5, "8B: the same for both columns, equal tokens"),
    Cell("captured", "compare", answering.captured, 5, "8B: steps as a CUDA graph, as fast, equal tokens"),
    Cell("equal", "proof", answering.equal, 6, "200 prompts in 4-bit, each column as its model alone"),
    Cell("idle", "idle", bounds.idle, 4, "at most 2% between steps"),
    Cell("read ahead", "train", training.read_ahead, 5, "135M: a process that reads ahead, the same losses"),
    Cell("attention", "train", training.attention, 8, "8B, rows of 4,096: flash-attn against torch's own"),
    Cell("longest", "context", bounds.longest, 6, "8B, batch 1: the longest row that trains"),
    Cell("resume", "proof", proof.resume, 4, "SIGKILL: loss path within 1e-3"),
    Cell("out of memory", "proof", proof.memory_runs_out, 6, "a real one: our sentence, a smaller batch"),
    Cell("probe", "proof", proof.probe, 3, "probe and forecast of a real run"),
    Cell("nvml", "proof", proof.nvml, 1, "our figures against nvidia-smi's"),
    Cell("auto", "train", training.left_open, 5, "8B, all of [train] open: what is chosen fits, and trains"),
    Cell("watched", "train", training.watched, 5, "being watched costs at most 0.5%"),
    Cell("walk", "proof", proof.walk, 8, "recipe to comparison, Qwen3-4B's shape, real instructions"),
    *(
        Cell(f"fit {number:02}", "fit", bounds.fits(number), 2, "forecast within 5%, none that fits runs out")
        for number in range(1, FITS + 1)
    ),
]  # fmt: skip


def chosen(parts: list[str], names: list[str], tiny: bool = False) -> list[Cell]:
    """The cells of these parts, or with these names; all without either. tiny: of the fits the first."""
    return [
        cell
        for cell in CELLS
        if (not parts or cell.part in parts)
        and (not names or cell.name in names)
        and not (tiny and cell.part == "fit" and cell.name != "fit 01")
    ]
