"""By what a sweep judges a finished run: one figure, read from its events or from its closing evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine import evals
from engine.errors import UserError
from engine.runs import Run
from engine.state import RunState
from engine.sweeps import LOSS

COUNTED = ("right", "exact", "normalised", "valid", "ended")
MEANS = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL", "BLEU": "bleu", "chrF": "chrf"}
CHOICES = {"choice said: accuracy": "accuracy", "choice said: macro-F1": "macro_f1"}


@dataclass(frozen=True)
class Judged:
    """A run's figure; rows: how many were judged, None of a loss."""

    value: float
    rows: int | None = None


def judged(run: Run, state: RunState, objective: str) -> Judged:
    """The figure of the adapter that a finished run has saved. Raises UserError where it has none."""
    if objective == LOSS:
        return Judged(validation_loss(run, state))
    return of_evaluation(run, evals.read(run, evals.CLOSING).summary, objective)


def validation_loss(run: Run, state: RunState) -> float:
    """Of the last evaluation, or of the best where the run kept that one's adapter."""
    known = state.kept_best.get("loss") or (state.evaluations[-1].loss if state.evaluations else None)
    if known is None:
        raise UserError(f"{run.name} has no validation loss; set data.validation, to 0.05 say")
    if not math.isfinite(known):
        raise UserError(f"{run.name}: its validation loss is no number; lower train.learning_rate")
    return float(known)


def of_evaluation(run: Run, summary: dict[str, Any], objective: str) -> Judged:
    """The tuned model's figure over all sets that have it, each weighted by its rows."""
    total, rows = 0.0, 0
    for one in summary["sets"]:
        facts = one["columns"]["tuned"]
        if objective in CHOICES:
            figure = facts.get("said", {}).get(CHOICES[objective])
        elif objective in COUNTED:
            figure = None if facts.get(objective) is None else facts[objective] / one["rows"]
        else:
            figure = facts.get(MEANS[objective])
        if figure is not None:
            total, rows = total + figure * one["rows"], rows + one["rows"]
    if not rows:
        raise UserError(f"{run.name}: its evaluation has no figure {objective!r}; choose another objective")
    return Judged(total / rows, rows)
