"""Foreign text: nothing that a terminal obeys gets through, and nothing is lost."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from tui.safe import clean


def restored(shown: str) -> str:
    """What `clean(text, newlines=False)` was given: the proof that nothing was lost."""
    pictured = {0x2400 + code: chr(code) for code in range(0x20)} | {0x2421: "\x7f"}
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), shown.translate(pictured))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]52;c;cm0gLXJm\x07", "␛]52;c;cm0gLXJm␇"),
        ("\x1b[2J\x1b[31mred", "␛[2J␛[31mred"),
        ("\x9b31mred", "\\u{9b}31mred"),
        ("a\rb\x08c\x7f", "a␍b␈c␡"),
        ("user\u202etxt.exe", "user\\u{202e}txt.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("soft\u00adhyphen", "soft\\u{ad}hyphen"),
        ("lone \ud83d half", "lone \\u{d83d} half"),
        ("tag\U000e0041 selector\U000e0100", "tag\\u{e0041} selector\\u{e0100}"),
        ("private\ue000 unassigned\U000e0fff", "private\\u{e000} unassigned\\u{e0fff}"),
        ("line\u2028paragraph\u2029next\x85", "line\\u{2028}paragraph\\u{2029}next\\u{85}"),
    ],
)
def test_hostile_text_becomes_visible(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "",
        "plain",
        "Grüße, 日本語, עברית",
        "price: 5 €",
        "\\n and \\u0041",
        "emoji 👍🏽 ☂\ufe0f",
        "a\u00a0b e\u0301",
    ],
)
def test_harmless_text_is_left_alone(harmless: str) -> None:
    assert clean(harmless) == clean(harmless, newlines=False) == harmless


def test_lines_and_tabs_stay_where_they_may() -> None:
    assert clean("one\n\ttwo") == "one\n\ttwo"
    assert clean("one\n\ttwo", newlines=False) == "one␊␉two"
    assert clean("é\n\ttwo", newlines=False) == "é␊␉two"


def test_what_looks_escaped_already_stays_distinguishable() -> None:
    assert clean("\\u{1b}") != clean("\x1b")
    assert clean("\\u{202e}") != clean("\u202e")
    assert clean("␛") != clean("\x1b")
    assert restored(clean("␛ \\u{5c}u{1b} \\u{1b}", newlines=False)) == "␛ \\u{5c}u{1b} \\u{1b}"


def test_every_code_point_is_safe_and_reversible() -> None:
    planes = (*range(0x20000), *range(0xE0000, 0xE0400), *range(0x10FF00, sys.maxunicode + 1))
    every = "".join(map(chr, planes))
    shown = clean(every, newlines=False)
    assert restored(shown) == every
    unseen = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [c for c in set(shown) if unicodedata.category(c) in unseen]
    assert len(shown.splitlines()) == 1
