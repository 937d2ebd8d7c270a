"""The sets of a recipe: their files, their shape, and their records in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from engine import formats, sources, templates
from engine.errors import UserError
from engine.formats import Shape
from engine.ledger import Action, Done, Entry, excerpt
from engine.schema import Source
from engine.sources import File, Found, Row

ROWS_TO_DETECT = 50
SEPARATOR = "\n\n"

Records = Iterator[Row | Entry]

Count = Callable[[str], int]
"""How many tokens a text has."""


@dataclass(frozen=True)
class RowSet:
    """One source of a recipe as it was found. shape is None where its columns are of no known shape."""

    number: int
    source: Source
    found: Found
    shape: Shape | None
    first: Row

    @property
    def is_text(self) -> bool:
        """Whether its rows are running text, whose paragraphs are joined up to the context length."""
        return self.shape is not None and self.shape.format == "text"

    @property
    def agreed(self) -> Shape:
        """Its shape, where it can be trained on. Raises UserError where the person has to choose first."""
        if self.shape is None:
            fit = [template.name for template, _ in templates.fitting(self.first.data)]
            names = f" (fitting: {', '.join(fit)})" if fit else ""
            raise UserError(
                f"{self.source.path}: no known shape in the columns {shown(self.first.data)}; name a prompt"
                f" template{names} in templates, or give format and columns"
            )
        if self.shape.question:
            raise UserError(
                f"{self.source.path}: {self.shape.question} Set format = {self.shape.format!r} to agree"
            )
        return self.shape

    @property
    def shown(self) -> RowSet:
        """The set as it would be trained on if what has to be agreed to were agreed to."""
        return replace(self, shape=self.shape and replace(self.shape, question=""))


def opened(chosen: tuple[Source, ...]) -> list[RowSet]:
    """The sets of a recipe. Raises UserError where one cannot be read or has no row."""
    return [_opened(number, source) for number, source in enumerate(chosen)]


def _opened(number: int, source: Source) -> RowSet:
    found = sources.files(source)
    first = list(islice(_rows(found, source), ROWS_TO_DETECT))
    return RowSet(number, source, found, formats.detect(first, source), first[0])


def _rows(found: Found, source: Source) -> Iterator[Row]:
    """The rows of the files, train first. Raises UserError where there is none at all."""
    refused: list[Entry] = []
    some = False
    for file in found.files:
        for record in sources.read(file, source):
            if isinstance(record, Row):
                some = True
                yield record
            elif len(refused) < ROWS_TO_DETECT:
                refused.append(record)
        if some:
            return
    raise UserError(f"{source.path}: no usable row{why(refused)}")


def records(one: RowSet, file: File, room: int, count: Count, start: int = 0, line: int = 1) -> Records:
    """The records of a file in order; of running text, paragraphs joined up to `room` tokens."""
    read = sources.read(file, one.source, start, line)
    return _joined(read, one.shape.columns["text"], room, count) if one.shape and one.is_text else read


def _joined(read: Records, column: str, room: int, count: Count) -> Records:
    """Paragraphs of one document together while they fit; a longer one alone, to be cut when rendered."""
    held: list[Row] = []
    used = 0
    for record in read:
        if isinstance(record, Entry):
            yield record
            continue
        tokens = count(_text(record, column)) + 1  # and what joins it
        if held and not (record.joins and used + tokens <= room):
            yield _together(held, column, ends=not record.joins)
            held, used = [], 0
        held.append(record)
        used += tokens
    if held:
        yield _together(held, column, ends=True)


def _together(rows: list[Row], column: str, ends: bool) -> Row:
    """One row of one or more paragraphs. A part of a document says which lines, and whether it ends there."""
    first, last = rows[0], rows[-1]
    if not first.joins and ends and len(rows) == 1:
        return first
    text = SEPARATOR.join(_text(row, column) for row in rows)
    end = last.line + _text(last, column).count("\n")
    data = {**first.data, column: text}
    if first.joins or not ends:
        data |= {"lines": [first.line, end], "ends": ends}
    notes = tuple(note for row in rows for note in row.notes)
    return Row(first.file, first.line, data, first.offset, first.unit, first.joins, notes)


def _text(row: Row, column: str) -> str:
    text = row.data.get(column)
    return text if isinstance(text, str) else ""


def entry(row: Row, reason: str, detail: str, done: Done = "left out") -> Entry:
    """The ledger's line about a row."""
    return Entry(row.file, row.line, reason, detail, excerpt(row.data), done, row.offset, row.unit)


def settled(note: Entry, actions: Mapping[str, Action]) -> Entry:
    """An entry after the recipe's policy. Raises UserError where that says to stop."""
    if actions[note.reason] == "stop":
        key = note.reason.replace(" ", "_")
        raise UserError(f"{said(note)}; data.policy.{key} is 'stop': mend the row, or let it be dropped")
    return note


def place(at: Entry | Row) -> str:
    """Where a record stands, for people: rows.jsonl line 12."""
    return f"{Path(at.file).name} {at.unit} {at.line}"


def said(note: Entry) -> str:
    """An entry in words: rows.jsonl line 12: missing field: output."""
    return f"{place(note)}: {note.reason}{': ' + note.detail if note.detail else ''}"


def why(refused: list[Entry]) -> str:
    """The first of the reasons, to end a sentence with."""
    return f"; {said(refused[0])}" if refused else ""


def shown(columns: Mapping[str, Any], most: int = 12) -> str:
    """Column names for a sentence, cut where they are many."""
    names = [str(name) for name in columns]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
