"""The rows of a recipe that are used, in order, as samples: after all of them have been counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine import dataset, parts, sets, survey
from engine.counting import USED
from engine.dataset import Noted, Opened, Sample
from engine.errors import UserError
from engine.formats import Unusable
from engine.sets import RowSet
from engine.sources import Part, Row
from engine.survey import Survey


def surveyed(
    data: Opened, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Survey:
    """Go through all rows once; the ledger so far stands in the folder. Raises UserError."""
    return survey.made(data.sets, data.data, folder, data.room, data.tokens, progress)


def samples(
    data: Opened, counted: Survey, wanted: Collection[Part], note: Noted = lambda entry: None
) -> Iterator[tuple[Part, Sample]]:
    """All usable rows of these parts, in the order of sets and files, each as often as its weight says.

    note hears of what rendering and comparing changes or leaves out: what reading does so stands in the
    survey's ledger. Raises UserError where the policy says to stop, or a file is not what was counted.
    """
    by_number = counted.part_names
    number = 0
    for one in data.sets:
        for file in range(len(one.found.files)):
            for record in data.records(one, file):
                if isinstance(record, Row):
                    if number == len(by_number):
                        raise _changed(one)
                    if (part := by_number[number]) in wanted:
                        for sample in _used(data, counted, one, record, number, note):
                            yield part, sample
                    number += 1
    if number != len(by_number):
        raise _changed(data.sets[-1])


def _changed(one: RowSet) -> UserError:
    return UserError(
        f"{one.source.path}: other rows than a moment ago; wait until the file is written, then start anew"
    )


def _used(data: Opened, counted: Survey, one: RowSet, row: Row, number: int, note: Noted) -> list[Sample]:
    """The samples of a row, where it is used."""
    found = survey.verdict_entry(counted, number, row)
    if found is not None:
        note(sets.settled(found, data.actions))
    if counted.columns["verdict"][number] != USED:
        return []
    made = []
    try:
        for sample in dataset.of_row(data, one, row, number, counted.trained(number), note):
            made.append(sample)
    except Unusable as error:
        note(sets.settled(sets.entry(row, error.reason, error.detail), data.actions))
    return made * int(counted.columns["times"][number])


@dataclass
class Few:
    """At most `rows` of the samples that are offered: the same ones for the same rows and seed."""

    rows: int
    seed: int
    offered: int = 0
    _held: list[tuple[int, int, Sample]] = field(default_factory=list)

    def offer(self, sample: Sample) -> None:
        """Keep it if its place, a hash of what it says, is among the lowest."""
        place = parts.hashed(sample.rendered.text.encode("utf-8", "replace"), self.seed)
        self.offered += 1
        heapq.heappush(self._held, (-place, -self.offered, sample))
        if len(self._held) > self.rows:
            heapq.heappop(self._held)

    @property
    def samples(self) -> list[Sample]:
        """Those that were kept, by their places."""
        return [sample for *_, sample in sorted(self._held, key=lambda held: held[:2], reverse=True)]
