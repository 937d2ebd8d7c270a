"""A model in memory and a conversation with it: columns that answer the same questions, side by side."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from engine import transcripts
from engine.errors import RunFailed
from engine.runs import Run
from engine.transcripts import Conversation, Exchange, Message
from tui.feed import Dialogue, RowsFeed
from tui.keys import hidden
from tui.safe import clean
from tui.screens.manner import Manner
from tui.screens.step import StepScreen
from tui.widgets.answer import AnswerColumn, titles
from tui.widgets.fields import OneLine
from tui.widgets.figures import counted, duration, size
from tui.widgets.prose import View
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

BASE = "base"
NARROWEST = 38
"""Cells of a column."""
PHASES = {"import": "importing torch and PEFT", "load": "loading the model and the adapter"}


class TalkScreen(StepScreen):
    """Loads the model, has questions answered, shows the conversation; a subclass says what is asked."""

    STEP = 6

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "talk",
            ("f7", "plain", "Plain text", "plain", "Show the exact text, or Markdown drawn"),
            ("f8", "unfold", "Reasoning", "unfold", "Show or fold reasoning"),
            ("f9", "together", "Scroll together", "together", "Scroll all columns, or one"),
        ),
    ]

    def __init__(self, run: Run, chat: Dialogue, rows: RowsFeed, clock: Callable[[], float]) -> None:
        super().__init__()
        self.run = run
        self.chat = chat
        self.rows = rows
        self.loaded: dict[str, Any] | None = None
        """The worker's `ready`, once the model is in memory."""
        self.columns: list[dict[str, Any]] = []
        """COLUMNs of the chat worker."""
        self.talk = Conversation()
        self.manner = Manner()
        self.examples: list[Message] = []
        self.warnings: list[str] = []
        self.busy = False
        self.cancelling = False
        """Whether the answer under way was asked to end: one that does not is left."""
        self.tries = 0
        """How often the last question was asked again."""
        self._clock = clock
        self._view = View()
        self._together = False

    def body(self) -> ComposeResult:
        with Horizontal(id="compare"):
            yield AnswerColumn(BASE, 0)
            yield AnswerColumn("tuned", 1)
        with VerticalScroll(classes="panel", id="reference", can_focus=False) as panel:
            panel.border_title = "Reference"
            yield Quiet(id="reference-text")
        yield Quiet(id="warnings")
        yield Quiet(id="chat-status")
        yield OneLine(placeholder="ask all columns, or ctrl+t for a held-out row", id="question")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one("#reference").display = False
        self.query_one("#warnings").display = False
        self.query_one("#question").focus()
        self.call_after_refresh(self._load)  # the columns stand by then

    async def on_unmount(self) -> None:
        await asyncio.gather(self.chat.close(), self.rows.close())

    def say(self, words: str, style: str = "$foreground-muted") -> None:
        if self.stands:  # one who leaves while it loads or answers closes the worker, which is told here
            self.query_one("#chat-status", Quiet).show(Content.styled(clean(words), style))

    @work(group="load")
    async def _load(self) -> None:
        began = self._clock()
        phase: list[str] = ["starting the worker"]

        def tick() -> None:
            self.say(f"{phase[0]} … {duration(self._clock() - began)}")

        ticking = self.set_interval(1.0, tick)
        tick()
        try:
            await self.chat.start()
            async for message in self.chat.unasked("ready"):
                if message["kind"] == "phase":
                    phase[:] = [PHASES.get(message["phase"], str(message["phase"]))]
                    if "bytes" in message:
                        phase[:] = [f"loading two models, base and tuned: {size(message['bytes'])}"]
                    tick()
                elif self.stands:
                    self.loaded = message
                    await self.set_columns(message["columns"])
                    self.idle()
        except (RunFailed, OSError) as error:
            self.say(f"✗ {error}", "$text-error")
        finally:
            ticking.stop()

    async def set_columns(self, found: list[dict[str, Any]]) -> None:
        """Have a view for each of these columns, in their order."""
        assert self.loaded is not None
        there = {view.column: view for view in self.query(AnswerColumn)}
        names = [column["column"] for column in found]
        for name in set(there) - set(names):
            self.talk = self.talk.without(name)
            await there[name].remove()
        number = max((int((view.id or "").rpartition("-")[2]) for view in there.values()), default=-1)
        for name in names:
            if name not in there:
                number += 1
                await self.query_one("#compare").mount(AnswerColumn(name, number))
        if not self.stands:
            return
        self.columns = found
        self._share_room()
        for column in found:
            self._view_of(column["column"]).head(
                *titles(column, self.loaded["model"], self.loaded["four_bit"], self.run.name)
            )
        self.draw()

    def on_resize(self, _: events.Resize) -> None:
        self._share_room()

    def _share_room(self) -> None:
        """As many columns as can be read stand side by side; more are scrolled to."""
        columns = self.query(AnswerColumn)
        for view in columns:
            view.styles.width = None if len(columns) <= self._beside else self.size.width // self._beside

    @property
    def _beside(self) -> int:
        return max(1, self.size.width // NARROWEST)

    def _view_of(self, column: str) -> AnswerColumn:
        return next(view for view in self.query(AnswerColumn) if view.column == column)

    @property
    def names(self) -> list[str]:
        return [column["column"] for column in self.columns]

    def draw(self) -> None:
        for number, column in enumerate(self.columns):
            name = column["column"]
            # Each is held against the base, the base against its neighbour.
            rival = self.names[0] if number else self.names[1] if len(self.names) > 1 else None
            notes = [said for said in (column["warning"], column["apart"]) if said]
            if unseen := sum(name not in one.answers for one in self.talk.exchanges[:-1]):
                notes.append(f"it has neither read nor answered {counted(unseen, 'question')} before")
            if self.examples and name == BASE:
                rows = sum(turn["role"] == "user" for turn in self.examples)
                notes.append(f"{counted(rows, 'training row')} as examples before the question")
            self._view_of(name).draw(self.talk, rival, self._view, tuple(notes))
        warned = self.query_one("#warnings", Quiet)
        warned.display = bool(self.warnings)
        warned.show(Content.styled(clean("\n".join(f"‼ {said}" for said in self.warnings)), "$text-warning"))
        last = self.talk.last
        self.query_one("#reference").display = bool(last and last.reference)
        self.query_one("#reference-text", Quiet).show(clean(last.reference if last else ""))

    def idle(self, more: str = "") -> None:
        view = " · plain" if self._view.plain else ""
        unseen = f" · {len(self.columns)} columns: tab" if len(self.columns) > self._beside else ""
        self.say(f"{self.run.name} · ready · {self.manner.said}{view} · {more or 'enter asks all'}{unseen}")
        self.refresh_bindings()

    @work(group="answer")
    async def ask(self, exchange: Exchange) -> None:
        """Have a question answered by all columns."""
        self.talk = self.talk.asking(exchange)
        await self._answer_all(range(len(self.talk.exchanges))[-1:], self.names)

    @work(group="answer")
    async def catch_up(self, late: Sequence[str]) -> None:
        """Have columns that came late answer all questions in their order, each on answers of its own."""
        await self._answer_all(range(len(self.talk.exchanges)), late)

    async def _answer_all(self, numbers: Sequence[int], asked: Sequence[str]) -> None:
        self.busy, self.cancelling = True, False
        self.warnings = []
        self.refresh_bindings()
        try:
            for place, number in enumerate(numbers, 1):
                which = f" question {place} of {len(numbers)}" if len(numbers) > 1 else ""
                self.say(f"answering{which} · esc stops and keeps what was said")
                await self._answer(number, asked)
                if self.cancelling or not self.stands:
                    break
        except RunFailed as error:
            self._unanswered(self.talk.exchanges[number], str(error))
            return
        finally:
            self.busy = False
            if self.stands:
                for view in self.query(AnswerColumn):
                    view.end()
                self.draw()
                self.refresh_bindings()
        self.idle()

    async def _answer(self, number: int, asked: Sequence[str]) -> None:
        """Have one question answered. Raises RunFailed."""
        talk = self.talk.up_to(number)
        self.draw()
        # Of a chain a column that came late has no question: it has said nothing on the way.
        asked = [name for name in asked if talk.exchanges[number].put_to(name)]
        if not asked:
            return
        for name in asked:
            self._view_of(name).begin()
        histories = {
            name: transcripts.messages(talk, name, self.examples if name == BASE else ()) for name in asked
        }
        settings = dataclasses.asdict(self.manner.settings)
        settings["seed"] += self.tries  # a question that is asked again is drawn anew
        reference = talk.exchanges[number].reference or None
        request = {"messages": histories, "settings": settings, "reference": reference}
        async for message in self.chat.ask("ask", **request):
            if not self.stands:
                return
            if message["kind"] == "token":
                self._view_of(message["column"]).take(message["text"])
            elif message["kind"] == "answered":
                said = {
                    name: {**answer, "cancelled": message["cancelled"]}
                    for name, answer in message["columns"].items()
                }
                for name in asked:
                    self._view_of(name).end()
                self.talk = self.talk.answered(said, number)
                self.warnings = message.get("warnings", [])

    def _unanswered(self, exchange: Exchange, why: str) -> None:
        """The question goes back to where it was typed, so that it can be changed."""
        if not self.stands:
            return
        if not exchange.answers:
            self.talk = self.talk.without_last()
        line = self.query_one("#question", Input)
        if not line.value and len(exchange.question) == 1:
            line.value = exchange.asked
        self.say(f"✗ {why}", "$text-error")

    def action_plain(self) -> None:
        self._view = replace(self._view, plain=not self._view.plain)
        self.draw()
        if not self.busy:
            self.idle()

    def action_unfold(self) -> None:
        self._view = replace(self._view, unfolded=not self._view.unfolded)
        self.draw()

    def action_together(self) -> None:
        self._together = not self._together
        self.notify("columns scroll together" if self._together else "each column scrolls by itself")

    def on_answer_column_scrolled(self, message: AnswerColumn.Scrolled) -> None:
        if self._together:
            for view in self.query(AnswerColumn):
                if view is not message.column:
                    view.scroll_to(y=message.y, animate=False)
