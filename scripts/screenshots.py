"""The pictures of the documentation, drawn by the app itself on a real run of the default recipe.

    python scripts/screenshots.py     trains (two minutes on two cores), writes docs/pictures/*.svg

Nothing is staged: rows, losses and answers are those of the run. Runs go to a folder that is thrown away.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from tui.app import IftTui
from tui.screens.train import TrainScreen
from tui.widgets.model_list import ModelList

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
SIZE = (100, 30)
LONGEST_WAIT = 600.0
WHILE_IT_LEARNS = 0.6
"""The part of the steps after which the train screen is drawn."""


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # Neither runs, nor models, nor paths of this machine stand in the pictures.
        os.environ.update(IFT_TUI_HOME=folder, HF_HOME=folder, HF_HUB_OFFLINE="1")
        os.chdir(folder)
        asyncio.run(walk())


async def walk() -> None:
    """The guided first run by its keys, with a picture of each screen."""
    app = IftTui()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "guided" in text(app, "#welcome"))
        await draw(pilot, "welcome")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query(ModelList)))
        await until(pilot, lambda: app.screen.query_one(ModelList).chosen is not None)
        await draw(pilot, "model")
        await pilot.press("enter")
        await until(pilot, lambda: "digest" in text(app, "#facts"))
        await draw(pilot, "data")
        await pilot.press("enter")
        await until(pilot, lambda: "epochs" in text(app, "#sums"))
        await draw(pilot, "recipe")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: part_done(app) >= WHILE_IT_LEARNS)
        await draw(pilot, "train")
        await until(pilot, lambda: "finished" in text(app, "#status"))
        await until(pilot, lambda: "Compare" in keys(app))
        await pilot.press("c")
        await until(pilot, lambda: "Test row" in keys(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "token" in str(app.screen.query_one("#column-0").border_subtitle))
        await draw(pilot, "compare")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen.focused is not None)
        await draw(pilot, "home")


async def draw(pilot: Pilot[Any], name: str) -> None:
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()
    svg = pilot.app.export_screenshot(title="ift-tui", simplify=True)
    path = PICTURES / f"{name}.svg"
    path.write_text(svg, "utf-8")
    print(path.name)


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Let the app work until something holds."""
    for _ in range(int(LONGEST_WAIT / 0.1)):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.1)
    raise TimeoutError(f"the app did not come that far within {LONGEST_WAIT:.0f} s")


def text(app: IftTui, selector: str) -> str:
    found = app.screen.query(selector)
    return str(found.first().render()) if found else ""


def keys(app: IftTui) -> set[str]:
    return {active.binding.description for active in app.screen.active_bindings.values()}


def part_done(app: IftTui) -> float:
    screen = app.screen
    if not isinstance(screen, TrainScreen):
        return 0.0
    state = screen.snapshot.state
    return state.step / state.total if state.total else 0.0


if __name__ == "__main__":
    main()
