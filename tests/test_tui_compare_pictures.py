"""Comparison, blind vote and evaluation as they look, at the smallest size and at a comfortable one."""

from __future__ import annotations

from typing import Any

from pictures import picture  # noqa: F401 - a fixture
from test_tui_compare import idle, say, with_checkpoints
from test_tui_evaluation import evaluated, opened
from test_tui_vote import Saying, asked, voting
from test_tui_walk import on, to_compare
from textual.pilot import Pilot
from textual.widgets import DataTable
from tui_stage import Script, Stage, answered, record, step_events, until

from tui.screens.choose import PickScreen
from tui.screens.form import FormScreen
from tui.screens.judged import JudgedScreen
from tui.widgets.answer import AnswerColumn

MARKDOWN = """<think>Which lamp? The bright one.</think>
# Lamps

1. **bright** ones
2. `dark` ones

```python
lamp = [1]
```"""


class Rich(Script):
    """Answers with everything that is drawn; the worker warns, and has cut the conversation."""

    def answer(self, request: dict[str, Any]) -> Any:
        cut = {"turns": 2, "tokens": 310}
        said = {name: answered(MARKDOWN, name, cut=cut) for name in request["messages"]}
        said["tuned"]["text"] = MARKDOWN.replace("bright** ones", "good** ones")
        yield {
            "kind": "answered", "cancelled": False, "seconds": 1.0, "columns": said,
            "warnings": ["tuned: the last 3 answers are the base's word for word"],
        }  # fmt: skip


def test_compare_with_all_that_can_be_said(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_compare(app, pilot)
        await say(app, pilot, "Which lamps are there?")

    record("first-steps", step_events(400))
    picture(Stage(child=Rich).app(), scene)


def test_compare_with_three_columns(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_compare(app, pilot)
        await say(app, pilot, "hi")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen.query(AnswerColumn)) == 3)
        await until(pilot, idle(app))

    with_checkpoints(50)
    picture(Stage().app(), scene)


def test_settings(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_compare(app, pilot)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)

    record("first-steps", step_events(400))
    picture(Stage().app(), scene)


def test_vote(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await voting(app, pilot, run, lambda _: ("tuned", "base"))

    run = record("first-steps", step_events(400))
    picture(Stage(child=Saying).app(), scene)


def test_vote_that_was_cast(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await voting(app, pilot, run, lambda _: ("tuned", "base"))
        await pilot.press("left")
        await until(pilot, lambda: not asked(app))

    run = record("first-steps", step_events(400))
    picture(Stage(child=Saying).app(), scene)


def test_evaluation(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)

    evaluated(record("first-steps", step_events(400)))
    picture(Stage().app(), scene)


def test_row_of_an_evaluation(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)
        app.screen.query_one(DataTable).focus()
        await pilot.press("enter")
        await until(pilot, on(app, JudgedScreen))

    evaluated(record("first-steps", step_events(400)))
    picture(Stage().app(), scene)


def test_nothing_measured_yet(picture: Any) -> None:  # noqa: F811
    record("first-steps", step_events(400))
    picture(Stage().app(), opened)
