"""Text, Markdown and source files, paragraph by paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.ledger import Note
from engine.schema import Source
from engine.sources.rows import File, Row
from engine.sources.streams import Stream, opened, text

PROSE = frozenset({".txt", ".text", ".md", ".markdown", ".mdx", ".rst", ".adoc", ".org"})
PLAIN = frozenset({".txt", ".text"})
SOURCES = frozenset({
    ".ada", ".asm", ".awk", ".bash", ".bat", ".c", ".cc", ".cfg", ".clj", ".cljs", ".cmake", ".conf",
    ".cpp", ".cs", ".css", ".cu", ".cxx", ".d", ".dart", ".el", ".elm", ".erl", ".ex", ".exs", ".f90",
    ".fish", ".fs", ".go", ".gradle", ".graphql", ".groovy", ".h", ".hh", ".hpp", ".hs", ".htm", ".html",
    ".hxx", ".ini", ".java", ".jl", ".js", ".jsx", ".kt", ".kts", ".less", ".lisp", ".lua", ".m", ".mjs",
    ".ml", ".mm", ".nim", ".pas", ".php", ".pl", ".pm", ".properties", ".proto", ".ps1", ".py", ".pyi",
    ".r", ".rb", ".rs", ".sass", ".scala", ".scm", ".scss", ".sh", ".sol", ".sql", ".svelte", ".swift",
    ".tcl", ".tex", ".tf", ".toml", ".ts", ".tsx", ".v", ".vb", ".vhd", ".vim", ".vue", ".xml", ".yaml",
    ".yml", ".zig", ".zsh",
})  # fmt: skip
# Source files that are known by their whole name.
SOURCE_NAMES = frozenset({"makefile", "dockerfile", "rakefile", "gemfile", "cmakelists.txt", "justfile"})

# Bytes, and so at most as many characters, of one piece of text.
LONGEST_PIECE = 1024 * 1024

_BLANK_BETWEEN = re.compile(rb"\S[^\S\n]*+\n[^\S\n]*+\n\s*+\S")


def has_paragraphs(head: bytes) -> bool:
    """Whether blank lines part the text; if none do, each line is a text of its own."""
    return bool(_BLANK_BETWEEN.search(head))


def read_sentences(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row]:
    """Each line from the byte `start` on as a document; a very long one in pieces."""
    with opened(file.path, source.encoding) as stream:
        joins = start > stream.offset and not _line_begins(stream, start)
        for offset, number, raw in _pieces(stream, line):
            if raw.strip():
                yield _row(file, number, offset, [raw], joins)
            joins = not raw.endswith(b"\n")


def read_paragraphs(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row]:
    """The paragraphs from the byte `start` on; all of a file are one document.

    Those of a source file keep what empty lines there are beyond one, so that joined by an empty line they
    are the file's text again, but for white space at its end.
    """
    exact = file.kind == "source"
    with opened(file.path, source.encoding) as stream:
        if start:
            stream.skip_to(start)
        part = _Paragraph(start, line)
        for offset, number, raw in _pieces(stream, line):
            blank = not raw.strip(b"\r\n" if exact else None)
            ends = blank and part.full
            if ends or part.size + len(raw) > LONGEST_PIECE:
                if part.full:
                    yield _row(file, part.line, part.offset, part.lines, part.offset > 0)
                part = _Paragraph(offset + len(raw), number + 1) if ends else _Paragraph(offset, number)
            if not blank or (exact and not ends):
                part.add(raw)
            elif not part.lines:
                # The first paragraph begins with the file, so that it is known for the first again.
                part = _Paragraph(part.offset and offset + len(raw), number + 1)
        if part.full:
            yield _row(file, part.line, part.offset, part.lines, part.offset > 0)


@dataclass
class _Paragraph:
    """The lines since the last empty one. full: there is more than white space in them."""

    offset: int
    line: int
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    full: bool = False

    def add(self, raw: bytes) -> None:
        """One more line."""
        self.lines.append(raw)
        self.size += len(raw)
        self.full = self.full or bool(raw.strip())


def _row(file: File, line: int, offset: int, lines: list[bytes], joins: bool) -> Row:
    raw = b"".join(lines).replace(b"\r\n", b"\n").removesuffix(b"\n")
    decoded, wrong = text(raw)
    notes = (Note("encoding", wrong),) if wrong else ()
    data = {"text": decoded, "path": file.name or file.path.name}
    return Row(str(file.path), line, data, offset, "line", joins, notes)


def _pieces(stream: Stream, line: int) -> Iterator[tuple[int, int, bytes]]:
    """The lines with their offset and number; one of more than LONGEST_PIECE bytes in pieces."""
    left = b""
    while True:
        offset = stream.offset
        raw = left + stream.reader.readline(LONGEST_PIECE - len(left))
        if not raw:
            return
        cut = len(raw) if len(raw) < LONGEST_PIECE or raw.endswith(b"\n") else _cut(raw)
        raw, left = raw[:cut], raw[cut:]
        stream.offset += cut
        yield offset, line, raw
        line += raw.endswith(b"\n")


def _cut(raw: bytes) -> int:
    """Where a long line is cut: behind its last white space, else before its last character."""
    space = max(raw.rfind(b" "), raw.rfind(b"\t"))
    if space >= 0 and raw[:space].strip():
        return space + 1
    cut = len(raw) - 1
    while cut > len(raw) - 4 and raw[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _line_begins(stream: Stream, start: int) -> bool:
    """Whether a line begins at that byte; the stream stands there afterwards."""
    stream.skip_to(start - 1)
    before = stream.reader.read(1)
    stream.offset = start
    return before == b"\n"
