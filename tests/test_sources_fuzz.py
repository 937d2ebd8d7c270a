"""Any bytes at all: they are read, or refused in one sentence, and nothing vanishes between the rows."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources_stage import source_at, written

from engine import sources
from engine.errors import UserError
from engine.ledger import REASONS, Entry
from engine.sources import KINDS, File, Row

SUFFIXES = (
    "jsonl", "json", "csv", "tsv", "txt", "md", "py", "dat", "parquet", "arrow", "jsonl.gz",
    "csv.bz2", "txt.xz", "json.zst",
)  # fmt: skip
HEADS = (
    b"", b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PAR1", b"ARROW1\0\0",
    b"\xff\xff\xff\xff\x10\0\0\0", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\xef\xbb\xbf",
    b"[", b'{"data": [', b'{"a": ', b'a,"', b"a,b\n",
)  # fmt: skip
TOKENS = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"', "'", "\\", "\n", "\r\n", " ", "a", "1", "NaN", "null", "None", "é",
     ";", "\t", '{"a": 1}', '{"b": [2]}', '"x"', "\\ud83d", "\x00", "\x1c", "\u2028", "-", "1e999",
     "99999999999999999999"]
)  # fmt: skip
SCRAPS = st.lists(TOKENS, max_size=60).map("".join)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def read(path: Path, kind: str = "") -> list[Row | Entry]:
    """All records, and a check that reading can begin again at every row."""
    source = source_at(path)
    found = [File(path, "train", kind)] if kind else sources.files(source).files
    whole: list[Row | Entry] = []
    for file in found:
        records = list(sources.read(file, source))
        for number, record in enumerate(records):
            assert isinstance(record, Row | Entry)
            if isinstance(record, Row):
                rest = list(sources.read(file, source, record.offset, record.line))
                assert repr(rest) == repr(records[number:])
        whole += records
    return whole


def check(data: bytes, name: str, kind: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            records = read(written(Path(folder), name, data), kind)
        except UserError as error:
            assert "\n" not in str(error)
            return
    for record in records:
        if isinstance(record, Row):
            json.dumps(record.data, ensure_ascii=False).encode()
            assert isinstance(record.data, dict) and all(isinstance(name, str) for name in record.data)
            assert {note.reason for note in record.notes} <= set(REASONS)
        else:
            record.dumps()
            assert record.reason in REASONS and record.detail


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_any_bytes_under_any_name(suffix: str, head: bytes, data: bytes) -> None:
    check(head + data, f"rows.{suffix}")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "txt", "md", "py", "dat"])
@quick
@given(SCRAPS, st.sampled_from(["utf-8", "utf-16"]))
def test_scraps_of_text_under_any_name(suffix: str, text: str, encoding: str) -> None:
    check(text.encode(encoding), f"rows.{suffix}")


@pytest.mark.parametrize("kind", sorted(KINDS))
@quick
@given(SCRAPS)
def test_scraps_of_text_read_as_any_kind(kind: str, text: str) -> None:
    check(text.encode(), "rows", kind)


@quick
@given(
    st.lists(st.one_of(SCRAPS.map(lambda text: text.replace("\n", "")), st.just('{"a": "b"}')), min_size=1)
)
def test_every_line_is_a_row_or_an_entry(lines: list[str]) -> None:
    lines.append('{"a": 1}')
    with tempfile.TemporaryDirectory() as folder:
        records = read(written(Path(folder), "rows.jsonl", "\n".join(lines)), "lines")
    there = [number for number, line in enumerate(lines, start=1) if line.encode().strip()]
    assert [record.line for record in records] == there


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), min_size=1, max_size=6)


def as_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("kind", "write"),
    [("lines", as_lines), ("array", json.dumps), ("array", lambda rows: json.dumps(rows, indent=2))],
)
@quick
@given(OBJECTS)
def test_json_comes_back_as_it_was(
    kind: str, write: Callable[[Any], str], rows: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records = read(written(Path(folder), "rows.json", write(rows)), kind)
    assert [record.data for record in records if isinstance(record, Row)] == rows


@quick
@given(
    OBJECTS,
    st.sampled_from(["x", "12", '{"a": 01}', '{"a": [}', "{]}", '"s"', "{'a': b}", "null"]),
    st.data(),
)
def test_one_bad_record_costs_no_other_of_its_array(rows: list[dict[str, Any]], bad: str, data: Any) -> None:
    at = data.draw(st.integers(0, len(rows)))
    parts = [json.dumps(row) for row in rows]
    parts.insert(at, bad)
    with tempfile.TemporaryDirectory() as folder:
        records = read(written(Path(folder), "rows.json", "[" + ",\n".join(parts) + "]"), "array")
    assert [record.line for record in records] == list(range(1, len(rows) + 2))
    assert isinstance(records[at], Entry)
    assert [record.data for record in records if isinstance(record, Row)] == rows


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', ",", "\r", "\r\n", "\n", " x", ";", "", "\x00", "\u2028"]
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@quick
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_what_csv_writes_comes_back(delimiter: str, table: list[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("one", "two", "three"), *table])
    with tempfile.TemporaryDirectory() as folder:
        records = read(written(Path(folder), "rows.csv", text.getvalue()), "table")
    assert [tuple(r.data.values()) for r in records if isinstance(r, Row)] == table


@quick
@given(st.lists(st.sampled_from(["a", "  b", "", "", "\t", " ", "c d"]), max_size=30))
def test_a_source_file_is_whole_again_when_joined(lines: list[str]) -> None:
    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        try:
            records = read(written(Path(folder), "a.py", text))
        except UserError:
            assert not text.strip()
            return
    joined = "\n\n".join(record.data["text"] for record in records if isinstance(record, Row))
    assert joined.rstrip() == text.rstrip()
