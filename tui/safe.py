"""The one door for foreign text: what a terminal would obey, or a screen hide, becomes visible."""

from __future__ import annotations

import re
import unicodedata

from engine.redact import redacted

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

# Marks that are drawn onto the character before them, in the blocks that floods are made of.
_MARK = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u1ab0-\u1ace\u1dc0-\u1dff\u20d0-\u20f0\u302a-\u302d\u3099\u309a\ufe20-\ufe2f]"
)
_MOST_MARKS = 8
_STRAY_MARKS = re.compile(
    rf"(?<![^\n\t]){_MARK}+|(?<={_MARK}{{{_MOST_MARKS}}}){_MARK}+"
    "|(?<![0-9#*\u00a9\u00ae\u2000-\u33ff\U0001f000-\U0001ffff])[\ufe0e\ufe0f]+"
)
"""Marks with nothing to stand on, or more than any script writes: they would cover other text. And selectors
between text and emoji where there is no emoji: nobody sees them, and they can carry hidden text."""


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
    \u{hex}; so do combining marks and selectors that have no character to stand on, or are too many
    for one. With `newlines`, \n and \t are kept as they are; without, they are shown like the rest.
    A control picture or a \u{ that was already in the text is escaped itself: nothing is lost but the
    user's own token, which is masked.
    """
    text = redacted(text)
    if not _SUSPECT.search(text):
        return text if newlines else text.translate(_LINE)
    shown = text.replace(_ESCAPE, "\\u{5c}u{").translate(_TEXT if newlines else _LINE)
    return _STRAY_MARKS.sub(_escaped, shown)


def typed(text: str, newlines: bool = False) -> str:
    r"""For a field, which holds what it shows: as `clean`, and what is clean already stays as it is.

    So it is not reversible: what was typed as \u{1b} and an ESC that was pasted are the same text here.
    """
    if text.isascii() and text.isprintable():
        return text
    return _STRAY_MARKS.sub(_escaped, text.translate(_TYPED if newlines else _TYPED_LINE))


def is_seen(char: str) -> bool:
    """Whether a terminal draws the character and does nothing else."""
    return ord(char) in _PICTURES or _shown(ord(char)) == char


def visible(text: str) -> str:
    """The text on one line with white space made visible too: ␣ space, ⏎ newline, ⇥ tab."""
    return clean(text, newlines=False).translate(_SPACE)


def _escaped(marks: re.Match[str]) -> str:
    return "".join(f"{_ESCAPE}{ord(mark):x}}}" for mark in marks[0])


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
_PICTURES = {code: chr(code) for code in range(0x2400, 0x2422)}
_TYPED = _Shown({0x0A: "\n", 0x09: "\t", **_PICTURES})
_TYPED_LINE = _Shown(_PICTURES)
# A mark of ours that stood in the text is escaped, as clean does with its own.
_SPACE = str.maketrans(
    {" ": "␣", "␊": "⏎", "␉": "⇥", **{mark: f"{_ESCAPE}{ord(mark):x}}}" for mark in "␣⏎⇥"}}
)
