"""Files to rows: every row is yielded as it stands, or as Entry with file, line and reason."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine import RECIPES
from engine.errors import UserError
from engine.ledger import Entry, Note, Unit, excerpt
from engine.recipe import Source

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
CSV_DELIMITERS = ",;\t|"
LONGEST_CELL = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file. `line` counts from 1 and is where the record begins.

    offset: where reading can begin again to yield this record first (a byte of the decoded file, or the
    number of the row where unit is "row"). joins: it goes on with the document of the row before, as the
    paragraphs of one file do. notes: what had to be changed to read it.
    """

    file: str
    line: int
    data: dict[str, Any]
    offset: int = 0
    unit: Unit = "line"
    joins: bool = False
    notes: tuple[Note, ...] = ()


def bundled() -> list[str]:
    """Names of the sets that ship with the program; each has its three parts."""
    return sorted(folder.parent.name for folder in (RECIPES / "datasets").glob("*/train.jsonl"))


def files(source: Source) -> dict[Part, Path]:
    """Where each part of a source lies; only `train` need be there. Raises UserError."""
    if source.path.startswith("builtin:"):
        name = source.path.removeprefix("builtin:")
        if name not in bundled():
            raise UserError(f"{source.path}: no such bundled set; there are: {', '.join(bundled())}")
        folder = RECIPES / "datasets" / name
        found = {part: folder / f"{part}.jsonl" for part in PARTS}
        return {part: path for part, path in found.items() if path.is_file()}
    named = {"train": source.path, "validation": source.validation, "test": source.test}
    paths: dict[Part, Path] = {part: Path(named[part]) for part in PARTS if named[part]}  # type: ignore[arg-type]
    for path in paths.values():
        _check(path)
    return paths


def read(path: Path) -> Iterator[Row | Entry]:
    """The records of one file in order. Raises UserError where the file as a whole cannot be read."""
    _check(path)
    if path.suffix in (".csv", ".tsv"):
        return _read_csv(path)
    if path.suffix == ".json":
        return _read_json(path)
    return _read_lines(path)


def _check(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: not a regular file; name a {', '.join(SUFFIXES)} file")
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: files of this kind are not read yet; use {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty")


def _read_lines(path: Path) -> Iterator[Row | Entry]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if line.strip():
                yield _parsed(str(path), number, line)


def _parsed(file: str, number: int, line: bytes) -> Row | Entry:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = excerpt(line.decode("utf-8", "replace").strip())
        return Entry(file, number, "encoding", f"byte {error.start + 1}", shown)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Entry(file, number, "malformed", _short(error), excerpt(text.strip()))
    return _as_row(file, number, record)


def _as_row(file: str, number: int, record: Any) -> Row | Entry:
    if not isinstance(record, dict):
        kind = type(record).__name__
        return Entry(file, number, "not an object", f"a {kind} was found", excerpt(record))
    return Row(file, number, record)


def _short(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _read_json(path: Path) -> Iterator[Row | Entry]:
    """An array of objects; anything else under this name is taken for JSON Lines."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start + 1}; convert it to UTF-8") from None
    if not text.lstrip().startswith("["):
        yield from _read_lines(path)
        return
    decoder = json.JSONDecoder()
    position, line, seen = text.index("[") + 1, 1, 0
    while True:
        position = _skip(text, position, " \t\r\n,")
        line += text.count("\n", seen, position)
        seen = position
        if position >= len(text) or text[position] == "]":
            return
        try:
            record, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            shown = excerpt(text[position : position + 120])
            yield Entry(
                str(path),
                line,
                "malformed",
                f"{_short(error)}; nothing after it is read",
                shown,
            )
            return
        yield _as_row(str(path), line, record)


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _read_csv(path: Path) -> Iterator[Row | Entry]:
    csv.field_size_limit(LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else _delimiter(file.read(65_536))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield _csv_row(str(path), line, header, cells)
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason}); convert it to UTF-8") from None
    except csv.Error as error:
        yield Entry(str(path), line, "malformed", f"{error}; nothing after it is read")


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text, CSV_DELIMITERS).delimiter
    except csv.Error:
        return ","


def _csv_row(file: str, line: int, header: list[str], cells: list[str]) -> Row | Entry:
    if len(cells) != len(header):
        detail = f"{len(cells)} cells under {len(header)} headings"
        return Entry(file, line, "wrong number of cells", detail, excerpt(cells))
    return Row(file, line, dict(zip(header, cells, strict=True)))
