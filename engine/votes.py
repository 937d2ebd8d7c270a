"""Which answer a person prefers, not knowing whose it is: votes, kept in a run's votes.jsonl and counted."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs import Run

TIE = ""
"""Said where no answer is better than the others."""

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Tally:
    """How often one column was preferred to another. share, low, high: of the wins among votes that decided,
    with the 95% interval of Wilson (1927); chance: how likely so uneven a count is if neither is better (sign
    test, both sides).
    """

    wins: int
    losses: int
    ties: int

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    @property
    def share(self) -> float:
        return self.wins / self.decided if self.decided else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        if not self.decided:
            return 0.0, 1.0
        n, square = self.decided, NORMAL_95**2
        middle = (self.share + square / (2 * n)) / (1 + square / n)
        width = NORMAL_95 * math.sqrt(self.share * (1 - self.share) / n + square / (4 * n * n))
        width /= 1 + square / n
        return max(0.0, middle - width), min(1.0, middle + width)

    @property
    def chance(self) -> float:
        rarer = sum(math.comb(self.decided, k) for k in range(min(self.wins, self.losses) + 1))
        return min(1.0, float(2 * rarer / 2**self.decided))


def shuffled(columns: Sequence[str], prompt: str, seed: int = 0) -> list[str]:
    """The columns in an order that the prompt and the seed decide: a blind vote on it can be repeated."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode("utf-8", "replace")).digest()
    order = list(columns)
    random.Random(digest).shuffle(order)
    return order


def cast(
    run: Run,
    question: str,
    answers: Mapping[str, str],
    preferred: str,
    digests: Mapping[str, str | None],
    blind: bool = True,
) -> None:
    """Add a vote: the answers by column, the column preferred or TIE, and each column's adapter's digest.

    Raises UserError where it cannot be written.
    """
    if preferred != TIE and preferred not in answers:
        raise UserError(f"{preferred}: no such column; there is {', '.join(answers)}")
    vote = {
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "question": question,
        "answers": dict(answers),
        "preferred": preferred,
        "digests": dict(digests),
        "blind": blind,
    }
    try:
        descriptor = os.open(_file(run), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (json.dumps(vote) + "\n").encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(
            f"{_file(run)}: the vote cannot be kept ({error.strerror}); free some space"
        ) from None


def read(run: Run) -> list[dict[str, Any]]:
    """All votes that are whole, oldest first; a last line that a kill tore is passed over."""
    try:
        lines = _file(run).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    votes = []
    for line in lines:
        try:
            votes.append(json.loads(line))
        except ValueError:
            continue
    return votes


def tally(votes: Iterable[Mapping[str, Any]], column: str, other: str = "base") -> Tally:
    """Votes between two columns. A question that was voted on again counts as the last vote says.

    Where more columns were shown, a vote for a third one says nothing of these two.
    """
    last: dict[tuple[str, str | None, str | None], str] = {}
    for vote in votes:
        if column in vote["answers"] and other in vote["answers"]:
            of = vote["question"], vote["digests"].get(column), vote["digests"].get(other)
            last[of] = vote["preferred"]
    said = list(last.values())
    return Tally(said.count(column), said.count(other), said.count(TIE))


def _file(run: Run) -> Path:
    return run.path / "votes.jsonl"
