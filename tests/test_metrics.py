"""What is measured of answers, against values by hand and against the libraries that are known for it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from engine import bootstrap, classes, decoding, metrics, overlap, recipe
from engine.errors import UserError


@pytest.mark.parametrize(
    ("metric", "reference", "answer", "ended", "expected"),
    [
        ("exact", "mixed", " mixed\n", True, True),
        ("exact", "mixed", "Mixed", True, False),
        ("exact", "mixed", "mixed", False, False),
        ("normalised", "Mixed.", "mixed", True, True),
        ("normalised", "well known", "Well-known!", True, True),
        ("normalised", "not good", "good", True, False),
        ("number", "#### 1,234", "so the sum is 1234.00 in all", True, True),
        ("number", "10", "10 apples and 3 pears", True, False),
        ("number", "72", "no idea", True, False),
        ("choice", "positive", "I think it is positive.", True, True),
        ("choice", "positive", "positive or negative", True, False),
        ("choice", "not good", "it is not good", True, True),
        ("text", "anything", "else", True, None),
    ],
)
def test_an_answer_is_judged_by_its_metric(
    metric: metrics.Metric, reference: str, answer: str, ended: bool, expected: bool | None
) -> None:
    choices = ("positive", "negative", "good", "not good")
    assert metrics.right(metric, {}, reference, answer, ended, choices) is expected


def test_fields_must_all_stand_in_the_answer() -> None:
    row = {"fields": {"name": "Oak", "price": "3 dollars"}}
    assert metrics.right("fields", row, "", "Oak costs 3 dollars.", True) is True
    assert metrics.right("fields", row, "", "Oak is cheap.", True) is False


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10-3", 3), ("it fell to -3", -3), ("−2.5 degrees", Decimal("-2.5")), ("1,234,567", 1234567),
        ("v2", 2), ("", None),
    ],
)  # fmt: skip
def test_the_last_number_is_found(text: str, number: int | Decimal | None) -> None:
    assert metrics.last_number(text) == number


def test_an_answer_has_the_form_that_was_asked_for() -> None:
    assert metrics.valid("json", '{"a": 1}') is True and metrics.valid("json", "{a: 1}") is False
    assert metrics.valid(r"[1-5] stars?", "1 star") is True
    assert metrics.valid(r"[1-5] stars?", "1 star, I think") is False
    assert metrics.valid("", "anything") is None


def test_a_form_that_is_no_pattern_is_refused() -> None:
    with pytest.raises(UserError, match="neither json nor a regular expression"):
        recipe.parse({"data": {"sources": [{"path": "x", "valid": "(["}]}})


# F-measures of rouge-score 0.1.2 without its stemmer.
ROUGE = [
    ("The cat sat on the mat.", "The cat was on the mat!", 0.833333, 0.6, 0.833333),
    ("a b c d e f", "f a b x d e", 0.833333, 0.4, 0.666667),
    ("police killed the gunman", "police kill the gunman", 0.75, 0.333333, 0.75),
]


@pytest.mark.parametrize(("reference", "answer", "one", "two", "longest"), ROUGE)
def test_rouge_is_that_of_the_library(
    reference: str, answer: str, one: float, two: float, longest: float
) -> None:
    found = overlap.rouge(reference, answer)
    assert found == pytest.approx({"rouge1": one, "rouge2": two, "rougeL": longest}, abs=1e-6)


def test_rouge_reads_other_scripts_than_latin() -> None:
    assert overlap.rouge("Это новая лампа", "это лампа")["rouge1"] == pytest.approx(0.8)
    assert overlap.rouge("这是一盏灯", "这是灯")["rouge1"] == pytest.approx(0.75)
    assert overlap.rouge("a lamp", "")["rougeL"] == 0


def test_classes_are_counted_as_by_hand() -> None:
    wanted = ["a", "a", "a", "b", "b", "c"]
    said = ["a", "a", "b", "b", None, "a"]
    found = classes.confusion(("a", "b", "c"), wanted, said)
    assert found.counts == ((2, 1, 0, 0), (0, 1, 0, 1), (1, 0, 0, 0))
    assert found.accuracy == pytest.approx(3 / 6)
    # F1: a 2*2/(3+3), b 2*1/(2+2), c 0.
    assert found.macro_f1 == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    held = 0
    for trial in range(200):
        before = random.normal(0, 1, 50)
        after = before + random.normal(0.3, 0.5, 50)
        found = bootstrap.paired(before.tolist(), after.tolist(), resamples=600, seed=trial)
        held += found.low <= 0.3 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_pairs_stay_together_and_the_seed_fixes_the_interval() -> None:
    before, after = [float(i) for i in range(40)], [float(i) + 1 for i in range(40)]
    found = bootstrap.paired(before, after)
    assert (found.difference, found.low, found.high) == pytest.approx((1, 1, 1))  # rows differ, pairs do not
    mixed = [value + i**0.5 for i, value in enumerate(before)]
    assert bootstrap.paired(before, mixed) == bootstrap.paired(before, mixed)
    assert bootstrap.paired(before, mixed, seed=1) != bootstrap.paired(before, mixed)


def test_a_mean_of_tokens_is_weighted_by_their_number() -> None:
    found = bootstrap.paired([10.0, 1.0], [8.0, 2.0], weights=[9, 1])
    assert found.difference == pytest.approx((-2 + 1) / 10)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"temprature": 1}, "temprature: no such setting"),
        ({"temperature": -1}, "temperature: must be from 0"),
        ({"temperature": float("nan")}, "temperature: must be from 0"),
        ({"top_p": 0}, "top_p: must be above 0"),
        ({"top_k": 1.5}, "top_k: must be a whole number"),
        ({"max_new_tokens": 0}, "max_new_tokens: must be 1"),
        ({"seed": True}, "seed: must be a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        decoding.settings(asked)
