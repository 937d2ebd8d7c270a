"""How a run is going, in one plain sentence; and what its events say only together with its recipe."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.series import Series
from engine.state import Evaluation, RunState

TOO_FEW = 20
"""Steps before which nothing is said about the course of the loss."""

BLOCKS = 20
TAIL = 8
"""Blocks at the end that must go on without a slope before the loss is called flat: two fifths of the run."""

SAMPLED = 64
"""Losses of a block that are looked at for their noise: enough for a tenth of it, however long the run."""

CERTAIN = 2.5
"""Standard errors from which a change is spoken of."""

LEAST = 0.02
"""Of the loss, or of all that it has fallen: smaller changes are not spoken of."""

RISEN = 0.02
"""Of the best validation loss."""


@dataclass(frozen=True)
class Block:
    """Steps next to each other: the first one, and the mean of their losses with its standard error."""

    step: int
    mean: float
    error: float


def sentence(state: RunState) -> str:
    """How it is going; after the end, how it went. Empty for a run that waits for its turn.

    Of the training loss, blocks of steps are compared by their means, against the noise from step to step.
    """
    if state.status == "waiting":
        return ""
    losses = state.losses
    if not losses:
        known = "" if state.base_loss is None else f"; the base model's own loss is {state.base_loss:.3g}"
        return f"Too early to say: no step yet{known}."
    is_ = "was" if state.over or state.status == "crashed" else "is"
    if (broken := _not_a_number_since(losses)) is not None:
        return f"The loss {is_} no number since step {broken:,}."
    against = _against_base(state, is_)
    if len(losses) < TOO_FEW:
        known = f"{len(losses)} step{'s' * (len(losses) != 1)}"
        first = f"Too few steps to say more: {known}" if is_ == "was" else f"Too early to say: {known}"
    elif overfit := _overfitting(state.evaluations, losses, state.over):
        return overfit
    else:
        first = f"The loss {_course(losses, is_)}"
    return f"{first}; {against}." if against else f"{first}."


def rows_trained(step: int, rows: int, batch: int) -> int:
    """Rows seen after that many steps of `batch` rows; an epoch's last step takes what is left of it.

    As engine/workers/order.py deals them out.
    """
    if rows <= 0 or batch <= 0:
        return 0
    epochs, within = divmod(step, -(-rows // batch))
    return epochs * rows + min(within * batch, rows)


def _not_a_number_since(losses: Series) -> int | None:
    """The first step of those at the end whose losses are all no numbers."""
    at = len(losses)
    while at and not math.isfinite(losses.values[at - 1]):
        at -= 1
    return losses.steps[at] if at < len(losses) else None


def _course(losses: Series, is_: str) -> str:
    """What the training loss does: rises, is flat, falls, or is too noisy to tell."""
    blocks = _blocks(losses)
    if len(blocks) < 4:
        return f"{is_} too noisy to say more"
    over = is_ == "was"
    start, now = max(blocks[0].mean, blocks[1].mean), blocks[-1].mean
    best = min(blocks, key=lambda block: block.mean)
    margin = LEAST * max(abs(now), abs(start - best.mean))
    if all(last.mean - best.mean > max(2 * _error(last, best), 5 * margin) for last in blocks[-2:]):
        rises = "rose" if over else "rises"
        return f"{rises} since step {best.step:,}, from {best.mean:.3g} to {now:.3g}"
    for at in range(len(blocks) - TAIL + 1):
        change, error = _slope(blocks[at:])
        # No slope is seen, and the one before would have been: a slow fall hides in any short stretch.
        before = _slope(blocks[:at])[0] / at * (len(blocks) - at) if at > 1 else math.inf
        if abs(change) <= max(margin, error) and (at == 0 or abs(change - before) > error):
            level = statistics.fmean(block.mean for block in blocks[at:])
            since = "from its start on" if at == 0 else f"since step {blocks[at].step:,}"
            return f"{is_} flat {since}, near {level:.3g}"
    fell = f"from {start:.3g} to {now:.3g}"
    for many in (len(blocks) // 3, len(blocks) // 2):
        if _falls(blocks[-max(3, many) :], margin):
            return f"was still falling at its end, {fell}" if over else f"falls {fell}"
    if _falls(blocks, margin):
        return f"fell {fell}" if over else f"has fallen {fell}; whether it goes on is too early to say"
    return f"{is_} too noisy to say more"


def _falls(blocks: Sequence[Block], margin: float) -> bool:
    change, error = _slope(blocks)
    return change < -max(error, margin / 2)


def _slope(blocks: Sequence[Block]) -> tuple[float, float]:
    """How much the means change over these blocks by the least squares, and how far chance could go."""
    middle = (len(blocks) - 1) / 2
    squares = sum((at - middle) ** 2 for at in range(len(blocks)))
    slope = sum((at - middle) * block.mean for at, block in enumerate(blocks)) / squares
    error = math.sqrt(sum(((at - middle) * block.error) ** 2 for at, block in enumerate(blocks))) / squares
    return slope * len(blocks), CERTAIN * error * len(blocks)


def _error(*blocks: Block) -> float:
    return CERTAIN * math.sqrt(sum(block.error**2 for block in blocks))


def _blocks(losses: Series) -> list[Block]:
    """Equal parts of the run. The noise is taken from neighbours' differences, so a slope is not in it."""
    many = min(BLOCKS, len(losses) // 5)
    found = []
    for number in range(many):
        start, end = number * len(losses) // many, (number + 1) * len(losses) // many
        span = losses.span(start, end)
        if span.mean is None:
            continue
        stride = max(1, (end - start) // SAMPLED)
        some = [value for value in losses.values[start:end:stride] if math.isfinite(value)]
        apart = [abs(one - two) for one, two in pairwise(some)]
        # Of normal noise the median difference of two is 0.954 of its standard deviation.
        noise = statistics.median(apart) / 0.954 if apart else 0.0
        found.append(Block(losses.steps[start], span.mean, noise / math.sqrt(span.finite)))
    return found


def _overfitting(evaluations: Sequence[Evaluation], losses: Series, over: bool) -> str:
    """A sentence where validation gets worse while training does not; empty where it does not."""
    known = [one for one in evaluations if math.isfinite(one.loss)]
    if len(known) < 3:
        return ""
    best = min(known, key=lambda one: one.loss)
    after = [one for one in known if one.step > best.step]
    worse = [one for one in after if one.loss > best.loss * (1 + RISEN)]
    # Two in a row at the end, and no way back: one bad evaluation is not a trend.
    if len(worse) < 2 or after[-2:] != worse[-2:] or worse[-1].loss < worse[-2].loss * (1 - RISEN):
        return ""
    at = losses.until(best.step)
    few = max(5, len(losses) // 20)
    then, now = losses.span(at - few, at).mean, losses.span(len(losses) - few, len(losses)).mean
    learns = then is not None and now is not None and now <= then
    figures = f"({best.loss:.3g} there, {known[-1].loss:.3g} {'at the end' if over else 'now'})"
    since = f"Validation loss {'rose' if over else 'rises'} since step {best.step:,}"
    if learns:
        return f"{since} while training {'went' if over else 'goes'} on: overfitting {figures}."
    return f"{since}, and so does training loss {figures}."


def _against_base(state: RunState, is_: str) -> str:
    """Validation loss against the base model's own; empty where one of them is not known."""
    base = state.base_loss
    if base is None or not state.evaluations or not base > 0 or not math.isfinite(base):
        return ""
    last = state.evaluations[-1].loss
    if not math.isfinite(last):
        return f"validation loss {is_} no number"
    share = (base - last) / base
    if abs(share) < 0.005:
        return f"validation {is_} as good as the base model's"
    return f"validation {is_} {abs(share):.0%} {'below' if share > 0 else 'above'} the base model's"


def chosen(key: str, value: bool | int | float | str, why: str) -> str:
    """What the program chose for a run whose recipe left it open."""
    return f"{key} = {str(value).lower()}: {why}"
