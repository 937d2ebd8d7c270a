"""The app on a terminal whose bytes are kept, with foreign text everywhere, and what must hold of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pyte
from payloads import PAYLOADS, SENTINEL, Dose, in_name, storable
from rich.cells import get_character_cell_size
from textual.drivers.headless_driver import HeadlessDriver
from tui_stage import Script, Stage

from tui.app import IftTui
from tui.safe import clean, typed, visible

OURS = re.compile(
    r"\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
    r"|\x1b\["
    r"(?:\d+;\d+H"  # to a place
    r"|[0-9;]*m"  # colours
    r"|\?(?:25|1049|1000|1003|1004|1006|1015|2004|2026|2048)[hl]"  # modes that Textual sets and takes back
    r"|[<>=]\d*u"  # the keyboard's protocol
    r")"
)
"""All that Textual and tui/changes.py write besides text."""

CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ff]"
)


FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")


class Kept(HeadlessDriver):
    """A terminal that keeps what is written to it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.written: list[str] = []
        self.checked = self.fed = 0
        self.shown: pyte.Stream | None = None

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


class Hostile(Script):
    """A worker all of whose words were written by a stranger."""

    KEPT = (
        "kind", "id", "part", "column", "format", "metric", "action", "actions", "reason", "encoding",
        "phase", "done", "unit", "role", "members", "digest", "folder", "template_name",
    )  # fmt: skip
    """What the protocol and the app decide by."""

    dose = Dose()

    def say(self, **message: Any) -> None:
        said = self.dose.everywhere(message, but=self.KEPT)
        if isinstance(said.get("columns"), dict):  # answers by column
            said["columns"] = dict(zip(message["columns"], said["columns"].values(), strict=True))
        super().say(**said)


def hostile(dose: Dose) -> tuple[Stage, IftTui]:
    """A stage whose workers all say payloads, and its app on a kept terminal."""
    child = type("Hostile", (Hostile,), {"dose": dose})
    stage = Stage(child=child)
    app = stage.app()
    app.driver_class = Kept
    return stage, app


def unchecked(app: IftTui) -> str:
    """What was written since the last call."""
    driver = terminal_of(app)
    new, driver.checked = driver.written[driver.checked :], len(driver.written)
    return "".join(text for text in new if text != BELL)


def terminal_of(app: IftTui) -> Kept:
    assert isinstance(app._driver, Kept)
    return app._driver


BELL = "\x07"
"""Textual rings it by itself, at a key that does nothing in a field."""


def forbidden(text: str) -> list[str]:
    """What stands in the bytes and is neither text nor written by Textual or us, with what is around it."""
    rest = OURS.sub("", text)
    return [ascii(rest[max(0, m.start() - 12) : m.end() + 12]) for m in CONTROL.finditer(rest)]


def lines(app: IftTui) -> list[str]:
    """The screen as the compositor has it."""
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    return ["".join(strip.text for strip in line) for line in update.strips]  # type: ignore[union-attr]


def painted(app: IftTui) -> list[str]:
    """The screen as a terminal has it that was sent the bytes."""
    driver = terminal_of(app)
    if driver.shown is None:
        driver.shown = pyte.Stream(pyte.Screen(app.size.width, app.size.height))
    new, driver.fed = driver.written[driver.fed :], len(driver.written)
    # pyte takes some sequences for text, and drops the line behind a character without a width.
    sent = re.sub(r"\x1b\[[<>=]\d*u|\x1b\]22;[a-z-]*\x07", "", "".join(new))
    sent = FLAG.sub("Ж", sent)  # of two of these letters it draws two wide characters, and others one flag
    driver.shown.feed("".join(c for c in sent if c < " " or get_character_cell_size(c)))
    return [line.rstrip() for line in driver.shown.listener.display]


def unlike(app: IftTui) -> list[tuple[str, str]]:
    """Lines that a terminal shows otherwise than the compositor has them; of all that takes a cell."""
    differing = []
    for have, sent in zip(lines(app), painted(app), strict=True):
        have, sent = _comparable(have), _comparable(sent)
        if have != sent:
            differing.append((have, sent))
    return differing


def _comparable(line: str) -> str:
    plain = unicodedata.normalize("NFD", FLAG.sub("Ж", line))
    return "".join(c for c in plain if get_character_cell_size(c) and not c.isspace())


EDGES = "│┃║▌▎▏█▐┊"
"""What a line of a panel begins with."""


def swallowed(app: IftTui) -> list[str]:
    """Places where a sentinel stands on the screen and its payload, in its visible form, does not."""
    found = []
    for line in lines(app):
        for match in re.finditer(SENTINEL, line):
            before = line[: match.start()]
            edge = before.rstrip()
            if not edge or edge[-1] in EDGES or edge[:-1].rstrip()[-1:] in EDGES:
                continue  # the payload stands in the line above, but perhaps for its last character
            if not any(before.endswith(end) for end in ENDS):
                found.append(line)
    return found


def ends() -> Iterator[str]:
    """How payloads end on a screen, cut to what must at least be there."""
    everything = [*PAYLOADS.values(), *map(storable, PAYLOADS.values()), *map(in_name, PAYLOADS.values())]
    for payload in everything:
        yield clean(payload)[-2:]
        yield clean(payload, newlines=False)[-2:]
        yield visible(payload)[-2:]
        yield clean(typed(payload))[-2:]
        yield clean(payload.rpartition("/")[2])[-2:] or "/"  # a path by its last name
    yield "\ufffdb"  # Markdown has no NUL


ENDS = frozenset(ends())


def check(app: IftTui, foreign: bool = False) -> None:
    """All that must hold of a screen. Raises AssertionError.

    foreign: the payloads are not those of the corpus, so that it is not known how they end.
    """
    drawn = "".join(lines(app))  # before the wall of tui/changes.py: no widget may rely on it
    assert not CONTROL.search(drawn), [
        ascii(drawn[max(0, m.start() - 20) : m.end() + 20]) for m in CONTROL.finditer(drawn)
    ][:5]
    sent = unchecked(app)
    assert not forbidden(sent), forbidden(sent)[:5]
    assert not unlike(app), unlike(app)[:3]
    assert foreign or not swallowed(app), swallowed(app)[:3]
