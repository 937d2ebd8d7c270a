"""Folders to files: parts by name, saved datasets, documents; and text to paragraphs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sources_stage import file_at, records, resumes, source_at, written

from engine import sources
from engine.errors import UserError
from engine.sources import Row
from engine.sources.documents import LONGEST_PIECE

ROW = '{"a": 1}\n'


def parts(folder: Path) -> dict[str, str]:
    """The part of each file by its path from the folder."""
    found = sources.files(source_at(folder)).files
    return {file.path.relative_to(folder).as_posix(): file.part for file in found}


def skipped(folder: Path) -> dict[str, str]:
    entries = sources.files(source_at(folder)).skipped
    assert {entry.reason for entry in entries} <= {"skipped file"}
    return {Path(entry.file).relative_to(folder).as_posix(): entry.detail for entry in entries}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train.jsonl", "train"), ("data-00000-of-00003.jsonl", "train"), ("latest.jsonl", "train"),
        ("validation.jsonl", "validation"), ("my_valid.ndjson", "validation"), ("val-0.csv", "validation"),
        ("dev.tsv", "validation"), ("devset.csv", "validation"), ("test.csv", "test"),
        ("eval2.jsonl", "test"),
        ("gsm8k_test.jsonl.gz", "test"), ("testSet.jsonl", "test"), ("test/0001.jsonl", "test"),
        ("testdata/train-1.jsonl", "train"), ("Validation/part.jsonl", "validation"),
    ],
)  # fmt: skip
def test_the_part_is_in_the_name(tmp_path: Path, name: str, part: str) -> None:
    text = {".csv": "a,b\n1,2\n", ".tsv": "a\tb\n1\t2\n"}.get(Path(name).suffix, ROW)
    written(tmp_path, name, text)
    assert parts(tmp_path) == {name: part}


def test_a_folder_of_data_files(tmp_path: Path) -> None:
    for name in ("train.jsonl", "validation.jsonl", "b/test.jsonl", "notes.txt", "README.md", "LICENSE"):
        written(tmp_path, name, ROW)
    for name in (".DS_Store", "dataset_infos.json", ".git/x.jsonl", "node_modules/y.jsonl"):
        written(tmp_path, name, ROW)
    written(tmp_path, "empty.jsonl", "")
    written(tmp_path, "header.csv", "a,b\n")
    written(tmp_path, "settings-of-mine.json", '{"depth": 3}')
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert list(parts(tmp_path).values()) == ["train", "validation", "test"]
    said = skipped(tmp_path)
    assert sorted(said) == [
        "empty.jsonl", "header.csv", "node_modules", "notes.txt", "pipe.jsonl", "settings-of-mine.json",
    ]  # fmt: skip
    assert "empty" in said["empty.jsonl"] and "no rows" in said["header.csv"]
    assert "not a regular file" in said["pipe.jsonl"] and "'depth'" in said["settings-of-mine.json"]
    notes = sources.files(source_at(tmp_path)).notes
    assert notes == ["train: train.jsonl", "validation: validation.jsonl", "test: b/test.jsonl"]


def test_a_shard_with_other_columns_is_named(tmp_path: Path) -> None:
    written(tmp_path, "data-0.jsonl", ROW * 3)
    written(tmp_path, "data-1.jsonl", '\nno json\n{"a": 2}\n')
    written(tmp_path, "data-2.jsonl", '{"prompt": "x"}\n')
    assert sources.files(source_at(tmp_path)).notes == [
        "train: 3 files, data-0.jsonl to data-2.jsonl",
        "data-2.jsonl has other columns than data-0.jsonl: prompt",
    ]


def test_shards_of_parquet(tmp_path: Path) -> None:
    for name in ("train-0.parquet", "train-1.parquet", "test-0.parquet"):
        path = written(tmp_path, f"data/{name}", "")
        pa.parquet.write_table(pa.table({"n": [1, 2]}), path)
    written(tmp_path, "loading_script.py", "x = 1\n")
    assert sources.files(source_at(tmp_path)).notes == [
        "train: 2 files, data/train-0.parquet to data/train-1.parquet",
        "test: data/test-0.parquet",
    ]
    assert skipped(tmp_path) == {"loading_script.py": "not a data file"}


def test_files_named_in_the_recipe_take_the_place_of_the_folder_s(tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        written(tmp_path / "set", name, ROW)
    own = written(tmp_path, "held.jsonl", ROW)
    source = source_at(tmp_path / "set", test=str(own))
    assert [file.path.name for file in sources.files(source).files] == ["train.jsonl", "held.jsonl"]


@pytest.mark.parametrize("names", [(), ("picture.png",), (".hidden.jsonl",), ("node_modules/a.jsonl",)])
def test_a_folder_with_nothing_to_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        written(tmp_path, name, ROW)
    with pytest.raises(UserError, match="no data, text or source files"):
        sources.files(source_at(tmp_path))


def test_where_no_file_can_be_read_the_first_one_says_why(tmp_path: Path) -> None:
    written(tmp_path, "a.jsonl", "version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match=r"a\.jsonl: this is a Git LFS pointer"):
        sources.files(source_at(tmp_path))
    written(tmp_path, "a.jsonl", "\n")
    with pytest.raises(UserError, match=r"a\.jsonl: the file is empty"):
        sources.files(source_at(tmp_path))


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    outside = written(tmp_path / "outside", "secret.jsonl", ROW)
    written(tmp_path / "in", "train.jsonl", ROW)
    (tmp_path / "in" / "out.jsonl").symlink_to(outside)
    (tmp_path / "in" / "all").symlink_to(outside.parent)
    (tmp_path / "in" / "gone.jsonl").symlink_to("nowhere.jsonl")
    (tmp_path / "in" / "test.jsonl").symlink_to("train.jsonl")
    assert list(parts(tmp_path / "in")) == ["train.jsonl", "test.jsonl"]
    said = skipped(tmp_path / "in")
    assert "link" in said["out.jsonl"] and "link" in said["all"] and "no such file" in said["gone.jsonl"]


def saved(folder: Path, rows: int, name: str = "data-00000-of-00001.arrow") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"n": list(range(rows))})
    with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    written(folder, "state.json", json.dumps({"_data_files": [{"filename": name}]}))


def test_a_saved_dataset(tmp_path: Path) -> None:
    for split, rows in (("test", 2), ("train", 5), ("unsupervised", 9)):
        saved(tmp_path / split, rows)
    written(tmp_path, "dataset_dict.json", '{"splits": ["test", "train", "unsupervised"]}')
    source = source_at(tmp_path)
    found = sources.files(source)
    assert [(file.part, len(list(sources.read(file, source)))) for file in found.files] == [
        ("train", 5),
        ("test", 2),
    ]
    assert found.notes == ["a saved dataset: test for test, train for train"]
    assert list(skipped(tmp_path)) == ["unsupervised"]
    assert parts(tmp_path / "unsupervised") == {"data-00000-of-00001.arrow": "train"}


@pytest.mark.parametrize("name", ["../data.arrow", "/etc/passwd"])
def test_a_saved_dataset_names_no_file_outside(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "set", 1, name)
    with pytest.raises(UserError, match="outside of the folder"):
        sources.files(source_at(tmp_path / "set"))


@pytest.mark.parametrize("text", ["[]", "{", '{"_data_files": []}'])
def test_a_damaged_saved_dataset(tmp_path: Path, text: str) -> None:
    written(tmp_path, "state.json", text)
    with pytest.raises(UserError, match="saved dataset"):
        sources.files(source_at(tmp_path))


def read_all(folder: Path) -> list[Row]:
    source = source_at(folder)
    found = [record for file in sources.files(source).files for record in sources.read(file, source)]
    return [record for record in found if isinstance(record, Row)]


def test_a_code_base_becomes_documents(tmp_path: Path) -> None:
    code = "\n\nimport os\n\n\n\ndef f():\n    x = 1\n\n    return x\n   \n"
    written(tmp_path, "pkg/main.py", code)
    written(tmp_path, "README.md", "# Title\n\nText.\n")
    written(tmp_path, "Makefile", "all:\n\ttrue\n")
    written(tmp_path, "pkg/data.csv", "a,b\n1,2\n")
    written(tmp_path, "pkg/logo.png", b"\x89PNG\r\n\x1a\n\0")
    written(tmp_path, "pkg/odd.py", b"\0\1\2\3" * 50)
    for name in ("pkg/__init__.py", "package.json", ".env", "build/out.js", ".git/x.py", "LICENSE"):
        written(tmp_path, name, "")
    rows = read_all(tmp_path)
    assert list(dict.fromkeys(row.data["path"] for row in rows)) == ["Makefile", "README.md", "pkg/main.py"]
    joined = "\n\n".join(row.data["text"] for row in rows if row.data["path"] == "pkg/main.py")
    assert joined.rstrip() == code.rstrip()
    firsts = [row.data["path"] for row in rows if not row.joins]
    assert firsts == ["Makefile", "README.md", "pkg/main.py"]
    assert sorted(skipped(tmp_path)) == [
        ".env", ".git", "LICENSE", "build", "package.json", "pkg/__init__.py", "pkg/data.csv", "pkg/logo.png",
        "pkg/odd.py",
    ]  # fmt: skip
    assert "3 documents" in sources.files(source_at(tmp_path)).notes[0]


def texts(path: Path, **keys: Any) -> list[tuple[int, str, bool]]:
    resumes(path, **keys)
    return [(r.line, r.data["text"], r.joins) for r in records(path, **keys) if isinstance(r, Row)]


def test_paragraphs_are_one_document(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\n\r\n  One\r\ntwo\r\n \t\r\n\nthree\n\n\n")
    assert texts(path) == [(3, "  One\ntwo", False), (7, "three", True)]
    (first, _) = records(path)
    assert isinstance(first, Row) and first.data["path"] == "a.txt"


def test_lines_without_blank_ones_between_are_documents_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\n one\r\ntwo\nthree\n\n")
    assert texts(path) == [(2, " one", False), (3, "two", False), (4, "three", False)]


def test_markdown_is_one_document_however_short(tmp_path: Path) -> None:
    assert texts(written(tmp_path, "a.md", "# A\ntext\n")) == [(1, "# A\ntext", False)]


@pytest.mark.parametrize("word", ["word ", "界", "x"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py"])
def test_a_huge_line_comes_in_pieces(tmp_path: Path, word: str, name: str) -> None:
    text = word * (2_500_000 // len(word.encode()))
    path = written(tmp_path, name, f"first\n{text}\nlast\n")
    found = texts(path)
    assert all(len(piece.encode()) <= LONGEST_PIECE for _, piece, _ in found)
    assert "".join(piece for _, piece, _ in found).replace("\n", "") == f"first{text}last"
    assert [joins for _, _, joins in found][:3] == [False, name != "a.txt", True]
    if word == "word ":
        assert all(piece.endswith(("word ", "first", "last")) for _, piece, _ in found)


def test_many_lines_without_a_blank_one_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.documents.LONGEST_PIECE", 1000)
    path = written(tmp_path, "a.py", "\n" * 3_000 + "x = 1\n" * 400)
    found = texts(path)
    assert max(len(piece) for _, piece, _ in found) <= 1000
    assert "".join(piece for _, piece, _ in found).count("x = 1") == 400


def test_a_bad_byte_in_a_text_is_noted(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", b"one\ntw\xffo\nthree\n")
    notes = [note for record in records(path) if isinstance(record, Row) for note in record.notes]
    assert [note.detail for note in notes] == ["byte 0xff at column 3"]
    assert file_at(path).kind == "sentences"
