"""CSV and its kin: the delimiter and the names found, each record with the line where it begins."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.errors import UserError
from engine.ledger import Entry, Note, excerpt
from engine.schema import Source
from engine.sources.rows import LONGEST_ROW, File, Row
from engine.sources.streams import Stream, TooLong, opened, text

DELIMITERS = ",\t;|"
SAMPLE_LINES = 64
SAMPLE_BYTES = 1024 * 1024
# A quarter of a row, since the csv module keeps four bytes for each character of a cell.
LONGEST_CELL = LONGEST_ROW // 4
# A heading is shorter than that.
LONGEST_NAME = 80

_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")


@dataclass(frozen=True)
class Layout:
    """How the cells of a table are told apart and named.

    spaced: a blank follows each delimiter, and is no part of the cell. loose: some cells begin with a blank
    all the same, so that this says nothing about a delimiter inside a cell.
    """

    delimiter: str
    names: tuple[str, ...]
    spaced: bool = False
    loose: bool = False
    suspicious: str = ""


def read(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The records from the byte `start`, which stands in that line; cells are text. Raises UserError."""
    csv.field_size_limit(LONGEST_CELL)
    table = layout(file, source)
    with opened(file.path, source.encoding) as stream:
        if start:
            stream.skip_to(start)
        lines = _Lines(stream, line)
        reader = _reader(lines, table)
        if source.header and not start:
            _pass_header(file, reader)
        yield from _records(str(file.path), lines, reader, table)


def layout(file: File, source: Source) -> Layout:
    """The delimiter and the names, from the first lines. Raises UserError where the names cannot be read."""
    csv.field_size_limit(LONGEST_CELL)
    with opened(file.path, source.encoding) as stream:
        lines, whole = _sample(file, stream)
    if source.delimiter and source.delimiter in '"\r\n':
        raise UserError(f"delimiter: {source.delimiter!r} cannot part cells; try one of {' '.join(',;|')}")
    delimiter = source.delimiter or _delimiter(lines, file.path.name)
    rows = _parsed(lines, delimiter)
    if not rows:
        raise UserError(f"{file.path}: no rows: the first lines hold no cells; name a file that has some")
    rows = rows if whole or len(rows) == 1 else rows[:-1]
    head = rows[0] if source.header else [""] * Counter(map(len, rows)).most_common(1)[0][0]
    spaced = source.header and len(head) > 1 and all(cell.startswith(" ") for cell in head[1:])
    inner = (cell for row in rows[1:] if len(row) == len(head) for cell in row[1:])
    return Layout(
        delimiter,
        unique(head),
        spaced,
        any(cell.startswith(" ") for cell in inner),
        _suspicious(rows) if source.header else "",
    )


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """A name for each column: column_3 for a blank one, name_2 for one that is there already."""
    taken: dict[str, None] = {}
    for number, name in enumerate(names, start=1):
        first = name.strip() or f"column_{number}"
        free = (f"{first}_{count}" for count in itertools.count(2))
        taken[first if first not in taken else next(other for other in free if other not in taken)] = None
    return tuple(taken)


def _pass_header(file: File, reader: Iterator[list[str]]) -> None:
    try:
        while not any(cell.strip() for cell in next(reader, ["end"])):
            pass
    except csv.Error as error:
        raise UserError(f"{file.path}: line 1: {_words(error, 1, 1)[1]}; the columns have no names") from None


def _records(name: str, lines: _Lines, reader: Iterator[list[str]], table: Layout) -> Iterator[Row | Entry]:
    while True:
        lines.begin_record()
        line, offset = lines.line, lines.stream.offset
        try:
            cells = next(reader)
        except StopIteration:
            return
        except TooLong as error:
            yield Entry(name, line, "too large", error.detail, offset=offset)
            if error.ends:
                return
        except csv.Error as error:
            reason, detail, ends = _words(error, line, lines.line)
            yield Entry(name, line, reason, detail, excerpt(lines.first.strip()), offset=offset)
            if ends:
                return
        else:
            if cells and (len(table.names) == 1 or len(cells) > 1 or cells[0].strip()):
                yield _row(name, line, offset, cells, table, lines.wrong)


