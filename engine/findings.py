"""Which rows have which findings, so that the rows of a reason can be looked at one after the other."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.ledger import Entry
from engine.sources import Part
from engine.survey import Survey

ANY = "any"
"""In place of a reason: rows with any finding."""

Numbers = dict[str, NDArray[Any]]
"""Row numbers of a survey by reason, ascending."""


@dataclass
class Findings:
    """Grows entry by entry, twelve bytes each: by reason, the number of the file and where in it."""

    files: dict[str, int] = field(default_factory=dict)
    noted: dict[str, tuple[array[int], array[int]]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Take in a line of the ledger."""
        files, offsets = self.noted.setdefault(entry.reason, (array("I"), array("Q")))
        files.append(self.files.setdefault(entry.file, len(self.files)))
        offsets.append(entry.offset)

    def numbers(self, counted: Survey) -> Numbers:
        """The rows that the entries are about; what is no row of the survey, as a torn line, has none."""
        ranges = _ranges(counted)
        paths = [ranges.get(path, []) for path in self.files]
        found: Numbers = {}
        for reason, (files, offsets) in self.noted.items():
            file, offset = np.array(files), np.array(offsets)
            rows = [
                _rows(counted, first, stop, offset[file == number])
                for number, places in enumerate(paths)
                for first, stop in places
            ]
            found[reason] = np.unique(np.concatenate([np.empty(0, np.int64), *rows]))
        return found


def _ranges(counted: Survey) -> dict[str, list[tuple[int, int]]]:
    """The stretch of row numbers of each file; a file that several sets read has several."""
    key = counted.columns["set"].astype(np.int64) << 16 | counted.columns["file"]
    ranges: dict[str, list[tuple[int, int]]] = {}
    for one, files in enumerate(counted.files):
        for number, file in enumerate(files):
            first, stop = np.searchsorted(key, [one << 16 | number, (one << 16 | number) + 1])
            ranges.setdefault(str(file.path), []).append((int(first), int(stop)))
    return ranges


def _rows(counted: Survey, first: int, stop: int, offsets: NDArray[Any]) -> NDArray[Any]:
    own = counted.columns["offset"][first:stop]
    at = np.searchsorted(own, offsets)
    there = at < len(own)
    there[there] = own[at[there]] == offsets[there]
    return at[there] + first


def save(numbers: Numbers, path: Path) -> None:
    """Keep them for another process; complete or absent."""
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        np.savez(file, **numbers)  # type: ignore[arg-type]  # its other parameter is a bool
    beside.rename(path)


def load(path: Path) -> Numbers:
    """What was saved. Raises UserError where nothing was."""
    try:
        with np.load(path) as kept:
            return {reason: kept[reason] for reason in kept.files}
    except (OSError, ValueError) as error:
        raise UserError(
            f"the rows have not been rendered to their end yet ({error}); wait a moment"
        ) from None


def positions(counted: Survey, numbers: Numbers, part: Part, reason: str) -> NDArray[Any]:
    """Where the rows of a reason stand in a part, ascending; ANY: rows with any finding."""
    own = counted.rows[part]
    chosen = np.unique(np.concatenate(list(numbers.values()) or [own[:0]])) if reason == ANY else None
    rows = numbers.get(reason, own[:0]) if chosen is None else chosen
    return np.flatnonzero(np.isin(own, rows, assume_unique=True))
