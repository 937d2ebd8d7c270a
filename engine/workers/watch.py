"""Looks at the course of loss and gradient, and warns once of what seldom ends well."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable

from engine.events import Event

SMOOTH = 0.9
STEPS_TO_START = 10
EXPLODED = 3.0
STEPS_TO_STAND_STILL = 100
LAST_SHARE = 0.3
LEAST_GAIN = 0.001
NORMS = 50
NORMS_TO_JUDGE = 20
NORM_TOO_HIGH = 100.0
NORM_TOO_LOW = 1e-8

EXPLODES = "the loss explodes"
STANDS_STILL = "the loss stands still"
WILD = "the gradient is out of any sane range"

MENDS = {
    EXPLODES: "lower train.learning_rate, or go back to an earlier checkpoint",
    STANDS_STILL: "more steps will hardly help: stop, or try another train.learning_rate or more rows",
    WILD: "look at the rows of this step, or lower train.learning_rate or train.max_grad_norm",
}


class Watch:
    """Warnings come once, and again only after what they warn of has passed."""

    def __init__(self) -> None:
        self._smoothed: float | None = None
        self._steps = 0
        self._start = 0.0
        self._lowest: list[float] = []  # of the smoothed loss, until each step
        self._norms: deque[float] = deque(maxlen=NORMS)
        self._warned: set[str] = set()

    def see(self, loss: float, norm: float, last: bool = False) -> list[tuple[str, str]]:
        """Take in a step; what is to be warned of now, each with a hint."""
        found: dict[str, str] = {}
        if loss == loss:
            self._take(loss)
            found |= self._of_loss()
        if why := self._of_norm(norm, last):
            found[WILD] = why
        new = [(f"{name}: {why}", MENDS[name]) for name, why in found.items() if name not in self._warned]
        self._warned = set(found)
        return new

    def _take(self, loss: float) -> None:
        self._steps += 1
        former = self._smoothed
        if former is None or self._steps <= STEPS_TO_START:  # a plain mean until there is enough to smooth
            self._smoothed = loss if former is None else former + (loss - former) / self._steps
            self._start = self._smoothed
        else:
            self._smoothed = SMOOTH * former + (1 - SMOOTH) * loss
        if self._steps >= STEPS_TO_START:
            self._lowest.append(min(self._smoothed, self._lowest[-1] if self._lowest else self._smoothed))

    def _of_loss(self) -> dict[str, str]:
        if not self._lowest or self._smoothed is None:
            return {}
        found = {}
        lowest = self._lowest[-1]
        if self._smoothed > max(EXPLODED * lowest, self._start):
            found[EXPLODES] = f"{self._smoothed:.3g}, after {lowest:.3g} at its best"
        former = self._lowest[int(len(self._lowest) * (1 - LAST_SHARE))]
        if self._steps >= STEPS_TO_STAND_STILL and former - lowest < LEAST_GAIN * abs(former):
            found[STANDS_STILL] = f"no better than {lowest:.3g} in the last {LAST_SHARE:.0%} of the steps"
        return found

    def _of_norm(self, norm: float, last: bool) -> str:
        usual = statistics.median(self._norms) if len(self._norms) >= NORMS_TO_JUDGE else None
        if norm == norm:
            self._norms.append(norm)
        if norm < NORM_TOO_LOW and not last:
            return f"{norm:.1e}, nothing is learnt"
        if usual is not None and norm > NORM_TOO_HIGH * usual:
            return f"{norm:.3g}, where {usual:.3g} is usual"
        return ""


def replayed(events: Iterable[Event], step: int) -> Watch:
    """A watch that has seen the steps of a run's former lives, up to the one where it is taken up."""
    seen: dict[int, Event] = {}
    for event in events:
        if event["kind"] == "step":
            seen[event["step"]] = event
        elif event["kind"] == "resumed":  # what came after is void, and told anew
            seen = {done: seen[done] for done in seen if done <= event["step"]}
    watch = Watch()
    for done in sorted(done for done in seen if done <= step):
        watch.see(seen[done]["loss"], seen[done]["grad_norm"])
    return watch
