"""JSON to rows: each record comes out as a row or as a ledger entry with its line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from sources_stage import file_at, records, resumes, rows, shown, source_at, written

from engine import ledger, sources
from engine.errors import UserError
from engine.ledger import Entry, Note
from engine.schema import Source
from engine.sources import Row, json_text


def test_one_bad_line_does_not_cost_the_file(tmp_path: Path) -> None:
    data = b'{"a": 1}\n\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}'
    found = records(written(tmp_path, "rows.jsonl", data))
    assert shown(found) == [(1, "row"), (3, "malformed"), (4, "not an object"), (5, "row"), (6, "row")]
    assert [record.offset for record in found] == [0, 10, 17, 21, 32]
    bad = found[3]
    assert isinstance(bad, Row) and bad.data == {"a": "\ufffd"}
    assert bad.notes == (Note("encoding", "byte 0xff at column 8"),)
    resumes(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a": 1,}', "trailing comma"),
        (b'{"a": [1,]}', "trailing comma"),
        (b"{'a': 'b'}", "looks like Python, not JSON"),
        (b'{"a": None}', "looks like Python, not JSON"),
        (b"{\"a\": 'b'}", "looks like Python, not JSON"),
        (b'{"a": "x\x00y"}', "control character 0x00"),
        (b'{"a": "x\x1cy"}', "control character 0x1c"),
        (b'{"a": "x', "a string is opened and never closed"),
        (b'{"a": 1', "ends in the middle"),
        (b'{"a": 1} {"a": 2}', "something more"),
        (b"{a: 1}", "expecting property name"),
        (b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}", "nested too deep"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
        (b'{"a": NaN, "b": ' + b"[" * 900 + b"]" * 900 + b"}", "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4,300 digits"),
    ],
)
def test_a_malformed_line_says_in_words_why(tmp_path: Path, line: bytes, words: str) -> None:
    good, bad, last = records(written(tmp_path, "rows.jsonl", b'{"a": 1}\n' + line + b'\n{"a": 2}\n'))
    assert isinstance(good, Row) and isinstance(last, Row)
    assert isinstance(bad, Entry) and (bad.line, bad.reason) == (2, "malformed")
    assert words in bad.detail and len(bad.excerpt) <= ledger.EXCERPT


@pytest.mark.parametrize(
    ("line", "kind"),
    [(b'"x"', "a string"), (b"42", "a number"), (b"null", "null"), (b"[1]", "a list"), (b"true", "a truth")],
)
def test_a_value_that_is_no_object_is_named(tmp_path: Path, line: bytes, kind: str) -> None:
    _, bad = records(written(tmp_path, "rows.jsonl", b'{"a": 1}\n' + line))
    assert isinstance(bad, Entry) and bad.reason == "not an object"
    assert f"found {kind}" in bad.detail


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 2**63, 10**30])
def test_long_numbers_keep_all_their_digits(tmp_path: Path, number: int) -> None:
    path = written(tmp_path, "rows.jsonl", json.dumps({"a": number, "b": {"c": [number]}}))
    assert rows(path) == [{"a": number, "b": {"c": [number]}}]


def test_what_json_does_not_have_is_kept_and_noted(tmp_path: Path) -> None:
    (row,) = records(written(tmp_path, "rows.jsonl", b'{"a": NaN, "b": {"c": [-Infinity]}, "d": 1}'))
    assert isinstance(row, Row) and math.isnan(row.data["a"]) and row.data["b"] == {"c": [-math.inf]}
    assert row.notes == (Note("not a number", "NaN or Infinity in a, b", "kept"),)


def test_half_an_emoji_is_replaced_so_that_the_row_can_be_written(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", rb'{"a": "x \ud83d", "\udc00": ["\ud83d\ude00"]}')
    (row,) = records(path)
    assert isinstance(row, Row) and row.data == {"a": "x \ufffd", "\ufffd": ["😀"]}
    assert [note.reason for note in row.notes] == ["surrogate"]
    json.dumps(row.data, ensure_ascii=False).encode()


def test_lines_end_at_the_newline_alone(tmp_path: Path) -> None:
    texts = ["a\u2028b", "a\u2029b", "a\u0085b"]
    path = written(tmp_path, "rows.jsonl", "".join(f'{{"a": "{text}"}}\r\n' for text in texts))
    assert [row["a"] for row in rows(path)] == texts


def test_a_row_of_five_megabytes_survives(tmp_path: Path) -> None:
    text = "x \\n" * 1_300_000
    path = written(tmp_path, "rows.jsonl", f'{{"a": 1}}\n{{"a": "{text}"}}\n{{"a": 2}}\n')
    assert [len(str(row["a"])) for row in rows(path)] == [1, 3_900_000, 1]
    resumes(path)


def test_a_line_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.streams.LONGEST_ROW", 1000)
    data = b'{"a": 1}\n{"a": "' + b"x" * 3_000_000 + b'"}\n{"a": 2}\n' + b" " * 1000 + b"\n" + b'{"a": 3}\n'
    found = records(written(tmp_path, "rows.jsonl", data))
    assert shown(found) == [(1, "row"), (2, "too large"), (3, "row"), (4, "too large"), (5, "row")]
    resumes(tmp_path / "rows.jsonl")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    for name, data in [("a.jsonl", b'{"a": 1}'), ("a.json", b'[{"a": 1}]'), ("a.csv", b"a\n1")]:
        path = written(tmp_path, name, b"\xef\xbb\xbf" + data)
        assert list(rows(path)[0]) == ["a"]
        resumes(path)


def test_an_array_tells_where_each_record_begins(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.json", '[\n  {"a": "x"},\n  {"a":\n "y"},\n 3, {"a": "]"}]')
    found = records(path)
    assert shown(found) == [(2, "row"), (3, "row"), (5, "not an object"), (5, "row")]
    assert [record.offset for record in found] == [4, 18, 32, 35]
    resumes(path)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_a_record_may_end_where_a_chunk_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("engine.sources.json_array.CHUNK", chunk)
    data: list[dict[str, Any]] = [{"a": [{"b": "]\\"}]}, {}, {"c": "é" * 9}, {"d": {"e": []}}] * 5
    path = written(tmp_path, "rows.json", json.dumps([*data, 12, True], ensure_ascii=False))
    found = records(path)
    assert [r.data for r in found if isinstance(r, Row)] == data
    assert [r.excerpt for r in found if isinstance(r, Entry)] == ["12", "true"]
    resumes(path)


def test_an_array_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    data = [{"a": "x" * length, "b": ['"]}', {"c": "\\"}]} for length in range(0, 3_000, 7)] * 3
    path = written(tmp_path, "rows.json", json.dumps(data, indent=1))
    assert rows(path) == data


DEEP = '{"a": ' + "[" * 9000 + "]" * 9000 + "}"


@pytest.mark.parametrize(
    "bad", ['{"a" 2}', "{'a': [2}", '{"a": [2}', '{"a": "\x01"}', "nonsense", '"text"', "}", "{]}", DEEP]
)
def test_a_malformed_record_costs_no_other_of_its_array(tmp_path: Path, bad: str) -> None:
    found = records(written(tmp_path, "rows.json", f'[{{"a": 1}},\n{bad},\n{{"a": 3}}]'))
    assert isinstance(found[0], Row) and isinstance(found[-1], Row) and found[-1].data == {"a": 3}
    assert [record.line for record in found] == [1, 2, 3]
    assert isinstance(found[1], Entry)


@pytest.mark.parametrize("tail", ['{"a": ', '{"a": "x}]', '{"a": 2}', '{"a": 2},', "12"])
def test_a_torn_array_keeps_what_stands_before_the_tear(tmp_path: Path, tail: str) -> None:
    found = records(written(tmp_path, "rows.json", f'[{{"a": 1}}, {tail}'))
    assert isinstance(found[0], Row) and isinstance(found[-1], Entry)
    assert "nothing after it is read" in found[-1].detail


def test_what_stands_behind_an_array_is_named(tmp_path: Path) -> None:
    good, bad = records(written(tmp_path, "rows.json", '[\n{"a": 1}]\n[{"a": 2}]\n'))
    assert isinstance(good, Row) and isinstance(bad, Entry)
    assert bad.line == 3 and "behind the array" in bad.detail


@pytest.mark.parametrize("text", ['[\n{"a": 1,},\n{"a": 2}]', '[{"a": 1},\n]', '[{"a": 3},\n{"a": [1,]}]'])
def test_a_trailing_comma_in_an_array_names_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"rows\.json: line 2: trailing comma"):
        records(written(tmp_path, "rows.json", text))


def test_a_record_of_an_array_that_is_too_long_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sources.json_array.LONGEST_ROW", 1000)
    path = written(tmp_path, "rows.json", b'[{"a": 1}, {"a": "' + b"x" * 3_000_000 + b'"}]')
    assert shown(records(path)) == [(1, "row"), (1, "too large")]


@pytest.mark.parametrize(
    ("name", "text", "kind", "count"),
    [
        ("rows.json", '{"a": 1}\n{"a": 2}\n', "lines", 2),
        ("rows.json", '{"a": 1}\n{"a": \n', "lines", 2),
        ("rows.json", '{"text": "x"}\n', "object", 1),
        ("rows.jsonl", '{"a": [1, 2]}\n', "lines", 1),
        ("rows.jsonl", '[{"a": 1}, {"a": 2}]', "array", 2),
        ("rows.jsonl", '[\n{"a": 1},\n{"a": 2}\n]\n', "array", 2),
        ("rows.jsonl", '["a"]\n["b"]\n{"a": 1}\n', "lines", 3),
        ("rows.jsonl", '[1,\n{"a": 1}\n{"a": 2}\n', "lines", 3),
        ("rows.csv", '{"a": "1,2"}\n{"a": "3,4"}\n', "lines", 2),
        ("rows.txt", '{"a": 1}\n{"a": 2}\n', "lines", 2),
        ("rows.txt", ' [ {"a": 1}\n]', "array", 1),
        ("rows.txt", "[1] a footnote\n[2] another\n", "sentences", 2),
        ("rows", '{"a": 1}\n', "lines", 1),
        ("rows.txt", "a\tb\n1\t2\n", "sentences", 2),
        ("rows.dat", "a\tb\n1\t2\n", "table", 1),
    ],
)
def test_the_content_says_what_a_file_is(tmp_path: Path, name: str, text: str, kind: str, count: int) -> None:
    path = written(tmp_path, name, text)
    assert file_at(path).kind == kind
    assert len(records(path)) == count


def test_a_first_row_larger_than_the_head_is_still_lines(tmp_path: Path) -> None:
    text = json.dumps({"a": "x" * 3_000_000}) + '\n{"a": "y"}\n'
    assert len(rows(written(tmp_path, "rows.json", text))) == 2


def test_no_row_is_so_deep_that_writing_it_fails() -> None:
    deep = json_text.DEEPEST - 1
    value, _ = json_text.parse(b'{"a": ' + b"[" * deep + b"]" * deep + b"}")
    json.dumps(value)
    with pytest.raises(json_text.Malformed):
        json_text.parse(b'{"a": ' + b"[" * (deep + 1) + b"]" * (deep + 1) + b"}")


@pytest.mark.parametrize("name", sources.bundled())
def test_a_bundled_set_has_three_parts_that_share_no_row(name: str) -> None:
    source = Source(path=f"builtin:{name}")
    files = sources.files(source).files
    assert [file.part for file in files] == list(sources.PARTS)
    parts = [{json.dumps(r.data) for r in sources.read(f, source) if isinstance(r, Row)} for f in files]
    assert all(parts)
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_an_unknown_bundled_set_names_the_known() -> None:
    with pytest.raises(UserError, match="products, reviews"):
        sources.files(Source(path="builtin:prodcuts"))


def test_files_of_their_own_for_validation_and_test(tmp_path: Path) -> None:
    paths = {part: written(tmp_path, f"{part}-rows.jsonl", '{"a": 1}') for part in sources.PARTS}
    source = source_at(paths["train"], validation=str(paths["validation"]), test=str(paths["test"]))
    assert {file.part: file.path for file in sources.files(source).files} == paths
