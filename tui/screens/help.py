"""What a screen is for and which keys it has, over the screen itself."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import shown
from tui.safe import clean

KEY_WIDTH = 16


class HelpScreen(ModalScreen[None]):
    """Shows sentences and keys; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "help",
            ("escape,question_mark,f1,enter,q", "dismiss", "Close", "close", "Close the help"),
        ),
    ]

    def __init__(self, title: str, sentences: str, keys: Content) -> None:
        super().__init__()
        self._title = title
        self._sentences = sentences
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = Content(clean(self._title, newlines=False))
            box.border_subtitle = "esc closes"
            yield Static(self._sentences, markup=False)
            yield Static(self._keys, id="help-keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#help").focus()


def key_table(bindings: list[ActiveBinding], names: list[str]) -> Content:
    """One line a key: the key as it is named, and what it does."""
    rows: dict[str, list[str]] = {}
    for active, name in zip(bindings, names, strict=True):
        text = active.binding.tooltip or active.binding.description
        if text:
            rows.setdefault(text, []).append(name)
    return Content("\n").join(
        Content.assemble((", ".join(keys).ljust(KEY_WIDTH), "bold $text-accent"), " ", text)
        for text, keys in rows.items()
    )
