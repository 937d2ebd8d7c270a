"""The line of keys at the bottom, made anew only when other keys work than before."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Footer


class KeyLine(Footer):
    """Textual's footer, without a repaint each time that something else on the screen changes."""

    _shown: object = None

    def bindings_changed(self, screen: Screen[object]) -> None:
        shown = [
            (key, active.binding.description, active.enabled)
            for key, active in screen.active_bindings.items()
            if active.binding.show
        ]
        if shown != self._shown:
            self._shown = shown
            super().bindings_changed(screen)
