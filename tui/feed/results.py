"""What came out of a run, read from its folder at one moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from engine import evals, exports, housekeeping, runs, votes
from engine.errors import UserError
from engine.evals import Evaluation
from engine.exports import Export
from engine.runs import Run
from engine.state import RunState
from engine.votes import Pair, Tally


@dataclass(frozen=True)
class Results:
    """digest: sha256 of the adapter's weights, "" where there is none. Evaluations by name, newest first, or
    why one cannot be read; votes by what was voted on; exports by name; bytes by part of the run, of each
    other run, and of the archive."""

    run: Run
    state: RunState
    digest: str
    evaluations: tuple[tuple[str, Evaluation | str], ...]
    votes: tuple[tuple[Pair, Tally], ...]
    exports: tuple[Export, ...]
    disk: dict[str, int]
    others: tuple[tuple[str, int], ...]
    archive: int


def gathered(run: Run) -> Results:
    """All of it. Reads every file of the run and sizes of the others: call it in a thread."""
    cast = votes.read(run)
    others = ((other.name, _sum(other)) for other in runs.list_runs() if other.path != run.path)
    return Results(
        run,
        run.state(),
        _digest(run),
        tuple((name, _evaluation(run, name)) for name in evals.names(run)),
        tuple((pair, votes.tally(cast, pair)) for pair in votes.pairs(cast)),
        tuple(exports.listed(run)),
        housekeeping.disk(run),
        tuple(sorted(others, key=lambda one: -one[1])),
        sum(map(_sum, housekeeping.archived())),
    )


def _digest(run: Run) -> str:
    try:
        with (run.adapter / "adapter_model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _evaluation(run: Run, name: str) -> Evaluation | str:
    try:
        return evals.read(run, name)
    except UserError as error:
        return str(error)


def _sum(run: Run) -> int:
    return sum(housekeeping.disk(run).values())
