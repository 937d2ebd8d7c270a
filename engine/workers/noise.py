"""NEFTune: uniform noise on the embedded tokens while a model trains (arXiv 2310.05914, algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from engine.workers.batches import Size


def add(model: Any, alpha: float, size: Callable[[], Size]) -> None:
    """Have noise of at most alpha / sqrt(tokens x width) on each row of a batch in training mode.

    size: of the batch under way. The tokens are the row's own, as in the paper: transformers' own switch
    counts a batch's padding with them, and with rows in one sequence those of all rows. Draws from torch's
    generator of the device, which a checkpoint holds.
    """

    def noisy(module: Any, _: Any, embedded: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return embedded
        batch, width = size(), embedded.shape[-1]
        most = torch.tensor([alpha / math.sqrt(length * width) for length in batch.lengths])
        if batch.packed:
            shape, most = (1, -1, 1), most.repeat_interleave(torch.tensor(batch.lengths))
        else:
            shape = (-1, 1, 1)
        noise = torch.empty_like(embedded).uniform_(-1, 1)
        return embedded + noise * most.view(shape).to(embedded)

    model.get_input_embeddings().register_forward_hook(noisy)
