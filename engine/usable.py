"""The rows of a recipe that are used, in order, as samples: after all of them have been counted."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine import dataset, parts, sets, survey
from engine.counting import USED
from engine.dataset import Asked, Noted, Opened, Sample
from engine.errors import UserError
from engine.render import Rendered
from engine.sets import RowSet
from engine.sources import Part, Row
from engine.survey import Survey


def surveyed(
    data: Opened, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Survey:
    """Go through all rows once; the ledger so far stands in the folder. Raises UserError."""
    return survey.made(data.sets, data.data, folder, data.room, data.tokens, progress)


def samples(
    data: Opened,
    counted: Survey,
    wanted: Collection[Part],
    note: Noted = lambda entry: None,
    unfit: Callable[[Rendered], None] = lambda made: None,
) -> Iterator[tuple[Part, Sample]]:
    """All usable rows of these parts, in the order of sets and files, each as often as its weight says.

    note hears of what rendering and comparing changes or leaves out: what reading does so stands in the
    survey's ledger; unfit of rows left out for length or mask. Raises UserError where the policy says to
    stop, or a file is not what was counted.
    """
    used: deque[tuple[Part, int]] = deque()  # of the rows that are being rendered: part, times an epoch
    for made in dataset.of_rows(data, _asked(data, counted, wanted, note, used), note, unfit):
        part, times = used.popleft()
        for _ in range(times):
            for sample in made:
                yield part, sample


def _asked(
    data: Opened, counted: Survey, wanted: Collection[Part], note: Noted, used: deque[tuple[Part, int]]
) -> Iterator[Asked]:
    """The usable rows of these parts; of each its part and how often it stands in an epoch go to `used`."""
    by_number, verdict, times = counted.part_names, counted.columns["verdict"], counted.columns["times"]
    number = 0
    for one in data.sets:
        for file in range(len(one.found.files)):
            for record in data.records(one, file):
                if not isinstance(record, Row):
                    continue
                if number == len(by_number):
                    raise _changed(one)
                if by_number[number] in wanted:
                    found = survey.verdict_entry(counted, number, record)
                    if found is not None:
                        note(sets.settled(found, data.actions))
                    if verdict[number] == USED:
                        used.append((by_number[number], int(times[number])))
                        yield dataset.asked(data, one, record, number, counted.trained(number))
                number += 1
    if number != len(by_number):
        raise _changed(data.sets[-1])


def _changed(one: RowSet) -> UserError:
    return UserError(
        f"{one.source.path}: other rows than a moment ago; wait until the file is written, then start anew"
    )


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
