"""Every key of the program, by the screen or list that has it; and which other keys a person may have."""

from __future__ import annotations

import importlib
import pkgutil
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key

from tui import screens, widgets

MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
NAMED = frozenset(key.value for key in Keys) | {f"f{number}" for number in range(1, 25)}


@dataclass(frozen=True)
class Place:
    """A screen, or a list or field on one, with its own bindings and those that it has from its kind."""

    name: str
    bindings: tuple[Binding, ...]
    is_screen: bool


def places(app: type[DOMNode]) -> list[Place]:
    """The app, every screen and every widget that has keys of ours, each key in a binding of its own."""
    found = {app: Place(app.__name__, tuple(_bindings(app)), False)}
    for module in _modules(screens), _modules(widgets):
        for node in _nodes(module):
            if node not in found and any(binding.id for binding in _bindings(node)):
                found[node] = Place(
                    node.__name__, tuple(_bindings(node)), node.__module__.startswith("tui.screens")
                )
    return list(found.values())


def _modules(package: ModuleType) -> list[ModuleType]:
    return [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    ]


def _nodes(modules: list[ModuleType]) -> Iterator[type[DOMNode]]:
    for module in modules:
        for node in vars(module).values():
            if isinstance(node, type) and issubclass(node, DOMNode) and node.__module__ == module.__name__:
                yield node


def _bindings(node: type[DOMNode]) -> Iterator[Binding]:
    """Those that are ours: of the classes in tui, the nearest first."""
    for kind in node.__mro__:
        if kind.__module__.startswith("tui."):
            for bindings in BindingsMap(kind.__dict__.get("BINDINGS", ())).key_to_bindings.values():
                yield from bindings


def usable(wanted: Mapping[str, str], known: list[Place]) -> tuple[dict[str, str], list[str]]:
    """Which of the wanted keys can be had, as Textual takes them, and a sentence on each of the others.

    Escape stays where it is, for there has to be a way back from a field that takes every letter.
    """
    usual: dict[str, list[str]] = {}
    for place in known:
        for binding in place.bindings:
            if binding.id and binding.key not in usual.setdefault(binding.id, []):
                usual[binding.id].append(binding.key)
    taken: dict[str, list[str]] = dict(usual)
    problems = []
    for id, text in wanted.items():
        given = [name(key.strip()) for key in text.split(",")]
        if id not in usual:
            problems.append(f"keys: {id} is no key of this program; docs/keys.md lists them")
        elif "" in given:
            problems.append(f"keys: {id}: {text!r} is no key such as a, ctrl+a or f9; the usual one holds")
        else:
            taken[id] = ["escape", *given] if "escape" in usual[id] and "escape" not in given else given
    # All at once, for two may change their keys with each other; what is given back may be in the way again.
    while clashing := [
        (id, other) for id in wanted if id in usual and (other := _clash(id, usual, taken, known))
    ]:
        id, other = clashing[-1]
        taken[id] = usual[id]
        said = f"keys: {id}: {wanted[id]} is the key of {other} on the same screen; the usual one holds"
        problems.append(said)
    changed = {id: ",".join(keys) for id, keys in taken.items() if keys != usual[id]}
    return changed, problems


def _clash(
    id: str, usual: Mapping[str, list[str]], taken: Mapping[str, list[str]], known: list[Place]
) -> str:
    """The id of another action in the same place that has one of its new keys; "" where none has."""
    new = set(taken[id]) - set(usual[id])
    everywhere = {binding.id for binding in known[0].bindings}
    for place in known:
        here = {binding.id for binding in place.bindings if binding.id}
        if id in here or (id in everywhere and place.is_screen):
            for other in here | (everywhere if place.is_screen else set()):
                if other is not None and other != id and set(taken[other]) & new:
                    return other
    return ""


def name(key: str) -> str:
    """A key as Textual calls it; "" for what is no key."""
    if len(key) == 1:
        return _character_to_key(key) if key.isprintable() and not key.isspace() else ""
    *modifiers, last = key.split("+")
    if not last or not set(modifiers) <= MODIFIERS:
        return ""
    known = last in NAMED or key in NAMED or (len(last) == 1 and last.isalnum()) or _is_character(last)
    return key if known else ""


def _is_character(last: str) -> bool:
    """Whether it is the name that Textual has for a character, such as question_mark."""
    try:
        unicodedata.lookup(last.replace("_", " "))
    except KeyError:
        return False
    return True
