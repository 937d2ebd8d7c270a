"""The one door for foreign text: what a terminal would obey, or a screen hide, becomes visible."""

from __future__ import annotations

import re
import unicodedata

# Printable to Python, invisible on a screen: fillers, joiners, selectors that can carry hidden text.
_INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0),
        *range(0xFE00, 0xFE0E),
        *range(0xE0100, 0xE01F0),
    ]
)
_UNSEEN = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
_MOST_KEPT = 20_000

_SUSPECT = re.compile(r"[^\n\t -~]|\\u\{")
_ESCAPE = "\\u{"


class _Shown(dict[int, str]):
    """How each code point is shown, worked out when first met: a full table takes long to build."""

    def __missing__(self, code: int) -> str:
        shown = _shown(code)
        if len(self) < _MOST_KEPT:
            self[code] = shown
        return shown


def clean(text: str, newlines: bool = True) -> str:
    r"""The text with every character that cannot be seen, or that a terminal obeys, made visible.

    C0 controls and DEL become their control pictures (ESC is U+241B); C1, bidi, zero-width and other
    format characters, line separators, lone surrogates, private and unassigned code points become
    \u{hex}. With `newlines`, \n and \t are kept as they are; without, they are shown like the rest.
    Nothing is lost: a control picture or a \u{ that was already in the text is escaped itself.
    """
    if not _SUSPECT.search(text):
        return text if newlines else text.translate(_LINE)
    return text.replace(_ESCAPE, "\\u{5c}u{").translate(_TEXT if newlines else _LINE)


def visible(text: str) -> str:
    """The text on one line with white space made visible too: ␣ space, ⏎ newline, ⇥ tab."""
    return clean(text, newlines=False).translate(_SPACE)


def _shown(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    hidden = unicodedata.category(chr(code)) in _UNSEEN or code in _INVISIBLE
    if hidden or 0x2400 <= code <= 0x2421:
        return f"{_ESCAPE}{code:x}}}"
    return chr(code)


_TEXT = _Shown({0x0A: "\n", 0x09: "\t"})
_LINE = _Shown()
# A mark of ours that stood in the text is escaped, as clean does with its own.
_SPACE = str.maketrans(
    {" ": "␣", "␊": "⏎", "␉": "⇥", **{mark: f"{_ESCAPE}{ord(mark):x}}}" for mark in "␣⏎⇥"}}
)
