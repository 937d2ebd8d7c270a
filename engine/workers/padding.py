"""Prompts of several lengths as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def left(prompts: Sequence[Sequence[int]], stops: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of shape (rows, longest), prompts at the right so that answers begin together.

    Padded with the first of the stop tokens, else with 0: the mask hides it.
    """
    longest, pad = max(map(len, prompts)), stops[0] if stops else 0
    ids = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)
