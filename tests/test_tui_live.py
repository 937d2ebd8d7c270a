"""The train screen on recorded runs: its panels, its keys, and what it costs to look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from recorded import QUESTIONS, REFERENCES, overfitting, sampled, whole, with_nan
from test_train_figures import MINE, OTHER, snapshot_of
from test_tui_walk import footer, on, text
from textual.pilot import Pilot
from textual.widgets import DataTable, Input
from tui_stage import NOW, Stage, alive, record, until

from engine import recipe
from engine.events import EventLog
from engine.ledger import Entry
from engine.runs import Run
from engine.state import RunState
from tui.app import IftTui
from tui.feed import RunFeed
from tui.screens import train
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
from tui.screens.entries import EntriesScreen
from tui.screens.home import HomeScreen
from tui.screens.notes import NotesScreen
from tui.screens.run_ledger import RunLedgerScreen
from tui.screens.train import TrainScreen
from tui.widgets import samples
from tui.widgets.lines import Lines
from tui.widgets.loss_plot import LossPlot
from tui.widgets.panels import outcome

# --- the screen ---


async def opened(app: IftTui, pilot: Any) -> TrainScreen:
    await until(pilot, on(app, TrainScreen))
    await until(pilot, lambda: "cores" in text(app, "#memory-facts"))
    assert isinstance(app.screen, TrainScreen)
    return app.screen


@asynccontextmanager
async def live(width: int, height: int) -> AsyncIterator[tuple[IftTui, Pilot[None], TrainScreen, Run]]:
    """The train screen on a run under way."""
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(width, height)) as pilot:
            yield app, pilot, await opened(app, pilot), run


def shown_panels(app: IftTui) -> list[str]:
    names = ("loss", "progress", "memory", "samples", "log")
    return [name for name in names if app.screen.query_one(f"#{name}").region.area]


async def test_panels_are_enlarged_hidden_and_cycled_through() -> None:
    async with live(80, 24) as (app, pilot, _, _):
        assert shown_panels(app) == ["loss", "progress", "memory"]
        for key, panel in zip("12345", ("loss", "progress", "memory", "samples", "log"), strict=True):
            await pilot.press(key)
            await until(pilot, lambda panel=panel: shown_panels(app) == [panel])
            assert app.screen.query_one(f"#{panel}").region.height >= 17
        await pilot.press("escape")
        await until(pilot, lambda: shown_panels(app) == ["loss", "progress", "memory"])
        for panel in ("loss", "progress", "memory", "samples", "log", None):
            await pilot.press("tab")
            wanted = [panel] if panel else ["loss", "progress", "memory"]
            await until(pilot, lambda wanted=wanted: shown_panels(app) == wanted)
        await pilot.press("shift+tab")
        await until(pilot, lambda: shown_panels(app) == ["log"])
        await pilot.press("5", "h")
        await until(pilot, on(app, ChooseScreen))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: on(app, TrainScreen)() and shown_panels(app) == ["loss", "progress"])


async def test_at_a_wide_terminal_the_samples_are_beside_the_rest() -> None:
    record("done", whole(230))
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("enter")
        await opened(app, pilot)
        assert shown_panels(app) == ["loss", "progress", "memory", "samples"]
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: shown_panels(app) == ["loss", "progress", "memory"])


async def test_samples_are_stepped_through_time_and_prompts() -> None:
    async with live(120, 40) as (app, pilot, _, run):
        title = app.screen.query_one("#samples")

        async def shows(place: str, *words: str) -> None:
            await until(pilot, lambda: place in str(title.border_title))
            said = " ".join(text(app, "#sample").split())
            assert all(word in said for word in words), said

        await shows("prompt 1 of 3 · step 200 (4 of 4)", "positive, 2 stars", REFERENCES[0], "I am a lamp.")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await shows("step 100 (2 of 4)", "positive, 1 stars")
        await pilot.press("right_square_bracket")
        await shows("step 150 (3 of 4)", "positive, 1 stars")
        await pilot.press("n")
        await shows("prompt 2 of 3 · step 150", "red", "…cut off")
        assert "\x1b" not in text(app, "#sample") and "Name the colour" in text(app, "#sample")
        log = EventLog(run.events, clock=lambda: NOW)
        for event in sampled(250, ["blue", "blue", "blue"]):
            log.write(**event)
        log.close()
        await shows("step 150 (3 of 5)", "red")
        await pilot.press(*["right_square_bracket"] * 5)
        await shows("step 250 (5 of 5)", "blue")
        await pilot.press("n", "n")
        await shows("prompt 1 of 3", QUESTIONS[0].split()[0])


async def test_the_view_is_held_while_the_run_goes_on() -> None:
    async with live(80, 24) as (app, pilot, screen, run):
        await pilot.press("p")
        await until(pilot, lambda: "view held at step 230" in text(app, "#status"))
        log = EventLog(run.events, clock=lambda: NOW)
        for step in range(231, 241):
            log.write("step", step=step, total=400, loss=0.1)
        await until(pilot, lambda: "10 steps further" in text(app, "#status"))
        assert "230 / 400" in text(app, "#progress-facts") and screen.snapshot.state.step == 230
        await pilot.press("p")
        await until(pilot, lambda: "240 / 400" in text(app, "#progress-facts"))
        log.close()


async def test_the_keys_follow_the_run_and_not_the_held_view() -> None:
    run = record("live", whole(230, end=None))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        with alive(run):
            await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
            await pilot.press("enter")
            await opened(app, pilot)
            await until(pilot, lambda: "Stop" in footer(app))
            await pilot.press("p")
            log = EventLog(run.events, clock=lambda: NOW)
            log.write("finished", step=230, path="adapter")
            log.close()
        await until(pilot, lambda: "Compare" in footer(app) and "Stop" not in footer(app))
        assert "the run is over" in text(app, "#status")


async def test_the_curve_is_read_zoomed_and_scaled() -> None:
    async with live(120, 40) as (app, pilot, screen, _):
        losses = dict(screen.snapshot.state.losses)
        await pilot.press("left")
        await until(pilot, lambda: f"step 230  loss {losses[230]:.4f}" in text(app, "#cursor"))
        await pilot.press("z")
        await until(pilot, on(app, AskScreen))
        app.screen.query_one(Input).value = "no"
        await pilot.press("enter")
        await until(pilot, lambda: "not a number of steps" in text(app, "#wrong"))
        app.screen.query_one(Input).value = "50"
        await pilot.press("enter")
        await until(pilot, lambda: "last 50 steps" in str(app.screen.query_one("#loss").border_title))
        await pilot.press("left", "shift+left")
        await until(pilot, lambda: f"step 219  loss {losses[219]:.4f}" in text(app, "#cursor"))
        await pilot.press("plus")
        await until(pilot, lambda: "last 25 steps" in str(app.screen.query_one("#loss").border_title))
        await pilot.press(*["minus"] * 4, "g")
        await until(pilot, lambda: str(app.screen.query_one("#loss").border_title).endswith("· log"))
        assert screen.look.view.last == 0
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.query_one("#cursor").display)
        assert app.screen is screen
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))


async def test_another_run_is_laid_beside_and_taken_away() -> None:
    record("other", overfitting(100), minutes_ago=90)
    async with live(120, 40) as (app, pilot, screen, _):
        await pilot.press("v")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"other", "enter")
        await until(pilot, lambda: screen.snapshot.beside is not None)
        assert screen.snapshot.beside is not None
        assert len(screen.snapshot.beside.state.losses) == 100
        await until(pilot, lambda: "other" in str(screen.query_one("#loss").border_subtitle))
        await pilot.press("v")
        await until(pilot, on(app, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: screen.snapshot.beside is None)


async def test_gpus_are_chosen_in_turn() -> None:
    run = record("live", whole(230, end=None, gpu="GPU-other"))
    app = Stage(gpus=[MINE, OTHER]).app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(app, pilot)
            assert text(app, "#memory-facts").startswith("1: NVIDIA H200 two")
            await pilot.press("u")
            await until(pilot, lambda: text(app, "#memory-facts").startswith("0: NVIDIA H200"))
            await pilot.press("u")
            await until(pilot, lambda: text(app, "#memory-facts").startswith("1: "))
            assert "2 GPUs" in str(app.screen.query_one("#memory").border_title)


async def test_all_that_there_is_to_note_can_be_read_in_full() -> None:
    more = [
        {"kind": "told", "what": "learning rate", "step": 100, "value": 1e-4},
        {"kind": "shrunk", "batch_size": 2, "gradient_accumulation": 8},
        *({"kind": "warned", "text": f"step {n}: a [long] {'word ' * 30}", "mend": "try"} for n in (1, 2, 3)),
        {"kind": "kept_best", "step": 200, "loss": 0.5, "stopped_early": True},
    ]
    run = record("live", [*with_nan(), *more])
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(app, pilot)
            assert "the adapter is that of step 200" in text(app, "#outcome")
            assert "w: all 8 notes" in text(app, "#outcome")
            assert app.screen.query_one("#outcome").region.height == 2
            await pilot.press("w")
            await until(pilot, on(app, NotesScreen))
            said = text(app, ".notes Quiet")
            for words in (
                "step 120: the loss is no number; skipped: /data/train.jsonl line 8",
                "0.0001 from step 101 on", "batches of 2, 8 to a step", "it stopped early", "a [long] word",
            ):  # fmt: skip
                assert words in said
            assert said.count("try") == 3
            await pilot.press("escape")
            await until(pilot, on(app, TrainScreen))


async def test_the_runs_ledger_is_one_key_away() -> None:
    run = record("live", whole(230, end=None))
    entries = [
        Entry("/data/[odd].jsonl", n, "empty answer", "output", f"row {n} \x1b[31m") for n in range(1, 61)
    ]
    entries += [Entry("/data/[odd].jsonl", 99, "role renamed", "bot -> assistant", "x", "changed")]
    run.ledger.write_text("".join(entry.dumps() + "\n" for entry in entries))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(app, pilot)
            await pilot.press("e")
            await until(pilot, on(app, RunLedgerScreen))
            await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
            assert app.screen.query_one("#totals").border_subtitle == "60 left out · 1 changed"
            await until(pilot, lambda: "only white space" in text(app, "#ledger-state"))
            await pilot.press("enter")
            await until(pilot, on(app, EntriesScreen))
            await until(pilot, lambda: "1 to 50 of 60" in str(app.screen.query_one("#page").border_title))
            await pilot.press("right")
            await until(pilot, lambda: "51 to 60 of 60" in str(app.screen.query_one("#page").border_title))
            assert "\x1b" not in text(app, "#whole")
            await pilot.press("escape", "escape")
            await until(pilot, on(app, TrainScreen))


async def test_a_run_without_a_ledger_says_so(tmp_path: Path) -> None:
    run = record("live", whole(0, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(app, pilot)
            await pilot.press("e")
            await until(pilot, on(app, RunLedgerScreen))
            await until(pilot, lambda: "every row is used" in text(app, "#ledger-state"))


async def test_the_sentence_and_the_plot_are_those_of_the_run() -> None:
    run = record("live", overfitting())
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(app, pilot)
            assert text(app, "#reading").startswith("Validation loss rises since step 200")
            assert text(app, "LossPlot").count("◆") == 8


def test_a_shorter_note_takes_the_width_that_there_is() -> None:
    state = snapshot_of(with_nan()).state
    for width in (40, 76, 116):
        lines = outcome(state, width).split()
        assert len(lines) == 2 and all(line.cell_length <= width for line in lines)


# --- cost ---


async def test_a_run_is_painted_with_its_figures_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SECONDS_FOR_FIRST_LOOK", 60.0)  # however busy the machine is
    record("done", whole(230))
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Compare" in footer(app))
        paint, painted = app._display, []

        def spy(screen: Any, update: Any) -> None:
            paint(screen, update)
            if isinstance(screen, TrainScreen):
                painted.append(
                    [text(app, "#progress-facts"), text(app, "#memory-facts"), text(app, "#status")]
                )

        app._display = spy  # type: ignore[method-assign]
        await pilot.press("enter")
        await opened(app, pilot)
        steps, memory, status = painted[0]
        assert "230 / 400" in steps and "cores" in memory and "57%" in status


async def test_lines_are_drawn_for_the_size_that_they_have() -> None:
    async with live(120, 40) as (app, pilot, screen, _):
        facts, plot = screen.query_one("#progress-facts", Lines), screen.query_one(LossPlot)
        for size in ((120, 40), (80, 24), (100, 30)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.size == size and screen.size == size)
            assert {line.cell_length for line in facts.lines} == {facts.size.width}
            assert len(plot.lines) == plot.size.height
            drawn = plot.lines[-1].cell_length
            assert plot.size.width - 10 <= drawn <= plot.size.width


async def test_what_is_said_twice_stands_there_once() -> None:
    async with live(80, 24) as (app, pilot, _, _):
        for severity in ("information", "information", "warning", "information"):
            app.notify("The run goes on.", severity=severity, timeout=600)
            await pilot.pause()
        assert [one.message for one in app._notifications] == ["The run goes on.", "! The run goes on."]


async def test_what_has_not_changed_is_not_painted_again() -> None:
    async with live(120, 40) as (app, pilot, screen, run):
        await pilot.pause()
        painted: list[tuple[str | None, int]] = []
        for lines in screen.query(Lines):
            paint = lines.refresh

            def spy(*regions: Any, lines: Lines = lines, paint: Any = paint, **facts: Any) -> Any:
                painted.append((lines.id or type(lines).__name__, len(regions)))
                return paint(*regions, **facts)

            lines.refresh = spy  # type: ignore[method-assign]
        screen.paint()
        assert painted == []
        log = EventLog(run.events, clock=lambda: NOW)
        log.write(
            "step", step=231, total=400, loss=0.4, tokens_per_s=6900.0, lr=4e-3, grad_norm=0.8, epoch=1.54
        )
        log.close()
        await until(pilot, lambda: "231 / 400" in text(app, "#progress-facts"))
        changed = dict(painted)
        assert "memory-facts" not in changed
        assert 0 < changed["progress-facts"] <= 5, "step, loss, epoch, rows, time left"
        assert changed["LossPlot"] < app.screen.query_one(LossPlot).size.height / 2


def test_an_idle_run_is_looked_at_without_reading_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    run = record("live", whole(230, end=None))
    feed = RunFeed(run, Stage().edges)
    with alive(run):
        assert feed.poll() is not None
        read: list[Path] = []
        open_ = Path.open

        def spy(path: Path, *arguments: Any, **facts: Any) -> Any:
            read.append(path)
            return open_(path, *arguments, **facts)

        monkeypatch.setattr(Path, "open", spy)
        assert feed.poll() is None
        assert run.events not in read and run.log not in read


def test_a_snapshot_shares_its_losses_and_does_not_change() -> None:
    run = record("live", whole(230, end=None))
    feed = RunFeed(run, Stage().edges)
    with alive(run):
        first = feed.poll()
        log = EventLog(run.events, clock=lambda: NOW)
        log.write("step", step=231, total=400, loss=9.0)
        log.write("evaluated", step=231, loss=9.0)
        log.write("warned", text="x")
        second = feed.poll()
        assert first is not None and second is not None
        assert first.state.losses.values is second.state.losses.values
        assert (len(first.state.losses), len(second.state.losses)) == (230, 231)
        before = list(first.state.losses), first.state.evaluations[:], first.state.warnings[:]
        log.write("resumed", step=10)
        log.write("step", step=11, total=400, loss=7.0)
        log.close()
        third = feed.poll()
        assert third is not None and third.state.losses[-1] == (11, 7.0)
        assert (list(first.state.losses), first.state.evaluations, first.state.warnings) == before


def test_the_rows_of_a_step_are_the_recipes() -> None:
    plan = recipe.load("first-steps")
    plan = recipe.changed(plan, train={"batch_size": 3, "gradient_accumulation": 5})
    snapshot = RunFeed(record("mine", whole(3), plan=plan), Stage().edges).poll()
    assert snapshot is not None and snapshot.batch == 15
    torn = record("torn", whole(3), minutes_ago=1)
    (torn.path / "recipe.toml").write_text("name = ")
    snapshot = RunFeed(torn, Stage().edges).poll()
    assert snapshot is not None and snapshot.batch == 0


def test_a_long_answer_leaves_room_for_the_others() -> None:
    state = RunState()
    babble, said = "\n".join(f"brown {n}" for n in range(30)), {"kind": "sampled", "number": 0, "ended": True}
    asked = {"prompt": "Which colour?\nSay it.", "reference": "blue"}
    state.fold({**said, "step": 0, "adapter": False, "answer": babble, **asked})
    state.fold({**said, "step": 9, "adapter": True, "answer": "blue"})
    all_ = samples.sample_text(state, 0, None, 60).plain.splitlines()
    assert len(all_) == 2 + 1 + 30 + 1
    short = samples.sample_text(state, 0, None, 60, 8).plain.splitlines()
    assert short == [*all_[:3], *all_[3:6], f"{all_[6]} …", all_[-1]]
    assert len(samples.sample_text(state, 0, None, 60, 2).plain.splitlines()) == 4


@pytest.mark.parametrize("width", [30, 44, 61])
def test_a_cut_line_stays_one_line(width: int) -> None:
    state = RunState()
    said = {"kind": "sampled", "number": 0, "ended": True, "step": 0, "adapter": False}
    state.fold(
        {**said, "answer": "木の lamp is bright " * 20, "prompt": "Which lamp? " * 20, "reference": "b"}
    )
    lines = samples.sample_text(state, 0, None, width, 7).split("\n")
    assert len(lines) == 7 and sum(line.plain.endswith(" …") for line in lines) == 2
    assert max(line.cell_length for line in lines) <= width
