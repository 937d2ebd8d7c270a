"""Rendered rows on disk: written one by one as an Arrow stream, mapped into memory by the trainer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

ROWS_A_BATCH = 512

FILES = "files.json"

TRAINED = ["input_ids", "labels"]
"""Columns that a trainer sees; `file` (a number in the list of FILES) and `line` are where a row is from."""

SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("file", pa.int32()),
        ("line", pa.int64()),
    ]
)


class Write(Protocol):
    def __call__(self, ids: list[int], labels: list[int], file: str, line: int) -> None: ...


@contextmanager
def writer(path: Path) -> Iterator[Write]:
    """A function that takes ids, labels and origin of one row after the other. All are there when it ends."""
    batch: list[dict[str, Any]] = []
    files: dict[str, int] = {}
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, SCHEMA) as stream:

        def flush() -> None:
            stream.write_batch(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))
            batch.clear()

        def write(ids: list[int], labels: list[int], file: str, line: int) -> None:
            number = files.setdefault(file, len(files))
            batch.append({"input_ids": ids, "labels": labels, "file": number, "line": line})
            if len(batch) == ROWS_A_BATCH:
                flush()

        yield write
        flush()
    (path.parent / FILES).write_text(json.dumps(list(files)), "utf-8")


class Mapped:
    """The rows of a file that `writer` wrote, by their number, as arrays that lie in the mapped file.

    For a trainer: reading a row takes microseconds, through `datasets` a good part of a millisecond, in which
    a GPU stands still.
    """

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            batches = [batch for batch in stream if len(batch)]
        self._rows = sum(map(len, batches))
        self._batches = [{name: _arrays(batch.column(name)) for name in TRAINED} for batch in batches]

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        batch, place = divmod(number, ROWS_A_BATCH)
        columns = self._batches[batch].items()
        return {name: values[offsets[place] : offsets[place + 1]] for name, (values, offsets) in columns}


def _arrays(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """The values of all lists of a column behind one another, and where each begins and the last one ends."""
    return column.values.to_numpy(), column.offsets.to_numpy()


def places(path: Path, rows: Sequence[int]) -> list[str]:
    """Where rows of a file that `writer` wrote are from, rows by their number: "reviews.jsonl line 12"."""
    files = json.loads((path.parent / FILES).read_text("utf-8"))
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        found = stream.read_all().select(["file", "line"]).take(list(rows)).to_pylist()
    return [f"{PurePath(files[one['file']]).name} line {one['line']}" for one in found]
