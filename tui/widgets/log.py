"""The end of a log, cleaned, with the newest line in view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.containers import VerticalScroll

from tui.safe import clean
from tui.widgets.quiet import Quiet


class LogPane(VerticalScroll):
    """Shows lines; stays at the end unless the reader has scrolled up."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = Quiet()

    def compose(self) -> Iterator[Quiet]:
        yield self._text

    def show(self, lines: Sequence[str]) -> None:
        # A progress bar rewrites its line with carriage returns: its last state is what counts.
        shown = (clean(line.rstrip("\r").rpartition("\r")[2], newlines=False) for line in lines)
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._text.show("\n".join(shown))
        if at_end:
            self.scroll_end(animate=False)
