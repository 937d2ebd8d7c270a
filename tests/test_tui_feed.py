"""The bridge: children that answer, fall silent or end; runs that are followed by their files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from recorded import write_long
from tui_stage import NOW, Script, Stage, alive, record, step_events

from engine import recipe
from engine.errors import RunFailed
from engine.events import PIECE, EventLog, Tail
from tui.feed import Dialogue, RowsFeed, RunFeed, RunsFeed


class Talker(Script):
    """A script that can be told to fail or to end."""

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "fail":
            yield {"kind": "error", "message": "no such row"}
        elif request["do"] == "die":
            self.say(kind="error", message="the chat worker ended (1): out of memory")
            self._said.put_nowait(None)
        else:
            yield from super().answers(request)


async def opened(worker: str = "data") -> tuple[Dialogue, Talker]:
    child = Talker(worker)
    dialogue = Dialogue(child)  # type: ignore[arg-type]
    await dialogue.start()
    return dialogue, child


async def test_answers_find_their_questions() -> None:
    dialogue, _ = await opened()
    rows = await asyncio.gather(*(dialogue.answer("row", part="train", index=index) for index in range(5)))
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4]
    await dialogue.close()


async def test_an_error_is_raised_where_it_was_asked_for() -> None:
    dialogue, _ = await opened()
    with pytest.raises(RunFailed, match="no such row"):
        await dialogue.answer("fail")
    assert (await dialogue.answer("row", part="train", index=0))["index"] == 0
    await dialogue.close()


async def test_a_child_that_ends_is_told_to_all_who_wait_and_all_who_ask_later() -> None:
    dialogue, _ = await opened()
    with pytest.raises(RunFailed, match="out of memory"):
        await dialogue.answer("die")
    with pytest.raises(RunFailed, match="out of memory"):
        await dialogue.answer("row", part="train", index=0)
    with pytest.raises(RunFailed, match="out of memory"):
        [message async for message in dialogue.unasked("ready")]
    await dialogue.close()


async def test_a_model_says_when_it_is_ready() -> None:
    dialogue, _ = await opened("chat")
    kinds = [message["kind"] async for message in dialogue.unasked("ready")]
    assert kinds == ["phase", "phase", "ready"]
    await dialogue.close()


async def test_rows_are_asked_while_the_set_is_scanned_by_another_child() -> None:
    stage, first_steps = Stage(), recipe.load("first-steps")
    rows = RowsFeed(stage.edges.child)
    await rows.open(first_steps)
    scan = rows.scan(first_steps)
    assert (await anext(scan))["kind"] == "progress"
    assert (await rows.row("test", 3))["index"] == 3
    assert [(await anext(scan))["kind"] for _ in range(3)] == ["surveyed", "progress", "scanned"]
    with pytest.raises(StopAsyncIteration):
        await anext(scan)
    reader, scanner = stage.children
    assert scanner.closed and not reader.closed
    assert (await rows.ledger("missing field", 0, 50))["total"] == 3
    await rows.close()
    assert reader.closed


async def test_a_scan_that_is_left_early_ends_its_worker() -> None:
    stage, first_steps = Stage(), recipe.load("first-steps")
    scan = RowsFeed(stage.edges.child).scan(first_steps)
    await anext(scan)
    await scan.aclose()
    assert [child.closed for child in stage.children] == [True]


async def test_a_source_is_tried_before_anything_is_open() -> None:
    stage = Stage()
    rows = RowsFeed(stage.edges.child)
    source = recipe.load("first-steps").data.sources[0].model_copy(update={"format": "pairs"})
    first, second = await asyncio.gather(
        rows.tried(source), rows.tried(source, {"wordings": [{"prompt": "?"}]})
    )
    assert first["set"]["format"] == "pairs" and second["set"]["format"] == "template"
    assert len(stage.children) == 1
    await rows.close()


async def test_rows_that_are_not_open_say_so() -> None:
    with pytest.raises(RunFailed, match="not open"):
        await RowsFeed(Script).row("train", 0)  # type: ignore[arg-type]


def test_a_snapshot_is_taken_only_when_something_has_changed() -> None:
    run = record("live", step_events(10, end=None))
    feed = RunFeed(run, Stage().edges)
    with alive(run):
        first = feed.poll()
        assert first is not None and first.state.step == 10 and first.alive
        assert feed.poll() is None
        log = EventLog(run.events, clock=lambda: NOW)
        log.write("step", step=11, total=400, loss=1.0)
        log.close()
        second = feed.poll()
        assert second is not None and second.state.step == 11
    assert len(first.state.losses) == 10, "a snapshot does not change afterwards"


def test_a_worker_that_vanished_has_crashed() -> None:
    snapshot = RunFeed(record("gone", step_events(3, end=None)), Stage().edges).poll()
    assert snapshot is not None
    assert snapshot.state.status == "crashed" and not snapshot.alive


def test_the_list_has_the_newest_first_and_reads_a_finished_run_once() -> None:
    record("old", step_events(400), minutes_ago=90)
    run = record("new", step_events(20, end=None), minutes_ago=5)
    feed = RunsFeed()
    with alive(run):
        lines = feed.poll()
        assert [(line.name, line.status) for line in lines] == [
            ("new", "running"), ("old", "finished"),
        ]  # fmt: skip
        assert lines[0].step == 20
        assert feed.poll()[1] is lines[1]
    assert feed.poll()[0].status == "crashed"


def test_a_run_with_a_torn_recipe_is_still_listed() -> None:
    run = record("torn", step_events(5))
    (run.path / "recipe.toml").write_text("name = ")
    assert RunsFeed().poll()[0].name == run.name


def test_a_long_run_is_listed_by_its_two_ends() -> None:
    run = record("long", [])
    write_long(run.events, 20_000, every=1_000)
    assert run.events.stat().st_size > 4 * PIECE
    whole = run.state()
    with alive(run):
        feed = RunsFeed()
        (line,) = feed.poll()
        read = [len(state.losses) for _, state in feed._followed.values()]
        assert (line.status, line.step, line.total, line.loss) == ("running", 20_000, 20_000, whole.loss)
        assert line.started_at == whole.started_at and read[0] < 2_000
        log = EventLog(run.events, clock=lambda: NOW)
        log.write("resumed", step=19_990)
        log.write("step", step=19_991, total=20_000, loss=7.0)
        log.close()
        (line,) = feed.poll()
        assert (line.step, line.loss) == (19_991, 7.0)
    assert feed.poll()[0].status == "crashed"


def test_a_tail_reads_a_long_file_in_pieces_and_waits_for_a_torn_line(home: Path) -> None:
    run = record("long", [])
    write_long(run.events, 10_000)
    wanted = [orjson.loads(line) for line in run.events.read_bytes().splitlines()]
    with run.events.open("ab") as file:
        file.write(b'{"kind": "warned", "te')
    tail = Tail(run.events)
    assert list(tail.read()) == wanted and list(tail.read()) == []
    with run.events.open("ab") as file:
        file.write(b'xt": "' + b"x" * 3 * PIECE + b'"}\n')
    (last,) = tail.read()
    assert len(last["text"]) == 3 * PIECE and tail.offset == run.events.stat().st_size
