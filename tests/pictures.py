"""A screen as text: what stands in each cell, and how it is drawn in each theme, in one file a size.

The file holds the screen's lines, then, for each line, its runs of cells that are drawn alike (a letter and
how many cells), then what each letter stands for, in every theme. A screen says the same in all of them.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any

import looks
import pytest
from rich.cells import cell_len
from rich.segment import Segment
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from tui.themes import ANSI, DARK, LIGHT

Scene = Callable[[Any, Pilot[Any]], Awaitable[None]]

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
THEMES = (DARK.name, LIGHT.name, ANSI.name)
LETTERS = string.ascii_letters + "".join(chr(code) for code in range(0x391, 0x3CA) if code != 0x3A2)
"""One for each way in which cells are drawn; a screen has ten to thirty."""

BY_COMMAND = pytest.mark.pictures
ALWAYS = {
    "test_home", "test_model", "test_data", "test_inspector", "test_recipe", "test_compare", "test_results",
    "test_train_with_all_that_a_run_can_say",
}  # fmt: skip
"""Scenes that are looked at in each run of the tests, at 80 by 24; the others by `make pictures`."""

SHOWN = [
    pytest.param("80x24", id="80x24"),
    *(pytest.param(size, id=size, marks=BY_COMMAND) for size in ("120x40", "200x60", "looks")),
]
"""The size of the picture; looks: none is taken, but all looked at that every screen has to stand."""


class Cells(SingleFileSnapshotExtension):
    """One text file a picture."""

    _write_mode = WriteMode.TEXT
    _file_extension = "txt"


@pytest.fixture(params=SHOWN)
def picture(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> Callable[..., None]:
    """Compare the app with its picture once a scene has been reached."""
    shown = request.param

    async def seen(app: Any, scene: Scene) -> str:
        async with app.run_test(size=SIZES.get(shown, SIZES["80x24"])) as pilot:
            await scene(app, pilot)
            for field in app.screen.query(Input):
                field.cursor_blink = False
            for area in app.screen.query(TextArea):
                area.cursor_blink = False
            await pilot.pause()
            for widget in app.screen.walk_children():
                if widget.focusable and widget.region.area:
                    assert widget.content_size.area, f"{widget} has no room for what is in it"
            if shown in SIZES:
                return await drawn(app, pilot)
            await looks.check(app, pilot)
            return ""

    def compare(app: Any, scene: Scene) -> None:
        app.theme = DARK.name
        found = asyncio.run(seen(app, scene))
        if shown in SIZES:
            assert found == snapshot(extension_class=Cells)

    return compare


async def drawn(app: Any, pilot: Pilot[Any]) -> str:
    """The picture of what the app shows: themes that say the same share theirs."""
    alike: dict[tuple[str, ...], dict[str, list[list[str]]]] = {}  # of each theme, how each cell is drawn
    for theme in THEMES:
        await looks.dressed(app, pilot, theme)
        lines = [line for _, line in looks.segments(app)]
        said = tuple("".join(segment.text for segment in line).rstrip() for line in lines)
        alike.setdefault(said, {})[theme] = [_cells(line) for line in lines]
    await looks.dressed(app, pilot, THEMES[0])
    # With 16 colours what lies beneath a dialog cannot be dimmed, so it is not shown.
    assert len(alike) == 1 or isinstance(app.screen, ModalScreen), "a theme says something else"
    return "\n".join(_block(said, styles) for said, styles in alike.items())


def _block(said: tuple[str, ...], styles: dict[str, list[list[str]]]) -> str:
    letters: dict[tuple[str, ...], str] = {}
    runs = []
    for line in zip(*styles.values(), strict=True):
        for key, run in groupby(zip(*line, strict=True)):
            letters.setdefault(key, LETTERS[len(letters)])
            runs.append(f"{letters[key]}{len(list(run))}")
        runs.append("\n")
    drawn_alike = " ".join(runs).replace(" \n ", "\n").rstrip()
    meanings = [f"{letter}  " + " | ".join(key) for key, letter in letters.items()]
    return "\n".join([*said, "", drawn_alike, "", f"   {' | '.join(styles)}", *meanings, ""])


def _cells(line: list[Segment]) -> list[str]:
    """How each cell of a line is drawn; of a blank one the ground alone can be seen: it is as the one before
    where that has the same.
    """
    found: list[str] = []
    for text, style, _ in line:
        ground = f"on {style.bgcolor.name}" if style and style.bgcolor else "none"
        lined = style and (style.underline or style.reverse or style.strike)
        for character in text:
            seen = str(style) if character != " " or lined else ground
            if seen == ground and found and found[-1].endswith(ground):
                seen = found[-1]
            found += [seen] * cell_len(character)
    return found
