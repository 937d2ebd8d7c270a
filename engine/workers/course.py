"""How far a run has come, beside weights and optimizer: plain numbers that go into each checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from engine.workers import pace
from engine.workers.amends import Gone
from engine.workers.pace import Change


@dataclass
class Course:
    """Numbers of a run under way; `planned` are the recipe's steps."""

    planned: int
    tokens: int = 0
    trained_tokens: int = 0
    evaluated_at: int = -1
    best_step: int | None = None
    best_loss: float | None = None
    waited: int = 0
    """Evaluations since the best one."""
    changes: list[Change] = field(default_factory=list)
    left_out: list[Gone] = field(default_factory=list)

    def total(self, step: int) -> int:
        """Steps of the whole run, as it is known after that many."""
        return pace.total(self.planned, self.changes, step)

    def ended(self, step: int, patience: int) -> bool:
        """Whether a run with that many steps behind it is over; patience: evaluations, 0 without end."""
        return step >= self.total(step) or bool(patience and self.waited >= patience)

    def evaluated(self, step: int, loss: float) -> bool:
        """Take in a validation loss; whether it is the best so far."""
        self.evaluated_at = step
        if self.best_loss is not None and not loss < self.best_loss:
            self.waited += 1
            return False
        if loss != loss:
            return False  # not a number, and so no best
        self.best_step, self.best_loss, self.waited = step, loss, 0
        return True

    def facts(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on where the facts of a checkpoint stand; the number of steps stays the recipe's."""
        for name in ("tokens", "trained_tokens", "evaluated_at", "best_step", "best_loss", "waited"):
            setattr(self, name, facts[name])
        self.changes = [Change(*change) for change in facts["changes"]]
