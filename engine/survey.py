"""One pass over all rows of a recipe: what each is, which part it falls to, which stand there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ledger, parts, private, sets
from engine.counting import NAMES, REFUSED, USED, Counted, Progress, counted
from engine.errors import UserError
from engine.ledger import Action, Entry
from engine.schema import Data, Source
from engine.sets import Count, RowSet
from engine.sources import PARTS, File, Part, Row

DUPLICATE, LEAKED, OVER_CAP = 2, 3, 4
"""Verdicts that only all rows together give; USED and REFUSED are a row's own."""

COMPARED = ("duplicate", "leaked", "over the cap")
"""Reasons that come from comparing rows; their lines are written when the rows are passed again."""

FIRST_PLACES = 5
DETAILS = 200

Array = NDArray[Any]


@dataclass
class Totals:
    """How many rows met a reason, in which words, and where first."""

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    details: dict[str, Counter[str]] = field(default_factory=dict)
    first: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    last: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Count an entry; several about one row, one after the other, are one row, but not copies of it."""
        key, place = (entry.reason, entry.done), sets.place(entry)
        again = self.last.get(key) == place and entry.done != "added"
        self.last[key] = place
        self.rows[key] += not again
        details = self.details.setdefault(entry.reason, Counter())
        if len(details) < DETAILS or entry.detail in details:
            details[entry.detail] += 1
        places = self.first.setdefault(key, [])
        if len(places) < FIRST_PLACES and not again:
            places.append(place)

    def left_out(self) -> dict[str, int]:
        """Rows by the reason for which they are not used."""
        return {reason: count for (reason, done), count in self.rows.items() if done == "left out"}

    def _details(self, reason: str) -> list[tuple[str, int]]:
        """The commonest five where they say most of it; else one, for nearly every row says its own."""
        details = self.details.get(reason, Counter())
        commonest = details.most_common(5)
        return commonest if 2 * sum(count for _, count in commonest) >= details.total() else commonest[:1]

    def told(self, actions: Mapping[str, Action]) -> list[dict[str, Any]]:
        """The totals as plain data, most rows first."""
        return [
            {
                "reason": reason, "done": done, "rows": count, "meaning": ledger.REASONS[reason].meaning,
                "spoils": ledger.REASONS[reason].spoils and done != "left out",
                "action": actions[reason], "actions": list(ledger.REASONS[reason].actions),
                "details": self._details(reason),
                "first": self.first[reason, done],
            }
            for (reason, done), count in self.rows.most_common()
        ]  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """All rows of a recipe by number, in the order of sets, files and lines.

    columns: those of counting.COLUMNS, and set, part (index in PARTS), times (how often in an epoch), other
    (the number of the row that this one repeats; -1: none). rows: the numbers of each part's rows.
    """

    columns: dict[str, Array]
    rows: dict[Part, Array]
    files: list[list[File]]
    entries: Path

    def place(self, number: int) -> str:
        """Where a row stands, for people."""
        file = self.files[self.columns["set"][number]][self.columns["file"][number]]
        unit = "row" if self.columns["by_row"][number] else "line"
        return f"{file.path.name} {unit} {self.columns['line'][number]}"

    @property
    def part_names(self) -> list[Part]:
        """The part of each row, by number."""
        return [PARTS[part] for part in self.columns["part"]]

    def trained(self, number: int) -> bool:
        """Whether a row falls to the rows that are trained on."""
        return bool(self.columns["part"][number] == 0)

    def conflicts(self) -> list[int]:
        """The first row of each question that is answered in more than one way."""
        columns = self.columns
        return parts.conflicts(columns["question"], columns["key"], columns["verdict"] == USED)

    def compared(self) -> dict[str, Array]:
        """Numbers of the rows that other rows decide about, by reason, whether or not they are used."""
        verdict, other = self.columns["verdict"], self.columns["other"]
        twice = np.flatnonzero((other >= 0) & (verdict != REFUSED))
        held = self.columns["part"][other[twice]] != 0
        over = np.flatnonzero(verdict == OVER_CAP)
        return {"duplicate": twice[~held], "leaked": twice[held], "over the cap": over}

    def totals(self, heard: Callable[[Entry], None] = lambda entry: None) -> Totals:
        """What the ledger holds, and what comparing the rows adds to it when they are rendered."""
        totals = Totals()
        for entry in ledger.read(self.entries):
            totals.add(entry)
            heard(entry)
        for reason, rows in self.compared().items():
            gone = self.columns["verdict"][rows] != USED
            for done, numbers in (("left out", rows[gone]), ("kept", rows[~gone])):
                if len(numbers):
                    totals.rows[reason, done] += len(numbers)
                    totals.first[reason, done] = [self.place(n) for n in numbers[:FIRST_PLACES]]
        return totals

    def counts(self, totals: Totals, actions: Mapping[str, Action]) -> dict[str, Any]:
        """Rows by set and part, and the ledger's totals, as plain data."""
        where, part, verdict = (self.columns[name] for name in ("set", "part", "verdict"))
        rows = np.zeros((len(self.files), len(PARTS)), dtype=np.int64)
        np.add.at(rows, (where, part), 1)
        left_out = np.bincount(where[verdict != USED], minlength=len(self.files))
        return {
            "sources": [
                {"rows": dict(zip(PARTS, own.tolist(), strict=True)), "left_out": int(gone)}
                for own, gone in zip(rows, left_out, strict=True)
            ],
            "parts": {name: len(numbers) for name, numbers in self.rows.items()},
            "ledger": totals.told(actions),
        }


