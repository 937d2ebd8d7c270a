"""Tables to rows: delimiters, names, quotes, and the cells that do not fit."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from sources_stage import file_at, records, resumes, rows, shown, written

from engine.errors import UserError
from engine.ledger import Entry, Note
from engine.sources import Row


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_finds_its_delimiter_and_keeps_quoted_newlines(
    tmp_path: Path, delimiter: str, end: str
) -> None:
    lines = [f"name{delimiter}text", f'a{delimiter}"one\ntwo"', "", f"b{delimiter}three", "c", ""]
    path = written(tmp_path, "rows.csv", end.join(lines))
    found = records(path)
    assert [r.data["text"] for r in found if isinstance(r, Row)] == ["one\ntwo", "three"]
    assert shown(found) == [(2, "row"), (5, "row"), (6, "wrong number of cells")]
    resumes(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a;b, c\n1,5;2\n2,5;3\n7;8\n", ["a", "b, c"]),
        ("text\tlabel\nhello, world\tx\n", ["text", "label"]),
        ('text;n\n"a;b, c";1\n', ["text", "n"]),
        ("text\nno delimiter at all\n", ["text"]),
        ("a,b\n1;2;3,4\n5;6;7,8\n", ["a", "b"]),
        (",text,,text,text_2\n0,a,b,c,d\n", ["column_1", "text", "column_3", "text_2", "text_2_2"]),
        ('"a, ""b""",c\n1,2\n', ['a, "b"', "c"]),
        ("a, b, c\n1, 2, 3\n", ["a", "b", "c"]),
    ],
)
def test_the_columns_of_a_table(tmp_path: Path, text: str, names: list[str]) -> None:
    (row, *_) = rows(written(tmp_path, "rows.csv", text))
    assert list(row) == names


def test_the_recipe_can_name_the_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "a:b,c\n1:2,3\n")
    assert rows(path, delimiter=":") == [{"a": "1", "b,c": "2,3"}]
    with pytest.raises(UserError, match="cannot part cells"):
        rows(path, delimiter='"')


def test_a_table_without_a_header_is_pointed_out_and_can_be_read(tmp_path: Path) -> None:
    text = '"Ada, too",good\nBo,bad\nCy,good\n'
    path = written(tmp_path, "rows.csv", text)
    (note,) = file_at(path).notes
    assert '"good"' in note and "header = false" in note
    assert rows(path, header=False)[0] == {"column_1": "Ada, too", "column_2": "good"}
    assert not file_at(path, header=False).notes
    resumes(path, header=False)


@pytest.mark.parametrize("text", ["text,label\na,b\n", "2_a,x1\n1,2\n", "Review Text,a.b,{{x}}\n1,2,3\n"])
def test_an_honest_header_is_not_pointed_out(tmp_path: Path, text: str) -> None:
    assert not file_at(written(tmp_path, "rows.csv", text)).notes


def test_cells_stay_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "a,b,c\n1,1.0,\n007,NaN,true\n , x,\x00\n")
    assert rows(path) == [
        {"a": "1", "b": "1.0", "c": ""},
        {"a": "007", "b": "NaN", "c": "true"},
        {"a": " ", "b": " x", "c": "\x00"},
    ]


def test_a_delimiter_inside_a_cell_is_joined_where_only_one_way_fits(tmp_path: Path) -> None:
    lines = ["text;label;score", "Good, but;positive;3,5", "Bad; worse;negative;1,0", "a;b;c;d", "x; y", ""]
    path = written(tmp_path, "rows.csv", "\n".join(lines))
    found = records(path)
    assert shown(found) == [
        (2, "row"), (3, "row"), (4, "wrong number of cells"), (5, "wrong number of cells"),
    ]  # fmt: skip
    joined = found[1]
    assert isinstance(joined, Row)
    assert joined.data == {"text": "Bad; worse", "label": "negative", "score": "1,0"}
    assert joined.notes == (Note("wrong number of cells", "4 cells under 3 headings, joined"),)
    assert isinstance(found[3], Entry) and found[3].detail == "2 cells under 3 headings"


