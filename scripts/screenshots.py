"""The pictures of the documentation, drawn by the app itself on a real run of the tour's recipe.

    make screenshots     (or: python scripts/screenshots.py)     trains, writes docs/pictures/*.svg
    python scripts/screenshots.py sweep                          those of a sweep alone

Nothing is staged: rows, losses and answers are those of the run. Runs go to a folder that is thrown away.
It takes twice as long as the tour (benchmarks/tour.py), and a sweep of eight short runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The same pictures wherever they are drawn; both are read when the app is imported.
os.environ.update(COLORTERM="truecolor", TERM="xterm-256color")
os.environ.pop("NO_COLOR", None)

from textual.pilot import Pilot
from textual.widgets import Checkbox, Input

from engine import recipe
from tui.app import IftTui
from tui.screens.choose import PickScreen
from tui.screens.compare import CompareScreen
from tui.screens.data import DataScreen
from tui.screens.evaluation import EvaluationScreen
from tui.screens.export import ExportScreen
from tui.screens.forecast import ForecastScreen
from tui.screens.form import FormScreen
from tui.screens.home import HomeScreen
from tui.screens.inspect import InspectScreen
from tui.screens.messages import RunBegun
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.screens.results import ResultsScreen
from tui.screens.source import SourceScreen
from tui.screens.sweep import SweepScreen
from tui.screens.sweep_plan import SweepPlanScreen
from tui.screens.template import TemplateScreen
from tui.screens.train import TrainScreen
from tui.screens.vote import VoteScreen

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
NAMES = (
    "welcome", "tour", "model", "data", "inspect", "source", "template", "report", "recipe", "memory",
    "train", "compare", "vote", "evaluation", "home", "results", "export", "sweep-plan", "sweep",
)  # fmt: skip
"""In the order in which they are drawn."""

SIZE = (100, 30)
LONGEST_WAIT = 900.0
SECONDS_AT_REST = 1.0
"""A screen on which nothing has changed for so long has all that it shows."""
WHILE_IT_LEARNS = 0.8
"""The part of the steps after which the train screen is drawn."""
ROWS_MEASURED = 30


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # Neither runs, nor models, nor paths of this machine stand in the pictures.
        os.environ.update(IFT_TUI_HOME=folder, HF_HOME=folder, HF_HUB_OFFLINE="1")
        os.chdir(folder)
        for part in sys.argv[1:] or PARTS:
            asyncio.run(PARTS[part]())


async def walk() -> None:
    """The tour by its keys, and the screens beside its way, with a picture of each."""
    app = IftTui()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "Tour" in keys(app))
        await draw(pilot, "welcome")
        await pilot.press("t")
        await reach(pilot, ModelScreen)
        await draw(pilot, "tour")
        await pilot.press("ctrl+l")
        await draw(pilot, "model")
        await rows(pilot)
        await pilot.press("enter")
        await reach(pilot, RecipeScreen)
        await draw(pilot, "recipe")
        await beside(pilot, "f2", ForecastScreen, "memory")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: part_done(app) >= WHILE_IT_LEARNS)
        await draw(pilot, "train", settled=False)
        await until(pilot, lambda: "Compare" in keys(app))
        await comparison(pilot)
        await pilot.press("escape", "escape")
        await reach(pilot, HomeScreen)
        await until(pilot, lambda: "Compare" in keys(app))
        await draw(pilot, "home")
        await leaving(pilot)


async def rows(pilot: Pilot[Any]) -> None:
    await pilot.press("enter")
    await reach(pilot, DataScreen)
    await until(pilot, lambda: "digest" in text(pilot.app, "#facts"))
    await draw(pilot, "data")
    await beside(pilot, "i", InspectScreen, "inspect")
    await beside(pilot, "m", SourceScreen, "source")
    await beside(pilot, "p", TemplateScreen, "template")
    await beside(pilot, "r", ReportScreen, "report")


async def comparison(pilot: Pilot[Any]) -> None:
    """Ask, vote, measure, and back to the train screen's key for a comparison."""
    app = pilot.app
    await pilot.press("c")
    await reach(pilot, CompareScreen)
    await until(pilot, lambda: "Test row" in keys(app))
    await pilot.press("ctrl+t")
    await until(pilot, lambda: "token" in str(app.screen.query_one("#column-0").border_subtitle))
    await draw(pilot, "compare")
    await beside(pilot, "f5", VoteScreen, "vote", lambda: "Left" in keys(app))
    await pilot.press("f6")
    await reach(pilot, EvaluationScreen)
    await pilot.press("n")
    await reach(pilot, FormScreen)
    app.screen.query_one("#form-rows Input", Input).value = str(ROWS_MEASURED)
    app.screen.query_one("#form-forgetting Checkbox", Checkbox).value = False
    await pilot.press("enter")
    await reach(pilot, EvaluationScreen)
    await until(pilot, lambda: "better by" in text(app, "#evaluation-text"))
    await draw(pilot, "evaluation")


