"""Runs of each way to train, asked: alone, beside each other on one base, and counted on held-out rows."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from engine import evals
from engine.errors import UserError
from engine.runs import Run
from tests.short_runs import PLANS, short_run

if TYPE_CHECKING:
    from engine.workers.conversing import Session

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("pair")]

QUESTION = "Is this review positive, negative or mixed?\n\nI love this lamp."
ON_ONE_BASE = ("tiny", "DoRA", "LoftQ", "went on")
"""Those that were trained on the embedded model in 4 bits."""
APART = {"DoRA", "all weights"}
"""Those that answer in a pass of their own beside the base."""


@pytest.fixture(scope="module")
def each(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return {way: short_run(way, tmp_path_factory.getbasetemp()) for way in PLANS if way != "stories"}


def asked(session: Session) -> dict[str, Any]:
    request = {
        "messages": {name: [{"role": "user", "content": QUESTION}] for name in session.columns},
        "settings": {"max_new_tokens": 24},
        "reference": "positive",
    }
    found: dict[str, Any] = session.ask(request, lambda name, text: None, lambda: False)["columns"]
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    likely = math.isclose(one["reference"], other["reference"], abs_tol=1e-4)
    return likely and one["text"] == other["text"] and one["ended"] == other["ended"]


def test_beside_each_other_each_says_what_it_says_alone(each: dict[str, Run]) -> None:
    from engine.workers import conversing

    alone = {}
    for way, run in each.items():
        session = conversing.opened(run)
        assert bool(session.described("tuned")["apart"]) == (way in APART), way
        alone[way] = asked(session)
        base, tuned = alone[way]["base"], alone[way]["tuned"]
        assert tuned["text"] != base["text"] and tuned["reference"] > base["reference"], way
    first, *others = ON_ONE_BASE
    session = conversing.opened(each[first])
    for way in others:
        session.load(way, str(each[way].path), None)
    with pytest.raises(UserError, match="another quantisation"):
        session.load("whole", str(each["all weights"].path), None)
    told = asked(session)
    assert same(told["base"], alone[first]["base"]) and same(told["tuned"], alone[first]["tuned"])
    for way in others:
        assert same(told[way], alone[way]["tuned"]), way
    assert len({one["text"] for one in told.values()}) > 2


@pytest.mark.parametrize("first", ["tiny", "all weights"])
def test_each_is_evaluated_by_the_command(first: str, each: dict[str, Run]) -> None:
    others = [way for way in ON_ONE_BASE if way != first] if first in ON_ONE_BASE else []
    words = [word for way in others for word in ("--with", str(each[way].path))]
    done = subprocess.run(
        [sys.executable, "-m", "tui", "eval", str(each[first].path), "--rows", "4", "--no-general", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = evals.read(each[first], "test")
    assert len(made.columns) == 2 + len(others) and len(made.rows) >= 4
    for row in made.rows:
        for column in made.columns[1:]:
            assert row[column]["loss"] < row["base"]["loss"], (column, row)
