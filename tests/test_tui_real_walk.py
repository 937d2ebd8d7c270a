"""The walk as a new user makes it, on the real workers: the embedded model is trained and compared."""

from __future__ import annotations

import pytest
from test_tui_walk import on, row_text, text, to_compare
from textual.widgets import Input
from tui_stage import until

from engine import recipe, runs
from tui.app import IftTui
from tui.screens.data import DataScreen
from tui.screens.messages import RecipeChanged
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets.answer import AnswerColumn
from tui.widgets.model_list import ModelList

STEPS = 4


@pytest.mark.slow
async def test_from_nothing_to_two_answers() -> None:
    app = IftTui()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: bool(app.screen.query("#welcome")))
        await until(pilot, lambda: "guided" in text(app, "#welcome"))
        await pilot.press("enter")
        await until(pilot, on(app, ModelScreen))
        await until(pilot, lambda: app.screen.query_one(ModelList).chosen is not None)
        await pilot.press("enter")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: "digest" in text(app, "#facts"), seconds=60)
        assert "<|im_start|>" in row_text(app)
        plan = app.screen.draft.recipe
        app.post_message(RecipeChanged(recipe.changed(plan, evaluate={"at_end": 0})))  # 20 of its 60 seconds
        await until(pilot, lambda: app.screen.draft.recipe.evaluate.at_end == 0)
        await pilot.press("enter")
        await until(pilot, on(app, RecipeScreen))
        app.screen.query_one("#train-steps Input", Input).value = str(STEPS)
        app.screen.query_one("#train-eval_every Input", Input).value = "0"
        await until(pilot, lambda: f"{STEPS} steps" in text(app, "#sums"))
        await pilot.press("ctrl+n")

        await until(pilot, on(app, TrainScreen), seconds=60)
        await until(pilot, lambda: "finished" in text(app, "#status"), seconds=240)
        assert text(app, "#progress-facts").split("\n")[0].endswith(f"{STEPS} / {STEPS}")
        (run,) = runs.list_runs()
        shown = run.recipe().data.digest
        assert shown is not None and run.state().rendered["digest"] == shown
        await until(pilot, lambda: not runs.is_alive(run), seconds=30)

        await to_compare(app, pilot, seconds=120)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.screen.query_one("#reference").display)
        await until(pilot, lambda: "answering" not in text(app, "#chat-status"), seconds=120)
        await until(pilot, lambda: "token" in str(app.screen.query_one("#column-0").border_subtitle), 120)
        for column in app.screen.query(AnswerColumn):
            question, _, answer = str(column.query_one(".said").render()).rpartition("\n\n")
            assert question.startswith("▸ ") and answer.strip()
        digest = str(app.screen.query_one("#column-1").border_title)
        assert f"step {STEPS}" in digest
