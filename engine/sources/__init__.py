"""Files to rows: every record comes out as a Row as it stands, or as an Entry with file, line and reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from engine import RECIPES
from engine.errors import UserError
from engine.ledger import Entry
from engine.schema import Source
from engine.sources import (
    columns,
    documents,
    folders,
    hub_sets,
    json_array,
    json_lines,
    json_object,
    kinds,
    tables,
)
from engine.sources.rows import KINDS, PARTS, File, Found, Part, Row

__all__ = ["KINDS", "PARTS", "File", "Found", "Part", "Row", "bundled", "files", "read"]

TEXTS = ("sentences", "paragraphs", "source")
# So many are read of each file of a folder to compare their columns.
FIRST_RECORDS = 64

Reader = Callable[[File, Source, int, int], Iterator[Row | Entry]]

READERS: dict[str, Reader] = {
    "lines": json_lines.read,
    "array": json_array.read,
    "object": json_object.read,
    "table": tables.read,
    "parquet": columns.read_parquet,
    "arrow": columns.read_arrow,
    "sentences": documents.read_sentences,
    "paragraphs": documents.read_paragraphs,
    "source": documents.read_paragraphs,
}


def bundled() -> list[str]:
    """Names of the sets that ship with the program; each has its three parts."""
    return sorted(folder.parent.name for folder in (RECIPES / "datasets").glob("*/train.jsonl"))


def files(source: Source) -> Found:
    """The files of a source and the part each belongs to.

    Files that the recipe names for validation and test take the place of those found for these parts.
    Raises UserError where there is nothing to read.
    """
    found = _at(source.path, source)
    named: dict[Part, str | None] = {"validation": source.validation, "test": source.test}
    for part, path in named.items():
        if path:
            own = folders.in_part(part, _at(path, source))
            kept = [file for file in found.files if file.part != part]
            found = Found(kept + own.files, found.notes + own.notes, found.skipped + own.skipped)
    return found


def read(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The records of one file in order.

    start: the `offset` of a Row of this file to begin with, and line its `line`; 0 begins with the file.
    Raises UserError, at once or later, where the file as a whole cannot be read.
    """
    records = READERS[file.kind](file, source, start, line if start else 1)
    first = next(records, None)
    if first is not None:
        yield first
        yield from records
    elif not start:
        header = "a header and " if file.kind == "table" else ""
        raise UserError(f"{file.path}: {header}no rows; name a file that has some")


def _at(path: str, source: Source) -> Found:
    if path.startswith("builtin:"):
        return _bundled(path, source)
    if path.startswith("hf:"):
        return hub_sets.found(source)
    place = Path(path).expanduser()
    if not _is_folder(place):
        return Found(kinds.look(place, "train", source))
    return _alike(folders.found(place, source), source)


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:
        # Opening it as a file says in words what is wrong with the name.
        return False


def _bundled(path: str, source: Source) -> Found:
    name = path.removeprefix("builtin:")
    if name not in bundled():
        raise UserError(f"{path}: no such bundled set; there are: {', '.join(bundled())}")
    there = {part: RECIPES / "datasets" / name / f"{part}.jsonl" for part in PARTS}
    return Found(
        [file for part in PARTS if there[part].is_file() for file in kinds.look(there[part], part, source)]
    )


def _alike(found: Found, source: Source) -> Found:
    """The data files of a folder that have rows, and which of them have other columns than the first."""
    if any(file.kind in TEXTS for file in found.files):
        return found
    columns: dict[File, list[str]] = {}
    empty: dict[File, str] = {}
    for file in found.files:
        try:
            columns[file] = _columns(file, source)
        except UserError as error:
            empty[file] = str(error)
    if not columns:
        raise UserError(next(iter(empty.values())))
    (first, usual), *others = [item for item in columns.items() if item[1]] or columns.items()
    notes = [
        f"{file.path.name} has other columns than {first.path.name}: {', '.join(names[:12])}"
        for file, names in others
        if set(names) != set(usual)
    ]
    skipped = [_skipped(file.path, why) for file, why in empty.items()]
    parts = found.notes or folders.told(list(columns))
    return Found(list(columns), parts + notes, found.skipped + skipped)


def _columns(file: File, source: Source) -> list[str]:
    """The columns of the first row; none where the first records are no rows."""
    first = itertools.islice(read(file, source), FIRST_RECORDS)
    return next((list(record.data) for record in first if isinstance(record, Row)), [])


def _skipped(path: Path, why: str) -> Entry:
    return Entry(str(path), 1, "skipped file", why.removeprefix(f"{path}: "))
