"""How likely texts are to the base and to adapters: log-probabilities of labelled tokens, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.render import IGNORED
from engine.workers.decode import left_padded
from engine.workers.mixed import BASE
from engine.workers.pair import Pair

LARGEST = 64 * 2**20
"""Logits of one pass, in numbers: 256 MB in 32 bits. A single text may take more."""


@dataclass(frozen=True)
class Text:
    """A whole text: ids, labels of the same length (IGNORED where nothing is counted), and who reads it:
    adapters whose logits are averaged, or the base alone.
    """

    ids: Sequence[int]
    labels: Sequence[int]
    adapters: tuple[str, ...] = (BASE,)

    @property
    def counted(self) -> int:
        """Positions from the end within which all labels lie."""
        first = next((i for i, label in enumerate(self.labels) if label != IGNORED), len(self.ids) - 1)
        return len(self.ids) - first


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
    at_once: int = 32,
    went_on: Callable[[int], None] = lambda done: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Score]:
    """A score for each text, in order; when cancelled, for as many as were read by then.

    Texts are read as they come, at most `at_once` in a pass: put like lengths side by side.
    """
    found: list[Score] = []
    vocabulary = int(pair.model.config.get_text_config().vocab_size)
    while len(found) < len(texts) and not cancelled():
        batch: list[Text] = []
        rows, counted = 0, 0
        for text in texts[len(found) : len(found) + at_once]:
            rows, counted = rows + len(text.adapters), max(counted, text.counted)
            if batch and rows * counted * vocabulary > LARGEST:
                break
            batch.append(text)
        found.extend(_scored(pair, batch))
        went_on(len(found))
    return found


def _scored(pair: Pair, texts: Sequence[Text]) -> list[Score]:
    # Rows of one adapter stand side by side: mixed.Rows.
    order = sorted((adapter, i) for i, text in enumerate(texts) for adapter in text.adapters)
    ids, mask = left_padded([texts[i].ids for _, i in order], pair)
    # A token is judged by the position before it; a text's very first token by none.
    last = min(max(text.counted for text in texts) + 1, ids.shape[1])
    labels = torch.full((len(texts), last), IGNORED, device=ids.device)
    for i, text in enumerate(texts):
        own = torch.tensor(text.labels[-last:], device=ids.device)
        labels[i, last - len(own) :] = own
        if len(own) == len(text.ids):
            labels[i, last - len(own)] = IGNORED
    logits: dict[int, list[torch.Tensor]] = {i: [] for i in range(len(texts))}
    totals, tokens = [], []
    with torch.inference_mode():
        for rows in pair.passes([adapter for adapter, _ in order]):
            inputs = {"input_ids": ids[rows], "use_cache": False}
            if mask is not None:
                own_mask = mask[rows]
                inputs |= {
                    "attention_mask": own_mask,
                    "position_ids": (own_mask.cumsum(-1) - 1).clamp_(min=0),
                }
            told = pair.forward([order[row][0] for row in rows], last=last, **inputs)[:, :-1]
            for row, one in zip(rows, told, strict=True):
                logits[order[row][1]].append(one)
        for i in range(len(texts)):
            said, known = torch.stack(logits.pop(i)).float().mean(0), labels[i, 1:] != IGNORED
            likely = torch.log_softmax(said[known], -1).gather(-1, labels[i, 1:][known][:, None])
            totals.append(float(likely.double().sum()))
            tokens.append(int(known.sum()))
    return [Score(total, count) for total, count in zip(totals, tokens, strict=True)]
