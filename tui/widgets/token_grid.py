"""Tokens as a grid that is read from left to right: trained or not, text with its white space, id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from textual.content import Content

from tui.safe import visible
from tui.widgets.marked import TEMPLATE, TRAINED

NARROWEST_TEXT = 12
SPECIAL, TORN = "◆", "…"
LEGEND = f"▌ trained  {SPECIAL} special  {TORN} part of a character  ␣ ⏎ ⇥ white space"


class TokenGrid(Sequence[Content]):
    """The lines of a grid, made when they are asked for: a row may have thousands of tokens."""

    def __init__(self, tokens: Sequence[Sequence[Any]], width: int, max_length: int, length: int) -> None:
        self._tokens = tokens
        self._id_width = max((len(str(id)) for id, *_ in tokens), default=1)
        narrowest = NARROWEST_TEXT + self._id_width + 4
        self.columns = max(1, width // narrowest)
        self._cell = max(narrowest, width // self.columns)
        self._text_width = self._cell - self._id_width - 4
        rows = [range(0, min(len(tokens), max_length), self.columns)]
        rows.append(range(max_length, len(tokens), self.columns))
        self._before = len(rows[0])
        self._starts = [*rows[0], *rows[1]]
        self._end = min(len(tokens), max_length)
        self._notes: list[tuple[int, Content]] = []
        if rows[1] or length > len(tokens) == max_length:
            words = f"╌╌ max_length {max_length:,} of {length:,} tokens "
            self._notes.append((self._before, Content.styled(words.ljust(width, "╌"), "$text-warning")))
        elif length > len(tokens):
            words = f"… {length - len(tokens):,} tokens more are not shown here"
            self._notes.append((len(self._starts), Content.styled(words, "$text-warning")))

    def __len__(self) -> int:
        return len(self._starts) + len(self._notes)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        for place, note in self._notes:
            if at == place:
                return note
            at -= at > place
        start = self._starts[at]
        end = min(start + self.columns, self._end if at < self._before else len(self._tokens))
        return Content.assemble(*(part for token in self._tokens[start:end] for part in self._parts(token)))

    def _parts(self, token: Sequence[Any]) -> Iterator[Any]:
        id, text, piece, trained, special = token
        torn = not text
        yield ("▌" if trained else " ", "$text-success")
        yield (SPECIAL if special else TORN if torn else " ", "$text-warning")
        style = TRAINED if trained else TEMPLATE if special or torn else ""
        shown = Content(visible(text or piece))
        if shown.cell_length > self._text_width:
            shown = shown.truncate(self._text_width, ellipsis=True)
        yield shown.stylize(style) if style else shown
        yield " " * (self._text_width - shown.cell_length + 1)
        yield (f"{id:>{self._id_width}} ", "$foreground-muted")
