"""What went wrong, in one sentence, and what to do, in another; tracebacks are in worker.log."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine import hardware
from engine.memory import Remedy
from engine.schema import Recipe, Settled
from engine.workers.amends import Amends

MOST_REMEDIES = 3


class OutOfMemory(Exception):
    """Memory ran out in training: what was tried, and the settings that would fit."""

    def __init__(self, tried: str, mend: str) -> None:
        super().__init__(tried)
        self.mend = mend


def explain(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do."""
    if isinstance(error, OutOfMemory):
        return str(error), error.mend
    if ran_out(error):
        return "memory ran out before training", "take a smaller model, or load it in 4 bits"
    if isinstance(error, FloatingPointError):
        return str(error), (
            "lower train.learning_rate, look at those rows, or have train.on_nonfinite skip them or roll back"
        )
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed", "`ift-tui doctor` says what to install"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no message'}", "worker.log has the details"


def ran_out(error: BaseException) -> bool:
    """Whether it is torch's way to say that a GPU's memory, or the host's, ran out."""
    if type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def out_of_memory(
    recipe: Recipe, plan: Settled, when: str, rows: int, longest: int, remedies: Sequence[Remedy] = ()
) -> OutOfMemory:
    """What was tried when memory ran out: a batch of rows, padded to the longest; when: "step 5" say.

    remedies: what by the forecast would lower what the run takes.
    """
    tried = f"memory ran out in {when}, on {rows} row{'s' * (rows != 1)} of {longest:,} tokens ({_memory()})"
    if smaller := Amends().shrunk(plan):
        mend = (
            f"train.batch_size = {smaller.batch_size} with train.gradient_accumulation ="
            f' {smaller.gradient_accumulation} learns the same; train.on_oom = "shrink" does so by itself'
        )
    else:
        checkpointing = "" if plan.gradient_checkpointing else "train.gradient_checkpointing = true, or "
        mend = f"set {checkpointing}data.max_length below {min(longest, recipe.data.max_length)}"
    others = [
        " with ".join(f"{key} = {json.dumps(value)}" for key, value in remedy.changes)
        for remedy in remedies
        if not any(f"{key} = " in mend for key, _ in remedy.changes)
    ]
    said = f"; by the forecast this helps as well: {', or '.join(others[:MOST_REMEDIES])}" if others else ""
    return OutOfMemory(tried, mend + said)


def _memory() -> str:
    """Free memory, and who else holds the GPU."""
    for gpu in hardware.gpus():
        if gpu.free is not None and gpu.total is not None:
            others = "".join(f"; {holder}" for holder in hardware.others(gpu.index))
            return f"{gpu.free / 1e9:.1f} of {gpu.total / 1e9:.1f} GB are free on {gpu.name}{others}"
    free = hardware.available_memory()
    return f"{free / 1e9:.1f} GB are free"
