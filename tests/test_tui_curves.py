"""The loss plot: where a mark stands is where its figure belongs, for runs of ten steps and of a million."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from recorded import changed, resumed, slow_loss, whole, with_nan, with_spikes

from engine.events import Event
from engine.series import Series
from engine.state import RunState, fold
from tui.widgets import curves
from tui.widgets.braille import Canvas
from tui.widgets.curves import View

ALL = View()


def state_of(events: list[Event]) -> RunState:
    return fold([{"time": 1.8e9, **event} for event in events])


def of(losses: list[float], total: int = 0) -> RunState:
    series = Series([(step, loss) for step, loss in enumerate(losses, 1)])
    return RunState(losses=series, step=len(losses), total=total or len(losses))


def drawn(state: RunState, view: View = ALL, other: RunState | None = None) -> list[str]:
    return [line.plain for line in curves.draw(state, other, view, 76, 24)]


def ticks(lines: list[str]) -> dict[int, float]:
    """The rows that have a number beside them."""
    return {
        row: float(line[: curves.GUTTER])
        for row, line in enumerate(lines[:-2])
        if line[: curves.GUTTER].strip()
    }


def value_at(lines: list[str], row: int) -> tuple[float, float]:
    """The loss that a row stands for by the numbers on the axis, and half a row's share."""
    (low_row, low), *_, (top_row, top) = sorted(ticks(lines).items(), reverse=True)
    one = (top - low) / (low_row - top_row)
    return low + (low_row - row) * one, one


def places(lines: list[str], mark: str) -> list[tuple[int, int]]:
    """Column within the plot and row of each such character."""
    return [
        (column - curves.GUTTER - 1, row)
        for row, line in enumerate(lines[:-1])
        for column, char in enumerate(line)
        if char == mark
    ]


def test_evaluations_and_the_base_stand_at_their_step_and_loss() -> None:
    state = state_of(whole(230, end=None))
    lines = drawn(state)
    first, last = curves.steps_in_sight(state, ALL)
    found = places(lines, "◆")
    assert len(found) == len(state.evaluations) == 4
    width = 76 - curves.GUTTER - 1
    for (column, row), one in zip(sorted(found), state.evaluations, strict=True):
        value, half = value_at(lines, row)
        assert abs(value - one.loss) <= half
        assert abs(first + (column + 0.5) / width * (last - first) - one.step) <= (last - first) / width
    (row,) = {row for _, row in places(lines, "┄")}
    value, half = value_at(lines, row)
    assert abs(value - 4.18) <= half


def test_the_columns_hold_what_their_steps_have() -> None:
    """Lowest, highest and mean of the steps of each column, reckoned one by one."""
    losses = [2 + math.sin(step * 0.7) for step in range(5_000)]
    state = of(losses)
    frame = curves.Frame(1, 5_000, 0.0, 4.0, False, 140, 80)
    found = list(curves.columns(state.losses, frame, 64))
    by_column: dict[int, list[int]] = {}
    for step in range(1, 5_001):
        by_column.setdefault(math.floor((step - 1) / 4_999 * 139 + 0.5), []).append(step)
    assert [column.at for column in found] == sorted(by_column)
    for column in found:
        own = [losses[step - 1] for step in by_column[column.at]]
        assert (column.low, column.high) == (min(own), max(own))
        behind = losses[: by_column[column.at][-1]][-64:]
        assert column.smoothed == pytest.approx(statistics.fmean(behind))


@pytest.mark.parametrize("steps", [1, 2, 10, 1_000])
def test_runs_of_any_length_have_a_plot(steps: int) -> None:
    for view in (ALL, View(log=True), View(last=10)):
        lines = drawn(of([1 / (step + 1) for step in range(steps)], total=4_000), view)
        assert len(lines) == 24 and max(map(len, lines)) <= 76
        assert any("⠀" < char <= "⣿" for line in lines for char in line)


