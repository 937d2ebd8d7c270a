"""JSON files that are one object: columns, or rows under a key. They are read whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.ledger import Entry, excerpt
from engine.schema import Source
from engine.sources import json_text
from engine.sources.json_lines import no_object
from engine.sources.rows import PARTS, File, Part, Row
from engine.sources.streams import opened

LARGEST = 512 * 1024 * 1024

# Keys under which a file keeps its rows; those of a part hold that part.
WRAPPERS = ("data", "rows", "examples", "records", "items", "samples", "entries", "dataset", "instances")
PART_KEYS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "eval"),
}
# What one row has, so that a file that is one row is taken for it.
ROWS = (
    ("messages",), ("conversations",), ("text",), ("instruction", "output"), ("instruction", "response"),
    ("instruction", "instances"), ("prompt", "completion"), ("prompt", "response"), ("question", "answer"),
    ("input", "output"), ("chosen", "rejected"), ("input_ids",),
)  # fmt: skip


def read(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The rows from the one with `start` rows before it. Raises UserError where no rows are found."""
    name = str(file.path)
    rows, _ = _rows(file.path, _load(file.path, source)[0], file.part)
    for number, record in enumerate(rows):
        if number < start:
            continue
        if not isinstance(record, dict):
            yield replace(
                no_object(name, number + 1, record, b"", number), excerpt=excerpt(record), unit="row"
            )
            continue
        record, notes = json_text.cleaned(record)
        yield Row(name, number + 1, record, number, "row", False, notes)


def parts(path: Path, source: Source, part: Part) -> dict[Part, tuple[str, ...]]:
    """The parts that the file holds and what to know of each. Raises UserError where no rows are found."""
    document, wrong = _load(path, source)
    own = [of for of in PARTS if isinstance(document, dict) and _key(document, PART_KEYS[of])]
    if part != "train" or "train" not in own:
        own = [part]
    damage = f"{wrong} is not UTF-8 and became U+FFFD" if wrong else ""
    notes = {of: (_rows(path, document, of)[1], damage) for of in own}
    return {of: tuple(filter(None, said)) for of, said in notes.items()}


def _load(path: Path, source: Source) -> tuple[Any, str]:
    """The whole document, and its first byte that is not text. Raises UserError where it is no JSON."""
    with opened(path, source.encoding) as stream:
        raw = stream.reader.read(LARGEST + 1)
    if len(raw) > LARGEST:
        limit = f"{LARGEST >> 20} MiB"
        raise UserError(f"{path}: a JSON object of more than {limit}; convert it to JSON Lines, a row a line")
    try:
        return json_text.document(raw)
    except json_text.Malformed as error:
        raise UserError(f"{path}: not valid JSON: {error}; mend it, or write a row a line (.jsonl)") from None


def _rows(path: Path, document: Any, part: Part) -> tuple[Iterator[Any], str]:
    """The rows and a note on where they were found."""
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: no rows here: the file is one value; name a file with a row for each example"
        )
    if _is_split(document):
        return _from_split(document), ""
    key = _key(document, PART_KEYS[part]) or _key(document, WRAPPERS)
    if key and not _is_row(document):
        others = [name for name in document if name != key]
        left = f" (beside it: {_names(others)})" if others else ""
        return iter(document[key]), f"the rows are those under the key {key!r}{left}"
    if (rows := _from_columns(path, document)) is not None:
        return rows, ""
    if _is_row(document) and _is_flat(document):
        return iter([document]), "the file is one row"
    raise UserError(
        f"{path}: no rows here: the keys are {_names(document)}; name a file that is a list of flat rows"
    )


def _names(names: Any) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "") or "none"


def _key(document: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The key of that name whose value is a list of flat rows."""
    for name in names:
        rows = document.get(name)
        if isinstance(rows, list) and any(isinstance(row, dict) for row in rows):
            return name if all(_is_flat(row) for row in rows[:100] if isinstance(row, dict)) else ""
    return ""


def _is_row(document: Mapping[str, Any]) -> bool:
    return any(all(name in document for name in names) for names in ROWS)


def _is_flat(row: Mapping[str, Any]) -> bool:
    """Whether an object can be a row: lists of objects with lists of objects in them are a tree."""
    return _is_row(row) or not any(
        _objects(inner) for value in row.values() for item in _objects(value) for inner in item.values()
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_split(document: Mapping[str, Any]) -> bool:
    """DataFrame.to_json(orient="split")."""
    names, rows = document.get("columns"), document.get("data")
    return (
        isinstance(names, list)
        and isinstance(rows, list)
        and set(document) <= {"columns", "index", "data"}
        and all(isinstance(cells, list) and len(cells) == len(names) for cells in rows)
    )


def _from_split(document: Mapping[str, Any]) -> Iterator[Any]:
    names = [str(name) for name in document["columns"]]
    return (dict(zip(names, cells, strict=True)) for cells in document["data"])


def _from_columns(path: Path, document: Mapping[str, Any]) -> Iterator[Any] | None:
    """Rows out of columns: lists of one length, or pandas' objects with row numbers as keys."""
    columns = list(document.values())
    if columns and all(isinstance(column, list) for column in columns) and not _turns(document):
        return _from_lists(path, document)
    if not columns or not all(isinstance(column, dict) and column for column in columns):
        return None
    if all(_numbers(column) for column in columns):
        index = list(dict.fromkeys(number for column in columns for number in column))
        return ({name: column.get(number) for name, column in document.items()} for number in index)
    return iter(columns) if _numbers(document) else None


def _from_lists(path: Path, document: Mapping[str, Any]) -> Iterator[Any]:
    lengths = {name: len(column) for name, column in document.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} {length}" for name, length in list(lengths.items())[:8])
        raise UserError(f"{path}: no rows here: the columns are not of one length: {told}; make them equal")
    columns = zip(*document.values(), strict=True)
    return (dict(zip(document, cells, strict=True)) for cells in columns)


def _turns(document: Mapping[str, Any]) -> bool:
    """Whether a list of objects here is the turns of one row, or rows that are trees, and no column."""
    return any(_objects(document.get(name)) for name in ("messages", "conversations")) or (
        len(document) == 1 and any(map(_objects, document.values()))
    )


def _numbers(names: Mapping[str, Any]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)
