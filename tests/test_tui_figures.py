"""How figures, curves and rows are written: pure functions, without a screen."""

from __future__ import annotations

import math
import time

import pytest

from tui.widgets import figures
from tui.widgets.loss_plot import ceiling, clipped, downsampled, round_ticks
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


def test_one_spike_does_not_blind_the_smoothed_curve() -> None:
    means = figures.smoothed([1.0, math.nan, 1.0, math.inf, 1.0])
    assert means == pytest.approx([1.0] * 5)


def test_a_short_run_is_drawn_as_it_is() -> None:
    assert downsampled([(1, 0.5), (2, 0.4)], 100) == [(1.0, 0.5), (2.0, 0.4)]


def test_a_long_run_keeps_its_shape_in_few_points() -> None:
    points = [(step, 1.0) for step in range(1, 10_001)]
    points[4_999] = (5_000, 9.0)
    kept = downsampled(points, 1_000)
    assert len(kept) <= 1_000
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert (5_000.0, 9.0) in kept


def test_a_run_of_a_million_steps_costs_no_more_than_its_plot() -> None:
    points = [(step, step % 7 / 7) for step in range(1, 1_000_001)]
    began = time.perf_counter()
    assert len(downsampled(points, 400)) <= 400
    assert time.perf_counter() - began < 0.1


def test_spikes_are_drawn_at_the_edge() -> None:
    losses = [1.0] * 99 + [500.0]
    top = ceiling(losses, [2.0])
    assert top == 8.0
    assert clipped([(1, 500.0), (2, 1.0)], top) == [(1, 8.0), (2, 1.0)]


def test_an_empty_curve_has_a_top() -> None:
    assert ceiling([], []) == 1.0 and ceiling([2.0], []) == 2.0


def test_ticks_are_round() -> None:
    assert round_ticks(1, 400, 5) == [100, 200, 300, 400]
    assert round_ticks(0.12, 0.61, 4) == [0.2, 0.4, 0.6]
    assert round_ticks(3.0, 3.0, 4) == [3.0]


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
