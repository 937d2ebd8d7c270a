"""JSON Lines, a record at a time: what is wrong with one does not cost the others."""

from __future__ import annotations

from collections.abc import Iterator

from engine.ledger import EXCERPT, Entry, excerpt
from engine.schema import Source
from engine.sources import json_text
from engine.sources.rows import File, Row
from engine.sources.streams import TooLong, opened

TYPES = {str: "a string", bool: "a truth value", list: "a list", type(None): "null"}


def read(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The rows from the byte `start`, which stands in that line."""
    name, parse = str(file.path), json_text.parse
    with opened(file.path, source.encoding) as stream:
        if start:
            stream.skip_to(start)
        while True:
            offset, raw = stream.offset, b""
            try:
                raw = stream.line()
                if not raw:
                    return
                if raw.isspace():
                    line += 1
                    continue
                record, notes = parse(raw)
            except TooLong as error:
                yield Entry(name, line, "too large", error.detail, offset=offset)
                if error.ends:
                    return
            except json_text.Malformed as error:
                yield Entry(name, line, "malformed", str(error), beginning(raw), offset=offset)
            else:
                if type(record) is dict:
                    yield Row(name, line, record, offset, "line", False, notes)
                else:
                    yield no_object(name, line, record, raw, offset)
            line += 1


def no_object(name: str, line: int, record: object, raw: bytes, offset: int) -> Entry:
    """The entry for a valid value that is no row."""
    detail = f"expected an object, found {TYPES.get(type(record), 'a number')}"
    return Entry(name, line, "not an object", detail, beginning(raw), offset=offset)


def beginning(raw: bytes) -> str:
    """An excerpt of some UTF-8 bytes."""
    return excerpt(raw[: 4 * EXCERPT + 4].decode("utf-8", "replace").strip())
