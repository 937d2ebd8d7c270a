"""Rendered rows on disk: written one by one as an Arrow stream, mapped into memory by the trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

ROWS_A_BATCH = 512

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])


@contextmanager
def writer(path: Path) -> Iterator[Callable[[list[int], list[int]], None]]:
    """A function that takes ids and labels of one row after the other. They are all there when it ends."""
    batch: list[dict[str, list[int]]] = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:

        def flush() -> None:
            stream.write_batch(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))
            batch.clear()

        def write(ids: list[int], labels: list[int]) -> None:
            batch.append({"input_ids": ids, "labels": labels})
            if len(batch) == ROWS_A_BATCH:
                flush()

        yield write
        flush()
