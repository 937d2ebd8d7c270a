"""What a file is: encodings, compression, columns of Parquet and Arrow, and what is refused unread."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import socket
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sources_stage import file_at, records, resumes, rows, shown, written

from engine import sources
from engine.errors import UserError
from engine.ledger import Note
from engine.schema import Source
from engine.sources import Row

LINES = "".join(f'{{"a": "grüße {number}"}}\n' for number in range(300))


def zstd(data: bytes) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as packed:
        packed.write(data)
    return bytes(target.getvalue().to_pybytes())


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd,
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("name", "text"), [("rows.jsonl", LINES), ("rows.csv", "a\tb\nö\tx\r\nß\ty\r\n")])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    path = written(tmp_path, name, (mark + text).encode(encoding))
    assert rows(path) == rows(written(tmp_path / "plain", name, text))
    said = "UTF-32" if "32" in encoding else "UTF-16"
    assert file_at(path).notes == (() if "8" in encoding else (f"{said} by its byte order mark",))
    resumes(path)


@pytest.mark.parametrize(
    "encoding", ["cp1252", "gbk", "shift_jis", "utf-16-le", "utf-16-be", "utf-8", "ascii"]
)
def test_the_recipe_can_name_the_encoding(tmp_path: Path, encoding: str) -> None:
    text = {"gbk": "这个茶壶", "shift_jis": "きれい", "ascii": "plain"}.get(encoding, "“It’s” café")
    path = written(tmp_path, "rows.jsonl", f'{{"a": "{text}"}}\n{{"a": "{text}"}}\n'.encode(encoding))
    assert rows(path, encoding=encoding) == [{"a": text}] * 2
    resumes(path, encoding=encoding)


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "It’s café"), ("gbk", "这个茶壶很好用")])
def test_another_encoding_is_refused_with_the_option_to_give(
    tmp_path: Path, encoding: str, text: str
) -> None:
    path = written(tmp_path, "rows.csv", f"text,label\n{text},1\n{text},2\n".encode(encoding))
    with pytest.raises(UserError, match=rf'line 2: byte 0x.*encoding = "{encoding}"'):
        file_at(path)
    assert rows(path, encoding=encoding)[0]["text"] == text


@pytest.mark.parametrize("encoding", ["klingon", "base64", "undefined", ""])
def test_an_unknown_encoding_is_a_sentence(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UserError, match="no such encoding"):
        file_at(written(tmp_path, "rows.jsonl", LINES), encoding=encoding)


def test_bytes_that_another_encoding_does_not_know_are_noted(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", b'{"a": "x"}\n{"a": "\x81\xb0"}\n{"a": "\x90"}\n')
    _, second, third = records(path, encoding="cp1252")
    assert isinstance(second, Row) and second.data == {"a": "\ufffd°"}
    assert second.notes == (Note("encoding", "byte 0x81 at column 8"),)
    assert isinstance(third, Row) and third.notes == (Note("encoding", "byte 0x90 at column 8"),)


def test_utf_16_that_is_torn_or_broken_is_noted(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "\ufeffa,b\nx,y\n".encode("utf-16-le") + b"\x3d\xd8,\0z\0\n\0q")
    found = records(path)
    assert shown(found)[:2] == [(2, "row"), (3, "row")]
    assert isinstance(found[1], Row) and found[1].notes[0].reason == "encoding"


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    ("name", "text", "count"),
    [("rows.jsonl", LINES, 300), ("rows.csv", "a,b\n1,2\n3,4\n", 2), ("rows.json", '[{"a": 1}, {"a": 2}]', 2),
     ("rows.txt", "one\n\ntwo\n", 2), ("rows.json", '{"a": [1, 2]}', 2)],
)  # fmt: skip
def test_compressed_files(tmp_path: Path, suffix: str, name: str, text: str, count: int) -> None:
    path = written(tmp_path, name + suffix, PACK[suffix](text.encode()))
    assert len(rows(path)) == count
    assert rows(path) == rows(written(tmp_path, name, text)) or name == "rows.txt"
    resumes(path)


@pytest.mark.parametrize("suffix", PACK)
def test_compression_shows_by_content_and_goes_with_an_encoding(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, "rows.jsonl", PACK[suffix](("\ufeff" + LINES).encode("utf-16-le")))
    assert len(rows(path)) == 300
    resumes(written(tmp_path, "short.jsonl", PACK[suffix](LINES[:200].encode("utf-16"))))


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_a_compressed_file_that_ends_early(tmp_path: Path, suffix: str, keep: float) -> None:
    packed = PACK[suffix](os.urandom(300_000).hex().encode())
    path = written(tmp_path, "rows.txt" + suffix, packed[: int(len(packed) * keep)])
    with pytest.raises(UserError, match=r"rows\.txt.*the compressed file is truncated"):
        records(path)


# Not .zst: pyarrow writes it without a checksum, so that damage need not show.
@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_compressed_file_that_is_damaged(tmp_path: Path, suffix: str) -> None:
    packed = bytearray(PACK[suffix](os.urandom(100_000).hex().encode()))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = b"\xff" * 64
    with pytest.raises(UserError, match="the compressed file is"):
        records(written(tmp_path, "rows.txt" + suffix, bytes(packed)))


def test_a_line_without_end_is_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sources.streams.LONGEST_ROW", 100_000)
    path = written(tmp_path, "rows.jsonl.gz", gzip.compress(b'{"a": 1}\n' + b" " * 5_000_000 + b"\n{}"))
    good, bad = records(path)
    assert isinstance(good, Row) and "nothing after it is read" in getattr(bad, "detail", "")


def zipped(**files: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            # Always of the same time, so that test ids are the same in every process.
            archive.writestr(zipfile.ZipInfo(name.replace("__slash__", "/").replace("__dot__", ".")), text)
    return target.getvalue()


def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("rows.jsonl"))
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.jsonl", b"", "empty"),
        ("rows.json", b" \n\t\n ", "empty"),
        ("rows.parquet", b"", "empty"),
        ("rows.csv.gz", gzip.compress(b" \n", mtime=0), "empty"),
        ("rows.zip", zipped(rows__dot__csv="a", evil__dot__exe="b"), r"unzip it first.*\(rows\.csv\)"),
        ("rows.csv", zipped(x="a"), "unzip it first"),
        ("rows.csv", b"PK\x03\x04 torn", "unzip it first"),
        ("rows.xlsx", zipped(xl__slash__workbook__dot__xml="a"), "save it as CSV UTF-8"),
        ("rows.txt", zipped(word__slash__document__dot__xml="a"), "save it as plain text"),
        ("rows.zip", zipped(archive__slash__data__dot__pkl="a"), "never opened"),
        ("rows.tar", tarred(), "tar archive"),
        ("rows.jsonl.gz", gzip.compress(tarred(), mtime=0), "tar archive"),
        ("rows.txt", b"%PDF-1.7\n\xff\x00", "PDF"),
        ("rows.txt", b"\x89PNG\r\n\x1a\n\0\0", "binary file"),
        ("rows.csv", b"\xff\xd8\xff\xe0\0\0", "binary file"),
        ("rows.jsonl", bytes(range(256)) * 4, "binary file"),
        ("rows.txt", b"\0" * 1000, "binary file"),
        ("rows.csv", "a,b\n1,2\n".encode("utf-16-le"), 'encoding = "utf-16-le"'),
        ("rows.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("rows.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("rows.jsonl", pickle.dumps({"a": 1}), "never opened"),
        ("rows.feather", b"FEA1 old", "Feather version 1"),
        *((f"rows{suffix}", b'{"a": 1}\n', "never opened")
          for suffix in (".pkl", ".pt", ".pth", ".npy", ".npz", ".safetensors", ".PICKLE")),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        records(written(tmp_path, name, data))
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_a_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("create table rows (a)")
    with pytest.raises(UserError, match="SQLite"):
        file_at(tmp_path / "rows.db")


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jsonl")
        for path in (tmp_path / "pipe.jsonl", tmp_path / "socket.jsonl", Path("/dev/zero")):
            with pytest.raises(UserError, match="not a regular file"):
                file_at(path)


def test_what_is_not_there_or_may_not_be_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl: no such file"):
        file_at(tmp_path / "gone.jsonl")
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(UserError, match="cannot be opened"):
            file_at(tmp_path / name)
    with pytest.raises(UserError, match="hf:org/name: not on this machine yet"):
        sources.files(Source(path="hf:org/name"))
