"""Which words of a text are not in another one, where both keep their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence


def differing(own: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of `own` that are outside the longest common subsequence, in their order.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): a row of the table is one
    whole number, so that a model that says the same word a thousand times costs no more than any other.
    """
    common = _common(own, other)
    start = 0
    for end in [*common, len(own)]:
        if end > start:
            yield start, end
        start = end + 1


def _common(own: Sequence[str], other: Sequence[str]) -> list[int]:
    """Places in `own` of a longest common subsequence."""
    where: dict[str, int] = defaultdict(int)
    for place, word in enumerate(own):
        where[word] |= 1 << place
    whole = (1 << len(own)) - 1
    rows, row = list[int](), whole
    for word in other:
        met = row & where.get(word, 0)
        row = ((row + met) | (row - met)) & whole
        rows.append(row)  # bit j is 0 where own[j] makes the common part one longer
    found, at, line = list[int](), len(own), len(other)
    while at and line:
        bit = 1 << (at - 1)
        if rows[line - 1] & bit:
            at -= 1
            continue
        line -= 1
        if not line or rows[line - 1] & bit:
            at -= 1
            found.append(at)
    return found[::-1]
