"""The comparison: columns that come and go, turns that are taken back, what is kept of it."""

from __future__ import annotations

import json
from typing import Any

from test_tui_walk import footer, text, to_compare
from textual.widgets import Input, OptionList, TextArea
from tui_stage import BASE, TUNED, Script, Stage, answered, column, record, row, step_events, until

from engine import beside, transcripts
from engine.runs import Run
from tui.screens.choose import PickScreen
from tui.screens.columns import MOST, choices
from tui.screens.compare import CompareScreen
from tui.screens.form import FormScreen
from tui.screens.keeping import CorrectScreen
from tui.widgets.answer import AnswerColumn, titles
from tui.widgets.prose import DIFFERS


def with_checkpoints(*steps: int) -> Run:
    run = record("done", step_events(400))
    for step in steps:
        (run.checkpoints / f"step-{step}").mkdir(parents=True)
    return run


def chat(stage: Stage) -> Script:
    return next(child for child in stage.children if child.worker == "chat")


def asks(stage: Stage) -> list[dict[str, Any]]:
    return [request for request in chat(stage).asked if request["do"] == "ask"]


def idle(app: Any) -> Any:
    return lambda: (
        app.screen.is_mounted
        and bool(app.screen.query("#chat-status"))
        and "ready" in text(app, "#chat-status")
    )


async def say(app: Any, pilot: Any, words: str) -> None:
    await pilot.press(*words, "enter")
    await until(pilot, idle(app))


async def form(app: Any, pilot: Any, **values: str) -> None:
    """Fill in the settings and take them."""
    await pilot.press("f2")
    await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)
    for key, value in values.items():
        app.screen.query_one(f"#form-{key} Input", Input).value = value
    await pilot.press("enter")


async def test_a_checkpoint_becomes_a_column_and_answers_what_was_asked_last() -> None:
    with_checkpoints(50, 100)
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "one")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(app.screen.query(AnswerColumn)) == 3)
        await until(pilot, idle(app))
        request = asks(stage)[-1]["messages"]
        assert list(request) == ["step-100"] and request["step-100"][-1]["content"] == "one"
        assert "positive, 5 stars" in text(app, "#column-2 .said")
        widths = {view.size.width for view in app.screen.query(AnswerColumn)}
        assert min(widths) >= 36, "three columns at 80 cells are scrolled, not squeezed"
        assert text(app, "#chat-status").endswith("3 columns: tab")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press(*"close   step", "enter")
        await until(pilot, lambda: len(app.screen.query(AnswerColumn)) == 2)
        await until(pilot, idle(app))
        await say(app, pilot, "two")
        assert list(asks(stage)[-1]["messages"]) == ["base", "tuned"]


class Refusing(Script):
    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "load":
            yield {"kind": "error", "message": "step-50: its \x1btokenizer is another one"}
        else:
            yield from super().answers(request)


async def test_a_column_that_comes_late_answers_all_questions_on_its_own_answers() -> None:
    with_checkpoints(50)
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "one")
        await say(app, pilot, "two")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: len(asks(stage)) == 4)
        await until(pilot, idle(app))
        first, second = (request["messages"]["step-50"] for request in asks(stage)[2:])
        assert [turn["content"] for turn in first] == ["one"]
        own = app.screen.talk.exchanges[0].answers["step-50"]["text"]
        assert [turn["content"] for turn in second] == ["one", own, "two"]
        assert "nor answered" not in text(app, "#column-2 .said")


class Chained(Script):
    """Its rows are a topic, an outline of it, and a text; base and tuned say other things."""

    def answers(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "row":
                yield {**row(request["part"], 0, 400), "links": 2}
            case "link":
                says = {name: f"{request['number']} {said}" for name, said in request["said"].items()}
                asked = {name: [{"role": "user", "content": words}] for name, words in says.items()}
                fills = "" if request["number"] else "outline"
                yield {"kind": "link", "messages": asked, "reference": "the text", "fills": fills}
            case _:
                yield from super().answers(request)


async def test_a_row_of_a_chain_is_asked_on_what_each_column_said_itself() -> None:
    record("done", step_events(400))
    stage = Stage(child=Chained)
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await to_compare(app, pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(asks(stage)) == 2)
        await until(pilot, idle(app))
        first, second = (request["messages"] for request in asks(stage))
        said = {name: facts["text"] for name, facts in app.screen.talk.exchanges[0].answers.items()}
        for name in ("base", "tuned"):
            assert first[name] == [{"role": "user", "content": "0 {}"}]
            assert second[name] == [{"role": "user", "content": f"1 {{'outline': {said[name]!r}}}"}]
            number = app.screen.names.index(name)
            assert f"'outline': {said[name]!r}" in text(app, f"#column-{number} .said").replace("\n", " ")
        assert said["base"] != said["tuned"]
        assert "the text" in text(app, "#reference-text")
        with_own = transcripts.markdown("t", [], app.screen.talk, app.screen.names)
        assert f"1 {{'outline': {said['tuned']!r}}}" in with_own


class Held(Script):
    """Answers a question when it is told to."""

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] != "ask":
            yield from super().answers(request)

    def go_on(self) -> None:
        request = [request for request in self.asked if request["do"] == "ask"][-1]
        for message in super().answers(request):
            self.say(**{"id": request["id"], **message})


