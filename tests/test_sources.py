"""Files to rows: each record comes out as a row or as a ledger entry with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import ledger, sources
from engine.errors import UserError
from engine.ledger import Entry
from engine.recipe import Source
from engine.sources import Row


def read(path: Path) -> list[Row | Entry]:
    return list(sources.read(path))


def written(folder: Path, name: str, data: bytes) -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


def test_one_bad_line_does_not_cost_the_file(tmp_path: Path) -> None:
    data = b'{"a": 1}\n\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}'
    records = read(written(tmp_path, "rows.jsonl", data))
    assert [(type(r).__name__, r.line) for r in records] == [
        ("Row", 1),
        ("Entry", 3),
        ("Entry", 4),
        ("Entry", 5),
        ("Row", 6),
    ]
    assert [r.reason for r in records if isinstance(r, Entry)] == [
        "malformed",
        "not an object",
        "encoding",
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    for name, data in [("a.jsonl", b'{"a": 1}'), ("a.json", b'[{"a": 1}]'), ("a.csv", b"a\n1")]:
        (row,) = read(written(tmp_path, name, b"\xef\xbb\xbf" + data))
        assert isinstance(row, Row) and list(row.data) == ["a"]


def test_an_array_tells_where_each_record_begins(tmp_path: Path) -> None:
    text = '[\n  {"a": "x"},\n  {"a":\n "y"},\n 3]'
    records = read(written(tmp_path, "rows.json", text.encode()))
    assert [r.line for r in records] == [2, 3, 5]
    assert isinstance(records[2], Entry)


def test_json_lines_under_a_json_name(tmp_path: Path) -> None:
    records = read(written(tmp_path, "rows.json", b'{"a": 1}\n{"a": 2}\n'))
    assert [r.data["a"] for r in records if isinstance(r, Row)] == [1, 2]


def test_a_torn_array_keeps_what_stands_before_the_tear(tmp_path: Path) -> None:
    good, bad = read(written(tmp_path, "rows.json", b'[{"a": 1}, {"a": '))
    assert isinstance(good, Row) and isinstance(bad, Entry)
    assert "nothing after it is read" in bad.detail


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_finds_its_delimiter_and_keeps_quoted_newlines(tmp_path: Path, delimiter: str) -> None:
    text = f'name{delimiter}text\na{delimiter}"one\ntwo"\nb{delimiter}three\nc\n'
    records = read(written(tmp_path, "rows.csv", text.encode()))
    assert [r.data["text"] for r in records if isinstance(r, Row)] == ["one\ntwo", "three"]
    assert [r.line for r in records] == [2, 4, 5]
    assert records[2].reason == "wrong number of cells"  # type: ignore[union-attr]


def test_deep_nesting_is_a_line_in_the_ledger(tmp_path: Path) -> None:
    data = b'{"a": 1}\n' + b"[" * 100_000 + b"\n"
    records = read(written(tmp_path, "rows.jsonl", data))
    assert isinstance(records[1], Entry)
    assert len(records[1].excerpt) <= ledger.EXCERPT


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.jsonl", b"", "empty"),
        ("rows.parquet", b"PAR1", "not read yet"),
        ("rows.json", b'[{"a": "\xff"}]', "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(written(tmp_path, name, data))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl: no such file"):
        sources.read(tmp_path / "gone.jsonl")
    with pytest.raises(UserError, match="not a regular file"):
        sources.read(tmp_path)


@pytest.mark.parametrize("name", sources.bundled())
def test_a_bundled_set_has_three_parts_that_share_no_row(name: str) -> None:
    files = sources.files(Source(path=f"builtin:{name}"))
    assert list(files) == list(sources.PARTS)
    parts = [{json.dumps(r.data) for r in sources.read(files[p]) if isinstance(r, Row)} for p in files]
    assert all(parts)
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_an_unknown_bundled_set_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="products, reviews"):
        sources.files(Source(path="builtin:prodcuts"))
