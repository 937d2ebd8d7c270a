"""How figures, curves and rows are written: pure functions, without a screen."""

from __future__ import annotations

import math

import pytest

from engine.state import RunState
from tui.widgets import figures, panels
from tui.widgets.marked import GUTTER, TRAINED, marked
from tui.widgets.marks import meter


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1_700_000, "1.7 MB"), (999_600, "1.0 MB"), (150 * 10**9, "150 GB"), (None, "?")],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert figures.size(count) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(8_030_000_000, "8.0B"), (494_000_000, "494M"), (12, "12"), (None, "?")]
)
def test_counts(count: int | None, shown: str) -> None:
    assert figures.short(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (3661, "1 h 01 min"), (183_600, "2 d 3 h"), (-5, "0 s")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert figures.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5000"), (0.0, "0.0000"), (1e-9, "1.00e-09"), (math.nan, "nan"), (None, "–")],
)
def test_figures(value: float | None, shown: str) -> None:
    assert figures.figure(value) == shown


def test_a_meter_stays_within_its_width() -> None:
    assert [meter(fraction, 4).plain for fraction in (-1, 0, 0.5, 1, 7)] == [
        "────", "────", "━━──", "━━━━", "━━━━",
    ]  # fmt: skip


TEXT = "<|user|>hi\n[b]x\x1b[31m[/b]\n<|bot|>fine\nthanks<|end|>\n"
SPAN = [TEXT.index("fine"), TEXT.index("<|end|>") + 7]


def trained(width: int = 40) -> tuple[str, str]:
    """The text as it is shown, and all of it that is marked as trained."""
    shown = marked(TEXT, [SPAN], width)
    parts = [shown.plain[s.start : s.end] for s in shown.spans if s.style == TRAINED]
    return shown.plain, "".join(parts)


def test_the_trained_part_is_marked_and_nothing_else() -> None:
    assert trained()[1] == "finethanks<|end|>"


def test_the_trained_part_has_a_bar_beside_every_line() -> None:
    lines = trained()[0].split("\n")
    assert [line.startswith(GUTTER) for line in lines] == [False, False, True, True, False]


def test_a_narrow_view_loses_no_word() -> None:
    plain, part = trained(width=8)
    assert part.replace("\n", "") == "finethanks<|end|>"
    assert max(len(line) for line in plain.split("\n")) <= 8


def test_foreign_text_is_neither_markup_nor_control() -> None:
    plain, _ = trained()
    assert "[b]x" in plain and "[/b]" in plain
    assert "\x1b" not in plain


def test_right_answers_stand_beside_the_loss_where_they_were_counted() -> None:
    state = RunState()
    for step, loss, right in ((0, 4.0, 3), (50, 2.0, 41)):
        state.fold(
            {"kind": "evaluated", "step": step, "loss": loss, "rows": 90, "adapter": step > 0}
            | {"right": right, "answered": 50}
        )
    assert panels.gained(state) == "Validation loss 4.0000 → 2.0000. Right 3 → 41 of 50. "
    state.fold({"kind": "evaluated", "step": 60, "loss": 1.0, "rows": 90, "adapter": True})
    assert panels.gained(state) == "Validation loss 4.0000 → 1.0000. "
