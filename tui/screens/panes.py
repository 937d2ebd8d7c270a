"""What the screens have in common that show several texts side by side: how they are drawn and scrolled."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.screens.step import StepScreen
from tui.widgets.pane import Pane
from tui.widgets.prose import View


class PanesScreen(StepScreen):
    """A subclass composes and paints the panes; those in a row scroll together."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f7",
            "plain",
            "Plain text",
            id="panes.plain",
            show=False,
            tooltip="Show the exact text, or Markdown drawn",
        ),
        Binding("up", "scroll(-1)", "Scroll up", id="panes.up", show=False),
        Binding("down", "scroll(1)", "Scroll down", id="panes.down", show=False),
        Binding(
            "pageup", "scroll(-8)", "A page up", id="panes.page_up", show=False, tooltip="Scroll a page up"
        ),
        Binding(
            "pagedown",
            "scroll(8)",
            "A page down",
            id="panes.page_down",
            show=False,
            tooltip="Scroll a page down",
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
