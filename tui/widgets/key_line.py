"""The line of keys at the bottom: one widget, drawn anew only when other keys work than before."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

EXPLAINS = "app.help"
"""The key that stays longest where not all have room: behind it stand all others."""


class Key(NamedTuple):
    """A key as the line shows it."""

    key: str
    shown: str
    says: str
    tooltip: str
    works: bool = True
    explains: bool = False

    def text(self, roomy: bool) -> str:
        return f" {self.shown} {self.says}{' ' * roomy}"


class KeyLine(Widget):
    """All keys that are to be shown, and on its right the one of the palette: as much of it as has room.

    Textual's Footer has a widget for each key, which made up a fifth of the time that a screen took to open.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Key] = []
        self._palette: Key | None = None
        self._under: Key | None = None
        """The key that the mouse is on."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self.bindings_changed)

    def bindings_changed(self, screen: Screen[object]) -> None:
        # Of the keys of one action the first is shown.
        of_action: dict[str, ActiveBinding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show:
                of_action.setdefault(active.binding.action, active)
        keys = [self._key(active) for active in of_action.values()]
        palette = screen.active_bindings.get(self.app.COMMAND_PALETTE_BINDING)
        shown = keys, self._key(palette) if palette else None
        if shown != (self._keys, self._palette):
            self._keys, self._palette = shown
            self.refresh()

    def _key(self, active: ActiveBinding) -> Key:
        binding = active.binding
        return Key(
            binding.key, self.app.get_key_display(binding), binding.description,
            active.tooltip or binding.description, active.enabled, binding.id == EXPLAINS,
        )  # fmt: skip

    def placed(self) -> list[tuple[int, str, Key]]:
        """Column, text and key of each that has room, from left to right."""
        width = self.size.width
        keys, roomy, palette = fitting(self._keys, self._palette, width)
        placed, column = [], 0
        for key in keys:
            placed.append((column, key.text(roomy), key))
            column += cell_len(key.text(roomy))
        if palette:
            text = f"▏{palette.text(True).strip()} "
            placed.append((width - cell_len(text), text, palette))
        return placed

    def render(self) -> Content:
        parts: list[Content] = []
        column = 0
        for start, text, key in self.placed():
            sign = cell_len(text) - cell_len(text.lstrip("▏ "))
            end = sign + len(key.shown)
            style = "" if key.works else "dim"
            drawn = Content(text).stylize(f"$foreground-muted {style}").stylize(
                f"bold $text-accent {style}", sign, end
            )  # fmt: skip
            if text.startswith("▏"):
                drawn = drawn.stylize("$foreground 20%", 0, 1)
            if key == self._under:
                drawn = drawn.stylize("on $block-hover-background")
            parts += [Content(" " * (start - column)), drawn]
            column = start + cell_len(text)
        return Content("").join(parts)

    def _at(self, column: int) -> Key | None:
        for start, text, key in self.placed():
            if start <= column < start + cell_len(text):
                return key
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point_at(self._at(event.x))

    def on_leave(self) -> None:
        self._point_at(None)

    def _point_at(self, key: Key | None) -> None:
        if key != self._under:
            self._under = key
            self.tooltip = Content(key.tooltip) if key else None
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        key = self._at(event.x)
        if key and key.works:
            self.app.simulate_key(key.key)
        elif key:
            self.app.bell()


def fitting(keys: list[Key], palette: Key | None, width: int) -> tuple[list[Key], bool, Key | None]:
    """The keys that have room, whether with room between them, and the palette's if that has room as well.

    What goes first is the room, then the palette, then the keys from the last on, but the one that explains.
    """

    def needed(kept: list[Key], roomy: bool, palette: Key | None) -> int:
        return sum(cell_len(key.text(roomy)) for key in kept) + (
            cell_len(palette.text(True)) if palette else 0
        )

    for roomy, shown in ((True, palette), (False, palette), (False, None)):
        if needed(keys, roomy, shown) <= width:
            return keys, roomy, shown
    kept = list(keys)
    while kept and needed(kept, False, None) > width:
        kept.remove(next((key for key in reversed(kept) if not key.explains), kept[0]))
    return kept, False, None
