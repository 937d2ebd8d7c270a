"""How many validation answers are right while it trains, judged as in evaluations. Imported after unsloth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from engine import judging, metrics
from engine.dataset import Sample
from engine.render import ChatFormat
from engine.schema import Recipe
from engine.workers import samples
from engine.workers.samples import Asked, Samples

ROWS_AT_ONCE = 16

Judge = Callable[[str, bool], bool | None]
"""Whether an answer is right, from its text and whether it ended by itself."""


@dataclass(frozen=True)
class Judged:
    """Questions, those of like length side by side, and what is right to each."""

    asked: Sequence[Asked]
    judges: Sequence[Judge]
    chat: ChatFormat
    most: int

    def none(self) -> Judged:
        """The same without a question."""
        return replace(self, asked=(), judges=())

    def right(self, model: Any) -> int:
        """How many the model as it is, adapter on or off, answers right. Raises what torch does."""
        found = 0
        for start in range(0, len(self.asked), ROWS_AT_ONCE):
            few = Samples(self.asked[start : start + ROWS_AT_ONCE], self.chat, self.most)
            answers = zip(samples.answered(model, few), self.judges[start:], strict=False)
            found += sum(bool(judge(text, ended)) for (text, ended), judge in answers)
        return found


def chosen(recipe: Recipe, validation: Sequence[Sample], chat: ChatFormat) -> Judged:
    """evaluate.accuracy_rows of the validation rows that have a right answer, of each set its share.

    The same for the same rows and seed. Raises UserError where a set's choices are too many.
    """
    wanted, most = recipe.evaluate.accuracy_rows, recipe.evaluate.max_new_tokens
    found: list[tuple[Asked, Judge]] = []
    for number in sorted({sample.one.number for sample in validation}) if wanted else ():
        own = [sample for sample in validation if sample.one.number == number]
        metric, choices = judging.judgement(own)
        if metric == "text":
            continue
        share = min(len(own), max(1, round(wanted * len(own) / len(validation))))
        for sample in (own[i * len(own) // share] for i in range(share)):
            if asked := samples.asked(sample, chat):
                found.append((asked, partial(_right, metric, sample, choices)))
    found.sort(key=lambda one: len(one[0].ids))
    return Judged([one for one, _ in found], [judge for _, judge in found], chat, most)


def _right(metric: Any, sample: Sample, choices: Sequence[str], text: str, ended: bool) -> bool | None:
    return metrics.right(metric, sample.row.data, sample.reference, text, ended, choices)
