"""A Static that repaints only when what it shows has changed: nothing flickers, SSH stays quiet."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Static


class Quiet(Static):
    """Text that is set often and changes rarely. Never takes markup from a string."""

    # Textual lays the screen out once more after a widget has got another size; nothing here depends on it.
    virtual_size = Reactive(Size(0, 0))

    def __init__(self, text: Content | str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(_content(text), id=id, classes=classes, markup=False)
        self._shown = _content(text)

    def show(self, text: Content | str) -> None:
        content = _content(text)
        if not self._shown.is_same(content):
            self._shown = content
            self.update(content)


def _content(text: Content | str) -> Content:
    return text if isinstance(text, Content) else Content(text)
