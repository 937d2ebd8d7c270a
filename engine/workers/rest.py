"""How long what remains of a run will take, by the medians of what its parts took lately."""

from __future__ import annotations

import statistics
from collections import deque

from engine.schema import Settled

STEPS_FOR_RATE = 20
FEW = 3
"""Evaluations and checkpoints are rare: so many of the last ones count."""


class Rest:
    """Takes in what steps, evaluations and checkpoints took, in seconds.

    `expected` is the probe's word on an evaluation; it counts until there was one.
    """

    def __init__(self, plan: Settled, evaluates: bool) -> None:
        self._plan, self._evaluates = plan, evaluates
        self._steps: deque[tuple[float, int]] = deque(maxlen=STEPS_FOR_RATE)  # (seconds, tokens)
        self._evaluations: deque[float] = deque(maxlen=FEW)
        self._saves: deque[float] = deque(maxlen=FEW)
        self.expected = 0.0

    def stepped(self, seconds: float, tokens: int) -> None:
        self._steps.append((seconds, tokens))

    def evaluated(self, seconds: float) -> None:
        self._evaluations.append(seconds)

    def saved(self, seconds: float) -> None:
        self._saves.append(seconds)

    @property
    def tokens_per_s(self) -> float:
        """Over the last steps, what they waited for rows with it."""
        seconds = sum(seconds for seconds, _ in self._steps)
        return sum(tokens for _, tokens in self._steps) / seconds if seconds else 0.0

    def seconds(self, step: int, total: int, usual: float | None = None) -> float:
        """From the end of a step (0: from the start) to the run's end.

        usual: seconds of a step, where none was taken yet. Median and not mean: one slow step, the first one
        say, must not move it. Checkpoints at new bests and those that people ask for are not foreseen.
        """
        each = usual if usual is not None else statistics.median(seconds for seconds, _ in self._steps)
        evaluation = statistics.median(self._evaluations) if self._evaluations else self.expected
        save = statistics.median(self._saves) if self._saves else 0.0
        evaluations = due(step, total, self._plan.eval_every) if self._evaluates else 0
        saves = due(max(step, 1), total, self._plan.save_every)
        return (total - step) * each + evaluations * evaluation + saves * save


def due(step: int, total: int, every: int) -> int:
    """How often something is done from a step on, this one too: at each `every`th, at 0 and at the last."""
    if not every:
        return 1 + (step == 0)
    return total // every - (step - 1) // every + (total % every > 0)
