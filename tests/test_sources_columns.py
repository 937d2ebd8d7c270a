"""Parquet and Arrow files to rows: what is no text or number comes out as text."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sources_stage import file_at, records, rows, shown, source_at, written

from engine import sources
from engine.errors import UserError
from engine.sources import Row

TABLE = pa.table(
    {
        "text": ["a", "b", None],
        "messages": [[{"role": "user", "content": "x"}], [], None],
        "blob": [b"\x00\xff", b"", None],
        "when": pa.array([0, 1_700_000_000_000_000_001, None], pa.timestamp("ns", "UTC")),
        "day": [datetime.date(2024, 1, 2)] * 3,
        "price": [decimal.Decimal("1.10"), None, decimal.Decimal("2.00")],
        "tags": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        "kind": pa.array(["p", "q", "p"]).dictionary_encode(),
        "score": [1.5, float("nan"), None],
        "took": pa.array([1, 2, None], pa.duration("s")),
    }
)
FIRST = {
    "text": "a", "messages": [{"role": "user", "content": "x"}], "blob": "<2 bytes>",
    "when": "1970-01-01T00:00:00+00:00", "day": "2024-01-02", "price": "1.10", "tags": {"k": 1}, "kind": "p",
    "score": 1.5, "took": "0:00:01",
}  # fmt: skip


def stream(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def ipc_file(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def parquet(table: pa.Table, path: Path) -> None:
    pa.parquet.write_table(table, path, row_group_size=2)


WRITE: list[tuple[str, Callable[[pa.Table, Path], None]]] = [
    ("rows.parquet", parquet),
    ("rows.arrow", stream),
    ("rows.arrow", ipc_file),
    ("rows.feather", pa.feather.write_feather),
]


@pytest.mark.parametrize(("name", "write"), WRITE)
def test_columns_come_out_as_what_json_can_hold(tmp_path: Path, name: str, write: Any) -> None:
    write(TABLE, tmp_path / name)
    found = records(tmp_path / name)
    assert [(r.line, r.offset, r.unit) for r in found] == [(1, 0, "row"), (2, 1, "row"), (3, 2, "row")]
    assert isinstance(found[0], Row) and found[0].data == FIRST
    assert isinstance(found[1], Row) and [note.reason for note in found[1].notes] == ["not a number"]
    assert isinstance(found[2], Row) and found[2].data["text"] is None
    json.dumps([record.data for record in found if isinstance(record, Row)])


@pytest.mark.parametrize(("name", "write"), WRITE)
def test_columns_are_read_from_any_row(tmp_path: Path, name: str, write: Any) -> None:
    write(pa.table({"n": list(range(5001))}), tmp_path / name)
    source, file = source_at(tmp_path / name), file_at(tmp_path / name)
    for start in (0, 1, 1023, 1024, 4999, 5000):
        first = next(sources.read(file, source, start, start + 1))
        assert isinstance(first, Row)
        assert (first.line, first.offset, first.data) == (start + 1, start, {"n": start})


@pytest.mark.parametrize(("name", "write"), WRITE)
def test_text_in_columns_that_is_not_utf_8_costs_its_row_only(tmp_path: Path, name: str, write: Any) -> None:
    write(pa.table({"t": pa.array([b"a", b"\xff", b"c"]).view(pa.string())}), tmp_path / name)
    assert shown(records(tmp_path / name)) == [(1, "row"), (2, "encoding"), (3, "row")]


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    stream(table, tmp_path / "rows.arrow")
    assert rows(tmp_path / "rows.arrow") == [{"a": 1, "a_2": 2}]


@pytest.mark.parametrize(("name", "write"), WRITE)
def test_half_a_file_of_columns(tmp_path: Path, name: str, write: Any) -> None:
    write(pa.table({"n": list(range(5000))}), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    kind = "parquet" if "parquet" in name else "arrow"
    with pytest.raises(UserError, match=f"not a complete {kind} file"):
        records(written(tmp_path, name, data[: len(data) // 2]))
    with pytest.raises(UserError, match=f"not a complete {kind} file"):
        records(written(tmp_path, name, b"text"))
    with pytest.raises(UserError, match="unpack it first"):
        records(written(tmp_path, name + ".gz", gzip.compress(data)))


def test_wrong_offsets_in_a_mapped_file_are_a_sentence_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    file = tmp_path / "rows.arrow"
    table = pa.table({"text": [f"row {i}" for i in range(64)]})
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    data = file.read_bytes()
    offsets = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + (10).to_bytes(4, "little")
    assert data.count(offsets) == 1
    file.write_bytes(data.replace(offsets, offsets[:4] + (2**31 - 1).to_bytes(4, "little") + offsets[8:]))
    with pytest.raises(UserError, match="not a complete arrow file"):
        rows(file)
