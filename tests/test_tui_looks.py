"""Contrast, signs, palette and sizes on a few screens; `make pictures` looks at all of them."""

from __future__ import annotations

from contextlib import ExitStack

import looks
import pytest
from test_tui_evaluation import evaluated, opened
from test_tui_pictures import three_runs, training
from test_tui_walk import text, to_data
from textual.color import Color
from textual.theme import Theme
from textual.widgets import DataTable
from tui_stage import GPU, Stage, alive, record, step_events, until

from tui.themes import CONTRAST, DARK, LIGHT


@pytest.mark.parametrize("theme", [DARK, LIGHT, CONTRAST], ids=lambda theme: theme.name)
def test_every_pair_of_colours_can_be_read(theme: Theme) -> None:
    """What style sheet and widgets put together: text on the page, in a field, under the cursor."""
    colours = {
        name: Color.parse(value).rgb for name, value in theme.variables.items() if value.startswith("#")
    }
    texts = [name for name in colours if name.startswith(("text-", "foreground"))]
    pairs = [(text, ground) for text in texts for ground in ("background", "surface", "cursor-background")]
    pairs += [(f"{kind}-foreground", f"{kind}-background") for kind in ("cursor", "present")]
    assert len(pairs) >= 26
    for words, ground in pairs:
        found = looks.ratio(colours[words], colours[ground])
        assert found >= looks.LEAST_CONTRAST[theme.name], f"{words} on {ground}: {found:.1f}"


async def test_the_rows_can_be_read_in_every_theme() -> None:
    three_runs()
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        looks.palette(app)
        looks.signs(app)
        await to_data(app, pilot)
        looks.palette(app)
        looks.signs(app)
        await looks.contrasts(app, pilot)


@pytest.mark.pictures
async def test_a_run_can_be_read_in_every_theme() -> None:
    with ExitStack() as held:
        held.enter_context(alive(record("first-steps", step_events(230, end=None), minutes_ago=2)))
        app = Stage(gpus=[GPU]).app()
        async with app.run_test(size=(80, 24)) as pilot:
            await training(app, pilot)
            await until(pilot, lambda: bool(text(app, "#reading")))
            looks.palette(app)
            looks.signs(app)
            await looks.contrasts(app, pilot)


async def test_an_evaluation_says_better_and_worse_by_more_than_colour() -> None:
    evaluated(record("first-steps", step_events(400)))
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)
        looks.palette(app)
        looks.signs(app)
