"""JSON files that are one object: where their rows are, and the sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sources_stage import file_at, records, resumes, rows, shown, source_at, written

from engine import sources
from engine.errors import UserError
from engine.ledger import Entry
from engine.sources import Row

TWO = [{"q": "a", "a": "b"}, {"q": "c", "a": "d"}]


@pytest.mark.parametrize(
    "document",
    [
        {"q": ["a", "c"], "a": ["b", "d"]},
        {"columns": ["q", "a"], "index": [0, 1], "data": [["a", "b"], ["c", "d"]]},
        {"columns": ["q", "a"], "data": [["a", "b"], ["c", "d"]]},
        {"q": {"0": "a", "1": "c"}, "a": {"0": "b", "1": "d"}},
        {"0": {"q": "a", "a": "b"}, "1": {"q": "c", "a": "d"}},
        {"data": TWO},
        {"version": 1, "rows": TWO},
        {"examples": TWO, "license": "MIT"},
        {"type": "x", "instances": TWO},
        {"train": TWO, "meta": {"by": "me"}},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_are_found_in_an_object(tmp_path: Path, document: dict[str, Any], indent: int | None) -> None:
    path = written(tmp_path, "rows.json", json.dumps(document, indent=indent))
    assert rows(path) == TWO
    assert [(r.line, r.offset, r.unit) for r in records(path)] == [(1, 0, "row"), (2, 1, "row")]
    resumes(path)


def test_the_key_of_the_rows_is_named_and_what_lies_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.json", json.dumps({"version": 1, "data": TWO}))
    assert file_at(path).notes == ("the rows are those under the key 'data' (beside it: 'version')",)


def test_keys_of_the_parts_are_the_parts(tmp_path: Path) -> None:
    document = {"train": TWO, "validation": TWO[:1], "test": [{"q": "e", "a": "f"}]}
    source = source_at(written(tmp_path, "rows.json", json.dumps(document)))
    files = sources.files(source).files
    assert [file.part for file in files] == ["train", "validation", "test"]
    read = [[r.data for r in sources.read(file, source) if isinstance(r, Row)] for file in files]
    assert read == list(document.values())


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"instruction": "x", "input": "", "output": "y"},
        {"question": "x", "answer": "y", "tags": ["a", "b"]},
        {"instruction": "x", "instances": [{"input": "a", "output": "b"}]},
        {"text": "x"},
    ],
)
def test_a_file_that_is_one_row(tmp_path: Path, row: dict[str, Any]) -> None:
    path = written(tmp_path, "row.json", json.dumps(row, indent=1))
    assert rows(path) == [row]
    assert "the file is one row" in file_at(path).notes


QAS = [{"question": "q", "answers": [{"text": "t"}]}]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "c", "qas": QAS}]}]},
            "'data'",
        ),
        ({"data": [{"title": "T", "paragraphs": [{"context": "c", "qas": QAS}]}]}, "'data'"),
        ({"alpaca_en": {"file_name": "x.json"}, "my": {"hf_hub_url": "x/y"}}, "'alpaca_en', 'my'"),
        ({"name": "x", "size": 3}, "'name', 'size'"),
        ({}, "none"),
        ({"q": ["a", "b"], "a": ["c"]}, "not of one length"),
        ({f"k{number}": 1 for number in range(99)}, "and 91 more"),
    ],
)
def test_an_object_without_rows_names_its_keys(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match="no rows here") as caught:
        sources.files(source_at(written(tmp_path, "rows.json", json.dumps(document, indent=1))))
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["[]", " [ ] ", '{"data": []}', '{"q": [], "a": []}'])
def test_no_rows(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="no rows"):
        records(written(tmp_path, "rows.json", text))


def test_what_is_odd_in_one_row_is_said_of_that_row(tmp_path: Path) -> None:
    text = r'{"data": [{"a": 1}, 5, {"a": NaN}, {"a": "\ud83d"}, {"a": 18446744073709551616}]}'
    found = records(written(tmp_path, "rows.json", text))
    assert shown(found) == [(1, "row"), (2, "not an object"), (3, "row"), (4, "row"), (5, "row")]
    assert isinstance(found[1], Entry) and found[1].unit == "row" and "found a number" in found[1].detail
    notes = [[note.reason for note in record.notes] for record in found if isinstance(record, Row)]
    assert notes == [[], ["not a number"], ["surrogate"], []]
    assert isinstance(found[4], Row) and found[4].data == {"a": 2**64}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n"data": [{"a": 1},]}', "trailing comma at column 19 of its line 2"),
        ("{'data': 1}", "looks like Python"),
        ('{"data": [', "ends in the middle"),
        ('{\n"a": 1}\n{\n"a": 2}', "something more"),
        ('{"a": ' + "[" * 5000, "nested too deep"),
        ('{"a": ' + "[" * 800 + "]" * 800 + "}", "nested too deep"),
    ],
)
def test_an_object_that_is_no_json(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match="not valid JSON") as caught:
        records(written(tmp_path, "rows.json", text))
    assert words in str(caught.value)


def test_an_object_too_large_to_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.json_object.LARGEST", 100)
    with pytest.raises(UserError, match="convert it to JSON Lines"):
        records(written(tmp_path, "rows.json", json.dumps({"data": TWO * 10})))
