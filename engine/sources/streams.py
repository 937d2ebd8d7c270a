"""Files to bytes of UTF-8: opened safely, decompressed, decoded, in lines of bounded length."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from engine.errors import UserError
from engine.sources.rows import LONGEST_ROW

Bytes: TypeAlias = "io.BufferedReader[Any]"

CHUNK = 1024 * 1024

COMPRESSED = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
)
# The longer marks first: UTF-32 begins as UTF-16 does.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TooLong(Exception):
    """A line of more than LONGEST_ROW bytes; `ends`: reading cannot go on behind it."""

    def __init__(self, ends: bool) -> None:
        super().__init__()
        self.detail = f"a line longer than {LONGEST_ROW >> 20} MiB" + (
            "; nothing after it is read" if ends else ""
        )
        self.ends = ends


@dataclass
class Stream:
    """Bytes of UTF-8 without a byte order mark. `offset` is that of the next byte in the decoded file.

    plain: the bytes are those of the file, so that reading can begin anywhere at no cost.
    """

    reader: Bytes
    plain: bool = True
    marked: str = ""
    offset: int = 0

    def skip_to(self, offset: int) -> None:
        """Make that byte the next one; for a file that is decoded on the way, by reading up to it."""
        if self.plain:
            self.reader.seek(offset)
        else:
            left = offset - self.offset
            while left > 0 and (chunk := self.reader.read(min(left, CHUNK))):
                left -= len(chunk)
        self.offset = offset

    def line(self) -> bytes:
        """The next line with its end, which is \\n alone; empty at the end of the file.

        Raises TooLong, and then stands behind that line.
        """
        raw = self.reader.readline(LONGEST_ROW + 1)
        self.offset += len(raw)
        if len(raw) > LONGEST_ROW:
            raise TooLong(ends=not self._pass_line(raw))
        return raw

    def _pass_line(self, raw: bytes) -> bool:
        """Go to the end of a long line. Not where a file is unfolded: that could go on without end."""
        while raw and not raw.endswith(b"\n"):
            raw = self.reader.readline(CHUNK) if self.plain else b""
            self.offset += len(raw)
        return bool(raw)


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[Stream]:
    """The text of a file as UTF-8. Raises UserError, also while it is read: compressed, it may end early."""
    with regular(path) as file:
        packed = compression(file)
        reader: Bytes = io.BufferedReader(_Unpacked(path, file, packed), CHUNK) if packed else file
        name = _codec(path, encoding)
        mark = "" if name else next((found for mark, found in MARKS if reader.peek(4).startswith(mark)), "")
        if name or mark:
            reader = io.BufferedReader(_Transcoded(path, reader, name or mark), CHUNK)
        stream = Stream(reader, plain=not (packed or name or mark), marked=mark)
        if reader.peek(3).startswith(codecs.BOM_UTF8):
            stream.offset += len(reader.read(3))
        yield stream


def regular(path: Path) -> Bytes:
    """Open a regular file and nothing else: a FIFO would hang, a device may never end. Raises UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: not a regular file; name a file or a folder")
        # What the name stands for may have changed since, so that it must not block, and is looked at again.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; check its name, or give builtin:NAME or hf:ORG/NAME"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(
            f"{path}: cannot be opened ({reason}); make it readable for you, or name another"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path}: not a regular file; name a file or a folder")
    return io.BufferedReader(io.FileIO(handle), CHUNK)


def compression(file: Bytes) -> str:
    """How the file is compressed by its first bytes; empty: it is not."""
    head = file.peek(16)
    return next((name for pattern, name in COMPRESSED if pattern.match(head)), "")


def text(raw: bytes) -> tuple[str, str]:
    """The text of some UTF-8 bytes, and what was wrong with them: each bad byte becomes U+FFFD."""
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode("utf-8", "replace")) + 1
        return raw.decode("utf-8", "replace"), f"byte 0x{raw[error.start]:02x} at column {column}"


class _Unpacked(io.RawIOBase):
    """The bytes of a compressed file."""

    def __init__(self, path: Path, file: Bytes, packed: str) -> None:
        super().__init__()
        self._path, self._packed = path, packed
        self._file = _unpacking(file, packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            torn = isinstance(error, EOFError) or "runcated" in str(error)
            wrong = "is truncated" if torn else f"is damaged ({error})"
            again = "download or copy it again"
            raise UserError(f"{self._path}: the compressed file {wrong}; {again}") from None
        buffer[: len(data)] = data
        return len(data)


def _unpacking(file: Bytes, packed: str) -> Any:
    match packed:
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case _:
            import pyarrow

            return pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd")


class _Transcoded(io.RawIOBase):
    """The text of another encoding as UTF-8, bytes that are not text handed on to be found in their line."""

    def __init__(self, path: Path, file: Bytes, encoding: str) -> None:
        super().__init__()
        self._path, self._file, self._encoding = path, file, encoding
        codecs.register_error("ift-tui-raw", _raw)
        self._decoder = codecs.getincrementaldecoder(encoding)("ift-tui-raw")
        self._ready = b""
        self._first = True
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._done:
            self._ready = self._more()
        taken = self._ready[: len(buffer)]
        self._ready = self._ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _more(self) -> bytes:
        data = self._file.read(CHUNK // 4)
        self._done = not data
        try:
            decoded = self._decoder.decode(data, final=self._done)
            if decoded and self._first:
                self._first, decoded = False, decoded.removeprefix("\ufeff")
            return decoded.encode("utf-8", "surrogateescape")
        except UnicodeError:
            raise UserError(f"{self._path}: not {self._encoding} text; give another encoding") from None


def _raw(error: UnicodeError) -> tuple[str, int]:
    """The illegal bytes as themselves in surrogateescape's way; those below 0x80 as 0xff, to stand out."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + (byte if byte >= 0x80 else 0xFF)) for byte in bad), error.end


def _codec(path: Path, encoding: str | None) -> str:
    """The codec's name; empty for UTF-8, which needs none. Raises UserError."""
    if encoding is None:
        return ""
    try:
        name = codecs.lookup(encoding).name
        b"a".decode(encoding, "replace")
        codecs.getincrementaldecoder(encoding)
    except (LookupError, UnicodeError, ValueError):
        example = 'encoding = "cp1252"'
        raise UserError(f"{path}: no such encoding: {encoding!r}; name one as in {example}") from None
    return "" if name in ("utf-8", "utf-8-sig", "ascii") else name
