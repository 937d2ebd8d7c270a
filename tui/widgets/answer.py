"""One column of a comparison: who answers, the turns so far, the answer as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.safe import clean

ChatTurn = dict[str, str]

FRAMES_A_SECOND = 10


class AnswerColumn(VerticalScroll):
    """Keeps its own history. Tokens are gathered and painted a few times a second."""

    def __init__(self, column: str) -> None:
        super().__init__(id=column, can_focus=True)
        self.column = column
        self.history: list[ChatTurn] = []
        self._titles: tuple[str, ...] = (column,)
        self._coming = ""
        self._dirty = False
        self._text = Static(markup=False)

    def compose(self) -> Iterator[Static]:
        yield self._text

    def on_mount(self) -> None:
        self.set_interval(1 / FRAMES_A_SECOND, self._flush)

    def head(self, *titles: str) -> None:
        """Say who answers here, in the longest of these ways that fits."""
        self._titles = titles
        self._show_title()

    def on_resize(self) -> None:
        self._show_title()

    def _show_title(self) -> None:
        room = self.size.width
        fitting = [title for title in self._titles if len(title) <= room] or self._titles[-1:]
        self.border_title = Content(clean(fitting[0], newlines=False))

    def restart(self) -> None:
        self.history = []
        self._coming = ""
        self.note("")
        self._paint()

    def asked(self, turns: list[ChatTurn]) -> None:
        """The question stands; an answer begins."""
        self.history += turns
        self._coming = ""
        self.note("…")
        self._paint()

    def take(self, text: str) -> None:
        self._coming += text
        self._dirty = True

    def answered(self, answer: dict[str, Any], cancelled: bool) -> None:
        """The whole answer, with how it ended; it becomes part of the history."""
        self.history.append({"role": "assistant", "content": answer["text"]})
        self._coming = ""
        ended = "ended by itself" if answer["ended"] else "cut off at the limit"
        self.note(f"{answer['tokens']} tokens · {'cancelled' if cancelled else ended}")
        self._paint()

    def note(self, words: str) -> None:
        self.border_subtitle = Content(words)

    def _flush(self) -> None:
        if self._dirty:
            self._paint()

    def _paint(self) -> None:
        self._dirty = False
        turns = [spoken(turn) for turn in self.history]
        if self._coming:
            turns.append(Content(clean(self._coming)))
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._text.update(Content("\n\n").join(turns))
        if at_end:  # whoever has scrolled up to read is left there
            self.scroll_end(animate=False)


def spoken(turn: ChatTurn) -> Content:
    """A turn: questions are marked, answers stand as they are."""
    text = clean(turn["content"])
    if turn["role"] == "assistant":
        return Content(text)
    mark = "▸ " if turn["role"] == "user" else f"{clean(turn['role'], newlines=False)}: "
    return Content.assemble((mark, "bold $text-accent"), (text, "$foreground-muted"))
