"""Text as lines of a width: what is trained has weight, underline and a bar, what is sought is reversed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from textual.content import Content

from tui.safe import clean

Spans = Sequence[Sequence[int]]

# For the eye only: what most chat templates put around turns. What is trained comes from spans.
SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<(?:bos|eos)>")

TRAINED = "bold underline $text-success"
TEMPLATE = "$foreground-muted"
FOUND = "bold reverse"
GUTTER = "▌ "
HEAD, TAIL, NEAR = 12_000, 6_000, 1_000
"""Characters that are shown of a longer text: a row may be megabytes long. NEAR: around what is sought."""


def marked(text: str, spans: Spans, width: int) -> Content:
    """The text wrapped to a width, with a gutter that has a bar beside every line with a trained part."""
    return Content("\n").join(marked_lines(text, spans, width))


def marked_lines(
    text: str, spans: Spans, width: int, sought: str = "", gutter: bool = True, share: int = 1
) -> list[Content]:
    """The same, line by line; without `gutter` nothing is marked but what is sought.

    share: how many long texts are shown at once; of each there is less then.
    """
    lines: list[Content] = []
    shown = 0
    for start, end in _windows(text, sought, share):
        if start > shown:
            gap = f"  … {start - shown:,} characters not shown here …"
            lines.append(Content.styled(gap, "$text-warning"))
        inside = [(max(a - start, 0), min(b, end) - start) for a, b in spans if b > start and a < end]
        lines += _marked(text[start:end], inside, width, pattern(sought), gutter)
        shown = end
    return lines


def pattern(sought: str) -> re.Pattern[str] | None:
    """What finds a search in cleaned text."""
    return re.compile(re.escape(clean(sought, newlines=False)), re.IGNORECASE) if sought else None


def lit(line: Content, sought: re.Pattern[str] | None) -> Content:
    """The line with what is sought in it reversed."""
    return line.highlight_regex(sought, style=FOUND) if sought is not None else line


def is_lit(line: Content) -> bool:
    return any(span.style == FOUND for span in line.spans)


def _windows(text: str, sought: str, share: int) -> list[tuple[int, int]]:
    """The ranges that are shown: all, or both ends and where what is sought stands first."""
    head, tail = HEAD // share, len(text) - TAIL // share
    if head >= tail:
        return [(0, len(text))]
    windows = [(0, head), (tail, len(text))]
    found = re.compile(re.escape(sought), re.IGNORECASE).search(text) if sought else None
    if found is not None and head <= found.start() < tail:
        windows.insert(1, (max(head, found.start() - NEAR), min(tail, found.start() + NEAR)))
    return windows


def _marked(
    text: str, spans: Spans, width: int, sought: re.Pattern[str] | None, gutter: bool
) -> Iterator[Content]:
    if not gutter:
        for raw in text.split("\n"):
            line = lit(Content(shown(raw)), sought)
            yield from line.wrap(width) or [Content("")]
        return
    for line, trained in _lines(text, spans):
        for part in lit(line, sought).wrap(width - len(GUTTER)) or [Content("")]:
            bar = trained and any(span.style == TRAINED for span in part.spans)
            yield Content.assemble((GUTTER if bar else "  ", "$text-success"), part)


def _lines(text: str, spans: Spans) -> Iterator[tuple[Content, bool]]:
    """Each line of the text with its parts styled. Parts are cleaned one by one: that moves offsets."""
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        # A trained newline makes its line trained, though there is nothing on it to underline.
        trained = any(a <= end and b > start for a, b in spans)
        yield Content.assemble(*_parts(text, spans, start, end)), trained
        start = end + 1


def _parts(text: str, spans: Spans, start: int, end: int) -> Iterator[Content]:
    cuts = {start, end}
    for a, b in spans:
        cuts.update((min(max(a, start), end), min(max(b, start), end)))
    edges = sorted(cuts)
    for a, b in pairwise(edges):
        trained = any(low <= a and b <= high for low, high in spans)
        part = Content(shown(text[a:b]))
        if trained:
            yield part.stylize(TRAINED)
        else:
            yield part.highlight_regex(SPECIAL, style=TEMPLATE)


def shown(text: str) -> str:
    """Text of one line, cleaned, with room where tabs are."""
    return clean(text, newlines=False).replace("␉", "→   ")
