"""Which rows are trained on and which are set aside: by what a row says, so that new rows move no old one."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


WHITE = b" \t\n\r\v\f"


def plain(text: str) -> bytes:
    """A text without case, white space and Unicode form: equal for what a reader would call the same."""
    data = text.encode("utf-8", "surrogatepass")
    if not data.isascii():
        data = unicodedata.normalize("NFKC", text).casefold().encode("utf-8", "surrogatepass")
    return data.lower().translate(None, WHITE)


def hashed(data: bytes, seed: int = 0) -> int:
    """64 bits (XXH3) of some bytes, the same on every machine."""
    return xxhash.xxh3_64_intdigest(data, seed)


def places(keys: Hashes, seed: int) -> Hashes:
    """A uniform place in 0 .. 2**64 for each key, another one for each seed (splitmix64's finaliser)."""
    mixed = keys + np.uint64(hashed(b"seed %d" % seed))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def chosen(where: Hashes, amount: float, labels: Hashes | None = None) -> Mask:
    """The rows that an amount takes: a share below 1 of all places, or so many of the lowest.

    With labels each label gives its share, and at least one row where it has two. A group's rows share one
    place, so they are taken together or not at all.
    """
    if not amount or not len(where):
        return np.zeros(len(where), dtype=bool)
    if labels is not None:
        return _stratified(where, amount, labels)
    if amount >= 1:
        return np.asarray(where <= _lowest(where, round(amount)))
    return where < np.uint64(int(amount * 2**64))


def _stratified(where: Hashes, amount: float, labels: Hashes) -> Mask:
    taken = np.zeros(len(where), dtype=bool)
    share = amount if amount < 1 else min(amount / len(where), 0.5)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = min(max(round(share * len(own)), 1), len(own) - 1)
        if count:
            taken[own] = where[own] <= _lowest(where[own], count)
    return taken


def _lowest(where: Hashes, count: int) -> Any:
    count = min(count, len(where))
    return np.partition(where, count - 1)[count - 1]


def repeated(keys: Hashes, among: Mask) -> NDArray[np.int64]:
    """For each row the number of the first row among those with its key that stands before it; -1: none."""
    own = np.flatnonzero(among)
    order = own[np.argsort(keys[own], kind="stable")]
    in_order = keys[order]
    begins = np.append(True, in_order[1:] != in_order[:-1])[: len(order)]
    starts, again = np.flatnonzero(begins), np.flatnonzero(~begins)
    first = np.full(len(keys), -1, dtype=np.int64)
    first[order[again]] = order[starts[np.searchsorted(starts, again) - 1]]
    return first


def standing_in(keys: Hashes, among: Mask) -> NDArray[np.int64]:
    """For each row the number of the first row among those with its key; -1: none."""
    own = np.flatnonzero(among)
    first = np.full(len(keys), -1, dtype=np.int64)
    if len(own):
        values, starts = np.unique(keys[own], return_index=True)
        at = np.minimum(np.searchsorted(values, keys), len(values) - 1)
        found = np.flatnonzero(values[at] == keys)
        first[found] = own[starts[at[found]]]
    return first


def conflicts(questions: Hashes, keys: Hashes, among: Mask) -> list[int]:
    """The first row of each question that is answered in more than one way. 0 is no question."""
    own = np.flatnonzero(among & (questions != 0))
    order = own[np.lexsort((keys[own], questions[own]))]
    asked, said = questions[order], keys[order]
    begins = np.append(True, asked[1:] != asked[:-1])[: len(order)]
    differs = ~begins[1:] & (said[1:] != said[:-1])
    group = np.cumsum(begins) - 1
    first = np.full(len(own), len(keys), dtype=np.int64)
    np.minimum.at(first, group, order)
    return sorted(first[np.unique(group[1:][differs])].tolist())
