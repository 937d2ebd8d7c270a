"""What the worker itself has changed to get past a fault, and how it starts again with that.

amends.json stands beside the recipe, which stays as the person wrote it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from engine import runs
from engine.runs import Run
from engine.schema import Settled
from engine.workers import durable

MOST_ROLLBACKS = 5


class Gone(NamedTuple):
    """Rows that are not trained on any more after a step."""

    step: int
    rows: list[int]


@dataclass(frozen=True)
class Amends:
    """Rows that are not trained on any more, for each rollback; the micro-batch, where it shrank."""

    left_out: list[Gone] = field(default_factory=list)
    batch_size: int | None = None
    gradient_accumulation: int | None = None

    def applied(self, plan: Settled) -> Settled:
        """The recipe's plan with the shrunk micro-batch."""
        if self.batch_size is None:
            return plan
        return plan.model_copy(
            update={"batch_size": self.batch_size, "gradient_accumulation": self.gradient_accumulation}
        )

    @property
    def rollbacks(self) -> int:
        return len(self.left_out)

    def without(self, step: int, rows: list[int]) -> Amends:
        """After one more rollback, to that step: without these rows too from there on."""
        return replace(self, left_out=[*self.left_out, Gone(step, rows)])

    def shrunk(self, plan: Settled) -> Amends | None:
        """With at most half the micro-batch and as many rows a step as before; None where it is one row."""
        rows = plan.rows_a_step
        size = next((n for n in range(plan.batch_size // 2, 0, -1) if rows % n == 0), None)
        return (size and replace(self, batch_size=size, gradient_accumulation=rows // size)) or None


class Again(Exception):
    """The worker wants to start again with these amends, from the newest checkpoint."""

    def __init__(self, amends: Amends) -> None:
        super().__init__("start again")
        self.amends = amends


def load(run: Run) -> Amends:
    """Those of the run; none where it has had no fault."""
    path = _path(run)
    if not path.exists():
        return Amends()
    facts = json.loads(path.read_text("utf-8"))
    return Amends(**{**facts, "left_out": [Gone(*one) for one in facts["left_out"]]})


def start_again(run: Run, amends: Amends, lock: int) -> NoReturn:
    """Write the amends down and become a new worker, with the lock held throughout.

    A new process: memory that is in pieces, or held by an exception's frames, is whole again.
    """
    durable.document(_path(run), asdict(amends))
    # A wish to stop that comes now waits until the new worker listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, runs.STOP_SIGNALS)
    os.set_inheritable(lock, True)
    os.environ[runs.LOCK_FD] = str(lock)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "engine.workers.train", str(run.path)])


def _path(run: Run) -> Path:
    return run.path / "amends.json"