def made(
    chosen: list[RowSet],
    data: Data,
    folder: Path,
    room: int,
    count: Count,
    progress: Progress = lambda done, total: None,
) -> Survey:
    """Go through all rows once and decide about each; the ledger so far goes to folder/ledger.jsonl.

    room: tokens that paragraphs of running text are joined up to, counted by `count`. Raises UserError,
    also where the recipe's policy says to stop.
    """
    actions = ledger.actions(data.policy)
    private.folder(folder)
    entries = folder / "ledger.jsonl"
    pieces: list[Counted] = []
    with entries.open("w", encoding="ascii") as file:
        for one in chosen:
            for skipped in one.found.skipped:
                file.write(sets.settled(skipped, actions).dumps() + "\n")
        for piece in counted(chosen, actions, folder, room, count, progress):
            for entry in piece.entries():
                file.write(sets.settled(entry, actions).dumps() + "\n")
            pieces.append(piece)
    numbers, sizes = [p.number for p in pieces], [len(p.columns["key"]) for p in pieces]
    # Column by column, each freed where it came from: all of them twice would be most of the memory.
    columns = {name: np.concatenate([p.columns.pop(name) for p in pieces]) for name in NAMES}
    columns["set"] = np.repeat(np.array(numbers, dtype=np.uint16), sizes)
    columns |= _decided(columns, chosen, data, actions)
    files = [one.found.files for one in chosen]
    survey = Survey(columns, _numbers(columns["part"]), files, entries)
    for reason, rows in survey.compared().items():
        if len(rows) and actions[reason] == "stop":
            same = survey.place(columns["other"][rows[0]])
            raise UserError(
                f"{survey.place(rows[0])}: {reason}, the same as {same}; data.policy.{reason} is 'stop':"
                " take one of them out, or let it be dropped"
            )
    return survey


def _decided(
    columns: dict[str, Array], chosen: list[RowSet], data: Data, actions: Mapping[str, Action]
) -> dict[str, Array]:
    part = np.concatenate([_part(one, data, _of(columns, one.number)) for one in chosen])
    verdict = columns["verdict"].copy()
    key, fine = columns["key"], verdict == USED
    other = parts.standing_in(key, fine & (part != 0))
    leaked = fine & (part == 0) & (other >= 0)
    before = parts.repeated(key, fine & (part == 0) & ~leaked)
    twice = before >= 0
    other = np.where(leaked, other, before)
    if actions["leaked"] != "keep":
        verdict[leaked] = LEAKED
    if actions["duplicate"] != "keep":
        verdict[twice] = DUPLICATE
    times = np.ones(len(key), dtype=np.uint16)
    for one in chosen:
        own = columns["set"] == one.number
        trained = own & (verdict == USED) & (part == 0)
        times[trained] = _times(parts.places(key[trained], data.seed + 1), one.source)
        verdict[trained & (times == 0)] = OVER_CAP
    return {"part": part, "verdict": verdict, "other": other, "times": times}


