"""A blind vote: two answers to one question, and nothing that tells which side is which before it is cast."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content

from engine import votes
from engine.ahead import Ahead
from engine.decoding import Settings
from engine.errors import UserError
from engine.runs import Run
from engine.votes import Pair, Verdict, Vote
from tui.feed import Dialogue, RowsFeed
from tui.feed.ballots import Ballot, Ballots, HeldOut, Shuffle, shuffled
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import AskScreen
from tui.screens.panes import PanesScreen
from tui.widgets.answer import kind, spoken
from tui.widgets.figures import counted
from tui.widgets.pane import Pane
from tui.widgets.prose import marked, prose
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

SIDES = ("left", "right")


class VoteScreen(PanesScreen):
    """Asks for one vote after the other; the comparison beneath owns the worker."""

    STEP = 6
    HELP = (
        "Two answers to one question, one of them the base's: the sides are shuffled for each row, and "
        "both are shown only when both are whole. Say which is better; then it is told whose they are. "
        "left and right prefer a side, t is a tie, b means both are bad, s passes the row over.\n\n"
        "Rows come from those held out of training; p asks a question of your own next. Answers are made "
        "ahead while you read. Where both said the same, nobody is asked and it is counted as that.\n\n"
        "Every vote is kept in the run's folder at once (votes.jsonl); leave whenever you like and go on "
        "another day: what was voted on is not asked again. `ift-tui votes RUN` prints the counts."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "vote",
            ("left,1", "cast('left')", "Left", "left", "Prefer the left answer"),
            ("right,2", "cast('right')", "Right", "right", "Prefer the right answer"),
            ("t", "cast('tie')", "Tie", "tie", "Call it a tie: both are as good"),
            ("b", "cast('both bad')", "Both bad", "bad", "Call both bad: neither will do"),
            ("enter,space", "next", "Next", "next", "Go to the next row"),
            ("s", "skip", "Skip", "skip", "Pass this row over"),
            ("p", "type", "Ask", "type", "Ask a question of your own"),
        ),
        *hidden(
            "vote",
            ("r", "reference", "Reference", "reference", "Show the reference"),
        ),
    ]

    def __init__(
        self,
        run: Run,
        chat: Dialogue,
        rows: RowsFeed,
        held_out: HeldOut,
        columns: tuple[dict[str, Any], dict[str, Any]],
        settings: Settings,
        shuffle: Shuffle = shuffled,
    ) -> None:
        """columns: COLUMNs of the chat worker, the base first."""
        super().__init__()
        self._run = run
        self._chat = chat
        base, other = columns
        self._proofs = {column["column"]: _proof(column) for column in columns}
        self._digests = {column["column"]: column["digest"] for column in columns}
        self._pair = Pair(other["column"], base["column"], other["digest"], base["digest"])
        self._voted = votes.of(votes.read(run), self._pair)
        sides = (base["column"], other["column"])
        done = {votes.key(vote.question) for vote in self._voted}
        # An average has no digest by which its answers could be known again.
        ahead = Ahead(run, self._digests, asdict(settings)) if other["digest"] else None
        self._ballots = Ballots(chat, rows, held_out, sides, settings, done, shuffle, ahead)
        self._ballot: Ballot | None = None
        self._revealed = False
        self._reference = False
        self._given = 0

    def body(self) -> ComposeResult:
        yield Pane("Question", id="vote-question")
        with Horizontal(id="vote"):
            for side in SIDES:
                yield Pane(side.capitalize(), id=f"vote-{side}")
        yield Pane("Reference", id="vote-reference")
        yield Quiet(id="vote-status")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one("#vote-reference").display = False
        self._make()
        self._next()

    async def on_unmount(self) -> None:
        self.workers.cancel_all()
        await self._chat.tell("cancel")  # the comparison can be asked again at once

    @work(group="make")
    async def _make(self) -> None:
        await self._ballots.make(self._refused)

    def _refused(self, why: str) -> None:
        if self.stands:
            self.notify(clean(why), severity="warning", markup=False)

    @work(exclusive=True, group="next")
    async def _next(self) -> None:
        """Wait for a ballot, count those that need nobody, and show the first that does."""
        self._ballot, self._revealed = None, False
        self.paint()
        self._say("both answers are being made …")
        while (ballot := await self._ballots.next()) is not None and ballot.identical:
            if not self._keep(ballot, "identical"):
                return
        if not self.stands:
            return
        self._ballot = ballot
        self.paint()
        if ballot is None and self._ballots.lost:
            self._say(f"✗ {self._ballots.lost}; the votes that were given are kept", "$text-error")
        elif ballot is None:
            self._say(f"no row is left to vote on · {self._words}")
        else:
            self._say(f"which is better? · {counted(self._given, 'vote')} so far")

    def _say(self, words: str, style: str = "$foreground-muted") -> None:
        self.query_one("#vote-status", Quiet).show(Content.styled(clean(words), style))

    def paint(self) -> None:
        """The question and both answers at once, or nothing of either."""
        ballot = self._ballot
        question = [spoken(turn) for turn in ballot.question] if ballot else []
        self.query_one("#vote-question", Pane).show(Content("\n\n").join(question))
        said = [prose(ballot.answers[side], self.view) for side in ballot.sides] if ballot else []
        for number, side in enumerate(SIDES):
            pane = self.query_one(f"#vote-{side}", Pane)
            if ballot is None:
                pane.show("", side.capitalize())
                continue
            text = marked(said[number], said[1 - number])
            empty = Content.styled("(an empty answer)", "$foreground-muted")
            pane.show(text if text.plain.strip() else empty, self._title(ballot, number))
        panel = self.query_one("#vote-reference", Pane)
        panel.display = bool(ballot and ballot.reference and (self._reference or self._revealed))
        panel.show(ballot.reference if ballot else "")
        self.refresh_bindings()

    def _title(self, ballot: Ballot, number: int) -> str:
        side, column = SIDES[number].capitalize(), ballot.sides[number]
        if not self._revealed:
            return side
        return f"{side}: {column} · {self._proofs[column]}"

    @property
    def _words(self) -> str:
        """What all votes on this pair come to."""
        return f"{self._pair.column} {votes.words(votes.tally(self._voted, self._pair))}"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "cast" | "skip":
                return self._ballot is not None and not self._revealed
            case "next":
                return self._revealed
            case "reference":
                return self._ballot is not None and bool(self._ballot.reference)
        return True

    def action_cast(self, said: str) -> None:
        ballot = self._ballot
        if ballot is None:
            return
        side = ballot.sides[SIDES.index(said)] if said in SIDES else ""
        verdict: Verdict = "preferred" if side else "tie" if said == "tie" else "both bad"
        if not self._keep(ballot, verdict, side):
            return
        self._given += 1
        self._revealed = True
        self.paint()
        words = f"{said} is better: {side}" if side else said
        self._say(f"{words} · in all: {self._words}")

    def _keep(self, ballot: Ballot, verdict: Verdict, preferred: str = "") -> bool:
        """Write a vote down; False where that could not be done, and then it is not counted."""
        vote = Vote(
            ballot.question, ballot.answers, self._digests, verdict, preferred, ballot.sides[0], ballot.tag
        )
        try:
            votes.cast(self._run, vote)
        except UserError as error:
            self.refuse(str(error))
            return False
        self._voted.append(vote)
        return True

    def action_next(self) -> None:
        self._next()

    def action_skip(self) -> None:
        self._next()

    @work(group="type")
    async def action_type(self) -> None:
        typed = await self.app.push_screen_wait(AskScreen("Ask both", "", "asks it next"))
        if typed is not None and self.stands:
            await self._ballots.ask(typed)
            if self._ballot is None or self._revealed:
                self._next()
            else:
                self.notify("it comes after this vote")

    def action_reference(self) -> None:
        self._reference = not self._reference
        self.paint()


def _proof(column: dict[str, Any]) -> str:
    if column["members"]:
        return f"the logits of {', '.join(column['members'])} averaged"
    return f"{kind(column)} {column['digest'][:8]}" if column["digest"] else "adapter off"