def _row(name: str, line: int, offset: int, cells: list[str], table: Layout, wrong: list[str]) -> Row | Entry:
    notes = [Note("encoding", detail) for detail in wrong]
    if len(cells) != len(table.names):
        detail = f"{_counted(len(cells), 'cell')} under {_counted(len(table.names), 'heading')}"
        joined = _joined(cells, table)
        if not joined:
            return Entry(name, line, "wrong number of cells", detail, excerpt(cells), offset=offset)
        cells = joined
        notes.append(Note("wrong number of cells", f"{detail}, joined"))
    return Row(name, line, dict(zip(table.names, cells, strict=True)), offset, "line", False, tuple(notes))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _joined(cells: list[str], table: Layout) -> list[str]:
    """The right number of cells, where those that begin with a blank are the rest of the cell before."""
    parted = [number for number, cell in enumerate(cells) if number and cell.startswith(" ")]
    if table.loose or table.spaced or len(cells) - len(parted) != len(table.names):
        return []
    whole: list[str] = []
    for number, cell in enumerate(cells):
        if number in parted:
            whole[-1] += table.delimiter + cell
        else:
            whole.append(cell)
    return whole


def _words(error: csv.Error, first: int, behind: int) -> tuple[str, str, bool]:
    """The reason, what was wrong, and whether nothing after it can be read."""
    said = str(error)
    if "unexpected end of data" in said or ("field limit" in said and behind > first + 1):
        return "malformed", "a quote is opened and never closed; nothing after it is read", True
    if "field limit" in said:
        return "too large", f"a cell of more than {LONGEST_CELL >> 20} million characters", False
    lines = f"lines {first} to {behind - 1}: " if behind > first + 1 else ""
    if "expected after" in said:
        said = "something follows a closing quote; double the quotes inside a cell"
    elif "new-line character" in said:
        said = "a carriage return inside a cell without quotes"
    return "malformed", lines + said, False


class _Lines:
    """The lines of a stream for the csv module, which takes as many as a record has."""

    def __init__(self, stream: Stream, line: int) -> None:
        self.stream = stream
        self.line = line
        self.begin_record()

    def begin_record(self) -> None:
        """Forget the record before."""
        self._begin = self.stream.offset
        self.first = ""
        self.wrong: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.line += 1
        raw = self.stream.line()
        if not raw:
            self.line -= 1
            raise StopIteration
        if self.stream.offset - self._begin > LONGEST_ROW:
            raise csv.Error("field limit")
        decoded, wrong = text(raw)
        if wrong:
            self.wrong.append(wrong)
        self.first = self.first or decoded
        return decoded


def _reader(lines: Iterator[str], table: Layout) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=table.delimiter, skipinitialspace=table.spaced, strict=True)


def _sample(file: File, stream: Stream) -> tuple[list[str], bool]:
    """The first lines, and whether they are the whole file."""
    lines: list[str] = []
    size = 0
    while len(lines) < SAMPLE_LINES and (size < SAMPLE_BYTES or len(lines) < 2):
        try:
            raw = stream.line()
        except TooLong as error:
            if not lines:
                raise UserError(
                    f"{file.path}: line 1: {error.detail}; that is no table, name another file"
                ) from None
            return lines, False
        if not raw:
            return lines, True
        if lines or raw.strip():
            lines.append(text(raw)[0])
        size += len(raw)
    return lines, False


def _delimiter(lines: list[str], name: str) -> str:
    """The one that parts most lines into as many cells as the first; among those, into the most cells."""
    usual = "\t" if ".tsv" in name.lower() or ".tab" in name.lower() else ","
    best, most = usual, (0.0, 0)
    for delimiter in (usual, *DELIMITERS.replace(usual, "")):
        counts = [len(row) for row in _parsed(lines, delimiter)]
        if counts and counts[0] > 1:
            fitting = (counts.count(counts[0]) / len(counts), counts[0])
            best, most = (delimiter, fitting) if fitting > most else (best, most)
    return best


def _parsed(lines: list[str], delimiter: str) -> list[list[str]]:
    """The records of some lines, leniently, blank ones left out."""
    reader = csv.reader(lines, delimiter=delimiter)
    rows: list[list[str]] = []
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return rows
        except csv.Error:
            continue
        if any(cell.strip() for cell in row):
            rows.append(row)


def _suspicious(rows: list[list[str]]) -> str:
    """Cells of the first line that look like those below them."""
    below = [
        set(column) for column in zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True)
    ]
    odd = [
        cell
        for number, cell in enumerate(rows[0])
        if len(cell) > LONGEST_NAME
        or _NUMBER.fullmatch(cell.strip())
        or (cell.strip() and number < len(below) and cell in below[number])
    ]
    return ", ".join(f'"{excerpt(cell)}"' for cell in odd[:3])
