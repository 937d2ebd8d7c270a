"""What the tests of the readers share: bytes written to a file, and everything that reading them gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import sources
from engine.ledger import Entry
from engine.schema import Source
from engine.sources import File, Row

Records = list[Row | Entry]


def written(folder: Path, name: str, data: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def source_at(path: Path, **keys: Any) -> Source:
    return Source(path=str(path), **keys)


def file_at(path: Path, **keys: Any) -> File:
    """The one file that the path is."""
    (file,) = sources.files(source_at(path, **keys)).files
    return file


def records(path: Path, **keys: Any) -> Records:
    """All records of one file."""
    return list(sources.read(file_at(path, **keys), source_at(path, **keys)))


def rows(path: Path, **keys: Any) -> list[dict[str, Any]]:
    """The data of all records, which must all be rows."""
    found = records(path, **keys)
    assert all(isinstance(record, Row) for record in found), found
    return [record.data for record in found if isinstance(record, Row)]


def shown(found: Records) -> list[tuple[int, str]]:
    """Each record as its line and "row", or the reason why it is none."""
    return [(record.line, record.reason if isinstance(record, Entry) else "row") for record in found]


def resumes(path: Path, **keys: Any) -> None:
    """Check that reading can begin again at every row and then gives the same rest."""
    source, file = source_at(path, **keys), file_at(path, **keys)
    whole = list(sources.read(file, source))
    for number, record in enumerate(whole):
        if isinstance(record, Row):
            assert list(sources.read(file, source, record.offset, record.line)) == whole[number:]
