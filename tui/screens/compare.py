"""Base and tuned side by side: the same question to all columns, answered at once from one model in memory."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from engine import transcripts
from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from engine.recipe import Recipe
from engine.runs import Run
from engine.transcripts import Conversation, Exchange, Message
from tui.feed import Dialogue, RowsFeed
from tui.feed.ballots import HeldOut
from tui.safe import clean
from tui.screens import columns, keeping, manner
from tui.screens.choose import PickScreen
from tui.screens.manner import Manner
from tui.screens.messages import EvaluationAsked
from tui.screens.step import StepScreen
from tui.widgets.answer import AnswerColumn, titles
from tui.widgets.figures import counted, duration, place_of
from tui.widgets.prose import View
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

BASE = "base"
NARROWEST = 38
"""Cells of a column."""
PHASES = {"import": "importing torch and PEFT", "load": "loading the model and the adapter"}


class CompareScreen(StepScreen):
    """Columns and a line to ask; the model is in memory while the screen is open."""

    STEP = 6
    HELP = (
        "All columns get the same question and answer at the same time, from one model in memory: base is "
        "the model with the adapter off, tuned with it on; f3 adds checkpoints and other runs. Answers are "
        "greedy, so that the difference is the adapter and not chance; f2 changes that, and gives the base "
        "examples. The words in which two answers differ are bold and underlined.\n\n"
        "ctrl+t asks the next row that was held out of training, its reference beneath: the figure at the "
        "foot of a column is how likely each token of it was, as a logarithm: nearer 0 is likelier. "
        "up takes the last question back to be edited, ctrl+z takes it back with its answers. f5 lets you "
        "vote without knowing which side is which, f6 measures on many rows.\n\n"
        "Escape stops an answer and keeps what was said; a second escape leaves and frees the memory."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "held_out(1)", "Test row", id="compare.next", tooltip="Ask the next test row"),
        Binding("ctrl+r", "held_out(-1)", "Row before", id="compare.before", show=False),
        Binding("ctrl+n", "restart", "New", id="compare.new", tooltip="Begin a new conversation"),
        Binding("f2", "manner", "Settings", id="compare.manner", tooltip="Answers, system prompt, examples"),
        Binding("f3", "columns", "Columns", id="compare.columns", tooltip="Add or close a column"),
        Binding("f5", "vote", "Vote", id="compare.vote", tooltip="Vote blind: which answer is better?"),
        Binding("f6", "evaluate", "Evaluate", id="compare.evaluate", tooltip="Measure on held-out rows", show=False),
        Binding("ctrl+y", "retry", "Retry", id="compare.retry", tooltip="Ask the last question again", show=False),
        Binding("ctrl+z", "undo", "Undo", id="compare.undo", tooltip="Take the last question back", show=False),
        Binding("up", "edit", "Edit", id="compare.edit", tooltip="Edit the last question", show=False),
        Binding("f4", "correct", "Correct", id="compare.correct", tooltip="Write a better answer, as a row", show=False),
        Binding("ctrl+s", "save", "Save", id="compare.save", tooltip="Save the conversation", show=False),
        Binding("f7", "plain", "Plain text", id="compare.plain", tooltip="Exact text, or Markdown drawn", show=False),
        Binding("f8", "unfold", "Reasoning", id="compare.unfold", tooltip="Show or fold reasoning", show=False),
        Binding("f9", "together", "Scroll together", id="compare.together", show=False),
        Binding("escape", "cancel_or_back", "Back", id="compare.back", tooltip="Stop the answer; leave"),
    ]  # fmt: skip

    def __init__(self, run: Run, chat: Dialogue, rows: RowsFeed, clock: Callable[[], float]) -> None:
        super().__init__()
        self._run = run
        self._chat = chat
        self._rows = rows
        self._clock = clock
        self._ready: dict[str, Any] | None = None
        self._columns: list[dict[str, Any]] = []
        self._talk = Conversation()
        self._manner = Manner()
        self._examples: list[Message] = []
        self._view = View()
        self._busy = False
        self._editing = False
        self._together = False
        self._tries = 0
        self._warnings: list[str] = []
        self._held_out = HeldOut("")
        self._index, self._set = -1, None

    def body(self) -> ComposeResult:
        with Horizontal(id="compare"):
            yield AnswerColumn(BASE, 0)
            yield AnswerColumn("tuned", 1)
        with VerticalScroll(classes="panel", id="reference", can_focus=False) as panel:
            panel.border_title = "Reference"
            yield Quiet(id="reference-text")
        yield Quiet(id="warnings")
        yield Quiet(id="chat-status")
        yield Input(placeholder="ask all columns, or ctrl+t for a held-out row", id="question")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one("#reference").display = False
        self.query_one("#warnings").display = False
        self.query_one("#question").focus()
        self._load()
        self._open_rows()

    async def on_unmount(self) -> None:
        await asyncio.gather(self._chat.close(), self._rows.close())

    def _say(self, words: str, style: str = "$foreground-muted") -> None:
        if self.stands:  # one who leaves while it loads or answers closes the worker, which is told here
            self.query_one("#chat-status", Quiet).show(Content.styled(clean(words), style))

    # --- the model and the rows ---

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
                elif self.stands:
                    self._ready = message
                    await self._set_columns(message["columns"])
                    self._idle()
        except (RunFailed, OSError) as error:
            self._say(f"✗ {error}", "$text-error")
        finally:
            ticking.stop()

    async def _set_columns(self, found: list[dict[str, Any]]) -> None:
        """Have a view for each of these columns, in their order."""
        assert self._ready is not None
        there = {view.column: view for view in self.query(AnswerColumn)}
        names = [column["column"] for column in found]
        for name in set(there) - set(names):
            self._talk = self._talk.without(name)
            await there[name].remove()
        number = max((int((view.id or "").rpartition("-")[2]) for view in there.values()), default=-1)
        for name in names:
            if name not in there:
                number += 1
                await self.query_one("#compare").mount(AnswerColumn(name, number))
        self._columns = found
        self._share_room()
        for column in found:
            self._view_of(column["column"]).head(
                *titles(column, self._ready["model"], self._ready["four_bit"], self._run.name)
            )
        self._draw()

    def on_resize(self, _: events.Resize) -> None:
        self._share_room()

    def _share_room(self) -> None:
        """As many columns as can be read stand side by side; more are scrolled to."""
        room = self.size.width
        for view in self.query(AnswerColumn):
            beside = max(1, room // NARROWEST)
            view.styles.width = None if len(self.query(AnswerColumn)) <= beside else room // beside

    def _view_of(self, column: str) -> AnswerColumn:
        return next(view for view in self.query(AnswerColumn) if view.column == column)

    @property
    def _names(self) -> list[str]:
        return [column["column"] for column in self._columns]

    @work(group="rows")
    async def _open_rows(self) -> None:
        try:
            plan = self._run.recipe()
            self._manner = replace(self._manner, settings=Settings(plan.evaluate.max_new_tokens))
            opened = await self._rows.open(plan)
        except (RunFailed, UserError, OSError) as error:
            if not self.stands:
                return
            self.notify(f"no held-out rows: {clean(str(error))}", severity="warning", markup=False)
            return
        self._held_out = HeldOut(
            held_out_part(opened, plan), tuple(source["path"] for source in opened["sources"])
        )
        self.refresh_bindings()

    # --- what is shown ---

    def _draw(self) -> None:
        for number, column in enumerate(self._columns):
            name = column["column"]
            # Each is held against the base, the base against its neighbour.
            rival = self._names[0] if number else self._names[1] if len(self._names) > 1 else None
            notes = [column["warning"]] if column["warning"] else []
            if self._examples and name == BASE:
                rows = sum(turn["role"] == "user" for turn in self._examples)
                notes.append(f"{counted(rows, 'training row')} as examples before the question")
            self._view_of(name).draw(self._talk, rival, self._view, tuple(notes))
        warned = self.query_one("#warnings", Quiet)
        warned.display = bool(self._warnings)
        warned.show(Content.styled(clean("\n".join(f"‼ {said}" for said in self._warnings)), "$text-warning"))
        last = self._talk.last
        self.query_one("#reference").display = bool(last and last.reference)
        self.query_one("#reference-text", Quiet).show(clean(last.reference if last else ""))

    def _idle(self, more: str = "") -> None:
        view = " · plain" if self._view.plain else ""
        self._say(f"{self._run.name} · ready · {self._manner.said}{view} · {more or 'enter asks all'}")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        free = self._ready is not None and not self._busy
        match action:
            case "held_out" | "vote":
                return bool(self._held_out.part) and free
            case "manner" | "columns":
                return free
            case "restart":
                return not self._busy
            case "retry" | "undo" | "edit" | "correct" | "save":
                return free and self._talk.last is not None
        return True

    # --- asking ---

    def on_input_submitted(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if question and self._ready and not self._busy:
            event.input.value = ""
            if self._editing:
                self._talk = self._talk.without_last()
            self._editing = False
            self._tries = 0
            self._ask(Exchange(({"role": "user", "content": question},)))

    @work(group="answer")
    async def _ask(self, exchange: Exchange, only: tuple[str, ...] = ()) -> None:
        """Have a question answered, by all columns or by those that are named beside the others."""
        self._busy = True
        talk = self._talk.asking(exchange)
        asked = list(only) or self._names
        self._talk = talk
        self._warnings = []
        self._draw()
        for name in asked:
            self._view_of(name).begin()
        self._say("answering · esc stops and keeps what was said")
        self.refresh_bindings()
        try:
            histories = {
                name: transcripts.messages(talk, name, self._examples if name == BASE else ())
                for name in asked
            }
            settings = dataclasses.asdict(self._manner.settings)
            settings["seed"] += self._tries  # a question that is asked again is drawn anew
            request = {"messages": histories, "settings": settings, "reference": exchange.reference or None}
            async for message in self._chat.ask("ask", **request):
                if not self.stands:
                    return
                if message["kind"] == "token":
                    self._view_of(message["column"]).take(message["text"])
                elif message["kind"] == "answered":
                    said = {
                        name: {**answer, "cancelled": message["cancelled"]}
                        for name, answer in message["columns"].items()
                    }
                    self._talk = talk.answered(said)
                    self._warnings = message.get("warnings", [])
        except RunFailed as error:
            self._unanswered(exchange, str(error))
            return
        finally:
            self._busy = False
            if self.stands:
                for view in self.query(AnswerColumn):
                    view.end()
                self._draw()
                self.refresh_bindings()
        self._idle()

    def _unanswered(self, exchange: Exchange, why: str) -> None:
        """The question goes back to where it was typed, so that it can be changed."""
        if not self.stands:
            return
        if not exchange.answers:
            self._talk = self._talk.without_last()
        line = self.query_one("#question", Input)
        if not line.value and len(exchange.question) == 1:
            line.value = exchange.asked
        self._say(f"✗ {why}", "$text-error")

    @work(exclusive=True, group="held-out")
    async def _ask_row(self, by: int) -> None:
        try:
            row = await self._rows.row(self._held_out.part, self._index + by)
            self._index, self._set = row["index"], row["set"]
            examples = await manner.examples(self._rows, self._manner.examples, self._set)
        except RunFailed as error:
            self._say(f"✗ {error}", "$text-error")
            return
        if not self.stands or self._busy:
            return
        if not row["messages"]:
            self._say(
                f"{self._held_out.part} row {self._index + 1:,} has no question: {row['refused'] or 'raw text'}"
            )
            return
        self.action_restart()
        self._examples = examples
        *question, reference = row["messages"]
        panel = self.query_one("#reference")
        panel.border_title = f"Reference · {self._held_out.part} row {place_of(self._index, row['count'])}"
        self._ask(Exchange(tuple(question), reference["content"]))

    def action_held_out(self, by: int) -> None:
        self._ask_row(by)

    def action_restart(self) -> None:
        self._talk = Conversation(self._manner.system)
        self._warnings, self._tries, self._editing = [], 0, False
        self._draw()

    def action_undo(self) -> None:
        self._talk, self._warnings, self._editing = self._talk.without_last(), [], False
        self._draw()
        self._idle()

    def action_retry(self) -> None:
        last = self._talk.last
        if last is not None:
            self._tries += 1
            self._talk = self._talk.without_last()
            self._ask(replace(last, answers={}))

    def action_edit(self) -> None:
        line = self.query_one("#question", Input)
        last = self._talk.last
        if last is not None and line.has_focus:
            line.value = last.asked
            line.cursor_position = len(last.asked)
            self._editing = True
            self._idle("enter asks it in place of the last question, esc does not")

    # --- what is asked of a person ---

    @work(group="manner")
    async def action_manner(self) -> None:
        chosen = await manner.asked(self, self._manner)
        if chosen is None or not self.stands:
            return
        try:
            self._examples = await manner.examples(self._rows, chosen.examples, self._set)
        except RunFailed as error:
            self.refuse(f"no examples: {error}")
            chosen = replace(chosen, examples=0)
        self._manner = chosen
        self._talk = replace(self._talk, system=chosen.system)
        self._draw()
        self._idle()

    @work(group="columns")
    async def action_columns(self) -> None:
        before = self._names
        found = await columns.change(self, self._run, self._chat, self._columns)
        if not self.stands or found is self._columns:
            return
        await self._set_columns(found)
        new = tuple(name for name in self._names if name not in before)
        last = self._talk.last
        if new and last is not None:
            self._talk = self._talk.without_last()
            self._ask(last, new)
        else:
            self._idle()

    @work(group="keep")
    async def action_correct(self) -> None:
        focused = self.focused
        column = focused.column if isinstance(focused, AnswerColumn) else self._names[-1]
        await keeping.correct(self, self._run, self._talk, column)

    def action_save(self) -> None:
        assert self._ready is not None
        bits = " in 4 bits" if self._ready["four_bit"] else ""
        facts = [f"{self._ready['model']}{bits}", self._manner.said]
        facts += [
            f"{column['column']}: adapter {column['digest']}, step {column['step']} of {column['run']}"
            for column in self._columns
            if column["digest"]
        ]
        keeping.save(self, self._run, self._talk, self._names, facts)

    @work(group="vote")
    async def action_vote(self) -> None:
        from tui.screens.vote import VoteScreen

        others = [column for column in self._columns if column["on"]]
        number: int | None = 0
        if len(others) > 1:
            names = [column["column"] for column in others]
            number = await self.app.push_screen_wait(PickScreen("Base against which?", names))
        if number is not None and self.stands:
            pair = (self._columns[0], others[number])
            settings = self._manner.settings
            self.open_beside(VoteScreen(self._run, self._chat, self._rows, self._held_out, pair, settings))

    def action_evaluate(self) -> None:
        self.post_message(EvaluationAsked(self._run))

    # --- the view ---

    def action_plain(self) -> None:
        self._view = replace(self._view, plain=not self._view.plain)
        self._draw()
        if not self._busy:
            self._idle()

    def action_unfold(self) -> None:
        self._view = replace(self._view, unfolded=not self._view.unfolded)
        self._draw()

    def action_together(self) -> None:
        self._together = not self._together
        self.notify("columns scroll together" if self._together else "each column scrolls by itself")

    def on_answer_column_scrolled(self, message: AnswerColumn.Scrolled) -> None:
        if self._together:
            for view in self.query(AnswerColumn):
                if view is not message.column:
                    view.scroll_to(y=message.y, animate=False)

    async def action_cancel_or_back(self) -> None:
        if self._busy:
            await self._chat.tell("cancel")
        elif self._editing:
            self._editing = False
            self.query_one("#question", Input).value = ""
            self._idle()
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
