"""Comparison, blind vote and evaluation on the real stack: the default recipe's adapter, by keys alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_tui_compare import idle
from test_tui_vote import asked
from test_tui_walk import footer, on, text
from textual.widgets import Checkbox, Input
from tui_stage import until

from engine import evals, votes
from engine.runs import Run
from tui.app import IftTui
from tui.screens.choose import PickScreen
from tui.screens.compare import CompareScreen
from tui.screens.evaluation import EvaluationScreen
from tui.screens.form import FormScreen
from tui.screens.messages import CompareAsked
from tui.widgets.answer import AnswerColumn


def likelihood(said: str) -> float:
    """The mean log-probability that stands beneath an answer."""
    return float(said.rpartition("reference ")[2].removesuffix(" a token"))


@pytest.mark.long
async def test_a_comparison_a_vote_and_an_evaluation(trained: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained.path, tmp_path / "ift-home" / "runs" / trained.name)))
    shutil.rmtree(run.path / "evals")  # it is measured here
    app = IftTui()
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(CompareAsked(run))
        await until(pilot, on(app, CompareScreen))
        await until(pilot, lambda: "Vote" in footer(app), 120)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "token" in str(app.screen.query_one("#column-1").border_subtitle), 60)
        await until(pilot, idle(app), 60)
        assert text(app, "#reference-text") in text(app, "#column-1 .said"), "the tuned model has learnt it"
        assert "a token" in text(app, "#column-0 .said")
        digests = {
            str(view.border_title).rpartition("adapter ")[2] for view in app.screen.query(AnswerColumn)
        }
        assert "off" in digests and len(digests) == 2

        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen.query(AnswerColumn)) == 3, 60)
        await until(pilot, lambda: "token" in str(app.screen.query_one("#column-2").border_subtitle), 60)
        await until(pilot, idle(app), 60)

        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        for key in ("left", "t"):
            await until(pilot, lambda: asked(app), 60)
            await pilot.press(key, "enter")
        (pair,) = votes.pairs(votes.read(run))
        counted = votes.tally(votes.read(run), pair)
        assert counted.decided == 1 and counted.ties == 1 and pair.digest is not None
        await pilot.press("escape")
        await until(pilot, on(app, CompareScreen))

        await pilot.press("f6")
        await until(pilot, on(app, EvaluationScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)
        app.screen.query_one("#form-rows Input", Input).value = "2"
        app.screen.query_one("#form-forgetting Checkbox", Checkbox).value = False
        await pilot.press("enter")
        await until(pilot, on(app, EvaluationScreen))
        await until(pilot, lambda: "better by" in text(app, "#evaluation-text"), 120)
        found = evals.read(run, "test")
        assert len(found.rows) == 4 and found.summary["columns"][1]["digest"] == pair.digest
