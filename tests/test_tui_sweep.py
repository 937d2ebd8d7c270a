"""A sweep on its screen: its trials, its curves, what it can be told; and how one is started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from test_space import swept
from test_sweeps import made, recorded, trial
from test_tui_walk import footer, on, text
from textual.pilot import Pilot
from textual.widgets import DataTable, Input
from tui_stage import Stage, alive, record, step_events, until

from engine import recipe, runs, sweeps
from engine.schema import Recipe
from engine.sweeps import Sweep
from tui.app import IftTui
from tui.draft import Draft
from tui.screens.choose import AskScreen, ChooseScreen
from tui.screens.compare import CompareScreen
from tui.screens.messages import StartAsked
from tui.screens.sweep import SweepScreen
from tui.screens.train import TrainScreen
from tui.widgets.sweep_curves import draw

OVER = {"lora.rank": [8, 16], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}
SHARES = {
    "kind": "importance", "shares": {"train.learning_rate": 0.75, "lora.rank": 0.25}, "trials": 8,
}  # fmt: skip
FOUR = (trial(1, [3.0, 3.1]), trial(2, [2.5, 2.6]), trial(3, state="pruned"), trial(4, state=""))


def a_sweep(*more: dict[str, Any], trials: Iterable[list[dict[str, Any]]] = FOUR) -> Sweep:
    return made([*recorded(*trials, [SHARES]), *more], swept(OVER))


def run_of(number: int) -> Any:
    """The run of a trial, with an adapter."""
    name = f"20300102-1200{number:02}-a-{number:02}"
    path = record(name, step_events(400)).path.rename(runs.home() / "runs" / name)
    (path / "adapter").mkdir()
    (path / "adapter" / "adapter_config.json").write_text("{}")
    return runs.Run(path)


async def to_sweep(app: Any, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: app.screen.focused is not None)
    await pilot.press("enter")
    await until(pilot, on(app, SweepScreen))
    await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)


async def test_a_sweep_is_shown_with_its_best_and_what_matters() -> None:
    a_sweep({"kind": "stopped", "reason": "by hand"})
    run_of(2)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_sweep(app, pilot)
        assert text(app, "#sweep-status") == "■ stopped  4 of 12 runs · 3 min 00 s of training · tpe"
        assert text(app, "#sweep-standing").endswith(
            "Best: trial 2, validation loss 2.5500 [1.915, 3.185], the mean of 2 seeds: "
            "rank 16, learning_rate 0.0002"
        )
        table = app.screen.query_one(DataTable)
        rows = [[cell.plain for cell in table.get_row_at(number)] for number in range(4)]
        assert rows[1] == ["2", "✓ best", "2.5500 [1.915, 3.185]", "16", "0.0002"]
        assert rows[2][1:3] == ["■ pruned", "–"] and rows[3][1] == "● unfinished"
        assert "learning_rate" in text(app, "#importance-text") and "75%" in text(app, "#importance-text")
        assert "Compare" not in footer(app) and "Stop" not in footer(app) and "Go on" in footer(app)
        await pilot.press("down")
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("enter")
        await until(pilot, on(app, TrainScreen))


async def test_two_trials_are_compared_in_chat() -> None:
    a_sweep({"kind": "finished", "reason": "its runs are made"})
    first, second = run_of(1), run_of(2)
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await to_sweep(app, pilot)
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("space", "down", "c")
        await until(pilot, on(app, CompareScreen))
        chat = stage.children[0]
        assert chat.arguments == (str(second.path),)
        await until(pilot, lambda: any(asked["do"] == "load" for asked in chat.asked))
        asked = next(asked for asked in chat.asked if asked["do"] == "load")
        assert (asked["run"], asked["column"], asked["step"]) == (str(first.path), first.name, None)
        await until(pilot, lambda: len(app.screen.query("AnswerColumn")) == 3)


async def test_a_sweep_is_stopped_enlarged_and_its_best_trained() -> None:
    stage, told = Stage(), list[Any]()
    sweep = a_sweep()
    app = IftTui(
        stage.but(
            stop_sweep=lambda sweep, with_run: told.append(("stop", sweep, with_run)),
            resume_sweep=lambda sweep: told.append(("go on", sweep)),
        )
    )
    run = record("a-04", step_events(30, end=None))
    run = runs.Run(run.path.rename(runs.home() / "runs" / "20300102-120004-a-04"))
    async with app.run_test(size=(80, 24)) as pilot:
        await to_sweep(app, pilot)
        with alive(sweep), alive(run):  # type: ignore[arg-type]
            await until(pilot, lambda: "Stop" in footer(app))
            assert app.screen.query_one(DataTable).get_row_at(3)[1].plain == "● 30/400"
            await pilot.press("s")
            await until(pilot, on(app, ChooseScreen))
            await pilot.press("down", "enter")
            await until(pilot, lambda: told == [("stop", sweep, True)])
        await until(pilot, lambda: "Go on" in footer(app))
        await pilot.press("m")
        await until(pilot, on(app, AskScreen))
        app.screen.query_one(Input).value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: "above 0" in text(app, "#wrong"))
        app.screen.query_one(Input).value = "24"
        await pilot.press("enter")
        await until(pilot, lambda: told[1:] == [("go on", sweep)])
        plan = sweep.recipe().sweep
        assert plan is not None and plan.runs == 24
        await until(pilot, lambda: "4 of 24" in text(app, "#sweep-status"))
        await pilot.press("b")
        await until(pilot, on(app, TrainScreen))
        assert [(one.name, one.data.all_data, one.lora.rank) for one in stage.started] == [
            ("run-best", True, 16)
        ]


@pytest.mark.parametrize("downs", [0, 1, 2])
async def test_a_recipe_with_a_sweep_asks_whether_it_is_meant(downs: int) -> None:
    stage, begun = Stage(), list[Recipe]()

    def start(plan: Recipe) -> Sweep:
        begun.append(plan)
        return a_sweep()

    app = IftTui(stage.but(start_sweep=start))
    async with app.run_test(size=(80, 24)) as pilot:
        app._draft = Draft(swept(OVER, hours=2.0), scan={"digest": "abc", "rows": 1})
        app.post_message(StartAsked())
        await until(pilot, on(app, ChooseScreen))
        question = str(app.screen.query_one(".dialog").border_title)
        assert question == "At most 12 runs, one after another; none begins after 2 hours"
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, lambda: not isinstance(app.screen, ChooseScreen))
        if downs == 0:
            await until(pilot, on(app, SweepScreen))
            assert begun[0].data.digest is None and begun[0].sweep is not None
        else:
            await until(pilot, lambda: len(stage.started) == (downs == 1))
        assert len(begun) == (downs == 0)


async def test_a_chain_says_how_many_runs_were_started() -> None:
    plan = recipe.load("first-steps").model_dump(mode="json", exclude_none=True)
    chain = recipe.parse({**plan, "then": [{"lora": {"rank": 8}}]})
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        app._draft = Draft(chain)
        app.post_message(StartAsked())
        await until(pilot, lambda: len(app._notifications) > 0)
        said = [notice.message for notice in app._notifications]
        assert said == ["2 runs were started; each waits for the one before it"]
        assert isinstance(app.screen, TrainScreen)


def test_curves_lie_over_each_other_and_two_stand_out() -> None:
    state = sweeps.fold(recorded(*FOUR))
    lines = [line.plain for line in draw(state.trials, 2, 3, 60, 12)]
    assert len(lines) == 12 and all(len(line) <= 60 for line in lines)
    assert sum(line.count("◆") for line in lines) == 2 and sum(line.count("●") for line in lines) == 2
    assert lines[-1] == "◆ trial 3  ● best, trial 2  ⠒ others"
    assert "first evaluation" in draw([], 0, 0, 60, 12)[0].plain
