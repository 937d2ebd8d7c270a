"""Blind votes: nothing tells which side is which, every vote is kept, nobody waits for an answer."""

from __future__ import annotations

from typing import Any

import pytest
from test_tui_walk import footer, text, to_compare
from tui_stage import BASE, TUNED, Script, Stage, answered, record, row, step_events, until

from engine import votes
from engine.ahead import Ahead
from engine.decoding import Settings
from engine.runs import Run
from engine.votes import Tally
from tui.feed import Dialogue, RowsFeed
from tui.feed.ballots import BATCH, HeldOut, shuffled
from tui.screens.compare import CompareScreen
from tui.screens.vote import VoteScreen
from tui.widgets.pane import Pane

GOOD, BAD = "positive, 5 stars", "The lamp was on the table, and on, and on."


class Saying(Script):
    """The base says one thing, the tuned another; both the same to every third row."""

    SAYS = (BAD, GOOD)
    SAME_EVERY = 0

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "row":
            number = min(max(request["index"], 0), 399)
            yield row(request["part"], number, 400)
        else:
            yield from super().answers(request)

    def answer(self, request: dict[str, Any]) -> Any:
        question = request["messages"]["base"][-1]["content"]
        number = int("".join(filter(str.isdecimal, question)) or 0)
        same = self.SAME_EVERY and number % self.SAME_EVERY == 0
        said = {"base": self.SAYS[0], "tuned": self.SAYS[0] if same else self.SAYS[1]}
        for name in request["messages"]:
            yield {"kind": "token", "column": name, "text": said[name]}
        yield {
            "kind": "answered", "cancelled": False, "seconds": 1.0, "warnings": [],
            "columns": {name: answered(text, name) for name, text in said.items()},
        }  # fmt: skip


class Swapped(Saying):
    SAYS = (GOOD, BAD)


class Alike(Saying):
    SAME_EVERY = 3


async def voting(
    app: Any, pilot: Any, run: Run, shuffle: Any = shuffled, column: dict[str, Any] = TUNED
) -> Script:
    """The vote screen with its first ballot; the chat worker."""
    chat = app.edges.child("chat", "x")
    dialogue, rows = Dialogue(chat), RowsFeed(app.edges.child)
    await dialogue.start()
    await rows.open(run.recipe())
    held_out = HeldOut("test", ("builtin:products", "builtin:reviews"))
    app.push_screen(VoteScreen(run, dialogue, rows, held_out, (BASE, column), Settings(), shuffle))
    await until(pilot, lambda: asked(app))
    return chat  # type: ignore[no-any-return]


def asked(app: Any) -> bool:
    there = isinstance(app.screen, VoteScreen) and bool(app.screen.query("#vote-status"))
    return there and "which is better" in text(app, "#vote-status")


def sides(app: Any) -> tuple[str, str]:
    left, right = (app.screen.query_one(f"#vote-{side}", Pane).text for side in ("left", "right"))
    return left, right


async def painted(child: type[Script], order: tuple[str, str], keys: tuple[str, ...] = ()) -> str:
    """The whole screen before a vote, as it would be drawn."""
    run = record("done", step_events(400))
    app = Stage(child=child).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await voting(app, pilot, run, lambda _: order)
        await pilot.press(*keys)
        await pilot.pause()
        return app.export_screenshot(title="", simplify=True)


@pytest.mark.parametrize("keys", [(), ("r",), ("f7", "down")], ids=["first", "reference", "plain"])
async def test_before_the_vote_the_screen_is_the_same_whoever_says_what(keys: tuple[str, ...]) -> None:
    """Base and tuned change places, and so do the columns: only the texts may decide what is painted."""
    one = await painted(Saying, ("base", "tuned"), keys)
    other = await painted(Swapped, ("tuned", "base"), keys)
    assert GOOD.split(",")[0] in one
    assert one == other
    assert "tuned" not in one and "c0ffee" not in one and "96 tokens" not in one


def test_the_shuffle_is_fair_and_has_no_seed() -> None:
    import random

    random.seed(0)
    first = [shuffled(("base", "tuned")) for _ in range(400)]
    random.seed(0)
    assert first != [shuffled(("base", "tuned")) for _ in range(400)]
    assert 120 < sum(order[0] == "base" for order in first) < 280


async def test_a_vote_is_kept_with_the_side_that_was_meant_and_then_told() -> None:
    run = record("done", step_events(400))
    app = Stage(child=Saying).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await voting(app, pilot, run)
        for key in ("left", "right", "t", "b"):
            left, _ = sides(app)
            meant = {"left": left == BAD, "right": left != BAD}.get(key)
            await pilot.press(key)
            assert not asked(app) and "Next" in footer(app) and "Left" not in footer(app)
            title = str(app.screen.query_one("#vote-left").border_title)
            assert ("base · adapter off" in title) == (left == BAD)
            vote = votes.read(run)[-1]
            assert vote.answers == {"base": BAD, "tuned": GOOD} and vote.tag == "builtin:products"
            assert vote.left == ("base" if left == BAD else "tuned")
            if meant is None:
                assert vote.preferred == "" and vote.verdict == {"t": "tie", "b": "both bad"}[key]
            else:
                assert vote.preferred == ("base" if meant else "tuned")
            await pilot.press("left")  # once told, nothing can be voted on
            assert len(votes.read(run)) == len({votes.key(vote.question) for vote in votes.read(run)})
            await pilot.press("enter")
            await until(pilot, lambda: asked(app))
        assert len(votes.read(run)) == 4


