"""The fault harness's door: faults at a chosen place, by the environment variable IFT_TUI_FAULT.

    nan@7       the loss of step 7 is no number         nan@row 5   so is that of each batch with row 5
    oom@7       step 7 runs out of memory, while the micro-batch is the recipe's; oom@probe: the probe does
    full@4      the disk has no room at the checkpoint of step 4, the first two times it is written

Several stand one after the other, with commas. What is raised is what the libraries raise, where they do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from typing import Any

VARIABLE = "IFT_TUI_FAULT"
TIMES_FULL = 2

_times: dict[str, int] = {}


def wanted(fault: str) -> bool:
    """Whether this fault, "nan@7" say, has been ordered."""
    return fault in os.environ.get(VARIABLE, "").split(",")


def any_wanted() -> bool:
    """Whether any fault has been ordered."""
    return VARIABLE in os.environ


def spoiled(loss: Any, step: int, rows: Collection[int]) -> Any:
    """The loss of a micro-batch, or no number."""
    if wanted(f"nan@{step}") or any(wanted(f"nan@row {row}") for row in rows):
        return loss * float("nan")
    return loss


def memory(place: int | str, shrunk: bool) -> None:
    """Raises what torch does when memory runs out, in a step or elsewhere."""
    if not shrunk and wanted(f"oom@{place}"):
        import torch

        raise torch.cuda.OutOfMemoryError("CUDA out of memory (ordered by IFT_TUI_FAULT)")


def disk(step: int) -> None:
    """Raises what the system does when a disk is full."""
    fault = f"full@{step}"
    if wanted(fault) and _times.get(fault, 0) < TIMES_FULL:
        _times[fault] = _times.get(fault, 0) + 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoints")
