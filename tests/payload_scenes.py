"""Every screen of the app with payloads in all that is foreign on it: one scene to a file of tui/screens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from payload_stage import check, unlike
from payloads import Dose
from recorded import whole
from test_sweeps import made, recorded, trial
from test_tui_evaluation import evaluated
from test_tui_results import SABOTAGED, exported, facts_of
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList, TextArea
from tui_stage import (
    BASE,
    COUNTS,
    GPU,
    MODELS,
    NOW,
    OPENED,
    SCANNED,
    TABLE,
    TOTALS,
    TUNED,
    Stage,
    alive,
    entry,
    record,
    small_library,
    step_events,
    until,
)  # fmt: skip

from engine import recipe, remarks
from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from engine.remarks import Remarks
from engine.runs import Run
from engine.schema import Recipe, Source
from engine.shapes import Unknown
from engine.sweeps import Sweep
from engine.templates import Template, Wording
from tui.app import IftTui
from tui.draft import Draft
from tui.feed import Dialogue, RowsFeed
from tui.feed.ballots import HeldOut
from tui.screens import begin, choose
from tui.screens.compare import CompareScreen
from tui.screens.data import DataScreen
from tui.screens.evaluation import EvaluationScreen
from tui.screens.forecast import ForecastScreen
from tui.screens.form import Field, FormScreen
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.inspect import InspectScreen
from tui.screens.keeping import CorrectScreen
from tui.screens.ledger import LedgerScreen
from tui.screens.messages import EvaluationAsked, RunOpened
from tui.screens.model import ModelScreen
from tui.screens.notes import NotesScreen
from tui.screens.paging import Place
from tui.screens.recipe import RecipeScreen
from tui.screens.remarking import ContrastScreen
from tui.screens.report import ReportScreen
from tui.screens.run_ledger import RunLedgerScreen
from tui.screens.source import SourceScreen
from tui.screens.sweep import SweepScreen
from tui.screens.sweep_plan import SweepPlanScreen
from tui.screens.template import TemplateScreen
from tui.screens.train import TrainScreen
from tui.screens.vote import VoteScreen
from tui.screens.write import WriteScreen
from tui.widgets.knob import KnobRow


@dataclass
class Set:
    """What a scene plays with."""

    app: IftTui
    pilot: Pilot[Any]
    stage: Stage
    dose: Dose
    home: Path
    foreign: bool = False
    """Whether the payloads are others than those of the corpus: how they end is then not known."""

    async def settle(self, ready: Callable[[], Any] = lambda: True) -> None:
        """Wait until something holds, and nothing is left to be painted; then look."""
        await until(self.pilot, ready)
        for _ in range(40):  # what has just arrived may be laid out and not painted yet
            await self.pilot.pause(0.02)
            if not unlike(self.app):
                break
        check(self.app, self.foreign)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def open(self, screen: Any) -> None:
        self.app.push_screen(screen)
        await self.settle(lambda: self.app.screen is screen and screen.is_mounted)

    async def close(self) -> None:
        self.app.pop_screen()
        await self.pilot.pause()

    def shows(self, selector: str, words: str) -> Callable[[], bool]:
        return lambda: bool(
            self.app.screen.query(selector) and words in str(self.app.screen.query_one(selector).render())
        )


# --- foreign things ---


def plan_of(dose: Dose) -> Recipe:
    """A recipe whose model, sources, columns and templates were named by a stranger."""
    first = recipe.load("first-steps")
    source = Source(
        path=dose.stored("/data/reviews.csv"),
        format="template",
        columns={"text": dose.stored("text")},
        templates=("review-sentiment",),
    )
    table = Source(path=dose.stored("/data/pairs.jsonl"))
    data = first.data.model_copy(update={"sources": (source, table)})
    model = first.model.model_copy(update={"id": dose.stored("/models/tiny")})
    return first.model_copy(update={"data": data, "model": model})


FACTS = ("format", "reason", "done", "action", "actions", "unit", "kind")


def draft_of(dose: Dose, **facts: Any) -> Draft:
    opened = dose.everywhere({**OPENED, "sources": [OPENED["sources"][0], TABLE]}, but=FACTS)
    known = {
        "opened": opened,
        "survey": dose.everywhere(COUNTS, but=FACTS),
        "scan": {
            **dose.everywhere(SCANNED, but=FACTS),
            "digest": SCANNED["digest"],
            "spoiling": [dose.text()],
        },
    }
    return Draft(plan_of(dose), reached=4, **{**known, **facts})


def run_of(dose: Dose, events: list[dict[str, Any]] | None = None, plan: bool = True) -> Run:
    """A run whose folder, recipe, events and log were made by a stranger."""
    told = dose.everywhere(
        events or step_events(400), but=("kind", "phase", "path", "status", "what", "done", "device")
    )
    run = record("done", told)
    moved = run.path.with_name(dose.name(f"20270115-073000-done-{len(dose.given)}"))
    run.path.rename(moved)
    run = Run(moved)
    run.log.write_bytes(
        "\n".join(dose.text(f"a line of the log {n}") for n in range(30)).encode("utf-8", "surrogatepass")
    )
    if not plan:
        told_recipe = {"name": dose.stored("name"), "model": dose.stored("model")}
        (moved / "recipe.toml").write_text(
            f"name = {json.dumps(told_recipe['name'])}\n[model]\nid = {json.dumps(told_recipe['model'])}\n"
        )
    return run


def told(dose: Dose) -> list[dict[str, Any]]:
    """Events of all kinds in which a stranger has a say."""
    return [
        *whole(120, end=None, gpu="NVIDIA H200"),
        {"kind": "warned", "text": "the loss [rises]", "mend": "lower it"},
        {"kind": "non_finite", "step": 90, "what": "loss", "rows": [7], "places": ["/data/a line 8"]},
        {"kind": "failed", "reason": "out of memory", "mend": "halve it", "step": 120},
    ]


def count(on: Set, table: str) -> int:
    found = on.app.screen.query(table)
    return found.first(DataTable).row_count if found else 0


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


# --- scenes ---


async def home(on: Set) -> None:
    for number in range(6):
        run_of(on.dose, told(on.dose) if number % 2 else None, plan=number % 3 > 0)
    await on.settle(lambda: count(on, "RunTable") == 6)
    on.app.screen.refuse(on.dose.text("refused"))  # type: ignore[attr-defined]
    await on.settle()
    await on.press("down", "down")
    await on.press("n")


async def remarking_(on: Set) -> None:
    for number in range(2):
        run = run_of(on.dose)
        tags = tuple(on.dose.name(f"tag {number}")[:20] for number in range(3))
        remarks.write(run, Remarks(tags, on.dose.stored("a note")))
    await on.settle(lambda: count(on, "RunTable") == 2)
    await on.press("e")
    await on.settle(lambda: isinstance(on.app.screen, FormScreen))
    await on.press("escape")
    found = [(on.dose.text("lora.rank"), on.dose.text("8"), on.dose.text("16")) for _ in range(8)]
    await on.open(ContrastScreen(found, on.dose.text("one"), on.dose.text("other")))
    await on.press("down", "down")


async def sweep(on: Set) -> None:
    shares = {"kind": "importance", "shares": {"lora.rank": 0.7, "lora.alpha": 0.3}, "trials": 8}
    kept = ("kind", "state", "run")
    events = recorded(
        trial(1, [3.0]), trial(2, [2.5]), trial(3, state="pruned"), trial(4, state=""), [shares]
    )
    events = [
        {**on.dose.everywhere(event, but=kept), **({"setting": {"lora.rank": on.dose.text("16")}}
         if event["kind"] == "trial" else {})}
        for event in events
    ]  # fmt: skip
    found = made([*events, {"kind": "failed", "reason": on.dose.text("three in a row"), "mend": "x"}])
    moved = found.path.with_name(on.dose.name("20300102-120000-run"))
    found.path.rename(moved)
    screen = SweepScreen(on.app.edges, Sweep(moved))
    await on.open(screen)
    await on.settle(lambda: count(on, "TrialTable") == 4)
    await on.press("down", "m")
    await on.press("escape")
    screen.refuse(on.dose.text("refused"))
    await on.press("enter")


async def sweep_plan(on: Set) -> None:
    plan = plan_of(on.dose)
    over = {
        "model.id": {"values": [on.dose.text("a"), on.dose.text("b")]},
        on.dose.text("no key"): {"values": [1]},
        "lora.rank": {"values": [8, 16]},
    }
    document = plan.model_dump(mode="json", exclude_none=True)
    screen = SweepPlanScreen(recipe.parse({**document, "sweep": {"runs": 4, "over": over}}))
    await on.open(screen)
    await on.settle(on.shows("#sums", "runs"))
    for key in ("lora.rank", "other-keys"):
        row = next(row for row in screen.query(KnobRow) if row.knob.key == key)
        row.query_one(Input).value = on.dose.text("8 .. of")
        await on.settle(lambda: bool(screen.form.wrong))
    screen.refuse(on.dose.text("refused"))
    await on.settle()


async def model(on: Set) -> None:
    dose = on.dose
    foreign = [
        replace(
            info,
            id=dose.text(info.id),
            name=dose.text(info.name),
            architecture=dose.text("LlamaForCausalLM"),
            licence=dose.text("mit"),
            problem=dose.text("no tokenizer.json") if number == 1 else "",
            note=dose.text("well-known"),
        )
        for number, info in enumerate([MODELS[0], MODELS[1], MODELS[2], *[MODELS[0]] * 3])
    ]
    edges = on.stage.but(
        models=lambda: foreign,
        fits=lambda plan, models: {one.id: Unknown(dose.text("unknown")) for one in models},
        describe=raising(UserError(dose.text("no such model"))),
    )
    on.app._draft = Draft(plan_of(dose))
    screen = ModelScreen(edges, on.app._draft)
    await on.open(screen)
    await on.settle(lambda: screen.query_one(OptionList).option_count >= 6)
    for _ in range(5):
        await on.press("down")
    await on.press("slash", "x", "enter")
    screen.query_one(Input).value = dose.text("typed")
    await on.press("enter")


async def data(on: Set) -> None:
    rows = RowsFeed(on.app.edges.child)
    drafted = draft_of(on.dose)
    await rows.open(drafted.recipe)
    screen = DataScreen(rows, drafted)
    on.app._draft = drafted
    on.app._push(screen)
    await on.settle(lambda: on.app.screen is screen)
    on.app._set_draft(replace(drafted, opened={**on.dose.everywhere(OPENED, but=FACTS)}))
    await on.settle(lambda: "row" in str(screen.query_one("#sample").border_title or "") or True)
    await on.press("right")
    screen.query_one(Input).value = on.dose.text("/typed/path")
    await on.settle()
    await on.press("p", "escape")
    await on.press("ctrl+n")
    on.app._set_draft(replace(drafted, problem=on.dose.text("cannot be read")))
    await on.settle()


async def source(on: Set) -> None:
    plan = plan_of(on.dose)
    screen = SourceScreen(RowsFeed(on.app.edges.child), plan, 0)
    await on.open(screen)
    await on.settle(lambda: len(screen.query_one("SourceForm").columns) > 0)  # type: ignore[attr-defined]
    screen.query_one("#encoding Input", Input).value = on.dose.text("enc")
    await on.settle()
    screen._pick_column("text")
    await on.settle(lambda: isinstance(on.app.screen, choose.PickScreen))


async def template(on: Set) -> None:
    folder = on.home / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    small_library(folder)
    (folder / f"{on.dose.name('bad')}.toml").write_text("[[[")
    foreign = {"name": on.dose.stored("x"), "task": on.dose.stored("x"), "description": on.dose.stored("x")}
    (folder / f"{on.dose.name('odd')}.toml").write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in foreign.items())
        + 'language = "en"\nmetric = "exact"\n[columns]\ntext = "a [text]"\n'
        '[[wordings]]\nprompt = "{{ text }}"\nanswer = "{{ text }}"\n'
    )
    screen = TemplateScreen(RowsFeed(on.app.edges.child), plan_of(on.dose).data.sources[0], ["text"])
    await on.open(screen)
    for _ in range(4):
        await on.press("space", "down")
    await on.settle()


async def write(on: Set) -> None:
    begun = Template(
        on.dose.text("mine"), on.dose.text("task"), "en", "exact", ("text",), on.dose.text("a system"),
        wordings=(Wording(on.dose.text("{{ text }}"), on.dose.text("{{ text }}")),),
        choices=(on.dose.text("bad"),), label=on.dose.text("label"),
    )  # fmt: skip
    names = [on.dose.text(f"column {number}") for number in range(8)]
    rows = RowsFeed(on.app.edges.child)
    screen = WriteScreen(rows, plan_of(on.dose).data.sources[0], names, begun, Path("/nowhere"))
    await on.open(screen)
    await on.settle()
    await on.press("ctrl+t", "enter")
    await on.press("ctrl+g", "x")
    await on.press("ctrl+s")


async def inspect(on: Set) -> None:
    drafted = draft_of(on.dose)
    rows = RowsFeed(on.app.edges.child)
    await rows.open(drafted.recipe)
    on.app._draft = drafted
    screen = InspectScreen(rows, drafted.recipe, Place())
    on.app._push(screen)
    await on.settle(lambda: screen._row is not None)
    for key in ("1", "2", "3", "4", "f", "f", "down"):
        await on.press(key)


async def hunt(on: Set) -> None:
    await inspect(on)
    screen = on.app.screen
    assert isinstance(screen, InspectScreen)
    screen._finding = on.dose.text("a finding")
    screen.sought = on.dose.text("sought")
    screen.paint_row(stay=True)
    await on.settle()
    screen._arrive(None, "train", "", on.dose.text("not there"))
    await on.settle()
    await on.press("slash")


async def ledger(on: Set) -> None:
    await _of_rows(on, LedgerScreen)
    await on.press("down")
    await on.press("p")


async def report(on: Set) -> None:
    await _of_rows(on, lambda _: ReportScreen())
    for _ in range(4):
        await on.press("pagedown")


async def _of_rows(on: Set, screen: Callable[[RowsFeed], Any]) -> None:
    drafted = draft_of(on.dose)
    rows = RowsFeed(on.app.edges.child)
    await rows.open(drafted.recipe)
    on.app._draft = drafted
    made = screen(rows)
    on.app._push(made)
    await on.settle(lambda: on.app.screen is made)


async def entries(on: Set) -> None:
    from tui.screens.entries import EntriesScreen

    rows = RowsFeed(on.app.edges.child)
    await rows.open(plan_of(on.dose))
    await on.open(EntriesScreen(rows, TOTALS[0]["reason"]))
    await on.settle(lambda: count(on, "EntriesTable") > 0)
    await on.press("down")


async def run_ledger(on: Set) -> None:
    run = run_of(on.dose)
    lines = [
        {**on.dose.everywhere(entry(number, "missing field"), but=("reason", "done", "unit"))}
        for number in range(20)
    ]
    run.ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    await on.open(RunLedgerScreen(run))
    await on.settle(lambda: count(on, "TotalsTable") > 0)
    await on.press("enter")
    await on.settle()
    await on.press("down")


async def recipe_(on: Set) -> None:
    drafted = draft_of(on.dose)
    on.app._draft = drafted
    screen = RecipeScreen(on.stage.but(fit=lambda *_: Unknown(on.dose.text("not known"))), drafted)
    on.app._push(screen)
    await on.settle(lambda: on.app.screen is screen)
    for selector in ("#name Input", "#train-steps Input", "#train-learning_rate Input"):
        field = screen.query_one(selector, Input)
        right, field.value = field.value, on.dose.text("x")
        await on.settle()
        field.value = right
    screen.refuse(on.dose.text("not startable"))
    await on.settle()
    screen._write(Path("/nowhere") / on.dose.name("x"), plan_of(on.dose))
    await on.settle()
    await on.press("ctrl+o")


async def forecast(on: Set) -> None:
    await on.open(ForecastScreen(on.app.edges, plan_of(on.dose), Unknown(on.dose.text("cannot be told"))))
    screen = on.app.screen
    assert isinstance(screen, ForecastScreen)
    screen._say(Content.styled("probing", ""))
    await on.settle()


async def train(on: Set) -> None:
    run = run_of(on.dose, told(on.dose))
    gpu = replace(GPU, name=on.dose.text("H200"), driver=on.dose.text("580"), slowed=(on.dose.text("heat"),))
    other = run_of(on.dose)
    edges = on.stage.but(gpus=lambda: [gpu, gpu])
    screen = TrainScreen(edges, run)
    await on.open(screen)
    await on.settle(lambda: screen.snapshot.state.step > 0)
    for key in ("1", "2", "3", "4", "n", "n", "5", "5", "l", "u", "right", "p"):
        await on.press(key)
    screen._feed.lay_beside(other)
    await on.settle()
    await on.press("w")
    await on.press("escape")
    await on.press("v")
    await on.press("escape")
    screen.refuse(on.dose.text("toast"))
    await on.settle()


async def notes(on: Set) -> None:
    from engine import state as kinds
    from tui.widgets.panels import notes as drawn

    facts = [{"time": 1.0 + n, **event} for n, event in enumerate(on.dose.everywhere(told(on.dose), but=(
        "kind", "phase", "path", "what", "done", "device")), 1)]  # fmt: skip
    await on.open(NotesScreen(drawn(kinds.fold(facts))))


async def control(on: Set) -> None:
    from tui.screens import control as asked

    run = run_of(on.dose, told(on.dose)[:-1])
    with alive(run):
        screen = TrainScreen(on.app.edges, run)
        await on.open(screen)
        await on.settle(lambda: screen.snapshot.alive)
        await on.press("o", "escape")
        await asked.ask(
            screen, run, on.stage.but(control=raising(UserError(on.dose.text("refused")))),
            screen.snapshot.state, "checkpoint",
        )  # fmt: skip
        await on.settle()


async def compare(on: Set) -> None:
    await _talk(on)
    for key in ("f7", "f8", "f9", "f7"):
        await on.press(key)


async def _talk(on: Set) -> CompareScreen:
    run = run_of(on.dose)
    (run.checkpoints / "step-50").mkdir(parents=True)
    screen = CompareScreen(
        run, Dialogue(on.app.edges.child("chat", "x")), RowsFeed(on.app.edges.child), lambda: NOW
    )
    await on.open(screen)
    await on.settle(lambda: screen.loaded is not None)
    field = screen.query_one("#question", Input)
    field.value = on.dose.text("what?")
    await on.settle()
    await on.press("enter")
    await on.settle(lambda: not screen.busy)
    await on.press("ctrl+t")
    await on.settle(lambda: not screen.busy)
    screen._unanswered(screen.talk.last, on.dose.text("why not"))  # type: ignore[arg-type]
    await on.settle()
    return screen


async def columns(on: Set) -> None:
    screen = await _talk(on)
    run_of(on.dose)
    await on.press("f3")
    await on.settle()
    await on.press("enter")
    await on.settle(lambda: on.app.screen is screen)


async def manner(on: Set) -> None:
    await _talk(on)
    await on.press("f2")
    on.app.screen.query_one("#form-system Input", Input).value = on.dose.text("a system prompt")
    on.app.screen.query_one("#form-top_k Input", Input).value = on.dose.text("many")
    await on.press("enter")


async def keeping(on: Set) -> None:
    await _talk(on)
    await on.press("ctrl+s")
    await on.open(CorrectScreen(on.dose.text("tuned"), on.dose.text("asked"), on.dose.text("said")))
    on.app.screen.query_one(TextArea).text = on.dose.text("a better one")
    await on.settle()


async def vote(on: Set) -> None:
    run = run_of(on.dose)
    chat, rows = Dialogue(on.app.edges.child("chat", "x")), RowsFeed(on.app.edges.child)
    await chat.start()
    await rows.open(run.recipe())
    tuned = {**TUNED, "digest": "c0ffee01"}
    screen = VoteScreen(run, chat, rows, HeldOut("test", ("a", "b")), (BASE, tuned), Settings())
    await on.open(screen)
    await on.settle(on.shows("#vote-status", "which is better"))
    await on.press("r", "f7")
    await on.press("left")
    screen._refused(on.dose.text("why"))
    await on.settle()


async def evaluation(on: Set) -> None:
    run = _measured(on.dose)
    screen = EvaluationScreen(run, on.app.edges)
    await on.open(screen)
    await on.settle(lambda: screen._found is not None)
    await on.press("pagedown")
    await on.press("tab")
    await on.press("o")
    await on.press("escape", "n")


async def results(on: Set) -> None:
    from tui.screens.results import ResultsScreen

    run = _with_exports(on.dose)
    evaluated(run, on.dose.name("test"))
    (run.path / "evals" / "torn.json").write_text("{")
    (run.path / "evals" / "torn.jsonl").write_text("")
    run_of(on.dose)
    screen = ResultsScreen(run, on.app.edges)
    await on.open(screen)
    await on.settle(lambda: screen._found is not None)
    await on.press("pagedown", "pagedown")
    await on.press("tab", "pagedown")
    for downs in range(3):
        await on.press("o", *["down"] * downs)
        await on.press("enter")
        await on.settle(lambda: isinstance(on.app.screen, NotesScreen))
        await on.press("pagedown")
        await on.close()


async def export(on: Set) -> None:
    from tui.screens.export import ExportScreen
    from tui.widgets.exports import KindList

    screen = ExportScreen(_with_exports(on.dose), on.app.edges)
    await on.open(screen)
    await on.settle(lambda: bool(screen.query_one(KindList).choices))
    for _ in range(8):
        await on.press("down")
    await on.press("o")
    await on.press("escape", "e")
    await on.settle(lambda: screen._worker is None or screen._hears)
    worker = on.stage.children[-1]
    for phase in ("write", on.dose.text("a phase")):
        worker.say(kind="phase", phase=phase, export=on.dose.text("merged"))
        worker.say(kind="progress", phase=phase, done=1, total=2)
        await on.settle()
    kept = ("kind", "status", "made", "parity")
    told = on.dose.everywhere(facts_of("merged", "failed", **SABOTAGED), but=kept)
    worker.say(**{**told, "kind": "exported", "export": "merged", "folder": on.dose.text("/a/folder")})
    await on.settle()
    worker.say(kind="error", message=on.dose.text("it failed"))
    await worker.close()
    await on.settle(lambda: screen._worker is None)


async def tidying(on: Set) -> None:
    run_of(on.dose, plan=False)
    run_of(on.dose)
    await on.settle(lambda: count(on, "RunTable") == 2)
    await on.press("D")
    await on.settle(lambda: isinstance(on.app.screen, choose.AskScreen))
    await on.press("x", "enter")
    await on.press("escape")
    await on.press("a")
    await on.settle(lambda: count(on, "RunTable") == 1)
    await on.press("A")
    await on.settle(lambda: isinstance(on.app.screen, choose.PickScreen))


def _with_exports(dose: Dose) -> Run:
    """A run whose exports were described by a stranger."""
    run = run_of(dose)
    for kind, status in (("adapter", "passed"), ("merged", "failed"), ("script", "not checked")):
        told = dose.everywhere(
            facts_of(kind, status, **(SABOTAGED if status == "failed" else {"notes": ["a note"]})),
            but=("kind", "status", "made"),
        )
        folder = exported(
            run, kind, status, **{k: v for k, v in told.items() if k not in ("kind", "status", "run")}
        )
        (folder / "README.md").write_text(f"```python\n{dose.stored('a line')}\n```\n", "utf-8")
    return run


def _measured(dose: Dose) -> Run:
    run = run_of(dose)
    for number in range(2):
        evaluated(run, dose.name(f"test {number}"))
    for path in (run.path / "evals").glob("*.json"):
        kept = ("columns", "metric", "order", "column", "part", "made", "digest", "base", "on", "choice")
        summary = json.loads(path.read_text())
        poisoned = {**dose.everywhere(summary, but=kept), "model": dose.stored("m")}
        for one, before in zip(poisoned["sets"], summary["sets"], strict=True):
            one["columns"] = before["columns"]
        path.write_text(json.dumps(poisoned))
        lines = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
        foreign = [
            {**dose.everywhere(line, but=("metric", "role")), "set": poisoned["sets"][0]["source"]}
            for line in lines
        ]
        path.with_suffix(".jsonl").write_text("".join(json.dumps(line) + "\n" for line in foreign))
    return run


async def judged(on: Set) -> None:
    screen = EvaluationScreen(_measured(on.dose), on.app.edges)
    await on.open(screen)
    await on.settle(lambda: screen._found is not None)
    await on.press("tab")
    await on.press("enter")
    await on.press("right")
    await on.press("f7")


async def begin_(on: Set) -> None:
    run = run_of(on.dose)
    on.stage.ahead = [run]
    on.stage.changes = [on.dose.text("a change") for _ in range(3)]
    on.app.run_worker(begin.turn(on.app, on.app.edges))
    await on.settle(lambda: isinstance(on.app.screen, choose.ChooseScreen))
    await on.press("escape")
    on.app.run_worker(begin.agreed(on.app, on.app.edges, run))
    await on.settle(lambda: isinstance(on.app.screen, choose.ConfirmScreen))


async def choose_(on: Set) -> None:
    many = [on.dose.text(f"answer {number}") for number in range(12)]
    for screen in (
        choose.ChooseScreen(on.dose.text("which?"), many),
        choose.PickScreen(on.dose.text("which?"), many),
        choose.AskScreen(
            on.dose.text("what?"),
            on.dose.text("value"),
            "does",
            lambda _: on.dose.text("wrong"),
            on.dose.text("because"),
        ),
        choose.ConfirmScreen(on.dose.text("sure?"), on.dose.text("because")),
    ):
        await on.open(screen)
        if isinstance(screen, choose.AskScreen):
            await on.press("enter")
        await on.close()


async def form(on: Set) -> None:
    fields = [Field(f"f{n}", on.dose.text("x"), on.dose.text("says"), wide=n == 2) for n in range(3)]
    await on.open(FormScreen(on.dose.text("title"), fields, lambda _: on.dose.text("wrong")))
    await on.press("enter")


async def help(on: Set) -> None:
    run_of(on.dose)
    await on.settle(lambda: isinstance(on.app.screen, HomeScreen))
    await on.press("f1")
    await on.settle(lambda: isinstance(on.app.screen, HelpScreen))


async def palette(on: Set) -> None:
    run = run_of(on.dose)
    on.app.post_message(RunOpened(run))
    await on.settle(lambda: isinstance(on.app.screen, TrainScreen))
    await on.press("ctrl+p")
    await on.press("s", "t")


async def toasts(on: Set) -> None:
    run = run_of(on.dose)
    on.app.post_message(EvaluationAsked(run))
    await on.settle(lambda: isinstance(on.app.screen, EvaluationScreen))
    for error in (UserError, RunFailed, OSError):
        on.app._refuse(error(on.dose.text("what happened")))
        await on.settle()


SCENES: dict[str, Callable[[Set], Any]] = {
    "begin": begin_, "choose": choose_, "columns": columns, "compare": compare, "control": control,
    "data": data, "entries": entries, "evaluation": evaluation, "forecast": forecast,
    "form": form, "help": help, "home": home, "hunt": hunt, "inspect": inspect, "judged": judged,
    "keeping": keeping, "ledger": ledger, "manner": manner, "model": model, "notes": notes, "recipe": recipe_,
    "remarking": remarking_, "report": report, "run_ledger": run_ledger, "source": source,
    "template": template, "train": train, "vote": vote, "write": write, "export": export, "results": results,
    "tidying": tidying, "sweep": sweep, "sweep_plan": sweep_plan,
}  # fmt: skip
"""By the file in tui/screens."""

BESIDES = {"palette": palette, "toasts": toasts}
"""What belongs to no file of ours."""

NO_SCREENS = {
    "messages": "no widget", "step": "what all screens of the walk have", "paging": "in data and inspect",
    "talk": "in compare", "watching": "in train", "listing": "in home", "panes": "in vote and judged",
}  # fmt: skip
