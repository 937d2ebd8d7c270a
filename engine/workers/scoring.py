"""How likely given answers are to the base and to adapters: log-probabilities of labelled tokens, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.render import IGNORED
from engine.workers.decode import left_padded
from engine.workers.mixed import BASE
from engine.workers.pair import Pair

LARGEST = 64 * 2**20
"""Logits of one pass, in numbers: 256 MB in 32 bits. A single row may take more."""


@dataclass(frozen=True)
class Text:
    """A whole text: ids, labels of the same length (IGNORED where nothing is counted), and who reads it."""

    ids: Sequence[int]
    labels: Sequence[int]
    adapter: str = BASE


@dataclass(frozen=True)
class Score:
    """Sum of the natural log-probabilities of the labelled tokens, and how many there are."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Per token; the negative of what training calls loss."""
        return self.total / self.tokens if self.tokens else 0.0


def scores(
    pair: Pair,
    texts: Sequence[Text],
    at_once: int = 16,
    went_on: Callable[[int], None] = lambda done: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Score]:
    """A score for each text; those that were not reached when it was cancelled are missing at the end.

    Texts are read as they come, `at_once` in a pass: put like lengths, and the same adapters, together.
    """
    found: list[Score] = []
    vocabulary = int(pair.model.config.get_text_config().vocab_size)
    start = 0
    while start < len(texts) and not cancelled():
        batch = [texts[start]]
        while len(batch) < at_once and start + len(batch) < len(texts):
            more = [*batch, texts[start + len(batch)]]
            if len(more) * _counted(more) * vocabulary > LARGEST:
                break
            batch = more
        found.extend(_scored(pair, batch))
        start += len(batch)
        went_on(start)
    return found


def _counted(texts: Sequence[Text]) -> int:
    """Positions from the end within which all labels lie."""
    return max(len(text.ids) - _first(text) for text in texts)


def _first(text: Text) -> int:
    return next((i for i, label in enumerate(text.labels) if label != IGNORED), len(text.labels) - 1)


def _scored(pair: Pair, texts: Sequence[Text]) -> list[Score]:
    order = sorted(range(len(texts)), key=lambda i: texts[i].adapter)  # rows of one adapter side by side
    rows = [texts[i] for i in order]
    ids, mask = left_padded([row.ids for row in rows], pair)
    counted = _counted(rows)
    inputs = {"input_ids": ids, "use_cache": False}
    if mask is not None:
        inputs |= {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp_(min=0)}
    labels = torch.full((len(rows), counted), IGNORED, device=ids.device)
    for row, text in enumerate(rows):
        own = list(text.labels)[-counted:]
        labels[row, counted - len(own) :] = torch.tensor(own, device=ids.device)
    with torch.inference_mode():
        pair.rows.wear([row.adapter for row in rows])
        logits = pair.forward(last=min(counted + 1, ids.shape[1]), **inputs)
        # A token is judged by the position before it; a text's very first token by none.
        logits, labels = logits[:, :-1].float(), labels[:, -(logits.shape[1] - 1) :]
        known = labels != IGNORED
        told = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1)
        totals, tokens = (told * known).double().sum(-1).tolist(), known.sum(-1).tolist()
    by_place = dict(zip(order, zip(totals, tokens, strict=True), strict=True))
    return [Score(*by_place[i]) for i in range(len(texts))]