def test_where_cells_begin_with_a_blank_nothing_is_joined(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "a,b\n1, 2\n1, 2, 3\n")
    assert shown(records(path)) == [(2, "row"), (3, "wrong number of cells")]


def test_a_quote_that_is_never_closed_names_where_it_opens(tmp_path: Path) -> None:
    text = "text,label\na,b\n" + '"never closed,c\n' + "d,e\n" * 50
    good, bad = records(written(tmp_path, "rows.csv", text))
    assert isinstance(good, Row) and isinstance(bad, Entry)
    assert (bad.line, bad.reason, bad.offset) == (3, "malformed", 15)
    assert bad.detail == "a quote is opened and never closed; nothing after it is read"


def test_an_open_quote_is_not_held_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.tables.LONGEST_ROW", 10_000)
    text = "text,label\na,b\n" + '"never closed,c\n' + "d,e\n" * 50_000 + '"'
    good, bad = records(written(tmp_path, "rows.csv", text))
    assert isinstance(good, Row) and isinstance(bad, Entry)
    assert "never closed" in bad.detail and bad.line == 3


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ('"a"b,c', "something follows a closing quote"),
        ('"x\ny"z,c', "lines 3 to 4: something follows a closing quote"),
        ("a\rb,c", "carriage return"),
    ],
)
def test_a_malformed_record_costs_no_other(tmp_path: Path, record: str, words: str) -> None:
    path = written(tmp_path, "rows.csv", f"text,label\na,b\n{record}\nd,e\n")
    found = records(path)
    assert shown(found) == [(2, "row"), (3, "malformed"), (4 + record.count("\n"), "row")]
    assert isinstance(found[1], Entry) and words in found[1].detail
    resumes(path)


def test_a_header_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    for text in ('"text,label\na,b\n', '"a"b,c\n1,2\n'):
        with pytest.raises(UserError, match=r"line 1: .*no names"):
            records(written(tmp_path, "rows.csv", text))


@pytest.mark.parametrize("text", ["text,label\n", "text,label", "text,label\n\n \n"])
def test_a_header_and_no_rows(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="a header and no rows"):
        records(written(tmp_path, "rows.csv", text))
    with pytest.raises(UserError, match="no rows"):
        records(written(tmp_path, "rows.csv", ",,\n,,\n"))


def test_a_wide_table_and_a_long_cell(tmp_path: Path) -> None:
    lines = [",".join(f"c{number}" for number in range(5000)), ",".join(map(str, range(5000)))]
    (row,) = rows(written(tmp_path, "wide.csv", "\n".join(lines)))
    assert len(row) == 5000 and row["c4999"] == "4999"
    (row,) = rows(written(tmp_path, "long.csv", "a,b\n" + "x" * 5_000_000 + ",y\n"))
    assert len(row["a"]) == 5_000_000


def test_a_line_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.streams.LONGEST_ROW", 1000)
    path = written(tmp_path, "rows.csv", "a,b\n1,2\n" + "x" * 3_000_000 + ",y\n3,4\n")
    assert shown(records(path)) == [(2, "row"), (3, "too large"), (4, "row")]


def test_a_cell_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.tables.LONGEST_CELL", 1000)
    path = written(tmp_path, "rows.csv", "a,b\n1,2\n" + "x" * 3000 + ",y\n3,4\n")
    assert shown(records(path)) == [(2, "row"), (3, "too large"), (4, "row")]


def test_a_bad_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", b'text,label\n"\x9b2J x",a\nb,c\n')
    first, _ = records(path)
    assert isinstance(first, Row) and first.line == 2 and first.data["text"] == "\ufffd2J x"
    assert first.notes == (Note("encoding", "byte 0x9b at column 2"),)


def test_blank_lines_before_the_header(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "\n \n" * 100 + "a,b\n1,2\n")
    assert shown(records(path)) == [(202, "row")]
    resumes(path)


def test_what_csv_writes_comes_back(tmp_path: Path) -> None:
    cells = [["x", ""], ['"', "a,b"], ["\r\n", "\n\n"], ["'", "\\"], ["\u2028", " "]]
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], *cells])
    path = written(tmp_path, "rows.csv", text.getvalue())
    assert [list(row.values()) for row in rows(path)] == cells
    resumes(path)
