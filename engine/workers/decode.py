"""Several answers at once, each from the base or from an adapter, in the same forward passes where they can.

One step is one pass of the model over one new token a row, and one more for each adapter that has no room in
a batch beside others. A column that averages several adapters has a row for each. Rows that have ended leave.
transformers' generate() is not used: it costs milliseconds a token, draws other random numbers in each row,
and looks at the model's own generation settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import DynamicCache

from engine.decoding import Settings
from engine.errors import RunFailed
from engine.workers import drawing, padding
from engine.workers.mixed import BASE
from engine.workers.pair import Pair
from engine.workers.static_cache import Fixed

Told = Callable[[int, str], None]
"""told(answer's index, new text)"""


@dataclass(frozen=True)
class Question:
    """A prompt's ids, and who answers: adapters whose logits are averaged, or the base alone."""

    ids: Sequence[int]
    adapters: tuple[str, ...] = (BASE,)


@dataclass
class Answer:
    """What has been said so far. `ended`: it stopped by itself.

    first_logits: of the first token, as the model gave them; first_after and seconds: from the start of the
    pass to the first token and to the last one.
    """

    ids: list[int] = field(default_factory=list)
    text: str = ""
    ended: bool = False
    first_logits: torch.Tensor | None = None
    first_after: float = 0.0
    seconds: float = 0.0


def answers(
    pair: Pair,
    questions: Sequence[Question],
    settings: Settings,
    told: Told = lambda answer, text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Answer]:
    """Answer all questions, a batch of them. Cancelling ends it before the next pass; what was said is kept.

    Raises RunFailed for a prompt that leaves no room for an answer in the model's context.
    """
    longest = max(len(question.ids) for question in questions)
    room = min(settings.max_new_tokens, pair.context - longest)
    if room < 1:
        raise RunFailed(f"the prompt has {longest} tokens, the model's context is {pair.context}; shorten it")
    said = [Answer() for _ in questions]
    voices = [_Voice(pair, question, told, i) for i, question in enumerate(questions)]
    luck = drawing.draws(settings, room).tolist() if settings.temperature else [0.0] * room
    began = time.perf_counter()
    with torch.inference_mode():
        batches = _batches(pair, questions, room)
        here = list(range(len(questions)))  # those that are still being answered
        for position in range(room):
            if cancelled():
                break
            logits = _logits(batches, here)
            seen = (
                [[*questions[i].ids, *said[i].ids] for i in here] if settings.repetition_penalty != 1 else ()
            )
            chosen = drawing.choose(logits, seen, settings, luck[position])
            now = time.perf_counter() - began
            for row, (i, token) in enumerate(zip(here, chosen, strict=True)):
                answer = said[i]
                answer.seconds = now
                if position == 0:
                    answer.first_logits, answer.first_after = logits[row], now
                if token in pair.stop_ids:
                    answer.ended = True
                else:
                    answer.ids.append(token)
                    voices[i].say(token)
            tokens = dict(zip(here, chosen, strict=True))
            here = [i for i in here if not said[i].ended]
            if not here:
                break
            goes_on = {i: tokens[i] for i in here}
            batches = [batch for batch in batches if batch.go_on(goes_on)]
    for answer in said:
        answer.text = pair.chat.tokenizer.decode(answer.ids, skip_special_tokens=False)
    return said


def _batches(pair: Pair, questions: Sequence[Question], room: int) -> list[_Batch]:
    # Rows of one adapter stand side by side: mixed.Rows.
    rows = sorted((adapter, i) for i, asked in enumerate(questions) for adapter in asked.adapters)
    passes = pair.passes([adapter for adapter, _ in rows])
    return [_Batch(pair, questions, [rows[row] for row in own], room) for own in passes]


def _logits(batches: Sequence[_Batch], here: Sequence[int]) -> torch.Tensor:
    """Of the next token, (questions `here`, vocabulary), in 32 bits; of more rows than one their mean."""
    told = [batch.step() for batch in batches]
    of = [i for batch in batches for i in batch.of]
    logits = told[0] if len(told) == 1 else torch.cat(told)
    if of == here:
        return logits
    return torch.stack([logits[[row for row, own in enumerate(of) if own == i]].mean(0) for i in here])


class _Batch:
    """Rows that go through the model in the same pass, with their keys and values."""

    def __init__(
        self, pair: Pair, questions: Sequence[Question], rows: Sequence[tuple[str, int]], room: int
    ) -> None:
        """rows: an adapter, and the question that it answers; room: tokens that an answer may have."""
        self.of = [i for _, i in rows]
        self._pair = pair
        self._adapters = [adapter for adapter, _ in rows]
        self._ids, self._mask = left_padded([questions[i].ids for i in self.of], pair)
        self._cache: Any = DynamicCache(config=pair.model.config)
        self._room = room

    def step(self) -> torch.Tensor:
        """Logits of each row's next token, (rows, vocabulary), in 32 bits."""
        if isinstance(self._cache, Fixed):
            return self._cache.step(self._ids)[:, -1].float()
        padded: dict[str, Any] = {}
        if self._mask is not None:
            places = self._mask.cumsum(-1) - 1
            places = places.clamp_(min=0)[:, -self._ids.shape[1] :]
            padded = {"attention_mask": self._mask, "position_ids": places}
        logits = self._pair.forward(
            self._adapters,
            input_ids=self._ids,
            past_key_values=self._cache,
            use_cache=True,
            last=1,
            **padded,
        )
        if self._pair.fixed:
            self._cache = Fixed(self._pair, self._adapters, self._cache, self._mask, self._room)
        return logits[:, -1].float()

    def go_on(self, token: Mapping[int, int]) -> bool:
        """Append the tokens of the questions that are still answered; other rows leave. False without any."""
        rows = [row for row, of in enumerate(self.of) if of in token]
        if not rows:
            return False
        device = self._ids.device
        if len(rows) < len(self.of):
            index = torch.tensor(rows, device=device)
            self._cache.reorder_cache(index)  # takes these rows, and only these
            self._adapters = [self._adapters[row] for row in rows]
            self.of = [self.of[row] for row in rows]
            if self._mask is not None:
                self._mask = self._mask[index]
        self._ids = torch.tensor([[token[i]] for i in self.of], device=device)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(rows), 1)], dim=1)
        return True


def left_padded(prompts: Sequence[Sequence[int]], pair: Pair) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As padding.left, on the model's device. No mask where nothing is padded: attention is then computed as
    for one row alone.
    """
    ids, mask = padding.left(prompts, pair.stop_ids)
    device = pair.model.device
    return ids.to(device), None if bool(mask.all()) else mask.to(device)


class _Voice:
    """Tells an answer's text as it grows, whole characters at a time."""

    def __init__(self, pair: Pair, question: Question, told: Told, index: int) -> None:
        self._tokenizer = pair.chat.tokenizer
        # Special tokens are shown: a base model that babbles them must be seen to.
        self._stream = DecodeStream(skip_special_tokens=False)
        self._told = told
        self._index = index

    def say(self, token: int) -> None:
        if piece := self._stream.step(self._tokenizer, token):
            self._told(self._index, piece)
