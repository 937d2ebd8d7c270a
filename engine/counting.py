"""The reading of all rows that a survey is made of: by one process, or by one for each core."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import formats, ledger, parts, sets
from engine.formats import Conversation, Example, Said, Text, Unusable
from engine.ledger import Action, Entry
from engine.schema import Source
from engine.sets import Count, RowSet
from engine.sources import File, Row, streams

BYTES_A_UNIT = 32 * 1024 * 1024
"""Of a plain JSON Lines file: such pieces are read by as many processes as there are cores."""

ROWS_BETWEEN_WORDS = 2_000
MEGABYTE = 1_000_000

USED, REFUSED = 0, 1
"""What becomes of a row, as far as it says itself."""

COLUMNS = np.dtype(
    [
        ("file", "<u2"), ("by_row", "u1"), ("offset", "<u8"), ("line", "<u4"), ("verdict", "u1"),
        ("key", "<u8"), ("question", "<u8"), ("exact", "<u4"), ("label", "<u8"),
    ]
)  # fmt: skip
"""What is kept of each row. key: hash of all that is said, but for case and white space; question: of what is
asked; exact: checksum of all as it stands; label: hash of the column that splits go by."""

NAMES = COLUMNS.names or ()

PACK = struct.Struct("<HBQIBQQIQ").pack
"""The same in bytes: one call a row, where an append a column would take as long as reading the row."""

Progress = Callable[[int, int], None]
"""Told what is done, and of how much."""


@dataclass(frozen=True)
class Unit:
    """A stretch of a file: the records whose offsets lie in start .. end (None: to the file's end)."""

    one: RowSet
    file: int
    start: int
    end: int | None
    actions: dict[str, Action]
    ledger: Path

    @property
    def size(self) -> int:
        """In bytes."""
        return (self.end or self.one.found.files[self.file].path.stat().st_size) - self.start


@dataclass
class Counted:
    """What a unit holds. Lines count from the unit's first until `shifted`."""

    unit: Unit
    columns: dict[str, NDArray[Any]]
    first: int | None  # line of its first record
    beyond: int | None  # line of the first record behind its end
    base: int = 0

    @property
    def number(self) -> int:
        return self.unit.one.number

    def entries(self) -> Iterator[Entry]:
        """Its lines of the ledger."""
        for entry in ledger.read(self.unit.ledger):
            yield replace(entry, line=entry.line + self.base) if self.base else entry

    def shifted(self, base: int) -> None:
        """Count lines from the file's first, `base` lines before the unit's."""
        self.base = base
        self.columns["line"] += np.uint32(base)


def counted(
    chosen: Sequence[RowSet], actions: dict[str, Action], folder: Path, room: int, count: Count,
    progress: Progress,
) -> Iterator[Counted]:  # fmt: skip
    """Every unit of the sets, in order. Raises UserError where a file cannot be read."""
    units = list(_units(chosen, actions, folder))
    total = sum(unit.size for unit in units) // MEGABYTE
    done, base = 0, 0
    before: Counted | None = None
    for piece in _read(units, room, count, progress, total):
        if before is not None and piece.unit.start and before.beyond and piece.first:
            base += before.beyond - piece.first
            piece.shifted(base)
        elif not piece.unit.start:
            base = 0
        before = piece
        done += piece.unit.size
        progress(done // MEGABYTE, total)
        yield piece
        piece.unit.ledger.unlink()


def _units(chosen: Sequence[RowSet], actions: dict[str, Action], folder: Path) -> Iterator[Unit]:
    number = 0
    for one in chosen:
        for index, file in enumerate(one.found.files):
            for start, end in _stretches(file, one.source):
                yield Unit(one, index, start, end, actions, folder / f"unit-{number}.jsonl")
                number += 1


def _stretches(file: File, source: Source) -> list[tuple[int, int | None]]:
    """Where a file is cut: plain JSON Lines at the line ends after each BYTES_A_UNIT, others not at all."""
    size = file.path.stat().st_size
    if file.kind != "lines" or size <= BYTES_A_UNIT or not _is_plain(file, source):
        return [(0, None)]
    cuts = [0]
    with file.path.open("rb") as lines:
        while cuts[-1] + BYTES_A_UNIT < size:
            lines.seek(cuts[-1] + BYTES_A_UNIT)
            lines.readline()
            cuts.append(lines.tell())
    ends: list[int | None] = [cut for cut in cuts[1:] if cut < size]
    return list(zip(cuts, [*ends, None], strict=False))


def _is_plain(file: File, source: Source) -> bool:
    with streams.opened(file.path, source.encoding) as stream:
        return stream.plain


def _read(units: list[Unit], room: int, count: Count, progress: Progress, total: int) -> Iterator[Counted]:
    cores = len(os.sched_getaffinity(0))
    split = any(unit.start for unit in units) and cores > 1
    if not split or any(unit.one.is_text for unit in units):
        past = 0
        for unit in units:

            def told(done: int, past: int = past) -> None:
                progress((past + done) // MEGABYTE, total)

            yield count_unit(unit, room, count, told)
            past += unit.size
        return
    # This process reads too: a process less in memory, and none that only waits.
    pool = ProcessPoolExecutor(cores - 1, get_context("spawn"), _end_with_parent)
    try:
        elsewhere = {i: pool.submit(count_unit, unit) for i, unit in enumerate(units) if i % cores}
        for i, unit in enumerate(units):
            yield elsewhere[i].result() if i in elsewhere else count_unit(unit)
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Leave when the process that started this one is gone; a pool that is killed would wait for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def count_unit(
    unit: Unit, room: int = 0, count: Count = len, progress: Callable[[int], None] = lambda done: None
) -> Counted:
    """Read the records of a unit; its entries go to its ledger file."""
    table = bytearray()
    file = unit.one.found.files[unit.file]
    first = beyond = None
    with unit.ledger.open("w", encoding="ascii") as entries:

        def note(entry: Entry) -> None:
            entries.write(entry.dumps() + "\n")

        for number, record in enumerate(sets.records(unit.one, file, room, count, unit.start)):
            if unit.end is not None and record.offset >= unit.end:
                beyond = record.line
                break
            first = first or record.line
            if number % ROWS_BETWEEN_WORDS == 0:
                progress(record.offset if record.unit == "line" else 0)
            if isinstance(record, Entry):
                note(record)
            else:
                table += _counted_row(record, unit, note)
    rows = np.frombuffer(table, dtype=COLUMNS)
    return Counted(unit, {name: rows[name].copy() for name in NAMES}, first, beyond)


def _counted_row(row: Row, unit: Unit, note: Callable[[Entry], None]) -> bytes:
    """The columns of one row."""
    question, answer, used = read(unit.one, row, unit.actions, note)
    asked = parts.hashed(parts.plain(question)) if question else 0
    said = parts.hashed(parts.plain(answer), asked)
    exact = parts.hashed(f"{question}\n{answer}".encode("utf-8", "surrogatepass")) & 0xFFFF_FFFF
    verdict = USED if used else REFUSED
    by_row = row.unit == "row"
    return PACK(unit.file, by_row, row.offset, row.line, verdict, said, asked, exact, _label(unit.one, row))


def _label(one: RowSet, row: Row) -> int:
    """Of the column that a split goes by; 0 where there is none."""
    name = one.source.group or one.source.stratify
    return parts.hashed(str(row.data.get(name)).encode("utf-8", "surrogatepass")) if name else 0


def read(
    one: RowSet, row: Row, actions: dict[str, Action], note: Callable[[Entry], None]
) -> tuple[str, str, bool]:
    """What a row asks and answers, and whether it can be used; its notes and its refusal are told."""
    try:
        for found in row.notes:
            if actions[found.reason] not in ("fix", "keep"):
                raise Unusable(found.reason, found.detail)
        said = formats.read(row, one.shape, actions) if one.shape else Said([])
    except Unusable as error:
        note(sets.entry(row, error.reason, error.detail))
        return "", repr(row.data), False
    if row.notes or said.notes:
        for found in (*row.notes, *said.notes):
            note(sets.entry(row, found.reason, found.detail, found.done))
    return (*_words(said.examples), True) if said.examples else ("", repr(row.data), True)


def _words(examples: Sequence[Example]) -> tuple[str, str]:
    """What is asked, and what is answered: the last turn of each conversation."""
    asked, answered = [], []
    for example in examples:
        if isinstance(example, Conversation):
            *before, last = [
                turn["content"] if len(turn) == 2 else f"{turn['content']}{turn.get('tool_calls')}"
                for turn in example.messages
            ]
            asked += before
            answered.append(last)
        elif isinstance(example, Text):
            answered.append(example.text)
        else:
            answered.append(str(example.ids))
    return "\n".join(asked), "\n".join(answered)