async def test_a_late_column_that_was_stopped_says_what_it_does_not_read() -> None:
    with_checkpoints(50)
    stage = Stage(child=Held)
    app = stage.app()

    async def answered_to(questions: int) -> None:
        await until(pilot, lambda: len(asks(stage)) == questions)
        chat(stage).go_on()  # type: ignore[attr-defined]
        await until(pilot, lambda: not app.screen.busy)  # type: ignore[attr-defined]

    async with app.run_test(size=(120, 40)) as pilot:
        await to_compare(app, pilot)
        for number, words in enumerate(("one", "two"), 1):
            await pilot.press(*words, "enter")
            await answered_to(number)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: len(asks(stage)) == 3)
        await pilot.press("escape")
        await answered_to(3)
        assert len(asks(stage)) == 3, "it stops before the next question"
        await pilot.press(*"three", "enter")
        await answered_to(4)
        history = asks(stage)[-1]["messages"]["step-50"]
        assert [turn["content"] for turn in history][::2] == ["one", "three"]
        await until(
            pilot, lambda: "neither read nor answered 1 question before" in text(app, "#column-2 .said")
        )


async def test_a_column_that_does_not_fit_is_refused_with_its_reason() -> None:
    with_checkpoints(50)
    app = Stage(child=Refusing).app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app._notifications))
        assert "␛tokenizer is another" in next(iter(app._notifications)).message
        assert len(app.screen.query(AnswerColumn)) == 2


def test_what_can_be_added_and_closed(home: Any) -> None:
    run = with_checkpoints(50, 100)
    (run.checkpoints / "step-150.part").mkdir()
    found = beside.candidates(run)
    assert [one.column for one in found] == ["step-50", "step-100"]
    assert [words.split()[0] for words, _ in choices([BASE, TUNED], found)] == ["add", "add"]
    more = [BASE, TUNED, column("step-50")]
    offered = dict(choices(more, found))
    assert offered["close   tuned"] == {"do": "unload", "column": "tuned"}
    average = next(ask for ask in offered.values() if ask["do"] == "average")
    assert average["members"] == ["tuned", "step-50"]
    full = [*more, column("step-100")]
    assert len(full) == MOST and all(words.startswith("close") for words, _ in choices(full, found))


async def test_the_last_question_is_undone_retried_and_edited() -> None:
    record("done", step_events(400))
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "one")
        await say(app, pilot, "two")
        await pilot.press("ctrl+z")
        assert "two" not in text(app, "#column-0 .said") and "one" in text(app, "#column-0 .said")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: len(asks(stage)) == 3 and idle(app)())
        assert asks(stage)[-1]["messages"]["base"] == [{"role": "user", "content": "one"}]
        assert asks(stage)[-1]["settings"]["seed"] == 1, "asked again, it is drawn anew"
        await pilot.press("up")
        assert app.screen.query_one("#question", Input).value == "one"
        await say(app, pilot, " more")
        assert asks(stage)[-1]["messages"]["base"] == [{"role": "user", "content": "one more"}]
        await pilot.press("up", "escape")
        assert app.screen.query_one("#question", Input).value == "" and isinstance(app.screen, CompareScreen)


async def test_settings_a_system_prompt_and_examples_for_the_base_alone() -> None:
    record("done", step_events(400))
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await form(app, pilot, temperature="11")
        await until(pilot, lambda: "temperature: must be" in text(app, "#wrong"))
        await pilot.press("escape")
        await form(app, pilot, temperature="0.7", examples="2", system="be brief")
        await until(pilot, lambda: idle(app)() and "temperature 0.7" in text(app, "#chat-status"))
        assert "2 training rows as examples" in text(app, "#column-0 .said")
        await say(app, pilot, "hi")
        request = asks(stage)[-1]
        roles = {name: [turn["role"] for turn in told] for name, told in request["messages"].items()}
        assert roles["tuned"] == ["system", "user"]
        assert roles["base"] == ["system", "user", "assistant", "user", "assistant", "user"]
        assert request["settings"]["temperature"] == 0.7


