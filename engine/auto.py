"""What a recipe leaves open ("auto" in [train]), chosen for the device, what is free there, and the rows.

The same function serves the recipe screen, `ift-tui memory` and the worker, which knows the rows best and
writes down what it chose: chosen.json in the run's folder is what every later life of the run goes by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from engine import footprint, memory
from engine.footprint import Device, Plan
from engine.memory import Rows
from engine.recipe import Recipe, Settled, Train
from engine.shapes import Shapes, Unknown

OPEN = ("batch_size", "gradient_accumulation", "optimizer", "gradient_checkpointing", "packing")
"""Keys of [train] that may be auto."""

FILE = "chosen.json"

ROWS_A_STEP = 16
"""What a step learns from where nobody says otherwise; guides to LoRA on instructions name 8 to 32."""
STEPS_AN_EPOCH = 20
"""A small set has fewer rows a step, so that an epoch has at least so many."""

ROOM = 0.8
"""Of the memory that is free, what a choice may come to by the forecast: others share the machine."""
NEAR = 1.05
"""Times the cost of the fastest: the smallest micro-batch within that is taken."""
SMALL = 0.05
"""Of the memory that is free: AdamW's states below that are not worth rounding to 8 bits."""

PACKED = {"llama", "mistral", "qwen2", "qwen3"}
"""Models whose rows may share a sequence on a GPU: plain attention, which Unsloth cuts at the rows' ends."""

FLOP_A_BYTE = {"cuda": 180, "cpu": 15}
"""What a device computes while it reads one byte of a weight: 790 TFLOP/s against 4.3 TB/s on an H200, 312
against 2.0 on an A100; a processor's cores against its memory."""


@dataclass(frozen=True)
class Choice:
    """A value of [train] that the program has chosen, and why, in part of a sentence."""

    key: str
    value: bool | int | str
    why: str


def settle(
    recipe: Recipe, model: Shapes | Unknown, device: Device, rows: Rows
) -> tuple[Settled, tuple[Choice, ...]]:
    """[train] with a value for each key, and what was chosen for those that were left open."""
    open_keys = [key for key in OPEN if getattr(recipe.train, key) == "auto"]
    if isinstance(model, Unknown):
        settled = _careful(recipe.train, rows)
        why = dict.fromkeys(OPEN, f"with care, the memory is not known: {model.reason}")
    else:
        settled = _fastest(recipe, model, device, rows)
        why = _reasons(recipe, settled, model, device, rows)
    why["gradient_accumulation"] = _step(settled, rows)
    return settled, tuple(Choice(key, getattr(settled, key), why[key]) for key in open_keys)


def applied(plan: Train, choices: tuple[Choice, ...]) -> Settled:
    """[train] with these choices in it."""
    return Settled.model_validate({**plan.model_dump(), **{one.key: one.value for one in choices}})


def load(folder: Path) -> tuple[Choice, ...] | None:
    """What a run's worker chose when it was first started; None where it has not come so far."""
    try:
        text = (folder / FILE).read_text("utf-8")
    except FileNotFoundError:
        return None
    return tuple(Choice(**one) for one in json.loads(text)["choices"])


def known(plan: Train, folder: Path) -> Settled | None:
    """[train] of a run as it is run; None while nothing is chosen for what the recipe leaves open."""
    choices = load(folder)
    if choices is None and any(getattr(plan, key) == "auto" for key in OPEN):
        return None
    return applied(plan, choices or ())


def facts(choices: tuple[Choice, ...]) -> dict[str, Any]:
    """As they are written down and told."""
    return {"choices": [asdict(one) for one in choices]}


def _careful(plan: Train, rows: Rows) -> Settled:
    wanted = {"batch_size": 1, "gradient_checkpointing": True, "optimizer": "adamw", "packing": False}
    return _settled(plan, wanted, rows)


def _fastest(recipe: Recipe, model: Shapes, device: Device, rows: Rows) -> Settled:
    """Of all ways to make a step that keep within ROOM, one of the fastest with the fewest rows at once;
    where none does, the one that takes least."""
    found = []
    for settled in _ways(recipe, model, device, rows):
        total, plan = _total(recipe, settled, model, device, rows)
        found.append((settled, total, cost(plan, device, rows.mean or plan.length / 2)))
    within = [one for one in found if one[1] <= ROOM * device.free]
    if not within:
        return min(found, key=lambda one: one[1])[0]
    best = min(one[2] for one in within)
    near = [one for one in within if one[2] <= NEAR * best]
    return min(near, key=lambda one: (one[0].batch_size, one[2]))[0]


