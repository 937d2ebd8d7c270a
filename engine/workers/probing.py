"""Two real steps and an evaluation on the longest rows, before the first step: is memory enough?

They leave no trace. The learning rate is 0 and the gradients are set to 0 before the optimizer takes them in,
so that no weight moves, whatever came out; then the optimizer's state is thrown away, and the random number
generators and the scale of half-precision gradients are put back. Nothing is counted, and the order of the
rows is not touched. So the final adapter is that of a run without a probe, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.schema import Settled
from engine.workers import batches, peak, randomness
from engine.workers.order import of_epoch

STEPS = 2
"""The optimizer makes its state in the first one, so that the second one meets it."""
MOST_MICRO_BATCHES = 2
"""Of a step: from the second on gradients are there already, and more of them take no more memory."""
PROBE = "the probe before the first step"
BATCHES_TO_MEAN = 2000
"""Micro-batches whose lengths are looked at to know the usual one."""


@dataclass(frozen=True)
class Measured:
    """A batch of that many rows, tokens of the longest and tokens in all with padding, the peak in bytes, and
    the seconds that it took.

    Of training these are the seconds of a micro-batch, and `update` those of the optimizer's part.
    """

    rows: int
    length: int
    places: int
    peak: int
    seconds: float
    update: float = 0.0

    def facts(self) -> dict[str, int]:
        """As an event tells it."""
        return {"rows": self.rows, "length": self.length, "peak": self.peak}


@dataclass(frozen=True)
class Probe:
    """What was measured, and what it comes to for the run's usual batches: seconds and tokens of a step,
    seconds of an evaluation of all validation rows."""

    train: Measured
    evaluation: Measured | None
    seconds: float
    tokens: float
    evaluation_seconds: float


def probe(trainer: Any, lengths: np.ndarray) -> Probe:
    """Measure on a trainer whose optimizer has no state yet. lengths: tokens of each training row.

    Raises what torch does where memory runs out.
    """
    with _without_a_trace(trainer):
        train = _train(trainer, lengths)
        evaluation = _evaluate(trainer) if trainer.validation else None
    plan = trainer.plan
    padded, tokens = _usual(lengths, plan)
    # The time of a batch goes with its tokens, padding with them; the optimizer's does not. Attention goes
    # with the square of the length, which is left out: usual steps, which are shorter, would be faster yet.
    share = padded / train.places
    seconds = plan.gradient_accumulation * share * train.seconds + train.update
    return Probe(train, evaluation, seconds, tokens, _of_all(trainer, evaluation) if evaluation else 0.0)


def _train(trainer: Any, lengths: np.ndarray) -> Measured:
    size = trainer.plan.batch_size
    longest = np.argsort(-lengths, kind="stable")[:size]
    rows = [trainer.train_dataset[int(row)] for row in longest]
    micro = min(MOST_MICRO_BATCHES, trainer.plan.gradient_accumulation)
    peak.forget()
    for _ in range(STEPS):
        micros, items = trainer.get_batch_samples(
            iter([trainer.data_collator(rows) for _ in range(micro)]),
            micro,
            trainer.args.device,
        )
        began = time.perf_counter()
        for batch in micros:
            trainer.uncounted_step(None, trainer.model_wrapped, batch, items)
        _settle()
        passed = time.perf_counter()
        trainer._get_grad_norm(trainer.model_wrapped, trainer._clip_grad_norm(trainer.model_wrapped))
        for parameter in trainer.model.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
        trainer.optimizer.step()
        trainer.model_wrapped.zero_grad()
        _settle()
        ended = time.perf_counter()
    # Of the second step: in the first one libraries still load and compile.
    taken = lengths[longest]
    places = batches.places(taken, trainer.plan.packing)
    took = (passed - began) / micro
    return Measured(len(rows), int(taken[0]), places, peak.read(), took, ended - passed)


def _evaluate(trainer: Any) -> Measured:
    size = trainer.args.per_device_train_batch_size
    rows = sorted(trainer.validation, key=lambda row: -len(row["input_ids"]))[:size]
    peak.forget()
    began = time.perf_counter()
    trainer.validation_loss(PROBE, rows)
    took = time.perf_counter() - began
    lengths = [len(row["input_ids"]) for row in rows]
    places = batches.places(lengths, trainer.plan.packing)
    return Measured(len(rows), lengths[0], places, peak.read(), took)


def _usual(lengths: np.ndarray, plan: Settled) -> tuple[float, float]:
    """Tokens of a usual micro-batch with its padding, and of a usual step without: means over an epoch."""
    size, accumulation = plan.batch_size, plan.gradient_accumulation
    order = lengths[of_epoch(len(lengths), size * accumulation, plan.seed, 0)][: size * BATCHES_TO_MEAN]
    micros = [order[start : start + size] for start in range(0, len(order), size)]
    padded = float(np.mean([batches.places(micro, plan.packing) for micro in micros]))
    return padded, accumulation * float(np.mean([micro.sum() for micro in micros]))


def _of_all(trainer: Any, longest: Measured) -> float:
    """Seconds of an evaluation of all validation rows, by its tokens with their padding."""
    size = trainer.args.per_device_train_batch_size
    lengths = [len(row["input_ids"]) for row in trainer.validation]
    starts = range(0, len(lengths), size)
    padded = sum(batches.places(lengths[start : start + size], trainer.plan.packing) for start in starts)
    return longest.seconds * padded / longest.places


def _settle() -> None:
    """Wait for what the GPU still has to do: without that the clock counts how fast it is told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def _without_a_trace(trainer: Any) -> Iterator[None]:
    random = randomness.captured()
    groups, scaler = trainer.optimizer.param_groups, trainer.accelerator.scaler
    rates = [group["lr"] for group in groups]
    scale = scaler.state_dict() if scaler is not None else None
    counted = trainer._total_train_tokens
    for group in groups:
        group["lr"] = 0.0  # weight decay goes with it
    try:
        yield
    finally:
        trainer.model_wrapped.zero_grad()
        trainer.optimizer.state.clear()
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        if scaler is not None:
            scaler.load_state_dict(scale)
        trainer.norm = 0.0
        trainer._total_train_tokens = counted  # these two are TRL's, and go to worker.log alone
        trainer._metrics["train"].clear()
        randomness.restore(*random)
        peak.forget()
