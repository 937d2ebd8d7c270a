"""The keys of a screen or a list, a line each."""

from __future__ import annotations

from textual.binding import Binding

Key = tuple[str, str, str, str, str]
"""Key, action, name in the line of keys, id within its place, what it does (begins with a verb)."""


def shown(place: str, *keys: Key) -> list[Binding]:
    """Keys that stand in the line at the bottom. The ids are what a settings file calls them: `place.id`."""
    return [_binding(place, key, show=True) for key in keys]


def hidden(place: str, *keys: Key) -> list[Binding]:
    """Keys that stand in help and in the palette alone."""
    return [_binding(place, key, show=False) for key in keys]


def _binding(place: str, row: Key, show: bool) -> Binding:
    key, action, name, id, says = row
    written = "enter" if key.startswith("enter") else None  # Textual draws an arrow that few fonts have
    return Binding(key, action, name, show=show, key_display=written, id=f"{place}.{id}", tooltip=says)
