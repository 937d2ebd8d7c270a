"""What can answer beside a run: its checkpoints, and what other runs of the same base have learned."""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine import runs
from engine.errors import UserError
from engine.runs import Run


@dataclass(frozen=True)
class Beside:
    """What a run has come to where step is None, else its checkpoint."""

    column: str
    run: Run
    step: int | None = None


def candidates(run: Run) -> list[Beside]:
    """All that might fit, this run's checkpoints first, then other runs, newest first.

    Whether it fits is found when it is loaded: the worker compares quantisation, template and tokenizer.
    """
    base = run.recipe().model.id
    found = [Beside(f"step-{step}", run, step) for step in steps(run)]
    for other in runs.list_runs():
        if other.path.resolve() == run.path.resolve() or not other.has_result:
            continue
        try:
            if other.recipe().model.id == base:
                found.append(Beside(other.name, other))
        except UserError:
            continue  # its recipe is torn; nothing of it can be loaded
    return found


def named(run: Run, words: str) -> Beside:
    """RUN, RUN@STEP of a checkpoint, or @STEP of one of `run`. Raises UserError."""
    name, _, step = words.rpartition("@") if "@" in words else (words, "", "")
    if step and not step.isdecimal():
        raise UserError(f"{words}: behind @ stands the step of a checkpoint")
    other = runs.find(name) if name else run
    return Beside(f"{other.name}{'@' + step if step else ''}", other, int(step) if step else None)


def steps(run: Run) -> list[int]:
    """The steps of its whole checkpoints, in their order."""
    folders = run.checkpoints.glob("step-*")
    return sorted(int(path.name[5:]) for path in folders if path.name[5:].isdecimal())


def best(run: Run) -> int | None:
    """The step of the checkpoint with the lowest validation loss, where one is known and is there."""
    try:
        found = json.loads((run.checkpoints / "index.json").read_text("utf-8")).get("best")
    except (OSError, ValueError, AttributeError):
        return None
    return found if found in steps(run) else None
