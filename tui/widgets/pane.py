"""A panel with a text that can be longer than it is."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import VerticalScroll
from textual.content import Content

from tui.safe import clean
from tui.widgets.quiet import Quiet


class Pane(VerticalScroll, can_focus=False):
    """Shows a text under a title; the screen's keys scroll it."""

    def __init__(self, title: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.border_title = Content(title)
        self._text = Quiet()

    def compose(self) -> Iterator[Quiet]:
        yield self._text

    @property
    def text(self) -> str:
        return str(self._text.render())

    def show(self, text: Content | str, title: str | None = None) -> None:
        """From its beginning; the title stays where none is given."""
        if title is not None:
            self.border_title = Content(clean(title, newlines=False))
        self._text.show(text if isinstance(text, Content) else Content(clean(text)))
        self.scroll_home(animate=False)