async def leaving(pilot: Pilot[Any]) -> None:
    """From the list of runs to a run's results, and to what can be made of it."""
    await pilot.press("f7")
    await reach(pilot, ResultsScreen)
    await draw(pilot, "results")
    await pilot.press("e")
    await reach(pilot, ExportScreen)
    await draw(pilot, "export")


async def sweep() -> None:
    """Eight short runs of the tour's recipe, laid out on the screen and looked at when they have ended."""
    plan = recipe.changed(
        recipe.load("first-steps"),
        train={"steps": 24, "batch_size": 8, "warmup_steps": 2, "eval_every": 4, "probe": False},
        evaluate={"rows": 24, "samples": 0, "at_end": 0},
    )
    file = Path("short.toml")
    file.write_text(recipe.dumps(plan.model_copy(update={"name": "short"})), "utf-8")
    app = IftTui()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "New run" in keys(app))
        app.post_message(RunBegun(str(file)))
        await reach(pilot, ModelScreen)
        await pilot.press("enter")
        await reach(pilot, DataScreen)
        await until(pilot, lambda: "digest" in text(app, "#facts"))
        await pilot.press("enter")
        await reach(pilot, RecipeScreen)
        await pilot.press("f3")
        await reach(pilot, SweepPlanScreen)
        app.screen.query_one("#sweep-runs Input", Input).value = "8"
        app.screen.query_one("#sweep-prune Checkbox", Checkbox).value = False
        await until(pilot, lambda: "At most 8 runs" in text(app, "#sums"))
        await draw(pilot, "sweep-plan")
        await pilot.press("ctrl+n")
        await reach(pilot, SweepScreen)
        await until(pilot, lambda: "finished" in text(app, "#sweep-status"))
        await pilot.press("up")
        await draw(pilot, "sweep")


PARTS = {"walk": walk, "sweep": sweep}


async def beside(
    pilot: Pilot[Any],
    key: str,
    screen: type,
    name: str,
    condition: Callable[[], bool] = lambda: True,
) -> None:
    """Draw a screen that opens beside another one, and come back."""
    behind = pilot.app.screen
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, (screen, PickScreen)))
    if isinstance(pilot.app.screen, PickScreen):
        await until(pilot, lambda: pilot.app.screen.is_mounted)
        await pilot.press("enter")
    await reach(pilot, screen)
    await until(pilot, condition)
    await draw(pilot, name)
    await pilot.press("escape")
    await until(pilot, lambda: pilot.app.screen is behind)


async def reach(pilot: Pilot[Any], screen: type) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, screen) and pilot.app.screen.is_mounted)


async def draw(pilot: Pilot[Any], name: str, settled: bool = True) -> None:
    """Write the picture, once the screen stands still where it ever does."""
    before = ""
    while (svg := picture(pilot)) != before:
        before = svg
        if not settled:
            break
        await pilot.pause(SECONDS_AT_REST)
    path = PICTURES / f"{name}.svg"
    path.write_text(svg, "utf-8")
    print(path.name, flush=True)


def picture(pilot: Pilot[Any]) -> str:
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    svg: str = pilot.app.export_screenshot(title="ift-tui", simplify=True)
    return svg


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Let the app work until something holds."""
    for _ in range(int(LONGEST_WAIT / 0.1)):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.1)
    raise TimeoutError(f"the app did not come that far within {LONGEST_WAIT:.0f} s")


def text(app: Any, selector: str) -> str:
    found = app.screen.query(selector)
    return str(found.first().render()) if found else ""


def keys(app: Any) -> set[str]:
    return {active.binding.description for active in app.screen.active_bindings.values()}


def part_done(app: IftTui) -> float:
    screen = app.screen
    if not isinstance(screen, TrainScreen):
        return 0.0
    state = screen.snapshot.state
    return state.step / state.total if state.total else 0.0


if __name__ == "__main__":
    main()
