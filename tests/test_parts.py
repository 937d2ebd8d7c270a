"""Parts are cut by what rows say: stable when rows are added, exact by count, whole by group."""

from __future__ import annotations

import numpy as np
import pytest

from engine import parts

MANY = np.array([parts.hashed(b"row %d" % i) for i in range(20_000)], dtype=np.uint64)
EVERY = np.ones(len(MANY), dtype=bool)


def test_a_share_takes_about_so_many_and_another_seed_takes_others() -> None:
    first = parts.chosen(parts.places(MANY, 0), 0.05)
    other = parts.chosen(parts.places(MANY, 1), 0.05)
    # 1,000 expected of a binomial with a deviation of 31.
    assert 850 < first.sum() < 1150 and 850 < other.sum() < 1150
    assert (first & other).sum() < 120


def test_rows_that_are_added_move_no_other_row() -> None:
    few, more = parts.places(MANY[:500], 7), parts.places(MANY, 7)
    assert (parts.chosen(few, 0.2) == parts.chosen(more, 0.2)[:500]).all()


def test_a_count_takes_exactly_so_many() -> None:
    assert parts.chosen(parts.places(MANY, 0), 137).sum() == 137
    assert parts.chosen(parts.places(MANY[:3], 0), 10).sum() == 3


def test_labels_have_their_share_and_a_rare_one_at_least_a_row() -> None:
    labels = np.array([1] * 19_990 + [2] * 9 + [3], dtype=np.uint64)
    taken = parts.chosen(parts.places(MANY, 0), 0.1, labels)
    assert [taken[labels == label].sum() for label in (1, 2, 3)] == [1999, 1, 0]


def test_case_and_white_space_do_not_tell_texts_apart_but_words_and_signs_do() -> None:
    assert parts.plain("Hello  World\n") == parts.plain("hello world")
    assert parts.plain("ﬁne") == parts.plain("fine")
    assert parts.plain("-1") != parts.plain("1")
    assert parts.plain("straße") == parts.plain("STRASSE")


def test_repeated_rows_name_the_first() -> None:
    keys = np.array([5, 6, 5, 7, 5, 6], dtype=np.uint64)
    among = np.array([True, True, True, True, True, False])
    assert parts.repeated(keys, among).tolist() == [-1, -1, 0, -1, 0, -1]
    held = np.array([False, True, False, False, False, False])
    assert parts.standing_in(keys, held).tolist() == [-1, 1, -1, -1, -1, 1]
    assert parts.standing_in(keys, ~among & held).tolist() == [-1] * 6


@pytest.mark.parametrize("seed", range(5))
def test_conflicts_are_found_as_by_hand(seed: int) -> None:
    random = np.random.default_rng(seed)
    questions = random.integers(0, 30, 200).astype(np.uint64)
    keys = questions * np.uint64(10) + random.integers(0, 3, 200).astype(np.uint64)
    among = random.random(200) < 0.8
    answers: dict[int, set[int]] = {}
    first: dict[int, int] = {}
    for i in np.flatnonzero(among):
        if questions[i]:
            answers.setdefault(int(questions[i]), set()).add(int(keys[i]))
            first.setdefault(int(questions[i]), int(i))
    expected = sorted(first[q] for q, said in answers.items() if len(said) > 1)
    assert parts.conflicts(questions, keys, among) == expected
    assert parts.conflicts(questions[:0], keys[:0], among[:0]) == []
