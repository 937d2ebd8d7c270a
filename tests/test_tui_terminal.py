"""What reaches a real terminal that has 16 colours, or wants none; and one that becomes too small."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from benchmarks.disconnect import Viewer
from tui.small import SENTENCE

pytestmark = pytest.mark.long

LONGEST_START = 60.0


class Terminal:
    """The app behind a terminal of some kind, and what that shows."""

    def __init__(self, kind: str) -> None:
        self.viewer = Viewer(kind=kind)
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)

    def see(self, until: str, seconds: float = LONGEST_START) -> bool:
        """Whether it comes to show these words."""
        for _ in range(int(seconds / 0.2)):
            self._stream.feed(self.viewer.read(0.2))
            if until in " ".join(" ".join(self.screen.display).split()):
                return True
        return False

    def resize(self, columns: int, lines: int) -> None:
        self.screen.reset()
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.viewer.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def colours(self) -> set[str]:
        cells = [cell for line in self.screen.buffer.values() for cell in line.values()]
        return {cell.fg for cell in cells} | {cell.bg for cell in cells}


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Terminal]]:
    monkeypatch.delenv("COLORTERM")
    monkeypatch.delenv("TEXTUAL_COLOR_SYSTEM", raising=False)
    opened: list[Terminal] = []

    class Kept(Terminal):
        def __init__(self, kind: str) -> None:
            super().__init__(kind)
            opened.append(self)

    yield Kept
    for terminal in opened:
        os.write(terminal.viewer.terminal, b"\x11")
        terminal.viewer.read(2.0)
        os.close(terminal.viewer.terminal)
        terminal.viewer.wait()


def test_sixteen_colours_are_those_of_the_terminal_and_too_small_a_one_says_so(start: type[Terminal]) -> None:
    terminal = start("xterm-16color")
    assert terminal.see("guided tour")
    named = {*pyte.graphics.FG_ANSI.values(), *pyte.graphics.FG_AIXTERM.values()}
    assert len(terminal.colours()) > 4 and terminal.colours() <= named
    terminal.resize(40, 10)
    assert terminal.see(SENTENCE)
    os.write(terminal.viewer.terminal, b"n")
    terminal.resize(80, 24)
    assert terminal.see("guided tour")


def test_without_colour_there_is_none_and_marks_stay(
    start: type[Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = start("xterm-256color")
    assert terminal.see("guided tour")
    assert terminal.colours() == {"default"}
    top = terminal.screen.buffer[0]
    shown = "".join(top[x].data for x in range(80))
    present, ahead = top[shown.index("1 Runs")], top[shown.index("2 Model")]
    assert present.reverse and not ahead.reverse
