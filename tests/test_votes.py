"""Votes are kept, counted once a question, by tag, and come with how sure the count is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import votes
from engine.errors import UserError
from engine.runs import Run
from engine.votes import Pair, Tally, Vote
from tui.__main__ import main

ANSWERS = {"base": "no", "tuned": "yes"}
DIGESTS = {"base": None, "tuned": "abc"}
PAIR = Pair("tuned", "base", "abc", None)


def vote(question: str, preferred: str, verdict: votes.Verdict = "preferred", **facts: object) -> Vote:
    asked = [{"role": "user", "content": question}]
    given = {"answers": ANSWERS, "digests": DIGESTS, **facts}
    return Vote(asked, verdict=verdict, preferred=preferred, **given)  # type: ignore[arg-type]


def kept(run: Run) -> list[Vote]:
    """Five questions, one of them voted on twice."""
    for one in (
        vote("a", "tuned", tag="reviews"),
        vote("b", "base", tag="reviews"),
        vote("c", "", "tie", tag="products"),
        vote("d", "", "both bad", tag="products"),
        vote("e", "", "identical", tag="products"),
        vote("b", "tuned", tag="reviews"),
    ):
        votes.cast(run, one)
    return votes.read(run)


def test_votes_are_kept_and_the_last_one_on_a_question_counts(tmp_path: Path) -> None:
    run = Run(tmp_path)
    said = kept(run)
    assert votes.tally(said, PAIR) == Tally(wins=2, losses=0, ties=1, both_bad=1, identical=1)
    assert votes.by_tag(said, PAIR) == {
        "reviews": Tally(wins=2),
        "products": Tally(ties=1, both_bad=1, identical=1),
    }
    assert votes.file(run).stat().st_mode & 0o077 == 0


def test_a_torn_line_costs_no_vote_but_itself(tmp_path: Path) -> None:
    run = Run(tmp_path)
    votes.cast(run, vote("a", "tuned"))
    with votes.file(run).open("a") as file:
        file.write('[1]\n{"question": 7, "answers": {}}\n{"question": "torn')
    votes.cast(run, vote("b", "base"))
    assert votes.tally(votes.read(run), PAIR) == Tally(wins=1, losses=1)


@pytest.mark.parametrize(
    "one", [vote("a", "other"), vote("a", "tuned", "tie"), vote("a", "")], ids=["unknown", "both", "neither"]
)
def test_a_vote_that_makes_no_sense_is_not_kept(tmp_path: Path, one: Vote) -> None:
    with pytest.raises(UserError):
        votes.cast(Run(tmp_path), one)
    assert votes.read(Run(tmp_path)) == []


def test_votes_on_another_adapter_are_other_votes(tmp_path: Path) -> None:
    run = Run(tmp_path)
    votes.cast(run, vote("a", "tuned"))
    votes.cast(run, vote("a", "base", digests={**DIGESTS, "tuned": "def"}))
    said = votes.read(run)
    newer = Pair("tuned", "base", "def", None)
    assert votes.pairs(said) == [PAIR, newer]
    assert [votes.tally(said, pair) for pair in (PAIR, newer)] == [Tally(wins=1), Tally(losses=1)]


def test_the_interval_and_the_chance_are_wilsons_and_the_sign_tests() -> None:
    found = Tally(wins=8, losses=2, ties=5)
    assert found.interval == pytest.approx((0.4902, 0.9433), abs=1e-4)  # R: prop.test(8, 10, correct = FALSE)
    assert found.chance == pytest.approx(0.109375)  # R: binom.test(8, 10)
    assert Tally(ties=3).interval == (0.0, 1.0) and Tally(ties=3).chance == 1 and Tally(ties=3).share is None
    assert Tally(3, 3).chance == 1


def test_the_command_counts_them(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "runs" / "20270115-080000-one"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").touch()
    assert main(["votes", "one"]) == 2
    assert "no votes yet" in capsys.readouterr().err
    kept(Run(folder))
    assert main(["votes", "one", "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (
        pair["all"]["wins"] == 2 and pair["all"]["win_rate"] == 1.0 and pair["tags"]["products"]["ties"] == 1
    )
    assert main(["votes", "one"]) == 0
    out = capsys.readouterr().out
    assert "tuned (adapter abc) against base" in out and "100% (34% to 100%)" in out
