"""Votes are kept, counted once a question, and come with how sure the count is."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import votes
from engine.errors import UserError
from engine.runs import Run
from engine.votes import Tally

ANSWERS = {"base": "no", "tuned": "yes"}
DIGESTS = {"base": None, "tuned": "abc"}


def test_votes_are_kept_and_the_last_one_on_a_question_counts(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for question, preferred in (("a", "tuned"), ("b", "base"), ("c", votes.TIE), ("b", "tuned")):
        votes.cast(run, question, ANSWERS, preferred, DIGESTS)
    with (tmp_path / "votes.jsonl").open("a") as file:
        file.write('{"question": "torn')
    assert votes.tally(votes.read(run), "tuned") == Tally(wins=2, losses=0, ties=1)
    assert (tmp_path / "votes.jsonl").stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="other: no such column"):
        votes.cast(run, "d", ANSWERS, "other", DIGESTS)


def test_votes_on_another_adapter_are_other_votes(tmp_path: Path) -> None:
    run = Run(tmp_path)
    votes.cast(run, "a", ANSWERS, "tuned", DIGESTS)
    votes.cast(run, "a", ANSWERS, "base", {**DIGESTS, "tuned": "def"})
    assert votes.tally(votes.read(run), "tuned") == Tally(1, 1, 0)


def test_the_interval_and_the_chance_are_wilsons_and_the_sign_tests() -> None:
    found = Tally(wins=8, losses=2, ties=5)
    assert found.interval == pytest.approx((0.4902, 0.9433), abs=1e-4)  # R: prop.test(8, 10, correct = FALSE)
    assert found.chance == pytest.approx(0.109375)  # R: binom.test(8, 10)
    assert Tally(0, 0, 3).interval == (0.0, 1.0) and Tally(0, 0, 3).chance == 1
    assert Tally(3, 3, 0).chance == 1


def test_the_order_is_hidden_and_can_be_repeated() -> None:
    orders = [votes.shuffled(["base", "tuned"], f"question {i}") for i in range(200)]
    assert orders == [votes.shuffled(["base", "tuned"], f"question {i}") for i in range(200)]
    assert 60 < sum(order[0] == "base" for order in orders) < 140
