"""What a file is: by what stands in it, then by its name; and the sentence for what cannot be read."""

from __future__ import annotations

import codecs
import re
import zipfile
from pathlib import Path

import orjson

from engine.errors import UserError
from engine.schema import Source
from engine.sources import documents, json_object, tables
from engine.sources.rows import LONGEST_ROW, File, Part
from engine.sources.streams import opened, regular, text

HEAD = 1024 * 1024
FIRST_LINES = 64

PACKED = frozenset({".gz", ".bz2", ".xz", ".zst"})
JSON_LINES = frozenset({".jsonl", ".ndjson", ".jsonlines"})
TABLES = frozenset({".csv", ".tsv", ".tab", ".psv"})
COLUMNS = {".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
DATA = JSON_LINES | TABLES | {".json", *COLUMNS}

# Loading one of these can run a program, or it holds no rows: not even opened.
NEVER_OPENED = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".npy", ".npz", ".safetensors", ".joblib", ".ckpt", ".h5", ".gguf"}
)
EXPORT = "export its rows as JSON Lines or CSV"
SIGNATURES = (
    (0, b"version https://git-lfs.github.com/spec/", "this is a Git LFS pointer: run git lfs pull"),
    (0, b"SQLite format 3\0", "a SQLite database; export the table as CSV"),
    (257, b"ustar", "a tar archive; unpack it first and name the file in it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first and name the file in it"),
    (0, b"Rar!\x1a\x07", "a rar archive; unpack it first and name the file in it"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file; save it as CSV UTF-8 or as text"),
    (0, b"%PDF-", "a PDF, which is a binary file; save its text as .txt"),
    (0, b"\x89PNG\r\n", "a PNG image, which is a binary file; only text is trained here"),
    (0, b"\xff\xd8\xff", "a JPEG image, which is a binary file; only text is trained here"),
    (0, b"GIF8", "a GIF image, which is a binary file; only text is trained here"),
    (0, b"FEA1", "Feather version 1; write it again with pyarrow.feather.write_feather"),
    (0, b"\x80\x02", f"a pickle, which is never opened; {EXPORT}"),
    (0, b"\x80\x03", f"a pickle, which is never opened; {EXPORT}"),
    (0, b"\x80\x04", f"a pickle, which is never opened; {EXPORT}"),
    (0, b"\x80\x05", f"a pickle, which is never opened; {EXPORT}"),
)
CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b\b"))

_OBJECTS = re.compile(rb"\s*\[\s*\{\s*[\"}]")


def suffix(path: Path) -> str:
    """What the name says of the content: ".jsonl" for rows.jsonl.gz."""
    name = Path(path.stem) if path.suffix.lower() in PACKED else path
    return name.suffix.lower()


def look(path: Path, part: Part, source: Source, name: str = "") -> list[File]:
    """The file, once for each part that it holds. Raises UserError where it cannot be read as rows.

    name: what a document is called in its rows, if not by its file name.
    """
    if path.suffix.lower() in NEVER_OPENED:
        raise UserError(f"{path}: files of this kind ({path.suffix}) are never opened; {EXPORT}")
    with regular(path) as file:
        kind = _columns(file.peek(8))
    if kind:
        return [File(path, part, kind, (), name)]
    with opened(path, source.encoding) as stream:
        head = stream.reader.read(HEAD)
        if b"\n" not in head and suffix(path) == ".json":
            head += stream.reader.read(LONGEST_ROW)
        more = bool(stream.reader.peek(1))
        marked, plain = stream.marked, stream.plain
    if not plain and _columns(head):
        raise UserError(f"{path}: compressed columns are not read; unpack it first")
    _check(path, head, more, source)
    kind = _kind(path, head, more)
    notes = (f"{marked.upper()} by its byte order mark",) if marked else ()
    if kind == "object":
        found = json_object.parts(path, source, part)
        return [File(path, of, kind, (*notes, *said), name) for of, said in found.items()]
    file_ = File(path, part, kind, notes, name)
    return [file_] if kind != "table" else [_with_header(file_, source)]


def _with_header(file: File, source: Source) -> File:
    suspicious = tables.layout(file, source).suspicious
    if not suspicious:
        return file
    said = f"the first line looks like a row and not like column names ({suspicious}); if so, header = false"
    return File(file.path, file.part, file.kind, (*file.notes, said), file.name)


def _columns(head: bytes) -> str:
    """Parquet or Arrow; empty: neither."""
    if head.startswith(b"PAR1"):
        return "parquet"
    return "arrow" if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")) else ""


def _check(path: Path, head: bytes, more: bool, source: Source) -> None:
    """Raise UserError for what is empty, no text, or text in an encoding that must be named."""
    if not head.strip() and not more:
        raise UserError(f"{path}: the file is empty; name one with rows")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise UserError(f"{path}: {_zipped(path)}")
    for at, signature, words in SIGNATURES:
        if head.startswith(signature, at):
            raise UserError(f"{path}: {words}")
    if suffix(path) in COLUMNS:
        raise UserError(f"{path}: not a complete {COLUMNS[suffix(path)]} file; download or write it again")
    if _is_binary(head):
        halves = max(head[0:HEAD:2].count(0), head[1:HEAD:2].count(0)) * 3 > len(head[:HEAD])
        hint = 'for UTF-16 text say encoding = "utf-16-le"' if halves else EXPORT
        raise UserError(f"{path}: a binary file; {hint}")
    if source.encoding is None:
        _check_encoding(path, head, more)


def _check_encoding(path: Path, head: bytes, more: bool) -> None:
    lines = head.split(b"\n")
    if more and len(lines) > 1:
        lines.pop()
    first = [(number, line) for number, line in enumerate(lines[:FIRST_LINES], start=1) if line.strip()]
    bad = [(number, line) for number, line in first if text(line)[1]]
    if len(first) > 1 and 2 * len(bad) > len(first):
        number, line = bad[0]
        example = _likely(b"\n".join(line for _, line in bad))
        raise UserError(
            f"{path}: line {number}: {text(line)[1]} is not UTF-8; "
            f'name the encoding, for example encoding = "{example}"'
        )


def _likely(sample: bytes) -> str:
    """A codec that takes the bytes: Chinese comes in runs of high bytes, accents stand alone."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    order = ("gbk", "cp1251", "cp1252") if sum(map(len, runs)) > 3 * len(runs) else ("cp1252", "gbk")
    for name in order:
        try:
            sample.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "latin-1"


def _is_binary(head: bytes) -> bool:
    controls = len(head) - len(head.translate(None, CONTROLS))
    if 10 * controls > len(head):
        return True
    if not controls:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return b"\0" in head
    return False


def _zipped(path: Path) -> str:
    """What a zip archive is, by the names in it; nothing of it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook; save it as CSV UTF-8 and name that file"
    if any(name.startswith("word/") for name in names):
        return "a Word document; save it as plain text and name that file"
    if any(name.endswith(("data.pkl", ".npy")) for name in names):
        return f"a zip archive of a pickle or of arrays, which is never opened; {EXPORT}"
    inside = [name for name in names if suffix(Path(name)) in DATA and name.isprintable()]
    inside = [name for name in inside if ".." not in name and not name.startswith(("/", "__MACOSX"))]
    named = f" ({', '.join(inside[:3])})" if inside else ""
    return f"a zip archive; unzip it first and name the file in it{named}"


def _kind(path: Path, head: bytes, more: bool) -> str:
    ending = suffix(path)
    if ending in documents.SOURCES or path.name.lower() in documents.SOURCE_NAMES:
        return "source"
    if ending in documents.PROSE - documents.PLAIN:
        return "paragraphs"
    lines = _first_lines(head, more)
    objects = sum(isinstance(_value(line), dict) for line in lines)
    if found := _json(ending, head, lines, objects):
        return found
    if ending in TABLES or (ending not in documents.PROSE and _is_tabbed(lines)):
        return "table"
    return "paragraphs" if documents.has_paragraphs(head) else "sentences"


def _json(ending: str, head: bytes, lines: list[bytes], objects: int) -> str:
    """Which kind of JSON; empty: none."""
    promised = ending == ".json" or ending in JSON_LINES
    first = head.lstrip()[:1]
    if objects and 2 * objects > len(lines) > 1:
        return "lines"
    if first == b"[" and (promised or _OBJECTS.match(head)):
        each_complete = len(lines) > 1 and _value(lines[0]) is not None
        return "lines" if each_complete else "array"
    if ending in JSON_LINES:
        return "lines"
    if ending == ".json":
        each_complete = len(lines) > 1 and isinstance(_value(lines[0]), dict)
        return "object" if first == b"{" and not each_complete else "lines"
    return "lines" if objects == len(lines) == 1 else ""


def _first_lines(head: bytes, more: bool) -> list[bytes]:
    lines = head.split(b"\n", FIRST_LINES)
    if len(lines) > FIRST_LINES or (more and len(lines) > 1):
        lines.pop()
    return [line for line in lines if line.strip()]


def _value(line: bytes) -> object:
    """The line's JSON value; None where it is none."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _is_tabbed(lines: list[bytes]) -> bool:
    """Whether all lines have the same number of tabs, as a table has that was saved under another name."""
    counts = {line.count(b"\t") for line in lines}
    return len(lines) > 1 and len(counts) == 1 and counts != {0}
