"""The learning rate of each step: a function of the recipe, the step and what was changed on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from engine.schema import Settled

Changed = Literal["learning rate", "steps"]


class Change(NamedTuple):
    """What was told after `step` steps; it holds from the next one on."""

    step: int
    what: Changed
    value: float


def total(planned: int, changes: Sequence[Change], step: int) -> int:
    """Steps of the whole run, as it is known after that many."""
    told = [int(one.value) for one in changes if one.what == "steps" and one.step <= step]
    return told[-1] if told else planned


def rate(plan: Settled, planned: int, changes: Sequence[Change], step: int) -> float:
    """The rate after `step` steps, as a share of the recipe's."""
    scale = 1.0
    for change in changes:
        if change.what == "learning rate" and change.step <= step:
            scale = change.value / plan.learning_rate
    return scale * _shape(plan, planned, _place(planned, changes, step))


def _place(planned: int, changes: Sequence[Change], step: int) -> float:
    """Where on the recipe's own curve a step stands: a new total stretches what remains of it."""
    since, place, end = 0, 0.0, planned
    for change in changes:
        if change.what == "steps" and change.step <= step:
            place += (planned - place) * (change.step - since) / (end - since)
            since, end = change.step, int(change.value)
    return min(float(planned), place + (planned - place) * (step - since) / (end - since))


def _shape(plan: Settled, planned: int, place: float) -> float:
    if plan.schedule == "constant":
        return 1.0
    if place < plan.warmup_steps:
        return place / plan.warmup_steps
    length = max(1, planned - plan.warmup_steps)
    if plan.schedule == "linear":
        return max(0.0, (planned - place) / length)
    through = (place - plan.warmup_steps) / length
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * through)))
