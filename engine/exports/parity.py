"""Whether an export answers as the run did: its answers beside the run's, token by token, and what differs.

Both are greedy, one prompt at a time. PARITY, as export.json holds it:

    rows, part         held-out prompts, and from which part of the data
    identical          rows whose answers are the same to the last token, their end with them
    tokens             of the run's answers; agreed: of these, those before the first that differs
    share, bar         agreed / tokens, and what it must come to
    first              where the earliest difference is: {"row", "token", "run", "export"} (ids), or null
    logits             largest difference of a first token's logits; gap: what the adapter itself moves them
    ended              {"run": rows, "export": rows, "missed": rows that only the run ended}
    passed, differs    what differs, one sentence each, the likeliest cause first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

END = -1
"""Stands for whichever stop token ended an answer."""

SAME = 1.0
"""What two computations of the same numbers must agree on: all of it."""
ROUNDED = 0.95
"""What weights that were rounded otherwise must agree on."""
QUANTISED = {"q8_0": 0.9, "q4_k_m": 0.5}
"""What weights that were rounded to few bits must agree on. Of an answer that takes another turn once, all
that follows counts as differing: 4 bits may do that to many."""


@dataclass(frozen=True)
class Answer:
    """One answer: the prompt's ids, the ids that were said without the stop token, and whether one came."""

    prompt: Sequence[int]
    ids: Sequence[int]
    ended: bool

    @property
    def whole(self) -> list[int]:
        return [*self.ids, *([END] if self.ended else [])]


@dataclass(frozen=True)
class Logits:
    """Largest differences between logits of the first token: of the export to the run's adapter and to the
    bare base, and of the adapter to the base."""

    to_run: float
    to_base: float
    gap: float


@dataclass(frozen=True)
class Side:
    """What one side is, or should be: ids that end its answers, and the number type it computes in."""

    stops: frozenset[int]
    dtype: str


def judged(
    run: Sequence[Answer],
    export: Sequence[Answer],
    logits: Sequence[Logits],
    sides: tuple[Side, Side],
    bar: float,
    numbers: str = "",
) -> dict[str, Any]:
    """The comparison. sides: what the export should be, and is; numbers: why its numbers may differ."""
    agreed = [_agreed(one.whole, other.whole) for one, other in zip(run, export, strict=True)]
    tokens = sum(len(one.whole) for one in run)
    missed = sum(one.ended and not other.ended for one, other in zip(run, export, strict=True))
    share = sum(agreed) / tokens if tokens else 1.0
    other_prompts = sum(list(a.prompt) != list(b.prompt) for a, b in zip(run, export, strict=True))
    facts = {
        "rows": len(run),
        "identical": sum(one.whole == other.whole for one, other in zip(run, export, strict=True)),
        "tokens": tokens,
        "agreed": sum(agreed),
        "share": round(share, 6),
        "bar": bar,
        "first": _first(run, export, agreed),
        "logits": max((one.to_run for one in logits), default=0.0),
        "gap": max((one.gap for one in logits), default=0.0),
        "ended": {
            "run": sum(one.ended for one in run),
            "export": sum(one.ended for one in export),
            "missed": missed,
        },
        "passed": share >= bar and not missed and not other_prompts,
    }
    causes = [] if facts["passed"] else list(_causes(run, export, logits, sides, numbers))
    return {**facts, "differs": causes}


def _agreed(run: Sequence[int], export: Sequence[int]) -> int:
    """How many tokens of the run's answer come before the first that differs."""
    for place, (one, other) in enumerate(zip(run, export, strict=False)):
        if one != other:
            return place
    return min(len(run), len(export))


def _first(run: Sequence[Answer], export: Sequence[Answer], agreed: Sequence[int]) -> dict[str, Any] | None:
    places = [
        (place, row)
        for row, place in enumerate(agreed)
        if run[row].whole[place:] or export[row].whole[place:]
    ]
    if not places:
        return None
    place, row = min(places)
    said = [next(iter(side[row].whole[place:]), None) for side in (run, export)]
    return {"row": row, "token": place, "run": said[0], "export": said[1]}


def _causes(
    run: Sequence[Answer],
    export: Sequence[Answer],
    logits: Sequence[Logits],
    sides: tuple[Side, Side],
    numbers: str,
) -> list[str]:
    """What differs, the causes before their effects."""
    found = []
    own, other = sides
    prompts = [
        (a.prompt, b.prompt) for a, b in zip(run, export, strict=True) if list(a.prompt) != list(b.prompt)
    ]
    if prompts:
        place = _agreed(*prompts[0])
        found.append(
            f"template: {len(prompts)} of {len(run)} prompts become other ids, the first from token {place}"
            f" on ({len(prompts[0][0])} tokens in the run, {len(prompts[0][1])} in the export)"
        )
    if lacking := sorted(own.stops - other.stops):
        found.append(
            f"stop token: the run ends at {_ids(lacking)}, which does not stop the export"
            f" (it stops at {_ids(sorted(other.stops)) or 'nothing'})"
        )
    elif more := sorted(other.stops - own.stops):
        found.append(f"stop token: the export stops at {_ids(more)} as well, where the run goes on")
    # With other prompts the logits say nothing of the weights.
    moved = [one for one in logits if one.gap > 0]
    if not prompts and moved and sum(one.to_base < one.to_run for one in moved) * 2 > len(moved):
        found.append("weights not merged: its first logits are nearer to the base model's than to the run's")
    if own.dtype != other.dtype:
        found.append(f"dtype: it computes in {other.dtype}, not in {own.dtype}")
    if numbers:
        found.append(f"numbers: {numbers}")
    return found or ["numbers: the same prompt, stop tokens and number type give other answers"]


def _ids(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))
