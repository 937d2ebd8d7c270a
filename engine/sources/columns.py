"""Parquet and Arrow files, in batches; what is no text or number is written as text."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.ledger import Entry
from engine.schema import Source
from engine.sources.json_text import cleaned
from engine.sources.rows import File, Row
from engine.sources.streams import regular
from engine.sources.tables import unique

BATCH_ROWS = 1024


def read_parquet(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The rows from the one with `start` rows before it. Raises UserError."""
    import pyarrow
    import pyarrow.parquet

    regular(file.path).close()
    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            first, groups = _groups(table.metadata, start)
            yield from _rows(file.path, table.iter_batches(BATCH_ROWS, row_groups=groups), first, start)
    except (pyarrow.ArrowException, OSError) as error:
        raise _broken(file.path, "parquet", error) from None


def read_arrow(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The rows of an Arrow file or stream from the one with `start` rows before it. Raises UserError."""
    import pyarrow

    regular(file.path).close()
    try:
        with pyarrow.memory_map(str(file.path)) as opened:
            yield from _rows(file.path, _batches(opened), 0, start)
    except (pyarrow.ArrowException, OSError) as error:
        raise _broken(file.path, "arrow", error) from None


def _groups(metadata: Any, start: int) -> tuple[int, list[int]]:
    """The row groups that hold the rows from `start`, and how many rows lie before them."""
    first = 0
    for group in range(metadata.num_row_groups):
        if first + metadata.row_group(group).num_rows > start:
            return first, list(range(group, metadata.num_row_groups))
        first += metadata.row_group(group).num_rows
    return first, []


def _batches(opened: Any) -> Iterator[Any]:
    import pyarrow.ipc

    if opened.read(6) == b"ARROW1":
        table = pyarrow.ipc.open_file(opened)
        return (table.get_batch(number) for number in range(table.num_record_batches))
    opened.seek(0)
    return iter(pyarrow.ipc.open_stream(opened))


def _rows(path: Path, batches: Iterator[Any], number: int, start: int) -> Iterator[Row | Entry]:
    """The rows from `start` on; `number` of them lie before the first batch."""
    for batch in batches:
        behind = number + batch.num_rows
        if behind > start:
            _check(batch)
            ahead = max(0, start - number)
            for first in range(ahead, batch.num_rows, BATCH_ROWS):
                yield from _converted(path, batch.slice(first, BATCH_ROWS), number + first)
        number = behind


def _check(batch: Any) -> None:
    """Raise where offsets are wrong: a mapped file is taken at its word, and that would end this process."""
    import pyarrow

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid as error:
            if "UTF8" not in str(error):  # that costs a row alone, when it is converted
                raise


def _converted(path: Path, batch: Any, number: int) -> Iterator[Row | Entry]:
    try:
        records = _listed(batch)
    except (ValueError, OverflowError, LookupError) as error:
        # Text that is not UTF-8, or a time out of all bounds: found row by row.
        if batch.num_rows == 1:
            wrong = "encoding" if isinstance(error, UnicodeDecodeError) else "malformed"
            yield Entry(str(path), number + 1, wrong, str(error), offset=number, unit="row")
            return
        for row in range(batch.num_rows):
            yield from _converted(path, batch.slice(row, 1), number + row)
        return
    for offset, record in enumerate(records, start=number):
        data, notes = cleaned(_plain(record))
        yield Row(str(path), offset + 1, data, offset, "row", False, notes)


def _listed(batch: Any) -> list[dict[str, Any]]:
    import pyarrow

    names = unique(batch.schema.names)
    columns = [_in_microseconds(column) for column in batch.columns]
    records: list[dict[str, Any]] = pyarrow.RecordBatch.from_arrays(columns, names=list(names)).to_pylist(
        maps_as_pydicts="lossy"
    )
    return records


def _in_microseconds(column: Any) -> Any:
    """Times that Python can hold: it knows no nanoseconds."""
    import pyarrow

    if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    return column


def _plain(value: Any) -> Any:
    """The value as JSON could hold it."""
    match value:
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | str() | bool() | int() | float():
            return value
        case bytes():
            return f"<{len(value):,} bytes>"
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return format(value, "f")
        case _:
            return str(value)


def _broken(path: Path, kind: str, error: Exception) -> UserError:
    said = str(error).partition("\n")[0][:200]
    return UserError(f"{path}: not a complete {kind} file ({said}); download or write it again")
