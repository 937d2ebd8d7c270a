"""Base and tuned side by side: the same question to both, answered at once from one model in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input

from engine.errors import RunFailed, UserError
from engine.recipe import Recipe
from engine.runs import Run
from tui.feed import Dialogue, RowsFeed
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.answer import AnswerColumn, ChatTurn
from tui.widgets.figures import duration, place_of
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

COLUMNS = ("base", "tuned")
PHASES = {"import": "importing torch and PEFT", "load": "loading the model and the adapter"}


class CompareScreen(StepScreen):
    """Two columns and a line to ask; the model is in memory while the screen is open."""

    STEP = 6
    HELP = (
        "Both columns get the same question and answer at the same time: on the left the base model with "
        "the adapter off, on the right with it on. Answers are greedy, so that the difference is the "
        "adapter and not chance. Each column keeps its own conversation; ctrl+n begins a new one.\n\n"
        "ctrl+t asks the next row that was held out of training, with its reference answer beneath. "
        "Escape stops an answer and keeps what was said; a second escape leaves and frees the memory."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "held_out(1)", "Test row", id="compare.next", tooltip="Ask the next test row"),
        Binding("ctrl+r", "held_out(-1)", "Row before", id="compare.before", show=False),
        Binding("ctrl+n", "restart", "New", id="compare.new", tooltip="Begin a new conversation"),
        Binding("escape", "cancel_or_back", "Back", id="compare.back", tooltip="Stop the answer; leave"),
    ]

    def __init__(self, run: Run, chat: Dialogue, rows: RowsFeed, clock: Callable[[], float]) -> None:
        super().__init__()
        self._run = run
        self._chat = chat
        self._rows = rows
        self._clock = clock
        self._ready = False
        self._answering = False
        self._part = ""
        self._index = -1
        self._max_new_tokens = 256

    def body(self) -> ComposeResult:
        with Horizontal(id="compare"):
            for column in COLUMNS:
                yield AnswerColumn(column)
        with Vertical(classes="panel", id="reference") as panel:
            panel.border_title = "Reference"
            yield Quiet(id="reference-text")
        yield Quiet(id="chat-status")
        yield Input(placeholder="ask both, or ctrl+t for a held-out row", id="question")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        for view in self.query(AnswerColumn):
            view.add_class("panel")
        self.query_one("#reference").display = False
        self.query_one("#question").focus()
        self._load()
        self._open_rows()

    async def on_unmount(self) -> None:
        await asyncio.gather(self._chat.close(), self._rows.close())

    def _say(self, words: str, style: str = "$foreground-muted") -> None:
        if self.stands:  # one who leaves while it loads or answers closes the worker, which is told here
            self.query_one("#chat-status", Quiet).show(Content.styled(clean(words), style))

    @work(group="load")
    async def _load(self) -> None:
        began = self._clock()
        phase: list[str] = ["starting the worker"]

        def tick() -> None:
            self._say(f"{phase[0]} … {duration(self._clock() - began)}")

        ticking = self.set_interval(1.0, tick)
        tick()
        try:
            await self._chat.start()
            async for message in self._chat.unasked("ready"):
                if message["kind"] == "phase":
                    phase[:] = [PHASES.get(message["phase"], str(message["phase"]))]
                    tick()
                else:
                    self._greet(message)
        except (RunFailed, OSError) as error:
            self._say(f"✗ {error}", "$text-error")
        finally:
            ticking.stop()

    def _greet(self, ready: dict[str, Any]) -> None:
        quantised = "4-bit" if ready["four_bit"] else "16-bit"
        base, tuned = (self.query_one(f"#{column}", AnswerColumn) for column in COLUMNS)
        model, step, digest = ready["model"], ready["step"], ready["digest"][:8]
        base.head(
            f"base · {model} in {quantised} · adapter off",
            f"base · {model} · {quantised}",
            f"base · {quantised}",
        )
        tuned.head(
            f"tuned · {self._run.name} · step {step} · adapter {digest} on",
            f"tuned · step {step} · adapter {digest}",
            f"tuned · {digest}",
        )
        self._ready = True
        self._idle()

    def _idle(self) -> None:
        self._say(f"{self._run.name} · ready · greedy · enter asks both")
        self.refresh_bindings()

    @work(group="rows")
    async def _open_rows(self) -> None:
        try:
            plan = self._run.recipe()
            self._max_new_tokens = plan.evaluate.max_new_tokens
            opened = await self._rows.open(plan)
        except (RunFailed, UserError, OSError) as error:
            if not self.stands:
                return
            self.notify(f"no held-out rows: {clean(str(error))}", severity="warning", markup=False)
            return
        self._part = held_out_part(opened, plan)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "held_out":
                return bool(self._part) and self._ready and not self._answering
            case "restart":
                return not self._answering
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if question and self._ready and not self._answering:
            event.input.value = ""
            self.query_one("#reference").display = False
            self._ask([{"role": "user", "content": question}])

    @work(group="answer")
    async def _ask(self, turns: list[ChatTurn]) -> None:
        views = {column: self.query_one(f"#{column}", AnswerColumn) for column in COLUMNS}
        for view in views.values():
            view.asked(list(turns))
        self._answering = True
        self._say("answering · esc stops and keeps what was said")
        self.refresh_bindings()
        histories = {column: list(view.history) for column, view in views.items()}
        settings = {"max_new_tokens": self._max_new_tokens, "temperature": 0.0, "seed": 0}
        try:
            async for message in self._chat.ask("ask", messages=histories, settings=settings):
                if not self.stands:
                    return
                if message["kind"] == "token":
                    views[message["column"]].take(message["text"])
                elif message["kind"] == "answered":
                    for column, answer in message["columns"].items():
                        views[column].answered(answer, message["cancelled"])
        except RunFailed as error:
            self._say(f"✗ {error}", "$text-error")
            return
        finally:
            self._answering = False
        self._idle()

    @work(exclusive=True, group="held-out")
    async def _ask_row(self, by: int) -> None:
        try:
            row = await self._rows.row(self._part, self._index + by)
        except RunFailed as error:
            self._say(f"✗ {error}", "$text-error")
            return
        self._index = row["index"]
        if not row["messages"]:
            self._say(f"{self._part} row {self._index + 1:,} has no question: {row['refused'] or 'raw text'}")
            return
        self.action_restart()
        *question, reference = row["messages"]
        panel = self.query_one("#reference")
        panel.display = True
        panel.border_title = f"Reference · {self._part} row {place_of(self._index, row['count'])}"
        self.query_one("#reference-text", Quiet).show(clean(reference["content"]))
        self._ask(question)

    def action_held_out(self, by: int) -> None:
        self._ask_row(by)

    def action_restart(self) -> None:
        for view in self.query(AnswerColumn):
            view.restart()
        self.query_one("#reference").display = False

    async def action_cancel_or_back(self) -> None:
        if self._answering:
            await self._chat.tell("cancel")
        else:
            self.action_back()


def held_out_part(opened: dict[str, Any], plan: Recipe) -> str:
    """The part to ask from: rows of test, else of validation; empty where nothing was held out."""
    counts = opened["survey"]
    files = {file["part"] for source in opened["sources"] for file in source["files"]}
    for part in ("test", "validation"):
        # A large set is not counted yet: its own file, or a share set aside, is enough to ask.
        there = counts["parts"][part] if counts else part in files or getattr(plan.data, part)
        if there:
            return part
    return ""
