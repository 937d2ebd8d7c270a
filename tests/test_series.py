"""Figures by step: every range sums up to what its values say, and what was given out does not change."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.series import Series

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])))


def series(values: list[float]) -> Series:
    return Series([(step, value) for step, value in enumerate(values, 1)])


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-1e6, 1e6), max_size=40), repeats=st.integers(1, 40), ends=st.data())
def test_a_range_comes_to_what_its_values_come_to(
    values: list[float], repeats: int, ends: st.DataObject
) -> None:
    values = values * repeats
    start = ends.draw(st.integers(0, len(values)))
    end = ends.draw(st.integers(start, len(values)))
    found, wanted = series(values).span(start, end), values[start:end]
    assert (found.low, found.high) == (min(wanted, default=math.inf), max(wanted, default=-math.inf))
    assert found.finite == found.entries == len(wanted)
    assert math.isclose(found.total, math.fsum(wanted), abs_tol=1e-3, rel_tol=1e-9)


@settings(max_examples=40, deadline=None)
@given(values=VALUES, repeats=st.integers(1, 20))
def test_what_is_no_number_is_counted_and_passed_over(values: list[float], repeats: int) -> None:
    values = values * repeats
    found, finite = series(values).span(0, len(values)), [v for v in values if math.isfinite(v)]
    assert (found.entries, found.finite) == (len(values), len(finite))
    assert (found.low, found.high) == (min(finite, default=math.inf), max(finite, default=-math.inf))
    if finite:
        assert found.mean is not None
        assert math.isclose(found.mean, math.fsum(finite) / len(finite), abs_tol=1e-3, rel_tol=1e-9)
    else:
        assert found.mean is None


def test_a_frozen_one_does_not_change() -> None:
    live = series([float(n) for n in range(1, 1001)])
    before = live.frozen()
    wanted = list(before)
    live.append(1001, -5.0)
    assert len(before) == 1000 and before[-1] == (1000, 1000.0) and before.span(0, 2000).low == 1.0
    live.truncate(300)
    for step in range(301, 2000):
        live.append(step, 0.0)
    assert list(before) == wanted and before.span(0, 1000).total == sum(range(1, 1001))
    assert live.span(0, 1999).total == sum(range(1, 301)) and live.frozen().span(290, 310).finite == 20


def test_it_shares_its_values_with_what_it_gives_out() -> None:
    live = series([0.0] * 100)
    one, two = live.frozen(), live.frozen()
    assert one.values is two.values is live.values


def test_entries_are_found_by_step() -> None:
    some = Series([(2, 1.0), (4, 2.0), (9, 3.0)])
    assert [some.before(step) for step in (1, 2, 3, 9, 10)] == [0, 0, 1, 2, 3]
    assert [some.until(step) for step in (1, 2, 3, 9, 10)] == [0, 1, 1, 3, 3]
    assert (
        some == [(2, 1.0), (4, 2.0), (9, 3.0)] and some[-1] == (9, 3.0) and some[1:] == [(4, 2.0), (9, 3.0)]
    )
    assert some != [(2, 1.0)] and not Series()


def test_a_range_of_a_long_run_touches_few_of_its_values() -> None:
    """Counted, not timed: how many entries of the columns are read for a range of any length."""
    from engine.series import FAN, _pieces

    for end in (1_000, 1_000_000, 10**9):
        read = sum(last - first for _, first, last in _pieces(7, end - 3, 20))
        assert read <= 2 * FAN * (math.log(end, FAN) + 1)
