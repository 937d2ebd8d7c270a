"""What the screens have in common that show several texts side by side: how they are drawn and scrolled."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType

from tui.keys import hidden
from tui.screens.step import StepScreen
from tui.widgets.pane import Pane
from tui.widgets.prose import View


class PanesScreen(StepScreen):
    """A subclass composes and paints the panes; those in a row scroll together."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "panes",
            ("f7", "plain", "Plain text", "plain", "Show the exact text, or Markdown drawn"),
            ("up", "scroll(-1)", "Scroll up", "up", "Scroll up"),
            ("down", "scroll(1)", "Scroll down", "down", "Scroll down"),
            ("pageup", "scroll(-8)", "A page up", "page_up", "Scroll a page up"),
            ("pagedown", "scroll(8)", "A page down", "page_down", "Scroll a page down"),
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = View()

    def paint(self) -> None:
        """Show everything anew."""
        raise NotImplementedError

    def action_plain(self) -> None:
        self.view = replace(self.view, plain=not self.view.plain)
        self.paint()

    def action_scroll(self, by: int) -> None:
        for pane in self.query("Horizontal > Pane").results(Pane):
            pane.scroll_relative(y=by, animate=False)