def cost(plan: Plan, device: Device, mean: float) -> float:
    """What a token costs in passes over the weights' FLOPs, to compare ways on one device.

    LoRA on frozen weights: 2 N a token forward and 2 N back, and 2 N more where activations are computed
    again, or where the weights have gradients of their own. Besides, each pass reads its weights once a
    micro-batch: 2 bytes each, and in NF4 half a byte to read and 2 to write before, which is as much as so
    many tokens compute. mean: tokens of a row.
    """
    passes = (6 if plan.checkpointing else 4) + 2 * plan.full
    read = (4.5 if plan.four_bit else 2) * FLOP_A_BYTE[device.kind] / 2
    return passes * (1 + read / (plan.batch * mean))


def _ways(recipe: Recipe, model: Shapes, device: Device, rows: Rows) -> Iterator[Settled]:
    optimizer = _optimizer(recipe, model, device)
    for size, again in product(_sizes(recipe.train, rows), (False, True)):
        wanted = {"batch_size": size, "gradient_checkpointing": again, "optimizer": optimizer}
        packing = device.kind == "cuda" and model.model_type in PACKED
        yield _settled(recipe.train, {**wanted, "packing": packing}, rows)


def _sizes(plan: Train, rows: Rows) -> list[int]:
    """Micro-batches that may make a step: powers of two."""
    times = plan.gradient_accumulation
    most = rows_a_step(rows) if times == "auto" else max(1, rows_a_step(rows) // times)
    return [1 << power for power in range(most.bit_length())]


def rows_a_step(rows: Rows) -> int:
    """ROWS_A_STEP, or the power of two that gives a small set STEPS_AN_EPOCH."""
    if rows.count is None:
        return ROWS_A_STEP
    return min(ROWS_A_STEP, 1 << (max(1, rows.count // STEPS_AN_EPOCH).bit_length() - 1))


def _settled(plan: Train, wanted: dict[str, Any], rows: Rows) -> Settled:
    """With what is wanted where the recipe leaves it open."""
    size = wanted["batch_size"] if plan.batch_size == "auto" else plan.batch_size
    wanted = {**wanted, "gradient_accumulation": max(1, rows_a_step(rows) // size)}
    open_keys = {key: wanted[key] for key in OPEN if getattr(plan, key) == "auto"}
    return Settled.model_validate({**plan.model_dump(), **open_keys})


def _optimizer(recipe: Recipe, model: Shapes, device: Device) -> str:
    states = _states(recipe, model, device)
    return "adamw_8bit" if device.kind == "cuda" and states > SMALL * device.free else "adamw"


def _states(recipe: Recipe, model: Shapes, device: Device) -> int:
    """Bytes of AdamW's two moments in 32 bits."""
    lora, full = recipe.lora, recipe.train.method == "full"
    plan = Plan(length=1, rank=lora.rank, targets=lora.target_modules, dora=lora.dora, full=full)
    return footprint.optimizer(model, plan, device)


def _total(recipe: Recipe, settled: Settled, model: Shapes, device: Device, rows: Rows) -> tuple[int, Plan]:
    plan = memory.plan(recipe, settled, rows)
    return memory.forecast(plan, model, device).total, plan


def _reasons(recipe: Recipe, settled: Settled, model: Shapes, device: Device, rows: Rows) -> dict[str, str]:
    total, plan = _total(recipe, settled, model, device, rows)
    kept, _ = _total(
        recipe, settled.model_copy(update={"gradient_checkpointing": False}), model, device, rows
    )
    size = f"{plan.batch} x {plan.length:,} tokens come to {_gigabytes(total)}"
    free = f"the {_gigabytes(device.free)} that are free"
    states = f"its states take {_gigabytes(_states(recipe, model, device))} of {free}"
    if not settled.gradient_checkpointing:
        again = "what the layers compute can be kept, which saves a third of the time"
    elif kept > ROOM * device.free:
        again = f"to keep what the layers compute would take {_gigabytes(kept)} of {free}"
    else:
        again = f"{plan.batch} rows at once make up for what is computed again"
    return {
        "batch_size": f"{size} of {free}",
        "gradient_checkpointing": again,
        "packing": "no padding is computed" if settled.packing else "not known to help with this model here",
        "optimizer": f"{states}{', in 32 bits' if settled.optimizer == 'adamw_8bit' else ''}",
    }


def _step(settled: Settled, rows: Rows) -> str:
    said = f"{settled.batch_size} x {settled.gradient_accumulation} are {settled.rows_a_step} rows a step"
    few = rows.count is not None and rows_a_step(rows) < ROWS_A_STEP
    return f"{said}, few because the set has {rows.count:,}" if few else said


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