async def test_a_reference_goes_with_the_question_and_comes_back_as_a_figure() -> None:
    record("done", step_events(400))
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: bool(asks(stage)) and idle(app)())
        assert asks(stage)[0]["reference"] == "positive, 5 stars"
        assert "reference -5.25 a token" in text(app, "#column-0 .said")
        marks = app.screen.query_one("#column-1 .said")._shown.spans  # type: ignore[attr-defined]
        assert any(span.style == DIFFERS for span in marks)


class Warning(Script):
    def answer(self, request: dict[str, Any]) -> Any:
        said = {name: answered("same", name, cut={"turns": 2, "tokens": 310}) for name in request["messages"]}
        yield {
            "kind": "answered", "cancelled": False, "seconds": 1.0, "columns": said,
            "warnings": ["tuned: its first token's logits equal the base's"],
        }  # fmt: skip


async def test_what_speaks_against_a_column_and_what_was_cut_are_said() -> None:
    record("done", step_events(400))
    app = Stage(child=Warning).app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "hi")
        assert "‼ tuned: its first token's logits equal the base's" in text(app, "#warnings")
        assert "the oldest 2 turns, 310 tokens, are left out" in text(app, "#column-1 .said")


class Unable(Script):
    def answer(self, request: dict[str, Any]) -> Any:
        yield {"kind": "error", "message": "base: the system prompt and the last question have 900 tokens"}


async def test_a_question_that_cannot_be_asked_goes_back_into_the_line() -> None:
    record("done", step_events(400))
    app = Stage(child=Unable).app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await pilot.press(*"too long", "enter")
        await until(pilot, lambda: "900 tokens" in text(app, "#chat-status"))
        assert app.screen.query_one("#question", Input).value == "too long"
        assert text(app, "#column-0 .said").startswith("Answers stand here") and "Test row" in footer(app)


async def test_a_corrected_answer_and_the_transcript_are_kept() -> None:
    run = record("done", step_events(400))
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "hi")
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, CorrectScreen) and app.screen.is_mounted)
        app.screen.query_one(TextArea).text = "better"
        await pilot.press("ctrl+s")
        await until(pilot, idle(app))
        row = json.loads((run.path / "corrections.jsonl").read_text())
        assert row["messages"][-1] == {"role": "assistant", "content": "better"}
        await pilot.press("ctrl+s")
        written = sorted(path.suffix for path in (run.path / "transcripts").iterdir())
        assert written == [".jsonl", ".jsonl", ".md"]
        (page,) = (run.path / "transcripts").glob("*.md")
        assert "positive, 5 stars" in page.read_text() and "c0ffee0123456789" in page.read_text()


async def test_a_torn_list_of_rows_leaves_the_comparison_usable() -> None:
    run = record("done", step_events(400))
    (run.path / "recipe.toml").write_text("[broken")
    app = Stage().app()
    async with app.run_test() as pilot:
        app.push_screen(CompareScreen(run, *_dialogues(app), app.edges.clock))
        await until(pilot, idle(app))
        await say(app, pilot, "hi")
        assert "positive" in text(app, "#column-1 .said")
        await pilot.press("f3")
        await until(pilot, lambda: len(app._notifications) > 1)
        assert not app.screen.query(OptionList)


def _dialogues(app: Any) -> Any:
    from tui.feed import Dialogue, RowsFeed

    return Dialogue(app.edges.child("chat", "x")), RowsFeed(app.edges.child)


def test_a_column_says_who_it_is_in_the_room_that_it_has() -> None:
    off = titles(BASE, "org/[m]", True, "r")
    assert off[0] == "base · org/[m] in 4-bit · adapter off"
    on = titles(TUNED, "m", True, "r")
    assert "step 400 · adapter c0ffee01 on" in on[0] and on[-1] == "c0ffee01"
    both = titles(column("average", members=["tuned", "step-50"]), "m", True, "r")
    assert both[0] == "average · the logits of tuned + step-50 averaged"


class Long(Script):
    def answer(self, request: dict[str, Any]) -> Any:
        said = {name: answered("line\n\n" * 60, name) for name in request["messages"]}
        yield {"kind": "answered", "cancelled": False, "seconds": 1.0, "warnings": [], "columns": said}


async def test_long_answers_scroll_apart_or_together() -> None:
    record("done", step_events(400))
    app = Stage(child=Long).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_compare(app, pilot)
        await say(app, pilot, "hi")
        one, other = app.screen.query(AnswerColumn)
        await until(pilot, lambda: one.scroll_y > 20 and one.scroll_y == other.scroll_y)
        one.focus()
        await pilot.press("home")
        await until(pilot, lambda: one.scroll_y == 0)
        assert other.scroll_y > 20
        await pilot.press("f9", "pagedown")
        await until(pilot, lambda: 0 < one.scroll_y == other.scroll_y)
