"""Answers as they are drawn: Markdown without its marks, foreign text never obeyed, what differs marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from engine.differing import differing as differing_ranges
from tui.widgets.prose import DIFFERS, View, drawn, marked, parted, prose


def differing(own: str, other: str) -> list[str]:
    found = marked(Content(own), Content(other))
    return [own[span.start : span.end] for span in found.spans if span.style == DIFFERS]


def test_the_words_that_differ_are_marked_and_no_others() -> None:
    assert differing("the cat sat on a mat", "the dog sat on a mat today") == ["cat"]
    assert differing("the dog sat on a mat today", "the cat sat on a mat") == ["dog", "today"]
    assert differing("same words", "same words") == []
    assert differing("", "anything") == []


@given(st.text("ab c", max_size=14), st.text("ab c", max_size=14))
def test_what_is_left_unmarked_is_a_longest_common_subsequence(own: str, other: str) -> None:
    places = [n for start, end in differing_ranges(own, other) for n in range(start, end)]
    kept = "".join(word for n, word in enumerate(own) if n not in places)
    lengths = [[0] * (len(other) + 1) for _ in range(len(own) + 1)]
    for i, one in enumerate(own):
        for j, another in enumerate(other):
            lengths[i + 1][j + 1] = (
                lengths[i][j] + 1 if one == another else max(lengths[i][j + 1], lengths[i + 1][j])
            )
    assert len(kept) == lengths[-1][-1]
    rest = iter(other)
    assert all(word in rest for word in kept), "it stands in the other text too, in this order"


def test_markdown_loses_its_marks_and_nothing_else() -> None:
    text = "# Head\nHello **bold** `code`\n\n- a\n- b\n\n```python\nx = [1]\n```\n\n| a | b |"
    assert drawn(text).plain == "Head\nHello bold code\n\n• a\n• b\n\n▏ x = [1]\n\n| a | b |"


@pytest.mark.parametrize(
    "text", ["[bold]x[/bold]", "[@click=app.quit]x[/]", "<b>x</b>", "a\n  b\n\n\nc", "plain words"]
)
def test_what_is_no_markdown_stands_as_it_is(text: str) -> None:
    assert prose(text, View(plain=True)).plain == text
    assert drawn(text).plain.split() == text.split()


def test_a_link_shows_where_it_leads_and_leads_nowhere() -> None:
    shown = drawn("see [here](https://example.org/\u202ex)")
    assert shown.plain.startswith("see here (https://example.org/")
    assert not any("click" in str(span.style) or "link" in str(span.style) for span in shown.spans)


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    for view in (View(), View(plain=True), View(unfolded=True)):
        shown = prose("<think>\x1b[31m</think>`\x1b]52;c;x\x07` **\u202e**\n\n    \x9b", view).plain
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)


def test_reasoning_is_folded_and_can_be_unfolded() -> None:
    text = "<think>\nlet me see\n</think>\n\nIt is **4**."
    assert prose(text, View()).plain == "▸ reasoning, 3 words\nIt is 4."
    assert prose(text, View(unfolded=True)).plain == "▾ reasoning, 3 words\nlet me see\nIt is 4."
    assert prose(text, View(plain=True)).plain == text
    assert parted("so far\n</think>4") == ("so far\n", "4"), "the template had opened it"
    assert parted("<think>cut off") == ("cut off", "")
    assert parted("no thoughts") == (None, "no thoughts")