def _of(columns: dict[str, Array], number: int) -> dict[str, Array]:
    first, behind = np.searchsorted(columns["set"], [number, number + 1])
    return {name: values[first:behind] for name, values in columns.items()}


def _part(one: RowSet, data: Data, columns: dict[str, Array]) -> Array:
    """The part of each row of a set, as an index in PARTS."""
    given = np.array([PARTS.index(file.part) for file in one.found.files], dtype=np.uint8)
    part = given[columns["file"]]
    if data.all_data:
        return np.zeros_like(part)
    if one.source.held_out:
        return np.full_like(part, PARTS.index("test"))
    if one.source.group:  # one place for all rows of a group
        where = parts.places(columns["label"], data.seed)
    else:
        where = parts.places(columns["key"], data.seed)
    free = (part == 0) & (columns["verdict"] == USED)
    for name, amount in (("validation", data.validation), ("test", data.test)):
        if PARTS.index(name) in given:
            continue  # it has a file of its own
        rows = np.flatnonzero(free)
        labels = columns["label"][rows] if one.source.stratify else None
        taken = rows[parts.chosen(where[rows], amount, labels)]
        if len(taken) == len(rows):
            continue  # a share of so few rows would leave none to train on
        part[taken] = PARTS.index(name)
        free[taken] = False
        where = where ^ np.uint64(2**64 - 1)  # the next part from the other end
    return part


def _times(where: Array, source: Source) -> Array:
    """How often each row stands in an epoch, by the source's weight and cap."""
    whole, part = divmod(source.weight, 1)
    times = np.full(len(where), int(whole), dtype=np.uint16)
    if part:
        times += where < np.uint64(int(part * 2**64))
    if source.cap is not None and len(where) > source.cap:
        times[np.argsort(where, kind="stable")[source.cap :]] = 0
    return times


def _numbers(part: Array) -> dict[Part, Array]:
    return {name: np.flatnonzero(part == i) for i, name in enumerate(PARTS)}


def save(survey: Survey, folder: Path) -> None:
    """Keep a survey for another process to load: an array a file beside its ledger."""
    for name, values in survey.columns.items():
        np.save(folder / f"{name}.npy", values)


def load(folder: Path, files: list[list[File]]) -> Survey:
    """A saved survey; its arrays stay on disk. Raises UserError where it is not whole."""
    try:
        columns = {
            # As plain arrays: a memmap takes a microsecond longer for each number that is read.
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")).view(np.ndarray)
            for name in (*NAMES, "set", "part", "verdict", "other", "times")
        }
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: the count of the rows cannot be read ({error}); scan them again"
        ) from None
    return Survey(columns, _numbers(columns["part"]), files, folder / "ledger.jsonl")


def verdict_entry(survey: Survey, number: int, row: Row) -> Entry | None:
    """The ledger's line for a row that another row, or a cap, leaves out; None for others."""
    other, verdict = int(survey.columns["other"][number]), survey.columns["verdict"][number]
    if verdict == OVER_CAP:
        return sets.entry(row, "over the cap", "")
    if verdict == REFUSED or other < 0:
        return None
    reason = "leaked" if survey.columns["part"][other] else "duplicate"
    same = survey.columns["exact"][number] == survey.columns["exact"][other]
    detail = f"the same as {survey.place(other)}{'' if same else ', but for case and white space'}"
    return sets.entry(row, reason, detail, "kept" if verdict == USED else "left out")
