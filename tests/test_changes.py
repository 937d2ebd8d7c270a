"""The cells that changed and no others are sent, and the terminal shows the same as if all were."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from pathlib import Path

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from benchmarks.disconnect import Viewer
from tui.changes import Piece, Shown

WIDTH, HEIGHT = 24, 4
COLOURS = ColorSystem.TRUECOLOR
STYLES = [
    Style(),
    Style(color="red"),
    Style(bold=True, bgcolor="#102030"),
    Style(color="#abcdef", underline=True),
]
LETTERS = st.text("ab ─│⠿é漢字🙂", max_size=8)


def strips(most: int) -> st.SearchStrategy[Strip]:
    parts = st.lists(st.tuples(LETTERS, st.sampled_from(STYLES)), min_size=1, max_size=4)
    return parts.map(lambda found: Strip([Segment(*each) for each in found]).crop(0, most))


@st.composite
def frames(draw: st.DrawFn) -> list[Piece]:
    """Whole lines, as widgets paint them, each of some pieces that do not overlap."""
    found: list[Piece] = []
    for y in draw(st.sets(st.integers(0, HEIGHT - 1), min_size=1)):
        middle = draw(st.integers(4, WIDTH - 4))
        found.append((0, y, draw(strips(middle)).adjust_cell_length(middle)))
        found.append((middle, y, draw(strips(WIDTH - middle)).adjust_cell_length(WIDTH - middle)))
    return found


def terminal() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(WIDTH, HEIGHT)
    return screen, pyte.Stream(screen)


def whole(found: list[Piece]) -> str:
    """As Textual sends it."""
    sent = []
    for x, y, strip in found:
        sent.append(f"\x1b[{y + 1};{x + 1}H")
        sent += [Strip.render_style(style or Style(), text, COLOURS) for text, style, _ in strip]
    return "".join(sent)


def look(screen: pyte.Screen) -> list[list[object]]:
    return [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]


@given(st.lists(frames(), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_terminal_shows_the_same_as_if_all_were_sent(shown: list[list[Piece]]) -> None:
    memory = Shown()
    (all_screen, everything), (screen, differences) = terminal(), terminal()
    blank = [(0, y, Strip.blank(WIDTH)) for y in range(HEIGHT)]
    for frame in [blank, *shown]:
        everything.feed(whole(frame))
        differences.feed(memory.difference(frame, (WIDTH, HEIGHT), COLOURS))
        assert look(screen) == look(all_screen)


def test_what_is_there_already_is_not_sent_again() -> None:
    memory, line = Shown(), Strip([Segment("some words and more of them", Style(color="red"))])
    assert memory.difference([(0, 0, line)], (40, 2), COLOURS)
    assert memory.difference([(0, 0, line)], (40, 2), COLOURS) == ""
    changed = Strip([Segment("some words and more of THEM", Style(color="red"))])
    assert memory.difference([(0, 0, changed)], (40, 2), COLOURS) == "\x1b[1;24H\x1b[0;31mTHEM\x1b[0m"


@pytest.mark.parametrize("forget", [Shown.forget, lambda memory: memory.difference([], (39, 2), COLOURS)])
def test_all_is_sent_again_to_a_terminal_that_may_show_anything(forget: object) -> None:
    memory, line = Shown(), Strip([Segment("words")])
    first = memory.difference([(0, 0, line)], (40, 2), COLOURS)
    forget(memory)  # type: ignore[operator]
    assert memory.difference([(0, 0, line)], (40, 2), COLOURS) == first


def test_after_a_walk_the_terminal_shows_what_a_new_painting_of_all_shows(home: Path) -> None:
    viewer, screen = Viewer(), pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)

    def see(seconds: float) -> list[str]:
        stream.feed(viewer.read(seconds))
        return list(screen.display)

    def size(columns: int) -> None:
        screen.resize(24, columns)
        fcntl.ioctl(viewer.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    stream.feed(viewer.read(60.0, until=b"guided"))
    see(1.0)
    try:
        for keys in (b"\r", b"\x1b[B", b"?", b"\x1b", b"\x1b[B\x1b[A", b"\x10", b"\x1b"):
            os.write(viewer.terminal, keys)
            walked = see(1.5)
        size(79)
        assert see(1.5) != walked
        size(80)
        screen.reset()
        assert see(1.5) == walked
        assert any("Licence" in line for line in walked)
    finally:
        os.write(viewer.terminal, b"q")
        viewer.read(2.0)
        os.close(viewer.terminal)
        viewer.wait()
