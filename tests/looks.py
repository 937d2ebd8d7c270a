"""What every screen has to stand: each theme, no colour at all, any size, a palette that tells the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tui.app import PALETTE, IftTui, is_ours, sentence
from tui.screens.step import StepScreen
from tui.themes import ANSI, CONTRAST, DARK, LIGHT, NO_COLOUR

LEAST_CONTRAST = {DARK.name: 4.5, LIGHT.name: 4.5, CONTRAST.name: 7.0, ANSI.name: 4.0}
"""Of text on its background, as WCAG 2.1 reckons it: AA, and AAA for high contrast."""

VGA = (
    *("#000000", "#aa0000", "#00aa00", "#aa5500", "#0000aa", "#aa00aa", "#00aaaa", "#aaaaaa"),
    *("#555555", "#ff5555", "#55ff55", "#ffff55", "#5555ff", "#ff55ff", "#55ffff", "#ffffff"),
)
"""The 16 colours of the Linux console."""

DRAWN = frozenset("·…◂▸▾▴▏▕▔▁▎▊") | {chr(code) for code in (*range(0x2500, 0x25A0), *range(0x2800, 0x2900))}
"""Lines, bars, dots: they are looked at, not read."""

SIGNS = frozenset("✓✗!‼?✂◆●○◌■▲↻▌┃╎╌◈•▸▾╳×▏│┌")
"""Each of them says by its shape what its colour says."""

RGB = tuple[int, int, int]

SIZES = ((20, 5), (40, 10), (80, 24), (200, 60), (60, 15), (1, 1))


def segments(app: IftTui) -> Iterator[tuple[int, list[Segment]]]:
    """The lines of the screen as they are painted."""
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        for filter in app._filters:
            if filter.enabled:
                strip = strip.apply_filter(filter, app.screen.background_colors[1])
        yield y, list(strip)


def lines(app: IftTui) -> list[str]:
    return ["".join(segment.text for segment in line).rstrip() for _, line in segments(app)]


async def check(app: IftTui, pilot: Pilot[Any]) -> None:
    """All of it, of the screen that the app shows."""
    palette(app)
    if not isinstance(app.screen, ModalScreen):  # what lies beneath a dialog is dimmed
        signs(app)
        await contrasts(app, pilot)
    await sizes(app, pilot)


def palette(app: IftTui) -> None:
    """It offers what works now, each once, in a sentence; nothing else but the tour and two of its own."""
    if not isinstance(app.screen, StepScreen):
        return  # a dialog is answered first
    offered = [command.title for command in app.get_system_commands(app.screen)]
    working = {
        sentence(active.binding)
        for active in app.screen.active_bindings.values()
        if active.enabled and is_ours(active.binding) and active.binding.action != PALETTE
    }
    own = {"Take the tour", "Change the theme", "Save a picture of the screen"}
    assert set(offered) - own == working, (set(offered) - own) ^ working
    assert len(offered) == len(set(offered)), sorted(offered)


def signs(app: IftTui) -> None:
    """Text in the colour of success, warning or error has a sign, or another weight, beside its colour."""
    assert app.theme == DARK.name
    telling = {Color.parse(DARK.variables[f"text-{mark}"]).rgb for mark in ("success", "warning", "error")}
    above = ""
    for y, line in segments(app):
        said = ""
        for text, style, _ in line:
            said += text
            if style is None or style.color is None or not _read(text) or _rgb(style.color) not in telling:
                continue
            weighed = style.bold or style.underline or style.reverse or style.italic
            # A sentence may go on on the next line.
            assert weighed or SIGNS & set(said + above), f"line {y}, {text!r}: by its colour alone"
        above = said if SIGNS & set(said) else ""


async def contrasts(app: IftTui, pilot: Pilot[Any]) -> None:
    """Text can be read in each theme; without colour there is none."""
    for name, least in LEAST_CONTRAST.items():
        await dressed(app, pilot, name)
        for y, line in segments(app):
            for text, style, _ in line:
                if style is not None and _read(text):
                    found = contrast(style)
                    assert found >= least, f"{name}, line {y}, {text!r}: {found:.1f}, {style}"
    await dressed(app, pilot, NO_COLOUR)
    for y, line in segments(app):
        for text, style, _ in line:
            for colour in (style.color, style.bgcolor) if style else ():
                assert colour is None or colour.is_default, f"line {y}, {text!r}: {style}"
    await dressed(app, pilot, DARK.name)


async def dressed(app: IftTui, pilot: Pilot[Any], theme: str) -> None:
    app.theme = theme
    for _ in range(3):
        await pilot.pause()


async def sizes(app: IftTui, pilot: Pilot[Any]) -> None:
    """Whatever the terminal's size was in between, the screen looks as before; and all of it is used.

    Where one had scrolled to is not kept by all: a page that fits whole into 200 by 60 stands at its top.
    """
    await pilot.resize_terminal(80, 24)
    await settled(pilot)
    before = lines(app)
    scrolled = [
        (view, view.scroll_offset)
        for screen in app.screen_stack
        for view in screen.query("*")
        if view.is_scrollable
    ]
    for size in SIZES:
        await pilot.resize_terminal(*size)
        await pilot.pause()
        longer = [line for line in lines(app) if cell_len(line) > size[0]]
        assert not longer, f"{size}: {longer}"
    await pilot.resize_terminal(80, 24)
    await settled(pilot)
    for view, (x, y) in scrolled:
        view.scroll_to(x, y, animate=False)
    await settled(pilot)
    changed = [pair for pair in zip(before, lines(app), strict=True) if pair[0] != pair[1]]
    assert not changed, f"before and after other sizes: {changed}"


async def settled(pilot: Pilot[Any]) -> None:
    for _ in range(4):
        await pilot.pause()


def contrast(style: Style) -> float:
    """WCAG 2.1: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""
    return ratio(_rgb(style.color), _rgb(style.bgcolor))


def ratio(one: RGB, other: RGB) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _rgb(colour: Any) -> RGB:
    """Raises AssertionError for the terminal's own colour: it may be any."""
    assert colour is not None and not colour.is_default
    if colour.number is not None and colour.number < 16:
        return Color.parse(VGA[colour.number]).rgb
    return tuple(colour.get_truecolor())


def _luminance(rgb: RGB) -> float:
    parts = [value / 255 for value in rgb]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _read(text: str) -> bool:
    return bool(set(text) - DRAWN - {" "})
