"""Base and tuned side by side, and whatever else a person wants to know of an adapter by asking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from textual import work
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input

from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from engine.runs import Run
from engine.schema import Recipe
from engine.transcripts import Conversation, Exchange, Message
from tui.feed import Dialogue, RowsFeed
from tui.feed.ballots import HeldOut
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens import columns, keeping, manner
from tui.screens.choose import PickScreen
from tui.screens.messages import EvaluationAsked
from tui.screens.talk import TalkScreen
from tui.widgets.answer import AnswerColumn, kind
from tui.widgets.figures import place_of


class CompareScreen(TalkScreen):
    """Columns and a line to ask; the model is in memory while the screen is open."""

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
        *shown(
            "compare",
            ("ctrl+t", "held_out(1)", "Test row", "next", "Ask the next test row"),
            ("ctrl+n", "restart", "New", "new", "Begin a new conversation"),
            ("f2", "manner", "Settings", "manner", "Change settings, prompt, examples"),
            ("f3", "columns", "Columns", "columns", "Add or close a column"),
            ("f5", "vote", "Vote", "vote", "Vote blind on which answer is better"),
            ("escape", "cancel_or_back", "Back", "back", "Stop the answer, or leave"),
        ),
        *hidden(
            "compare",
            ("ctrl+r", "held_out(-1)", "Row before", "row_before", "Ask the test row before"),
            ("f4", "correct", "Correct", "correct", "Write a better answer, as a row to train on"),
            ("f6", "evaluate", "Evaluate", "evaluate", "Measure on many held-out rows"),
            ("ctrl+y", "retry", "Retry", "retry", "Ask the last question again"),
            ("ctrl+z", "undo", "Undo", "undo", "Take the last question back"),
            ("up", "edit", "Edit", "edit", "Edit the last question"),
            ("ctrl+s", "save", "Save", "save", "Save the conversation"),
        ),
    ]

    def __init__(
        self,
        run: Run,
        chat: Dialogue,
        rows: RowsFeed,
        clock: Callable[[], float],
        vote: bool = False,
        other: Run | None = None,
    ) -> None:
        """vote: begin a blind vote as soon as there are rows and a model to ask; other: a run that is a
        column too as soon as the model is there.
        """
        super().__init__(run, chat, rows, clock)
        self._vote_asked = vote
        self._other = other
        self._editing = False
        self._held_out = HeldOut("")
        self._index, self._set = -1, None

    def on_mount(self) -> None:
        self._open_rows()

    @work(group="rows")
    async def _open_rows(self) -> None:
        try:
            plan = self.run.recipe()
            self.manner = replace(self.manner, settings=Settings(plan.evaluate.max_new_tokens))
            opened = await self.rows.open(plan)
        except (RunFailed, UserError, OSError) as error:
            if not self.stands:
                return
            self.notify(f"no held-out rows: {clean(str(error))}", severity="warning", markup=False)
            return
        self._held_out = HeldOut(
            held_out_part(opened, plan), tuple(source["path"] for source in opened["sources"])
        )
        self.refresh_bindings()
        self._vote_if_asked()

    def idle(self, more: str = "") -> None:
        super().idle(more)
        if self._other is not None and self.check_action("columns", ()):
            other, self._other = self._other, None
            self._add(other)
        self._vote_if_asked()

    @work(group="columns")
    async def _add(self, other: Run) -> None:
        """Have another run as a column; one that does not fit is refused with the reason."""
        self.say(f"loading {other.name} …")
        try:
            told = await self.chat.answer("load", column=other.name, run=str(other.path), step=None)
        except RunFailed as error:
            self.refuse(str(error))
        else:
            if self.stands:
                await self.set_columns([*self.columns, told])
        if self.stands:
            self.idle()

    def _vote_if_asked(self) -> None:
        if self._vote_asked and self.check_action("vote", ()):
            self._vote_asked = False
            self.action_vote()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        free = self.loaded is not None and not self.busy
        match action:
            case "held_out" | "vote":
                return bool(self._held_out.part) and free
            case "manner" | "columns":
                return free
            case "restart":
                return not self.busy
            case "retry" | "undo" | "edit" | "correct" | "save":
                return free and self.talk.last is not None
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if question and self.loaded and not self.busy:
            event.input.value = ""
            if self._editing:
                self.talk = self.talk.without_last()
            self._editing = False
            self.tries = 0
            self.ask(Exchange(({"role": "user", "content": question},)))

    @work(exclusive=True, group="held-out")
    async def _ask_row(self, by: int) -> None:
        try:
            row = await self.rows.row(self._held_out.part, self._index + by)
            self._index, self._set = row["index"], row["set"]
            examples = await manner.examples(self.rows, self.manner.examples, self._set)
            if self.stands and not self.busy:
                await self._ask_as_it_is(row, examples)
        except RunFailed as error:
            self.say(f"✗ {error}", "$text-error")

    async def _ask_as_it_is(self, row: dict[str, Any], examples: list[Message]) -> None:
        if not row["messages"]:
            why = row["refused"] or "raw text"
            self.say(f"{self._held_out.part} row {self._index + 1:,} has no question: {why}")
            return
        self.action_restart()
        self.examples = examples
        *question, reference = row["messages"]
        panel = self.query_one("#reference")
        where = f"{self._held_out.part} row {place_of(self._index, row['count'])}"
        panel.border_title = Content(f"Reference · {where}")
        if row["links"]:
            await self._ask_chain(row["links"])
        else:
            self.ask(Exchange(tuple(question), reference["content"]))

    async def _ask_chain(self, links: int) -> None:
        """The sub-tasks of a row, one after the other: each column goes on with what it said itself.

        Raises RunFailed.
        """
        said: dict[str, dict[str, str]] = {name: {} for name in self.names}
        for number in range(links):
            link = await self.rows.link(self._held_out.part, self._index, number, said)
            own = {name: tuple(messages) for name, messages in link["messages"].items()}
            if self.busy or not self.stands:
                return  # something else was asked meanwhile
            await self.ask(Exchange((), link["reference"], own=own, fresh=True)).wait()
            last = self.talk.last
            if self.cancelling or not self.stands or last is None or last.answers.keys() != said.keys():
                return
            for name, answer in last.answers.items():
                said[name][link["fills"]] = answer["text"].strip()

    def action_held_out(self, by: int) -> None:
        self._ask_row(by)

    def action_restart(self) -> None:
        self.talk = Conversation(self.manner.system)
        self.warnings, self.tries, self._editing = [], 0, False
        self.draw()

    def action_undo(self) -> None:
        self.talk, self.warnings, self._editing = self.talk.without_last(), [], False
        self.draw()
        self.idle()

    def action_retry(self) -> None:
        last = self.talk.last
        if last is not None:
            self.tries += 1
            self.talk = self.talk.without_last()
            self.ask(replace(last, answers={}))

    def action_edit(self) -> None:
        line = self.query_one("#question", Input)
        last = self.talk.last
        if last is not None and line.has_focus:
            line.value = last.asked
            line.cursor_position = len(last.asked)
            self._editing = True
            self.idle("enter asks it in place of the last question, esc does not")

    # --- what is asked of a person ---

    @work(group="manner")
    async def action_manner(self) -> None:
        chosen = await manner.asked(self, self.manner)
        if chosen is None or not self.stands:
            return
        try:
            self.examples = await manner.examples(self.rows, chosen.examples, self._set)
        except RunFailed as error:
            self.refuse(f"no examples: {error}")
            chosen = replace(chosen, examples=0)
        self.manner = chosen
        self.talk = replace(self.talk, system=chosen.system)
        self.draw()
        self.idle()

    @work(group="columns")
    async def action_columns(self) -> None:
        before = self.names
        found = await columns.change(self, self.run, self.chat, self.columns)
        if not self.stands or found is self.columns:
            return
        await self.set_columns(found)
        new = tuple(name for name in self.names if name not in before)
        if new and self.talk.last is not None:
            self.catch_up(new)
        else:
            self.idle()

    @work(group="keep")
    async def action_correct(self) -> None:
        focused = self.focused
        column = focused.column if isinstance(focused, AnswerColumn) else self.names[-1]
        await keeping.correct(self, self.run, self.talk, column)

    def action_save(self) -> None:
        assert self.loaded is not None
        bits = " in 4 bits" if self.loaded["four_bit"] else ""
        facts = [f"{self.loaded['model']}{bits}", self.manner.said]
        facts += [
            f"{column['column']}: {kind(column)} {column['digest']}, step {column['step']} of {column['run']}"
            for column in self.columns
            if column["digest"]
        ]
        keeping.save(self, self.run, self.talk, self.names, facts)

    @work(group="vote")
    async def action_vote(self) -> None:
        from tui.screens.vote import VoteScreen

        others = [column for column in self.columns if column["on"]]
        number: int | None = 0
        if len(others) > 1:
            names = [column["column"] for column in others]
            number = await self.app.push_screen_wait(PickScreen("Base against which?", names))
        if number is not None and self.stands:
            pair = (self.columns[0], others[number])
            settings = self.manner.settings
            self.open_beside(VoteScreen(self.run, self.chat, self.rows, self._held_out, pair, settings))

    def action_evaluate(self) -> None:
        self.post_message(EvaluationAsked(self.run))

    async def action_cancel_or_back(self) -> None:
        if self.busy and not self.cancelling:
            self.cancelling = True
            await self.chat.tell("cancel")
            self.say("stopping … esc again leaves")
        elif self._editing:
            self._editing = False
            self.query_one("#question", Input).value = ""
            self.idle()
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
