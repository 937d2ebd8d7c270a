"""The held-out prompts that an export must answer as the run did, and how the run answers them."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine import evals, formats
from engine.decoding import Settings
from engine.errors import UserError
from engine.exports.parity import Answer
from engine.formats import Message
from engine.runs import Run
from engine.sources import Part
from engine.workers import decode, evaluate, pair
from engine.workers.decode import Question
from engine.workers.io import Stopped
from engine.workers.mixed import BASE

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """Prompts with the run's own answers. tuned, base: logits of each first token, (prompts, vocabulary)."""

    part: Part
    prompts: list[list[Message]]
    answers: list[Answer]
    stops: frozenset[int]
    tuned: torch.Tensor
    base: torch.Tensor
    max_new_tokens: int


def answered(
    run: Run, step: int | None, rows: int, progress: Progress, cancelled: Callable[[], bool]
) -> Asked:
    """What the run says to held-out prompts; its memory is free again. Raises UserError without any."""
    part, questions = held_out(run, rows)
    loaded = pair.load(run, step)
    settings = Settings(run.recipe().evaluate.max_new_tokens)
    prompts, answers, tuned, base = [], [], [], []
    for done, messages in enumerate(questions):
        if cancelled():
            raise Stopped("cancelled")
        progress(done, len(questions))
        ids = _prompt(loaded, messages, settings)
        if ids is None:
            continue
        # One prompt at a time, as the export is asked: batches of other shapes round otherwise.
        said = decode.answers(loaded, [Question(ids, (loaded.first.name,))], settings)[0]
        bare = decode.answers(loaded, [Question(ids, (BASE,))], replace(settings, max_new_tokens=1))[0]
        prompts.append(messages)
        answers.append(Answer(ids, said.ids, said.ended))
        tuned.append(said.first_logits)
        base.append(bare.first_logits)
    if not prompts:
        raise UserError(f"{run.name}: no held-out prompt leaves room for an answer in the model's context")
    stops = frozenset(loaded.stop_ids)
    found = Asked(part, prompts, answers, stops, _stacked(tuned), _stacked(base), settings.max_new_tokens)
    del loaded
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def held_out(run: Run, rows: int) -> tuple[Part, list[list[Message]]]:
    """Questions of the test part, else of the validation part, the sets taking turns. Raises UserError."""
    why = ""
    for part in evals.HELD_OUT["held-out"]:
        try:
            samples = evaluate.held_out(run.recipe(), part, rows)
        except UserError as error:
            why = why or str(error)
            continue
        by_set: dict[int, list[list[Message]]] = {}
        for sample in samples:
            if sample.messages:
                by_set.setdefault(sample.one.number, []).append(sample.question)
        turns = itertools.zip_longest(*by_set.values())
        questions = [one for turn in turns for one in turn if one is not None]
        if questions:
            return part, questions[:rows]
    raise UserError(why or f"{run.name}: its held-out rows are texts, which ask nothing")


def _prompt(loaded: pair.Pair, messages: Sequence[Message], settings: Settings) -> list[int] | None:
    """The prompt's ids; None for one that users of the export cannot ask in the same way: it is too long, or
    holds control tokens in what people said, which transformers takes for real ones."""
    if any(loaded.chat.controls.search(message["content"]) for message in messages):
        return None
    try:
        ids = loaded.chat.prompt_ids(messages)
    except formats.Unusable:
        return None
    return ids if len(ids) + settings.max_new_tokens <= loaded.context else None


def _stacked(logits: Sequence[Any]) -> torch.Tensor:
    return torch.stack([one.float().cpu() for one in logits])
