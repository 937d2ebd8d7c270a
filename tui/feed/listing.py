"""What the list of runs shows: those that were searched for, sorted, a sweep's runs folded under it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import listing
from engine.listing import Order
from tui.feed.runs import RunLine
from tui.feed.sweeps import SweepLine

Line = RunLine | SweepLine


@dataclass(frozen=True)
class Listing:
    """How a person looks at the list."""

    search: str = ""
    by: Order = "date"
    unfolded: Collection[Path] = frozenset()
    """Folders of the sweeps whose runs are shown."""


@dataclass(frozen=True)
class Row:
    """A line of the table. within: the name of the sweep that it stands under; unfolded: of a sweep, its runs
    are shown.
    """

    line: Line
    within: str = ""
    unfolded: bool = False

    @property
    def key(self) -> str:
        line = self.line
        return str(line.run.path if isinstance(line, RunLine) else line.sweep.path)


def rows(known: Sequence[RunLine], swept: Sequence[SweepLine], how: Listing) -> tuple[Row, ...]:
    """The lines to be shown. A search finds runs in folded sweeps too: each stands under its sweep then."""
    sweep_of = {name: line for line in swept for name in line.runs}
    below: dict[Path, list[RunLine]] = {line.sweep.path: [] for line in swept}
    top: list[Line] = []
    for line in known:
        if (sweep := sweep_of.get(line.folder)) is None:
            top += [line] if listing.found(line, how.search) else []
        elif listing.found(line, how.search):
            below[sweep.sweep.path].append(line)
    top += [line for line in swept if below[line.sweep.path] or listing.found(line, how.search)]
    found = list[Row]()
    for one in listing.ordered(top, how.by):
        if isinstance(one, RunLine):
            found.append(Row(one))
            continue
        itself = listing.found(one, how.search)
        unfolded = one.sweep.path in how.unfolded or not itself
        found.append(Row(one, unfolded=unfolded))
        if unfolded:
            found += [Row(run, within=one.name) for run in listing.ordered(below[one.sweep.path], how.by)]
    return tuple(found)
