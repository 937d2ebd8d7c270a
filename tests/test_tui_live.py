"""The train screen on recorded runs: each figure is the events' own, reckoned here by another way."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded import QUESTIONS, REFERENCES, Event, overfitting, resumed, sampled, whole, with_nan
from test_tui_walk import footer, on, text
from textual.content import Content
from textual.widgets import DataTable, Input
from tui_stage import GB, GPU, HOST, NOW, Stage, alive, record, until

from engine import recipe
from engine.events import EventLog
from engine.hardware import Gpu
from engine.ledger import Entry
from engine.state import RunState, fold
from tui.app import IftTui
from tui.feed import RunFeed, Snapshot
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
from tui.screens.entries import EntriesScreen
from tui.screens.home import HomeScreen
from tui.screens.notes import NotesScreen
from tui.screens.run_ledger import RunLedgerScreen
from tui.screens.train import TrainScreen
from tui.widgets import samples
from tui.widgets.lines import Lines
from tui.widgets.loss_plot import LossPlot
from tui.widgets.memory import memory_lines
from tui.widgets.panels import outcome, progress_lines

MINE = replace(GPU, uuid="GPU-mine", holders=((4242, 3_000_000_000), (1, 38 * GB)))
OTHER = Gpu(1, "NVIDIA H200 two", 150 * GB, 2 * GB, 148 * GB, 12, 40, 90.0, "580.95", "GPU-other")


def snapshot_of(events: list[Event], **facts: Any) -> Snapshot:
    began = NOW - 300
    state = fold([{"time": began + number, **event} for number, event in enumerate(events, 1)])
    return Snapshot(state, **{"alive": True, "batch": 16, "host": HOST, **facts})


def pairs(lines: list[Content]) -> dict[str, str]:
    """Name and figure of each line that has both."""
    found = (re.match(r"(?:[╎┃] )?(\S.*?) {2,}(\S.*)$", line.plain) for line in lines)
    return {match[1]: match[2] for match in found if match}


# --- progress ---


@pytest.mark.parametrize("steps", [1, 149, 150, 151, 230])
def test_progress_says_what_the_events_add_up_to(steps: int) -> None:
    events = whole(steps, end=None)
    own = [event for event in events if event["kind"] == "step"]
    shown = pairs(progress_lines(snapshot_of(events), NOW, 60))
    dealt = [min(16, 2400 - at) for _ in range(3) for at in range(0, 2400, 16)]
    assert shown["Step"] == f"{len(own)} / 400"
    assert shown["Loss"] == f"{own[-1]['loss']:.4f}"
    assert shown["Epoch"] == f"{own[-1]['epoch']:.2f}"
    assert shown["Rows seen"] == f"{sum(dealt[:steps]):,}"
    assert shown["Tokens"] == f"{sum(event['tokens'] for event in own):,}"
    assert shown["of them trained"] == f"{sum(event['trained_tokens'] for event in own):,}"
    assert shown["Base model"] == "4.1800" and shown["Tokens/s"] == "6,900"
    assert shown["Learning rate"] == "4.00e-03" and shown["Gradient norm"] == "0.800"
    assert shown["Running for"] == "4 min 59 s"
    validation = [event["loss"] for event in events if event["kind"] == "evaluated" and event["step"]]
    assert shown["Validation"] == (f"{validation[-1]:.4f}" if validation else "–")


def test_the_time_is_shared_out_as_the_events_measured_it() -> None:
    shown = pairs(progress_lines(snapshot_of(whole(230, end=None)), NOW, 60))
    spent = {"data": 230 * 0.01, "steps": 230 * 0.15, "evaluation": 2.0 + 4 * 3.0, "saving": 2 * 0.5}
    for name, seconds in spent.items():
        share = f"{seconds / sum(spent.values()):.0%}"
        assert shown[f"Time in {name}"].split() == [*f"{round(seconds)} s".split(), share]


def test_what_was_trained_twice_counts_once_and_its_time_twice() -> None:
    state = snapshot_of(resumed(to=100, until=150)).state
    assert state.tokens == 230 * 1078 and state.trained_tokens == 230 * 228 and state.resumed_at == [100]
    assert state.spent["steps"] == pytest.approx((150 + 130) * 0.15)
    assert [one.step for one in state.prompts[0].answers] == [50, 100, 150, 200]
    assert state.pid == 4343


def test_rows_are_counted_right_after_memory_has_shrunk_the_batch() -> None:
    shrunk = {"kind": "shrunk", "batch_size": 2, "gradient_accumulation": 8}
    shown = pairs(progress_lines(snapshot_of([*whole(10, end=None), shrunk], batch=0), NOW, 60))
    assert shown["Rows seen"] == "160"


def test_before_the_first_step_the_probe_says_how_long_it_will_take() -> None:
    shown = pairs(progress_lines(snapshot_of(whole(0, end=None)), NOW, 60))
    assert shown["Time left"] == "1 min 10 s" and shown["Tokens/s"] == "6,700"
    assert shown["Loss"] == shown["Step"] == shown["Rows seen"] == "–"
    killed = pairs(progress_lines(snapshot_of(whole(30, end=None), alive=False), NOW, 60))
    assert killed["Time left"] == "–" and "Ran for" in killed


# --- memory ---


def bar(lines: list[Content]) -> list[tuple[str, str]]:
    """The cells of the bar with their styles."""
    line = next(line for line in lines if "━" in line.plain or "─" in line.plain)
    styles = [""] * len(line.plain)
    for span in line.spans:
        styles[span.start : span.end] = [str(span.style)] * (span.end - span.start)
    return [cell for cell in zip(line.plain, styles, strict=True) if cell[0] in "━╍─╎┃"]


def test_memory_of_a_gpu_is_shared_out_among_its_holders() -> None:
    lines = memory_lines(snapshot_of(whole(230, end=None, gpu="GPU-mine"), gpus=(MINE,)), 60)
    shown = pairs(lines)
    assert shown["This run"] == "3.0 GB" and shown["Others"] == "38.0 GB" and shown["Free"] == "109 GB"
    assert shown["Peak so far"] == "3.0 GB" and shown["Forecast"] == "3.1 GB"
    assert shown["Used by torch"] == "2.1 GB" and shown["Held by torch"] == "2.6 GB"
    plain = "\n".join(line.plain for line in lines)
    assert "97% busy · 61 °C · 512 W" in plain
    assert "forecast 3.1 GB, measured 3.0 GB at the longest batch" in plain.replace("\n", " ")
    cells = bar(lines)
    assert sum(style == "$primary" for _, style in cells) <= round(3 / 150 * len(cells)) + 1
    used = sum(char != "─" for char, _ in cells)
    assert abs(used / len(cells) - 41 / 150) <= 1 / len(cells)
    assert [char for char, _ in cells].index("┃") == round(3.1 / 150 * len(cells))


def test_a_process_that_the_driver_does_not_know_is_counted_by_torch() -> None:
    events = whole(230, end=None, gpu="GPU-mine")
    shown = pairs(memory_lines(snapshot_of(events, gpus=(replace(MINE, holders=()),)), 60))
    assert shown["This run"] == "2.6 GB" and shown["Others"] == "38.4 GB"


def test_a_gpu_that_is_held_back_says_why() -> None:
    events, slowed = whole(10, end=None, gpu="GPU-mine"), replace(MINE, slowed=("heat", "its power limit"))
    plain = [line.plain for line in memory_lines(snapshot_of(events, gpus=(slowed,)), 26)]
    assert "! slowed: heat" in plain and "! slowed: its power limit" in plain
    assert not any("slowed" in line.plain for line in memory_lines(snapshot_of(events, gpus=(MINE,)), 26))


def test_of_two_gpus_the_runs_own_is_shown_and_the_other_on_a_line() -> None:
    events = whole(230, end=None, gpu="GPU-other")
    for gpus in ((MINE, OTHER), (OTHER, MINE)):
        lines = memory_lines(snapshot_of(events, gpus=gpus), 60)
        assert lines[0].plain == "1: NVIDIA H200 two"
        (short,) = [line.plain for line in lines if line.plain.startswith("0: ")]
        assert short.split()[-5:] == ["41.0", "/", "150", "GB", "97%"]
    chosen = memory_lines(snapshot_of(events, gpus=(MINE, OTHER)), 60, 0)
    assert chosen[0].plain == "0: NVIDIA H200" and "This run" not in pairs(chosen)


def test_without_a_gpu_the_host_takes_its_place() -> None:
    shown = pairs(memory_lines(snapshot_of(whole(230, end=None)), 60))
    assert shown["This run"] == "766 MB" and shown["Others"] == "7.2 GB" and shown["Free"] == "24.0 GB"
    assert shown["Processor"] == "50% of 2 cores" and shown["Disk free"] == "100 GB"
    assert memory_lines(Snapshot(), 60)[0].plain == "not known"


def test_the_highest_peak_stays_and_a_probe_of_nothing_is_left_out() -> None:
    events = [event for event in whole(30, end=None) if event["kind"] != "probed"]
    for event, held in zip((e for e in events if e["kind"] == "step"), (5, 9, 7), strict=False):
        event["memory"] = {"rss": held * GB}
    snapshot = snapshot_of(events)
    assert pairs(memory_lines(snapshot, 60))["Peak so far"] == "9.0 GB"
    unknown = {"kind": "forecast", "reason": "its config.json is not here"}
    probed = {"kind": "probed", "train": {"rows": 4, "length": 9, "peak": 10 * GB}, "evaluation": None}
    lines = memory_lines(snapshot_of([*events, unknown, probed]), 60)
    assert pairs(lines)["Peak so far"] == "10.0 GB" and "Forecast" not in pairs(lines)


# --- the screen ---


async def opened(app: IftTui, pilot: Any) -> TrainScreen:
    await until(pilot, on(app, TrainScreen))
    await until(pilot, lambda: "cores" in text(app, "#memory-facts"))
    assert isinstance(app.screen, TrainScreen)
    return app.screen


def shown_panels(app: IftTui) -> list[str]:
    names = ("loss", "progress", "memory", "samples", "log")
    return [name for name in names if app.screen.query_one(f"#{name}").region.area]


async def test_panels_are_enlarged_hidden_and_cycled_through() -> None:
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(app, pilot)
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
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(app, pilot)
            title = app.screen.query_one("#samples")

            async def shows(place: str, *words: str) -> None:
                await until(pilot, lambda: place in str(title.border_title))
                said = " ".join(text(app, "#sample").split())
                assert all(word in said for word in words), said

            await shows(
                "prompt 1 of 3 · step 200 (4 of 4)", "positive, 2 stars", REFERENCES[0], "I am a lamp."
            )
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
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await opened(app, pilot)
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
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await opened(app, pilot)
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
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await opened(app, pilot)
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


async def test_what_has_not_changed_is_not_painted_again() -> None:
    run = record("live", whole(230, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await opened(app, pilot)
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
