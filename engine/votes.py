"""Which answer a person prefers, not knowing whose it is: votes, kept in a run's votes.jsonl and counted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from engine import jsonl
from engine.errors import UserError
from engine.interval import of_share
from engine.runs import Run

Verdict = Literal["preferred", "tie", "both bad", "identical"]
"""identical: both said the same, so nobody was asked."""

TYPED = "typed"
"""The tag of a question that a person typed; that of a row is its set."""


@dataclass(frozen=True)
class Vote:
    """One question with its answers by column, and what a person said of them. left: the column that was
    shown on the left; digests: of the columns' adapters, null for the base; tag: the row's set, or TYPED.
    """

    question: Sequence[Mapping[str, Any]]
    answers: Mapping[str, str]
    digests: Mapping[str, str | None]
    verdict: Verdict
    preferred: str = ""
    left: str = ""
    tag: str = TYPED
    at: str = field(default="", compare=False)


@dataclass(frozen=True)
class Tally:
    """How often one column was preferred to another. Ties, both bad and identical answers decide nothing.

    share, interval: of the wins among the votes that decided, with the 95% interval of Wilson (1927);
    chance: how likely so uneven a count is if neither is better (sign test, both sides).
    """

    wins: int = 0
    losses: int = 0
    ties: int = 0
    both_bad: int = 0
    identical: int = 0

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    @property
    def asked(self) -> int:
        """Votes that a person gave."""
        return self.decided + self.ties + self.both_bad

    @property
    def share(self) -> float | None:
        return self.wins / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float]:
        if self.share is None:
            return 0.0, 1.0
        return of_share(self.share, self.decided)

    @property
    def chance(self) -> float:
        rarer = sum(math.comb(self.decided, k) for k in range(min(self.wins, self.losses) + 1))
        return min(1.0, float(2 * rarer / 2**self.decided))

    def facts(self) -> dict[str, Any]:
        """All figures, for programs."""
        low, high = self.interval
        return {
            **asdict(self), "asked": self.asked, "decided": self.decided, "win_rate": self.share,
            "low": low, "high": high, "chance": self.chance,
        }  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two columns and their adapters: votes on another adapter of the same name are other votes."""

    column: str
    other: str
    digest: str | None
    other_digest: str | None


def cast(run: Run, vote: Vote) -> None:
    """Keep a vote. Raises UserError where it makes no sense or cannot be written."""
    if (vote.verdict == "preferred") != bool(vote.preferred) or vote.verdict not in get_args(Verdict):
        raise UserError(f"verdict: {vote.verdict!r} with {vote.preferred!r} preferred is no vote")
    if vote.preferred and vote.preferred not in vote.answers:
        raise UserError(f"{vote.preferred}: no such column; there is {', '.join(vote.answers)}")
    at = vote.at or datetime.now().astimezone().isoformat(timespec="seconds")
    jsonl.append(file(run), asdict(replace(vote, at=at)))


def read(run: Run) -> list[Vote]:
    """All votes that can be read, oldest first."""
    return [vote for line in jsonl.read(file(run)) if (vote := _vote(line)) is not None]


def pairs(votes: Iterable[Vote], other: str = "base") -> list[Pair]:
    """What was voted on, in the order of the first vote: each column against `other`."""
    found = [
        Pair(column, other, vote.digests.get(column), vote.digests.get(other))
        for vote in votes
        for column in vote.answers
        if column != other and other in vote.answers
    ]
    return list(dict.fromkeys(found))


def of(votes: Iterable[Vote], pair: Pair) -> list[Vote]:
    """The votes on a pair, each question once: as it was voted on last."""
    last: dict[str, Vote] = {}
    for vote in votes:
        if pair in pairs([vote], pair.other):
            last[key(vote.question)] = vote
    return list(last.values())


def tally(votes: Iterable[Vote], pair: Pair) -> Tally:
    """What a person said of a pair. Where more columns were shown, a vote for a third says nothing of it."""
    own = of(votes, pair)
    said = [vote.verdict for vote in own]
    preferred = [vote.preferred for vote in own]
    return Tally(
        wins=preferred.count(pair.column),
        losses=preferred.count(pair.other),
        ties=said.count("tie"),
        both_bad=said.count("both bad"),
        identical=said.count("identical"),
    )


def by_tag(votes: Iterable[Vote], pair: Pair) -> dict[str, Tally]:
    """The same by the tags of the questions, in the order of their first votes."""
    own = of(votes, pair)
    tags = dict.fromkeys(vote.tag for vote in own)
    return {tag: tally([vote for vote in own if vote.tag == tag], pair) for tag in tags}


def words(tally: Tally) -> str:
    """What the count comes to, in a sentence without its full stop."""
    if tally.share is None:
        return f"has no vote that decided, of {tally.asked:,}"
    sure = "sure" if tally.chance < 0.05 else "may be chance"
    decided = f"preferred in {tally.wins:,} of {tally.decided:,} votes that decided"
    return f"{decided}, {sure} (p={tally.chance:.2g})"


def rate(tally: Tally) -> str:
    """The win rate with its interval: 80% (49% to 94%)."""
    if tally.share is None:
        return "-"
    low, high = tally.interval
    return f"{tally.share:.0%} ({low:.0%} to {high:.0%})"


def key(question: Sequence[Mapping[str, Any]]) -> str:
    """By which two questions are the same: what is said in them."""
    return json.dumps([[turn["role"], turn["content"]] for turn in question])


def file(run: Run) -> Path:
    return run.path / "votes.jsonl"


def _vote(line: dict[str, Any]) -> Vote | None:
    match line:
        case {
            "question": [*question],
            "answers": {**answers},
            "digests": {**digests},
            "verdict": verdict,
        } if verdict in get_args(Verdict) and all(
            isinstance(turn, dict) and "content" in turn for turn in question
        ):
            words = {name: str(line.get(name, "")) for name in ("preferred", "left", "tag", "at")}
            said = {str(column): str(text) for column, text in answers.items()}
            adapters = {
                str(column): None if digest is None else str(digest) for column, digest in digests.items()
            }
            return Vote(question, said, adapters, verdict, **words)
    return None
