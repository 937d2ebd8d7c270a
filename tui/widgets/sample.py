"""One row as the model reads it, its trained part marked by weight, underline and a bar in the gutter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.safe import clean
from tui.widgets.figures import place_of
from tui.widgets.tried import fields, notes

Spans = Sequence[Sequence[int]]

# For the eye only: what most chat templates put around turns. What is trained comes from spans.
SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<(?:bos|eos)>")

TRAINED = "bold underline $text-success"
TEMPLATE = "$foreground-muted"
GUTTER = "▌ "
HEAD, TAIL = 12_000, 6_000
"""Characters that are shown of a longer text: a row may be megabytes long."""


class SampleView(VerticalScroll):
    """Shows one rendered row; asks for others by arrow and page keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Row before", id="sample.before", show=False),
        Binding("right", "turn(1)", "Next row", id="sample.after", show=False),
        Binding("pageup", "turn(-10)", "Ten rows back", id="sample.back", show=False),
        Binding("pagedown", "turn(10)", "Ten rows on", id="sample.on", show=False),
    ]

    class RowAsked(Message):
        """Another row is wanted, `by` rows from this one."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = Static(markup=False)
        self._row: dict[str, Any] = {}

    def compose(self) -> Iterator[Static]:
        yield self._body

    def show(self, row: dict[str, Any]) -> None:
        """Take in a `row` message of the data worker."""
        self._row = row
        self._paint()
        self.scroll_home(animate=False)

    def ask(self, sentence: str, source: dict[str, Any]) -> None:
        """A row as it stands in its file, where it is not yet settled how it is read."""
        self._row = {}
        head = Content.styled(clean(sentence), "$text-warning")
        self._body.update(Content("\n").join([head, Content(""), *fields(source)]))

    def say(self, sentence: str) -> None:
        """Something in place of a row: what is under way, or why there is none."""
        self._row = {}
        self._body.update(Content.styled(clean(sentence), "$foreground-muted"))

    def on_resize(self, _: events.Resize) -> None:
        if self._row:
            self._paint()

    def action_turn(self, by: int) -> None:
        self.post_message(self.RowAsked(by))

    def _paint(self) -> None:
        width = max(8, self.scrollable_content_region.width)
        if self._row["refused"]:
            self._body.update(refusal(self._row["refused"], self._row["source"]))
            return
        head = [*place_in_file(self._row), *notes(self._row["notes"])]
        text = marked(self._row["text"], self._row["spans"], width)
        self._body.update(Content("\n").join([*head, Content(""), text]) if head else text)


def head(row: dict[str, Any]) -> Content:
    """Which row, of how many, and the keys that lead to others."""
    place = f"Sample · {row['part']} {place_of(row['index'], row['count'])}  ◂ ▸"
    keys: list[Any] = ["  ", ("t", "$text-accent"), " part  ", ("g", "$text-accent"), " row"]
    if row["variants"] > 1:
        keys += ["  ", ("v", "$text-accent"), f" variant {row['variant'] + 1} of {row['variants']}"]
    return Content.assemble(place, *keys)


def foot(row: dict[str, Any]) -> Content:
    """Where it stands, and its size."""
    file = clean("/".join(PurePath(row["file"]).parts[-2:]), newlines=False)
    size = f"{row['tokens']:,} tokens, {row['trained_tokens']:,} trained"
    return Content(f"{file} {row['unit']} {row['line']:,} · {size}")


def place_in_file(row: dict[str, Any]) -> Iterator[Content]:
    """Which piece of its document it is, and how often it is trained, where that is not once."""
    piece = [clean(row["piece"], newlines=False)] if row["piece"] else []
    times = [f"{row['times']:g} times an epoch"] if row["times"] != 1 else []
    if piece or times:
        yield Content.styled(" · ".join(piece + times), "$foreground-muted")


def marked(text: str, spans: Spans, width: int) -> Content:
    """The text wrapped to a width, with a gutter that has a bar beside every line with a trained part."""
    if len(text) <= HEAD + TAIL:
        return _marked(text, spans, width)
    cut = len(text) - TAIL
    shifted = [(max(a - cut, 0), b - cut) for a, b in spans if b > cut]
    gap = Content.styled(f"  … {cut - HEAD:,} characters not shown here …", "$text-warning")
    return Content("\n").join([_marked(text[:HEAD], spans, width), gap, _marked(text[cut:], shifted, width)])


def _marked(text: str, spans: Spans, width: int) -> Content:
    lines = []
    for line, trained in _lines(text, spans):
        for part in line.wrap(width - len(GUTTER)) or [Content("")]:
            bar = trained and any(span.style == TRAINED for span in part.spans)
            lines.append(Content.assemble((GUTTER if bar else "  ", "$text-success"), part))
    return Content("\n").join(lines)


def refusal(reason: str, source: dict[str, Any]) -> Content:
    """Why a row is not trained on, and the row as it stands in its file."""
    head = Content.styled(f"✗ not trained on: {clean(reason, newlines=False)}", "$text-error")
    return Content("\n").join([head, Content(""), *fields(source)])


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
        part = Content(clean(text[a:b], newlines=False).replace("␉", "→   "))
        if trained:
            yield part.stylize(TRAINED)
        else:
            yield part.highlight_regex(SPECIAL, style=TEMPLATE)
