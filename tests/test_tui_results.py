"""Results on a page, exports from the screen, runs archived and deleted from the list."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorded import whole
from test_tui_evaluation import evaluated
from test_tui_mouse import click_step
from test_tui_walk import footer, on, text
from textual.widgets import Checkbox, DataTable, Input
from tui_stage import Script, Stage, alive, record, step_events, until

from engine import exports, housekeeping, models, runs, votes
from engine.errors import UserError
from engine.runs import Run
from engine.votes import Vote
from tui.app import IftTui
from tui.commands.export import arguments as export_arguments
from tui.feed.exports import Options, choices, how_to_run
from tui.screens.choose import AskScreen, ConfirmScreen, PickScreen
from tui.screens.compare import CompareScreen
from tui.screens.evaluation import EvaluationScreen
from tui.screens.export import ExportScreen, doing, taken
from tui.screens.form import FormScreen
from tui.screens.home import HomeScreen
from tui.screens.notes import NotesScreen
from tui.screens.results import ResultsScreen
from tui.screens.vote import VoteScreen
from tui.widgets.exports import KindList, detail

WEIGHTS = b"x" * 500_000
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


def parity(identical: int = 16, **facts: Any) -> dict[str, Any]:
    """PARITY of engine/exports/parity.py: of 16 prompts so many answered word for word."""
    return {
        "rows": 16, "part": "test", "identical": identical, "tokens": 200, "agreed": 190, "share": 0.95,
        "bar": 1.0, "first": None, "logits": 0.0001, "gap": 9.8,
        "ended": {"run": 16, "export": 16, "missed": 0}, "passed": identical == 16, "differs": [], **facts,
    }  # fmt: skip


def facts_of(kind: str, status: str = "passed", **facts: Any) -> dict[str, Any]:
    """What the worker writes into export.json, and tells of an export."""
    return {
        "kind": kind, "name": kind, "run": "done", "model": "builtin:tiny", "step": 400, "digest": DIGEST,
        "made": "2027-01-15T07:30:00+00:00", "seconds": 9.0, "status": status, "why": "",
        "parity": parity() if status == "passed" else None, "notes": [], "settings": {}, "versions": {},
        "bytes": 1_100_000, "files": {"README.md": 200}, **facts,
    }  # fmt: skip


def exported(run: Run, kind: str, status: str = "passed", **facts: Any) -> Path:
    """The folder of an export, as the worker would have left it."""
    folder = run.path / "exports" / (kind + (exports.FAILED if status == "failed" else ""))
    folder.mkdir(parents=True)
    (folder / exports.FILE).write_text(json.dumps(facts_of(kind, status, **facts)), "utf-8")
    (folder / "ask.py").touch()
    return folder


SABOTAGED = {
    "why": "it does not answer as the run did: stop token: [the] run ends at 2, which stops nothing",
    "parity": parity(3, differs=["stop token: [the] run ends at 2", "dtype: it computes in float16"]),
}


def trained() -> Run:
    """A finished run with an adapter, two checkpoints and the samples of its evaluations."""
    run = record("done", [{**event, "path": "adapter"} if event["kind"] == "finished" else event
                          for event in whole(400)])  # fmt: skip
    for folder in ("adapter", "checkpoints/step-200", "checkpoints/step-400"):
        (run.path / folder).mkdir(parents=True)
        (run.path / folder / "adapter_config.json").write_text("{}")
        (run.path / folder / "adapter_model.safetensors").write_bytes(WEIGHTS)
    return run


class Exporting(Script):
    """Begins a merge, and ends it when it is cancelled or when `finish` is called."""

    async def start(self) -> None:
        if self.worker != "export":
            await super().start()
            return
        self.say(kind="phase", phase="write", export="merged")
        self.say(kind="progress", phase="write", done=120_000_000, total=480_000_000)

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["do"] == "cancel" and self.worker == "export":
            self.say(
                kind="error", message="cancelled; nothing half written was left, exports made before stay"
            )
            self._said.put_nowait(None)
        else:
            yield from super().answers(request)

    def finish(self, folder: Path, **facts: Any) -> None:
        told = {**facts_of("merged", **facts)}
        self.say(**{**told, "kind": "exported", "export": "merged", "folder": str(folder)})
        self.say(kind="done", exports=[], failed=0)
        self._said.put_nowait(None)


async def at_results(app: IftTui, pilot: Any) -> None:
    await until(pilot, lambda: "Results" in footer(app))
    await pilot.press("f7")
    await until(pilot, on(app, ResultsScreen))
    await until(pilot, lambda: "Disk" in text(app, "#results-text"))


async def at_export(app: IftTui, pilot: Any) -> None:
    await at_results(app, pilot)
    await pilot.press("e")
    await until(pilot, on(app, ExportScreen))
    await until(pilot, lambda: bool(app.screen.query_one(KindList).choices))


def cast(run: Run, *preferred: str) -> None:
    for number, one in enumerate(preferred):
        question = [{"role": "user", "content": f"question {number}"}]
        answers, digests = {"base": "a", "tuned": "b"}, {"base": None, "tuned": "c0ffee0123456789"}
        votes.cast(run, Vote(question, answers, digests, "preferred", one, "base"))


# --- the page of results ---


async def test_all_that_came_out_of_a_run_is_on_one_page() -> None:
    run = trained()
    evaluated(run)
    cast(run, *["tuned"] * 8, "base", "base")
    exported(run, "adapter", digest="of another")
    exported(run, "merged", "failed", **SABOTAGED)
    exported(run, "script", "not checked", why="it trains anew and was not run")
    record("other", step_events(4, total=4), minutes_ago=60)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_results(app, pilot)
        said = text(app, "#results-text")
        flat = " ".join(said.split())
        assert "tuned loss ✓ better by 4.25 (4.00 to 4.50)" in flat
        assert "tuned (adapter c0ffee01) preferred in 8 of 10 votes that decided" in said
        assert "win rate 80% (49% to 94%), of 10 votes" in said
        assert "✓ passed · adapter · 1.1 MB · 30 min ago" in said and "16 of 16 answers are the run's" in said
        assert "✗ failed · merged.failed" in said and "stop token: [the] run ends at 2, which stops" in flat
        lines = said.splitlines()
        at = next(i for i, line in enumerate(lines) if "does not answer as" in line)
        assert lines[at + 1].startswith("    "), "what is wrapped stays beneath its beginning"
        assert said.count("of a former adapter") == 1
        assert "? not checked · script" in said and "it trains anew and was not run" in said
        assert "checkpoints         1.0 MB" in said and "The 1 other run:" in said and "-other" in said
        assert "step 400" in text(app, "#samples-text")


async def test_nothing_yet_says_how_there_would_be() -> None:
    record("done", step_events(400))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_results(app, pilot)
        said = text(app, "#results-text")
        for words in ("Nothing is measured yet; f6", "No votes yet; f5", "None yet; e makes one"):
            assert words in said
        assert "No prompt was asked" in text(app, "#samples-text")
        assert "Open" not in footer(app)


async def test_torn_files_are_sentences_and_not_the_end() -> None:
    run = trained()
    evaluated(run)
    (run.path / "evals" / "test.json").write_text("{")
    folder = exported(run, "adapter", parity={"rows": 16})
    exported(run, "merged", status="of another version", bytes="many", made="yesterday")
    (run.path / "exports" / "gguf").mkdir()
    (run.path / "exports" / "gguf" / exports.FILE).write_text("[")
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_results(app, pilot)
        said = text(app, "#results-text")
        assert "evaluate again" in said and "✓ passed · adapter" in said and "? not checked" in said
        shutil.rmtree(folder)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, on(app, NotesScreen))


async def test_comparison_votes_and_evaluation_are_a_key_away() -> None:
    trained()
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_results(app, pilot)
        for key, screen in (("c", CompareScreen), ("f6", EvaluationScreen), ("f5", VoteScreen)):
            await pilot.press(key)
            await until(pilot, on(app, screen))
            while not isinstance(app.screen, ResultsScreen):
                await pilot.press("escape")
                await pilot.pause()


async def test_an_export_opens_with_what_was_compared_and_the_lines_that_run_it() -> None:
    run = trained()
    folder = exported(run, "merged", notes=["merged onto the originals"])
    assert how_to_run(run, exports.read(folder)) == [f"cd {folder}", 'python ask.py "Hello"']
    alone = exported(run, "adapter")
    asked = f'BASE={models.MODELS / "tiny"} python ask.py "Hello"'
    assert how_to_run(run, exports.read(alone)) == [f"cd {alone}", asked]
    shutil.rmtree(alone)
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_results(app, pilot)
        await pilot.press("o")
        await until(pilot, on(app, NotesScreen))
        said = str(app.screen.query_one("Quiet").render())
        assert "Of 16 test prompts, 16 were answered word for word as by the run" in said
        assert (
            "Merged onto the originals." in said and 'python ask.py "Hello"' in said and str(folder) in said
        )


def test_a_failed_export_says_what_differs_and_not_how_to_run_it() -> None:
    export = exports.read(exported(trained(), "merged", "failed", **SABOTAGED))
    said = detail(export, ["a line"]).plain
    assert "It does not answer as the run did: stop token" in said and "Besides: dtype: it computes" in said
    assert "do not pass it on" in said and "a line" not in said


async def test_checkpoints_are_dropped_once_it_is_confirmed() -> None:
    run = trained()
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_results(app, pilot)
        for key in ("escape", "enter"):
            await pilot.press("x")
            await until(pilot, on(app, ConfirmScreen))
            assert "adapter, evaluations, votes and exports stay" in str(
                app.screen.query_one("Static").render()
            )
            assert run.checkpoints.is_dir()
            await pilot.press(key)
            await until(pilot, on(app, ResultsScreen))
        await until(pilot, lambda: not run.checkpoints.exists())
        await until(pilot, lambda: "checkpoints" not in text(app, "#results-text"))
        assert run.adapter.is_dir() and not app.screen.check_action("drop", ())


# --- exports ---


def test_sizes_and_what_is_missing_are_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    run = trained()
    exported(run, "adapter")
    known = {one.kind: one for one in choices(run, Options())}
    assert list(known) == list(exports.KINDS)
    assert known["adapter"].made is not None and known["merged"].made is None
    assert not known["merged"].missing and 4_400_000 < (known["merged"].size or 0) < 8_000_000
    assert "git clone" in known["gguf"].missing and known["gguf"].needs > 2 * (known["gguf"].size or 0)
    wide = {one.kind: one for one in choices(run, Options(dtype="float32"))}
    assert (wide["merged"].size or 0) - (known["merged"].size or 0) > 4_000_000
    assert "ORG/NAME" in known["hub"].missing
    assert not choices(run, Options(repo="org/name"))[-1].missing
    assert "HF_TOKEN" in choices(run, Options(repo="org/name", dry_run=False))[-1].missing
    assert choices(run, Options(repo="org/name"))[-1].after == "", "it was made"
    assert choices(run, Options(repo="org/name", of="merged"))[-1].after == "merged"


def test_the_command_that_is_shown_is_one_that_works() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    export_arguments(parser)
    options = Options(
        8, "4-bit", "float16", "f16,lora", "adapter", "/opt/llama", "org/name", "merged", True, False
    )
    words = options.words(["merged", "hub"])
    asked = parser.parse_args(["done", *words])
    assert (asked.to, asked.rows, asked.onto, asked.dtype) == ("merged,hub", 8, "4-bit", "float16")
    assert (asked.types, str(asked.llama_cpp), asked.repo) == ("f16,lora", "/opt/llama", "org/name")
    assert asked.ollama == "adapter"
    assert (asked.of, asked.public, asked.dry_run) == ("merged", True, False)
    assert Options().words(["adapter"]) == ["--to", "adapter"]
    assert Options().words(["hub"]) == ["--to", "hub", "--dry-run"], "nothing goes up unless asked for"


def test_options_are_checked_before_they_are_taken() -> None:
    given = {
        "checkpoint": " 200", "prompts": "4", "number_type": "auto", "merged_onto": "auto",
        "gguf_types": "f16",
        "ollama_holds": "merged", "llama_cpp": "",
        "hub_place": "", "hub_export": "adapter", "hub_public": False, "hub_dry_run": True,
    }  # fmt: skip
    assert taken(given, [200, 400]) == Options(4, types="f16", checkpoint="200")
    assert taken(given, [200]).words(["merged"])[-2:] == ["--checkpoint", "200"]
    for wrong in (
        {"prompts": "0"},
        {"number_type": "int3"},
        {"gguf_types": "q9"},
        {"hub_export": "all"},
        {"merged_onto": "8-bit"},
        {"checkpoint": "100"},
    ):
        with pytest.raises(UserError, match=r"prompts|number type|types|hub export|merged onto|checkpoint"):
            taken({**given, **wrong}, [200, 400])


def test_what_it_does_is_said_in_bytes_or_prompts() -> None:
    write = {"kind": "progress", "phase": "write", "export": "merged", "done": 12e7, "total": 48e7}
    assert doing(write) == "merged: writing · 120 MB of 480 MB"
    assert doing({"phase": "ask the run", "done": 3, "total": 16}) == "asking the run · 3 of 16 prompts"
    assert doing({"phase": "convert", "export": "gguf"}) == "gguf: llama.cpp converts …"


async def test_an_export_is_made_and_says_how_it_came_out() -> None:
    run = trained()
    stage = Stage(child=Exporting)
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_export(app, pilot)
        await until(pilot, lambda: "LoRA adapter" in text(app, "#export-text"))
        await pilot.press("down", "space")
        command = f"ift-tui export {run.name} --to merged"
        await until(pilot, lambda: command in text(app, "#export-text"))
        await pilot.press("e")
        await until(pilot, lambda: "merged: writing · 120 MB of 480 MB" in text(app, "#export-status"))
        assert stage.children[-1].arguments == (str(run.path), "--to", "merged")
        assert "Export" not in footer(app) and "Options" not in footer(app)
        worker = stage.children[-1]
        assert isinstance(worker, Exporting)
        worker.finish(exported(run, "merged"))
        await until(pilot, lambda: "16 were answered word for word" in text(app, "#export-text"))
        assert worker.closed and "Export" in footer(app)
        await until(pilot, lambda: app.screen.query_one(KindList).choices[1].made is not None)


async def test_escape_ends_an_export_once_it_is_confirmed_and_stays() -> None:
    trained()
    stage = Stage(child=Exporting)
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_export(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: "writing · 120 MB" in text(app, "#export-status"))
        await pilot.press("escape")
        await until(pilot, on(app, ConfirmScreen))
        await pilot.press("escape")
        await until(pilot, on(app, ExportScreen))
        assert stage.children[-1].asked == [] and not stage.children[-1].closed, "thought better of it"
        await pilot.press("escape")
        await until(pilot, on(app, ConfirmScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "nothing half written was left" in text(app, "#export-text"))
        assert [request["do"] for request in stage.children[-1].asked] == ["cancel"]
        assert stage.children[-1].closed
        await pilot.press("escape")
        await until(pilot, on(app, ResultsScreen))


@pytest.mark.parametrize("how", ["quit", "stepper"])
async def test_an_export_does_not_outlive_the_app_and_no_click_ends_it_unasked(how: str) -> None:
    trained()
    stage = Stage(child=Exporting)
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_export(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: "writing · 120 MB" in text(app, "#export-status"))
        if how == "stepper":
            await click_step(pilot, 1)
            await until(pilot, on(app, ConfirmScreen))
            assert not stage.children[-1].closed
            await pilot.press("escape")
        await pilot.press("ctrl+q")
    assert all(child.closed for child in stage.children)


async def test_a_full_disk_and_what_is_missing_are_told_before_a_worker_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = trained()
    stage = Stage(child=Exporting)
    app = stage.app()
    said: list[str] = []
    monkeypatch.setattr(ExportScreen, "refuse", lambda _, sentence: said.append(sentence))
    monkeypatch.setattr("tui.screens.export.free", lambda _: 1_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_export(app, pilot)
        await until(pilot, lambda: "1.0 MB free" in text(app, "#export-status"))
        await pilot.press("down", "e")
        await until(pilot, lambda: len(said) == 1)
        await pilot.press("end", "e")
        await until(pilot, lambda: len(said) == 2)
    assert "1.0 MB are free, and what is ticked takes" in said[0] and "nothing was written" in said[0]
    assert said[1].startswith("hub: it is not said where it goes")
    assert stage.children == [] and not (run.path / "exports").exists()


async def test_options_change_the_forecast_and_the_command() -> None:
    trained()
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_export(app, pilot)
        await pilot.press("end")
        await until(pilot, lambda: "ORG/NAME" in text(app, "#export-text"))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.is_mounted)
        assert app.screen.query_one("#form-hub_dry_run Checkbox", Checkbox).value, "nothing goes up by chance"
        app.screen.query_one("#form-hub_place Input", Input).value = "org/name"
        app.screen.query_one("#form-prompts Input", Input).value = "4"
        await pilot.press("enter")
        await until(pilot, on(app, ExportScreen))
        await until(pilot, lambda: "--rows 4 --repo org/name --dry-run" in text(app, "#export-text"))
        await until(pilot, lambda: "adapter has to be made before it" in text(app, "#export-text"))


# --- the list of runs ---


async def test_a_run_is_archived_and_brought_back_from_the_list() -> None:
    run = trained()
    record("other", step_events(400), minutes_ago=60)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        await pilot.press("a")
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
        assert [one.name for one in housekeeping.archived()] == [run.name]
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(pilot, on(app, HomeScreen))
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        assert housekeeping.archived() == [] and run in runs.list_runs()


async def test_a_run_is_deleted_when_its_name_is_typed() -> None:
    run = trained()
    other = record("other", step_events(400), minutes_ago=60)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        for typed in ("other", ""):
            await pilot.press("D")
            await until(pilot, lambda: isinstance(app.screen, AskScreen) and app.screen.is_mounted)
            assert "its adapter, 2 checkpoints" in str(app.screen.query_one("Static").render())
            app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            if typed:
                await until(pilot, lambda: "its name is done" in text(app, "#wrong"))
                await pilot.press("escape")
            await until(pilot, on(app, HomeScreen))
            assert run.path.is_dir()
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and app.screen.is_mounted)
        app.screen.query_one(Input).value = "done"
        await pilot.press("enter")
        await until(pilot, lambda: not run.path.exists())
        await until(pilot, on(app, HomeScreen))
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
        assert runs.list_runs() == [other]


async def test_a_living_run_offers_neither() -> None:
    run = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Checkpoint" in footer(app))
            await pilot.press("escape")
            await until(pilot, on(app, HomeScreen))
            await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
            assert not any(app.screen.check_action(do, ()) for do in ("archive", "delete", "results"))
            await pilot.press("a", "D")
            await pilot.pause()
            assert isinstance(app.screen, HomeScreen) and run.path.is_dir()
