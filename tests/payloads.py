"""Text that strangers write to be obeyed, to be hidden, to break a line; and how it gets everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

SENTINEL = "Zq"
"""Stands behind each payload: what is before it on the screen must be the payload, made visible."""

PAYLOADS: Mapping[str, str] = {
    # --- obeyed by a terminal ---
    "C0": "".join(map(chr, [*range(1, 9), *range(11, 32)])),
    "NUL": "a\x00b",
    "DEL and backspaces": "rm -rf\x08\x08\x08\x7f",
    "carriage return": "harmless\rEVIL",
    "bell": "\x07\x07",
    "clear, home": "\x1b[2J\x1b[H",
    "colour": "\x1b[31;5mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "title, asked back": "\x1b]2;rm -rf ~\x1b\\\x1b[21t",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4K\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "palette": "\x1b]4;1;#ff0000\x07\x1b]104\x07",
    "DCS": "\x1bP+q544e\x1b\\",
    "DECRQSS": "\x1bP$qm\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0#0~~@@vv$\x1b\\",
    "APC": "\x1b_Ga=T;AAAA\x1b\\",
    "PM and SOS": "\x1b^pm\x1b\\\x1bXsos\x1b\\",
    "mouse": "\x1b[?1000h\x1b[?1003h\x1b[?1006h",
    "alternate screen": "\x1b[?1049l\x1b[?47h",
    "cursor hidden, saved": "\x1b[?25l\x1b7\x1b8\x1b[s\x1b[u",
    "reports": "\x1b[6n\x1b[c\x1b[>c\x1b[18t\x05",
    "window": "\x1b[8;1;1t\x1b[2t",
    "reset": "\x1bc\x1b[!p",
    "character sets": "\x0e\x1b(0lqqk\x0f\x1b(B",
    "scroll region": "\x1b[1;2r\x1b[999S\x1bD\x1bM",
    "keyboard": "\x1b[>31u\x1b[?2004l\x1b[>4;2m",
    "iTerm": "\x1b]1337;File=inline=1:AAAA\x07",
    "notification": "\x1b]9;hello\x07\x1b]777;notify;a;b\x07",
    "unfinished": "\x1b[",
    "unfinished string": "\x1b]0;",
    "C1": "".join(map(chr, range(0x80, 0xA0))),
    "8-bit CSI": "\x9b2J\x9b31m",
    "8-bit OSC": "\x9d0;owned\x9c",
    "8-bit DCS": "\x90$qm\x9c",
    "next line": "one\x85two",
    # --- hidden, or shown in another order ---
    "bidi overrides": "user\u202etxt.exe\u202d\u202c",
    "bidi isolates": "\u2066a\u2067b\u2068c\u2069",
    "bidi marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufeff",
    "soft hyphen": "soft\u00adhyphen",
    "tags": "\U000e0001\U000e0041\U000e0042\U000e007f",
    "variation selectors": "a\ufe00b\U000e0100\U000e01ef",
    "emoji selectors": "☂\ufe0f❤\ufe0e1\ufe0f\u20e3",
    "fillers": "a\u115f\u1160\u3164\uffa0\u034f\u17b4b",
    "invisible operators": "2\u2061\u2062\u2063\u2064",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "noncharacters": "\ufdd0\uffff\U0001ffff",
    "unassigned": "\u0378\U000e0fff",
    "private": "\ue000\U000f0000\U0010fffd",
    "lone surrogates": "\udc00 \ud83d",
    "line separators": "one\u2028two\u2029three",
    "white space": "\u00a0\u2003\u3000\u200a\u205f",
    # --- taken as markup ---
    "markup": "[b]bold[/b] [red on blue]x[/]",
    "markup that closes": "[/b][/][/red]",
    "action": "[@click=app.quit]quit[/]",
    "action in quotes": "[@click=app.notify('x')]x[/]",
    "markup link": "[link=http://evil.example]x[/link]",
    "escaped markup": r"\[b]\\[/b]\[",
    "open markup": "[b][[",
    "style of ours": "[$text-error]x[/] $foreground",
    "markdown": "# h\n\n[a](http://evil.example) `code` ![i](file:///etc/passwd) <b>html</b>\n\n```\nfence",
    "emoji code": ":smile: :boom:",
    "our own marks": "\\u{1b} ␛ \\u{202e}",
    # --- wide, long, many ---
    "wide": "漢字かな 한글 ＷＩＤＥ",
    "emoji": "👍🏽👨\u200d👩\u200d👧\u200d👦🏳\ufe0f\u200d🌈🇩🇪🫠",
    "combining": "Z" + "\u0301\u0316\u0488" * 40,
    "combining alone": "\u0301\u20dd",
    "right to left": "שלום مرحبا",
    "long word": "W" * 400,
    "long wide word": "漢" * 200,
    "newlines": "one\n\n\ntwo\r\n\tthree",
    "format strings": "{} {0} %s %n ${HOME} {{ x }} {% if %}",
}  # fmt: skip


@dataclass
class Dose:
    """Which payloads come next: all of them in turns, from one of them on. Says which it has given."""

    first: int = 0
    payloads: Sequence[str] = tuple(PAYLOADS.values())
    given: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(self.first)

    def text(self, plain: str = "") -> str:
        """The text with the next payload in front, of a path in front of its last name."""
        payload = self.payloads[next(self._numbers) % len(self.payloads)]
        self.given.append(payload)
        folder, slash, name = plain.rpartition("/")
        if not folder.startswith("/"):
            folder, slash, name = "", "", plain
        return f"{folder}{slash}{payload}{SENTINEL}{name}"

    def stored(self, plain: str = "") -> str:
        """As `text`, without what TOML and Unicode files cannot hold."""
        return storable(self.text(plain))

    def name(self, plain: str = "") -> str:
        """As `text`, without what a file's name cannot hold, and short enough for one."""
        kept = in_name(self.stored(plain))
        while len(kept.encode()) > 120:
            kept = kept[len(kept) // 4 + 1 :]
        return kept

    def everywhere(self, value: Any, but: Sequence[str] = ()) -> Any:
        """A document with a payload in each of its strings, but for the values of some keys."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {k: v if k in but else self.everywhere(v, but) for k, v in value.items()}
            case list() | tuple():
                return [self.everywhere(one, but) for one in value]
        return value


def storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def in_name(text: str) -> str:
    return re.sub(r"[/\0]", "-", storable(text))
