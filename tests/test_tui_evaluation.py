"""Evaluations: read at once where they are saved, measured from the screen, opened row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_tui_walk import footer, on, text
from textual.widgets import DataTable, Input
from tui_stage import BASE, TUNED, Script, Stage, record, step_events, until

from engine.errors import UserError
from engine.runs import Run
from tui.screens.compare import CompareScreen
from tui.screens.evaluation import EvaluationScreen, words
from tui.screens.form import FormScreen
from tui.screens.home import HomeScreen
from tui.screens.judged import JudgedScreen
from tui.widgets.evaluation import difference, forgotten
from tui.widgets.pane import Pane

REFERENCES = ("positive", "negative", "positive", "negative")
SAID = {
    "base": ("The [lamp] is \x1b bright.", "negative", "", "negative"),
    "tuned": ("positive", "negative", "positive", "positive"),
}


def interval(middle: float, low: float, high: float) -> dict[str, Any]:
    return {"difference": middle, "low": low, "high": high, "sure": low > 0 or high < 0}


def rows() -> list[dict[str, Any]]:
    """Four rows of which the tuned column gains two and loses one."""
    made = []
    for number, reference in enumerate(REFERENCES):
        told = {
            name: {
                "loss": 4.5 if name == "base" else 0.25, "tokens": 2, "text": said[number], "ended": True,
                "right": said[number] == reference, "exact": said[number] == reference,
            }
            for name, said in SAID.items()
        }  # fmt: skip
        made.append({
            "set": "builtin:reviews", "line": number + 1, "metric": "choice", "reference": reference,
            "question": [{"role": "user", "content": f"Is this [good]? Row {number + 1}."}],
            "choice": reference, "cut": 0,
            "gain": {"tuned": float(told["tuned"]["right"]) - float(told["base"]["right"])}, **told,
        })  # fmt: skip
    return made


def figures(right: int, loss: float, confusion: list[list[int]]) -> dict[str, Any]:
    counted = dict.fromkeys(("right", "exact", "normalised"), right)
    said = {"rows": 4, "accuracy": right / 4, "macro_f1": 0.5, "confusion": confusion}
    return {
        "loss": loss,
        "perplexity": 90.017,
        "tokens": 8,
        **counted,
        "ended": 4,
        "valid": None,
        "said": said,
    }


def evaluated(run: Run, name: str = "test", cancelled: bool = False) -> None:
    """The files that the worker would have written."""
    losses = {"base": 8.6, "tuned": 9.1}
    changed = {"loss": interval(-4.25, -4.5, -4.0), "right": interval(0.25, -0.25, 0.75)}
    summary = {
        "part": "test", "run": run.name, "model": "builtin:tiny", "base": "f" * 64, "four_bit": True,
        "digest": "c0ffee0123456789", "rows_digest": "0", "columns": [BASE, TUNED], "versions": {},
        "python": "3.11", "made": "2027-01-15T08:00:00+00:00", "seconds": 12.3, "cancelled": cancelled,
        "settings": {"max_new_tokens": 96, "resamples": 10_000, "seed": 0, "share": 0.95},
        "sets": [{
            "source": "builtin:reviews", "metric": "choice", "choices": ["positive", "negative"], "rows": 4,
            "base": 2, "tuned": 3,
            "columns": {
                "base": figures(2, 4.5, [[0, 0, 2], [0, 2, 0]]),
                "tuned": figures(3, 0.25, [[2, 0, 0], [1, 1, 0]]),
            },
            "better": {"tuned": 2}, "worse": {"tuned": 1}, "differences": {"tuned": changed},
        }],
        "all": {}, "differences": {"tuned": changed}, "order": [0, 2, 1, 3],
        "general": {
            "rows": 50,
            "columns": {
                side: {kind: {"loss": loss, "tokens": 9} for kind in ("instructions", "texts")}
                for side, loss in losses.items()
            },
            "differences": {"tuned": {
                "instructions": {"loss": interval(0.5, 0.4, 0.6)}["loss"], "texts": interval(0.5, -0.1, 1.1),
            }},
            "answers": [],
        },
    }  # fmt: skip
    folder = run.path / "evals"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(summary), "utf-8")
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")


def test_differences_are_said_in_words_with_the_sign_that_is_better() -> None:
    assert difference(interval(-0.31, -0.38, -0.24), "loss") == "better by 0.31 (0.24 to 0.38)"
    assert difference(interval(0.31, 0.24, 0.38), "loss") == "worse by 0.31 (0.24 to 0.38)"
    assert difference(interval(0.12, 0.08, 0.16), "right") == "better by 12.0 points (8.0 to 16.0)"
    assert difference(interval(-0.5, -0.6, -0.4), "rougeL") == "worse by 0.50 (0.40 to 0.60)"
    assert difference(interval(0.01, -0.02, 0.04), "loss") == "no sure difference (-0.04 to 0.02)"


def test_forgetting_is_a_sentence_in_plain_words() -> None:
    kinds = {"instructions": {"loss": 3.0}, "texts": {"loss": 2.0}}
    after = {"instructions": {"loss": 3.7}, "texts": {"loss": 1.9}}
    changes = {"instructions": interval(0.6931, 0.6, 0.8), "texts": interval(-0.1, -0.2, -0.05)}
    general = {"columns": {"base": kinds, "tuned": after}, "differences": {"tuned": changes}}
    assert forgotten(general, "tuned") == [
        "On general instructions the loss goes from 3.00 to 3.70: each token surprises it 2 times as much as "
        "the base: it has forgotten.",
        "On plain text the loss goes from 2.00 to 1.90: nothing is forgotten there.",
    ]


def test_what_is_asked_of_the_worker_is_checked_before() -> None:
    fields = {
        "part": "test", "rows": "20", "checkpoints": "100, 50", "beside": "", "average": True,
        "forgetting": False, "likelihood": True,
    }  # fmt: skip
    asked = "--part test --rows 20 --checkpoint 100 --checkpoint 50 --average --no-general"
    assert words(fields, [50, 100]) == asked.split()
    two = {**fields, "checkpoints": "", "beside": "first, second@50"}
    assert words(two, []) == [
        "--part",
        "test",
        "--rows",
        "20",
        "--with",
        "first",
        "--with",
        "second@50",
        "--average",
        "--no-general",
    ]
    for wrong in ({"part": "tset"}, {"rows": "0"}, {"checkpoints": "70"}, {"checkpoints": ""}):
        with pytest.raises(UserError, match=r"part|rows|checkpoints|average"):
            words({**fields, **wrong}, [50, 100])


async def opened(app: Any, pilot: Any) -> None:
    """From home through the comparison, whose model is freed."""
    await until(pilot, lambda: "Compare" in footer(app))
    await pilot.press("c")
    await until(pilot, on(app, CompareScreen))
    await pilot.press("f6")
    await until(pilot, on(app, EvaluationScreen))
    await until(pilot, lambda: "measure" in text(app, "#evaluation-status"))


async def test_a_saved_evaluation_is_there_at_once_and_its_rows_open() -> None:
    run = record("done", step_events(400))
    evaluated(run)
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert [child.worker for child in stage.children if not child.closed] == [], "nothing need be loaded"
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)
        page = text(app, "#evaluation-text")
        assert "✓ better by 4.25 (4.00 to 4.50)" in page
        assert "≈ no sure difference (-25.0 to 75.0 points)" in page
        assert "tuned is better on 2 rows, worse on 1, alike on 1" in page
        assert f"ift-tui eval {run.name} --part test --saved --to report.md" in page
        assert "positive 2 0 0 negative 1 1 0" in " ".join(page.split())
        app.screen.query_one(DataTable).focus()
        await pilot.press("enter")
        await until(pilot, on(app, JudgedScreen))
        shown = [pane.text for pane in app.screen.query(Pane)]
        assert shown == ["▸ Is this [good]? Row 1.", "positive", "The [lamp] is ␛ bright.", "positive"]
        await pilot.press("end")
        assert "Row 4" in app.screen.query_one("#judged-question", Pane).text
        assert "gain -1.00" in str(app.screen.query_one("#judged-question").border_title)
        await pilot.press("escape")
        await until(pilot, on(app, EvaluationScreen))


class Measuring(Script):
    """Says how far it is; ends when it is cancelled, with what is finished."""

    async def start(self) -> None:
        if self.worker != "evaluate":
            await super().start()
            return
        self.say(kind="phase", phase="load")
        self.say(kind="progress", phase="answer", done=16, total=40)

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "cancel" and self.worker == "evaluate":
            run = Run(type(self).folder)
            evaluated(run, "test-cancelled", cancelled=True)
            self.say(kind="evaluated", summary=str(run.path / "evals" / "test-cancelled.json"))
            self._said.put_nowait(None)
        else:
            yield from super().answers(request)

    folder: Any = None


async def test_escape_ends_measuring_and_shows_what_was_finished() -> None:
    run = record("done", step_events(400))
    Measuring.folder = run.path
    stage = Stage(child=Measuring)
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "Nothing is measured yet" in text(app, "#evaluation-text")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)
        app.screen.query_one("#form-rows Input", Input).value = "none"
        await pilot.press("enter")
        await until(pilot, lambda: "rows: must be" in text(app, "#wrong"))
        app.screen.query_one("#form-rows Input", Input).value = "20"
        await pilot.press("enter")
        await until(pilot, on(app, EvaluationScreen))
        await until(pilot, lambda: "answers · 16 of 40" in text(app, "#evaluation-status"))
        assert stage.children[-1].arguments[1:] == ("--part", "held-out", "--rows", "20")
        await pilot.press("escape")
        await until(pilot, lambda: "cut short" in str(app.screen.query_one("#evaluation-page").border_title))
        assert stage.children[-1].closed
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))


async def test_leaving_the_app_while_it_measures_ends_the_worker() -> None:
    run = record("done", step_events(400))
    Measuring.folder = run.path
    stage = Stage(child=Measuring)
    app = stage.app()
    async with app.run_test() as pilot:
        await opened(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: stage.children[-1].worker == "evaluate")
        await pilot.press("ctrl+q")
    assert all(child.closed for child in stage.children)


async def test_a_torn_evaluation_is_one_sentence() -> None:
    run = record("done", step_events(400))
    evaluated(run)
    (run.path / "evals" / "test.json").write_text("{")
    app = Stage().app()
    async with app.run_test() as pilot:
        app.push_screen(EvaluationScreen(run, app.edges))
        await until(pilot, lambda: bool(app.screen.query("#evaluation-status")))
        await until(pilot, lambda: "evaluate again" in text(app, "#evaluation-status"))
        assert "Measure" in footer(app)
