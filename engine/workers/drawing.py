"""The next token of each answer: greedy, or drawn with one random number a position for all answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.decoding import Settings


def draws(settings: Settings, positions: int) -> torch.Tensor:
    """One number from [0, 1) for each position of the answers; the same for the same seed."""
    generator = torch.Generator().manual_seed(settings.seed)
    return torch.rand(positions, generator=generator, dtype=torch.float64)


def choose(logits: torch.Tensor, seen: Sequence[Sequence[int]], settings: Settings, draw: float) -> list[int]:
    """The next token's id for each row of logits, (answers, vocabulary); seen: its prompt's and answer's ids.

    Tokens stand by falling probability on a line from 0 to 1, each as long as it is likely, and `draw` points
    at one of them: columns that are equally sure of themselves have the same luck.
    """
    if settings.repetition_penalty != 1:
        logits = penalised(logits, seen, settings.repetition_penalty)
    if settings.temperature == 0:
        chosen: list[int] = logits.argmax(-1).tolist()
        return chosen
    ordered, ids = torch.sort(logits / settings.temperature, dim=-1, descending=True, stable=True)
    if settings.top_k:
        ordered, ids = ordered[:, : settings.top_k], ids[:, : settings.top_k]
    shares = torch.softmax(ordered.to(torch.float64), dim=-1)
    ends = shares.cumsum(-1)
    if settings.top_p < 1:
        # The token that crosses the line stays, so that one always does.
        shares = torch.where(ends - shares < settings.top_p, shares, 0.0)
        ends = shares.cumsum(-1)
    reached = (ends <= draw * ends[:, -1:]).sum(-1, keepdim=True)
    last = (shares > 0).sum(-1, keepdim=True) - 1
    found: list[int] = ids.gather(-1, torch.minimum(reached, last)).squeeze(-1).tolist()
    return found


def penalised(logits: torch.Tensor, seen: Sequence[Sequence[int]], penalty: float) -> torch.Tensor:
    """Logits of tokens that were said or asked already, made less likely (CTRL, arXiv 1909.05858)."""
    logits = logits.clone()
    for row, ids in zip(logits, seen, strict=True):
        known = torch.tensor(sorted(set(ids)), device=row.device)
        row[known] = torch.where(row[known] > 0, row[known] / penalty, row[known] * penalty)
    return logits