async def test_rows_that_both_answer_alike_are_counted_and_not_asked() -> None:
    run = record("done", step_events(400))
    app = Stage(child=Alike).app()
    async with app.run_test() as pilot:
        await voting(app, pilot, run)
        for _ in range(12):
            assert sides(app)[0] != sides(app)[1]
            await pilot.press("t", "enter")
            await until(pilot, lambda: asked(app))
        found = votes.tally(votes.read(run), votes.pairs(votes.read(run))[0])
        assert found.ties == 12 and found.identical >= 1 and found.wins == found.losses == 0


async def three_ties(run: Run) -> list[str]:
    """A session of three votes; what was asked."""
    questions = []
    app = Stage(child=Saying).app()
    async with app.run_test() as pilot:
        await voting(app, pilot, run)
        for _ in range(3):
            questions.append(app.screen.query_one("#vote-question", Pane).text)
            await pilot.press("t", "enter")
            await until(pilot, lambda: asked(app))
    return questions


async def test_a_session_goes_on_where_it_was_left() -> None:
    run = record("done", step_events(400))
    questions = [*await three_ties(run), *await three_ties(run)]
    assert len(set(questions)) == 6
    (pair,) = votes.pairs(votes.read(run))
    assert votes.tally(votes.read(run), pair) == Tally(ties=6)


async def test_answers_are_made_ahead_and_a_typed_question_comes_next() -> None:
    run = record("done", step_events(400))
    app = Stage(child=Saying).app()
    async with app.run_test() as pilot:
        chat = await voting(app, pilot, run)
        await until(pilot, lambda: len(chat.asked) == BATCH + 1)
        await pilot.press("p", *"mine", "enter")
        await until(
            pilot, lambda: chat.asked[-1]["messages"]["base"] == [{"role": "user", "content": "mine"}]
        )
        await pilot.press("t", "enter")
        await until(pilot, lambda: asked(app))
        assert app.screen.query_one("#vote-question", Pane).text == "▸ mine"
        await pilot.press("left")
        assert votes.read(run)[-1].tag == votes.TYPED


async def test_answers_that_were_made_ahead_are_there_when_a_session_is_taken_up() -> None:
    """The same weights and settings ask nothing anew, sides are drawn again; other weights do."""
    run = record("done", step_events(400))
    stages = [Stage(child=Saying) for _ in range(3)]
    columns = [TUNED, TUNED, {**TUNED, "digest": "0" * 16}]
    made = []
    for stage, column in zip(stages, columns, strict=True):
        app = stage.app()
        async with app.run_test() as pilot:
            chat = await voting(app, pilot, run, column=column)
            ballots = app.screen._ballots  # type: ignore[attr-defined]
            await until(pilot, lambda ballots=ballots: len(ballots._made) == BATCH)  # type: ignore[misc]
            made.append(sum(request["do"] == "ask" for request in chat.asked))
            assert "base" in ballots._made[0].sides
    assert made == [BATCH + 1, 0, BATCH + 1]
    kept = (run.path / "ahead.jsonl").read_text("utf-8")
    assert "sides" not in kept and len(kept.splitlines()) == 2 * (BATCH + 1)


def test_a_torn_line_of_answers_is_passed_over() -> None:
    run = record("done", step_events(4))
    question = [{"role": "user", "content": "one"}]
    ahead = Ahead(run, {"base": None, "tuned": "c0"}, {"seed": 0})
    ahead.keep(question, {"base": "a", "tuned": "b"})
    with (run.path / "ahead.jsonl").open("a") as file:
        file.write('{"key": "two", "answers": {"base": 1}, "digests"\n')
    assert ahead.kept() == {votes.key(question): {"base": "a", "tuned": "b"}}
    assert Ahead(run, {"base": None, "tuned": "c0"}, {"seed": 1}).kept() == {}


class Halting(Saying):
    """The first answer never comes."""

    def answer(self, request: dict[str, Any]) -> Any:
        yield {"kind": "token", "column": "base", "text": "The lamp"}


async def test_half_an_answer_is_not_shown_and_leaving_frees_the_worker() -> None:
    record("done", step_events(400))
    stage = Stage(child=Halting)
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, VoteScreen) and app.screen.is_mounted)
        chat = next(child for child in stage.children if child.worker == "chat")
        await until(pilot, lambda: chat.asked and chat.asked[-1]["do"] == "ask")
        assert sides(app) == ("", "") and "being made" in text(app, "#vote-status")
        await pilot.press("left")
        assert "Left" not in footer(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: chat.asked[-1]["do"] == "cancel")


class Sullen(Saying):
    """Refuses every second row, and then is gone."""

    def answer(self, request: dict[str, Any]) -> Any:
        number = sum(each["do"] == "ask" for each in self.asked)
        if number == 4:
            self.say(kind="error", message="the chat worker ended (-9)")
            self._said.put_nowait(None)
        elif number % 2:
            yield {"kind": "error", "message": "base: too long"}
        else:
            yield from super().answer(request)


async def test_a_row_that_cannot_be_asked_is_passed_over_and_a_lost_worker_is_told() -> None:
    run = record("done", step_events(400))
    app = Stage(child=Sullen).app()
    async with app.run_test() as pilot:
        await voting(app, pilot, run)
        assert any("passed over: base: too long" in note.message for note in app._notifications)
        await pilot.press("t", "enter")
        await until(
            pilot, lambda: "no row is left" in text(app, "#vote-status") or "-9" in text(app, "#vote-status")
        )
        assert len(votes.read(run)) == 1
