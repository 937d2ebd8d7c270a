"""What of the keys has room at the bottom, and that none of them is cut in two."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tui.widgets.key_line import Key, fitting

KEYS = [
    Key("s", "s", "Stop", ""),
    Key("c", "c", "比较 both", ""),
    Key("escape", "esc", "Back", ""),
    Key("question_mark", "?", "Help", "", explains=True),
    Key("q", "q", "Quit", ""),
]
PALETTE = Key("ctrl+p", "^p", "palette", "")


@pytest.mark.parametrize("width", range(0, 90))
def test_what_is_shown_fits_whole_and_the_key_that_explains_stays_longest(width: int) -> None:
    keys, roomy, palette = fitting(KEYS, PALETTE, width)
    shown = [key.text(roomy) for key in keys] + ([palette.text(True)] if palette else [])
    assert sum(map(cell_len, shown)) <= width
    assert keys == [key for key in KEYS if key in keys], "in their order"
    if width >= cell_len(KEYS[3].text(False)):
        assert KEYS[3] in keys


def test_more_width_never_shows_less() -> None:
    before = -1
    for width in range(90):
        keys, roomy, palette = fitting(KEYS, PALETTE, width)
        worth = 4 * len(keys) + 2 * (palette is not None) + roomy
        assert worth >= before
        before = worth
    assert fitting(KEYS, PALETTE, 89) == (KEYS, True, PALETTE)