def test_early_in_a_long_run_its_steps_take_a_good_part_of_the_width() -> None:
    for steps in (1, 10, 99, 1_000):
        _, last = curves.steps_in_sight(of([1.0] * steps, total=1_000_000), ALL)
        assert last == 20 or 2 * steps <= last <= 4 * steps
    assert curves.steps_in_sight(of([1.0] * 300, total=400), ALL) == (1, 400)
    assert curves.steps_in_sight(of([1.0] * 300, total=400), View(last=50)) == (251, 300)


def test_a_million_steps_cost_what_their_plot_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: the ranges that are summed, and the entries that are read for them."""
    series = Series([(step, slow_loss(step, 1_000_000)) for step in range(1, 1_000_001)]).frozen()
    state = RunState(losses=series, step=1_000_000, total=1_000_000)
    from engine import series as module

    read = 0
    pieces = module._pieces

    def counting(*arguments: int) -> Any:
        nonlocal read
        for depth, first, last in pieces(*arguments):
            read += last - first
            yield depth, first, last

    monkeypatch.setattr(module, "_pieces", counting)
    lines = drawn(state)
    assert read < 100_000
    assert lines[-1].split()[-1] == "1,000,000"


def test_a_spike_is_marked_at_the_top_and_does_not_flatten_the_rest() -> None:
    lines = drawn(state := state_of(with_spikes()))
    assert max(ticks(lines).values()) < 5
    first, last = curves.steps_in_sight(state, ALL)
    wanted = [round((step - first) / (last - first) * 137) // 2 for step in (80, 150)]
    assert sorted(places(lines, "▲")) == [(column, 0) for column in wanted]


def test_an_end_that_comes_apart_does_not_flatten_the_rest() -> None:
    lines = drawn(of([1.0 + 0.01 * (step % 7) for step in range(300)] + [10.0 * 2**n for n in range(60)]))
    assert max(ticks(lines).values()) < 20 and len(places(lines, "▲")) > 5


def test_no_number_interrupts_the_line_and_is_marked_on_the_axis() -> None:
    state = state_of(with_nan())
    lines = drawn(state)
    column = round(119 / (curves.steps_in_sight(state, ALL)[1] - 1) * 137) // 2
    assert [place for place in places(lines, "✗") if place[1] == 22] == [(column, 22)]
    lost = of([1.0] * 100 + [math.nan] * 100 + [1.0] * 100)
    dots = [column for column, _ in places_of_dots(drawn(lost))]
    assert not any(69 / 3 + 1 < column < 2 * 69 / 3 - 1 for column in dots)


def places_of_dots(lines: list[str]) -> list[tuple[int, int]]:
    return [
        (column - curves.GUTTER - 1, row)
        for row, line in enumerate(lines[:-2])
        for column, char in enumerate(line)
        if "⠀" < char <= "⣿"
    ]


def test_steps_that_are_missing_interrupt_the_line() -> None:
    losses = Series([(step, 1.0) for step in (*range(1, 101), *range(201, 301))])
    dots = [c for c, _ in places_of_dots(drawn(RunState(losses=losses, step=300, total=300)))]
    assert not any(69 / 3 + 1 < column < 2 * 69 / 3 - 1 for column in dots)


def test_a_run_taken_up_again_shows_only_what_has_happened() -> None:
    state = state_of(resumed())
    lines = drawn(state)
    _, last = curves.steps_in_sight(state, ALL)
    assert places(lines, "↻") == [(round(99 / (last - 1) * 137) // 2, 22)]
    first = state_of(whole(150, end=None))
    assert state.losses[:100] == first.losses[:100]
    assert state.losses.values[100] == 2 * first.losses.values[100]
    assert [one.step for one in state.evaluations] == [50, 100, 150, 200]


def test_the_logarithm_gives_each_tenfold_the_same_height() -> None:
    lines = drawn(of([10.0 ** (1 - step / 100) for step in range(301)]), View(log=True))
    rows = {value: row for row, value in ticks(lines).items()}
    assert {10.0, 1.0, 0.1, 0.01} <= set(rows)
    heights = [rows[0.01] - rows[0.1], rows[0.1] - rows[1.0], rows[1.0] - rows[10.0]]
    assert max(heights) - min(heights) <= 1
    with_zero = drawn(of([0.0, 0.0, 1.0, 2.0]), View(log=True))
    assert len(with_zero) == 24, "a loss of zero has no logarithm and is at the edge"


def test_another_run_is_drawn_by_step() -> None:
    state, other = of([1.0] * 200), of([3.0] * 100)
    lines = drawn(state, other=other)
    upper = [
        column
        for column, row in places_of_dots(lines)
        if abs(value_at(lines, row)[0] - 3.0) <= value_at(lines, row)[1]
    ]
    assert upper and max(upper) <= 69 / 2 + 1 and min(upper) == 0


@pytest.mark.parametrize("step", [1, 57, 120, 200, 230])
def test_the_cursor_reads_the_step_it_stands_at(step: int) -> None:
    events = with_nan()
    state, other = state_of(events), state_of(changed(whole(100), {57: 9.0}))
    losses = {event["step"]: event["loss"] for event in events if event["kind"] == "step"}
    read = dict(curves.at_cursor(state, other, View(cursor=step)))
    assert read["step"] == str(step)
    assert read["loss"] == ("nan" if step == 120 else f"{losses[step]:.4f}")
    before = [losses[one] for one in range(max(1, step - 7), step + 1) if math.isfinite(losses[one])]
    assert read["mean of 8"] == f"{statistics.fmean(before):.4f}"
    near = min(state.evaluations, key=lambda one: abs(one.step - step))
    assert read[f"validation at {near.step}"] == f"{near.loss:.4f}"
    assert read["other run"] == {1: f"{losses[1]:.4f}", 57: "9.0000"}.get(step, "–")
    column = round((step - 1) / (curves.steps_in_sight(state, ALL)[1] - 1) * 137) // 2
    assert {place for place, _ in places(drawn(state, View(cursor=step)), "│")} - {-1} <= {column}


def test_zoomed_in_the_base_does_not_press_the_curve_flat() -> None:
    lines = drawn(state_of(whole(400, end=None)), View(last=100))
    assert max(ticks(lines).values()) < 1 and not places(lines, "┄")
    names = lines[-1].replace(",", "").split()
    assert all(300 < int(name) <= 400 for name in names)


def test_ticks_are_round() -> None:
    assert curves.round_ticks(1, 400, 5) == [100, 200, 300, 400]
    assert curves.round_ticks(0.12, 0.61, 4) == [0.2, 0.4, 0.6]
    assert curves.round_ticks(0.0, 9.5, 5) == [0, 2, 4, 6, 8]
    assert curves.round_ticks(3.0, 3.0, 4) == [3.0]
    assert curves.log_ticks(0.09, 12, 9) == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert curves.log_ticks(0.009, 1200, 6) == pytest.approx([0.01, 0.1, 1, 10, 100, 1000])


def test_a_plot_without_a_number_has_a_frame() -> None:
    assert curves.ceiling([], []) == 1.0 and curves.ceiling([2.0], []) == 2.0
    assert len(drawn(of([math.nan] * 5))) == 24


def test_dots_are_put_where_unicode_has_them() -> None:
    canvas = Canvas(2, 1)
    canvas.dot(0, 0, "")
    canvas.dot(3, 3, "")
    canvas.dot(99, 0, "")
    assert [row.plain for row in canvas.rows()] == ["⠁⢀"]
    canvas.put(0, 0, "x", "", over=False)
    canvas.put(1, 0, "y", "")
    assert [row.plain for row in canvas.rows()] == ["⠁y"]
