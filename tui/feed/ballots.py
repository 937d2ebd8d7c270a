"""Questions for a blind vote, each with both answers: made ahead, so that nobody waits for one."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine import votes
from engine.ahead import Ahead
from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from tui.feed.child import Dialogue, Message
from tui.feed.rows import RowsFeed

BATCH = 20
"""Ballots that are made ahead at most."""
UNCOUNTED = 1_000
"""Of a part that is not counted yet, rows are drawn from so many at its beginning."""

Sides = tuple[str, str]
Shuffle = Callable[[Sides], Sides]


def shuffled(columns: Sides) -> Sides:
    """In an order that nothing but chance decides: no seed, no row, no clock."""
    left, right = random.SystemRandom().sample(columns, 2)
    return left, right


@dataclass(frozen=True)
class HeldOut:
    """Rows to ask: their part, and the sets of the recipe by number."""

    part: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ballot:
    """A question and what each column said; sides: the columns from left to right."""

    question: tuple[Message, ...]
    reference: str
    tag: str
    answers: dict[str, str]
    sides: Sides

    @property
    def identical(self) -> bool:
        one, other = self.answers.values()
        return one.strip() == other.strip()


class Ballots:
    """Asks the chat worker about one row after the other, typed questions first."""

    def __init__(
        self,
        chat: Dialogue,
        rows: RowsFeed,
        held_out: HeldOut,
        columns: Sides,
        settings: Settings,
        voted: Collection[str] = (),
        shuffle: Shuffle = shuffled,
        ahead: Ahead | None = None,
    ) -> None:
        """voted: keys of questions that were voted on already; they are passed over. ahead: where answers to
        rows are kept, and taken from.
        """
        self.lost = ""
        """Why no more ballots are made; empty while they are."""
        self._chat = chat
        self._rows = rows
        self._held_out = held_out
        self._columns = columns
        self._settings = settings
        self._voted = set(voted)
        self._shuffle = shuffle
        self._ahead = ahead
        self._kept = ahead.kept() if ahead else {}
        self._typed: deque[str] = deque()
        self._first: deque[Ballot] = deque()
        self._made: deque[Ballot] = deque()
        self._owed = 0  # typed questions that have no answers yet
        self._over = False
        self._changed = asyncio.Condition()

    async def make(self, refused: Callable[[str], None]) -> None:
        """Make ballots until the worker is lost. refused hears why one could not be made, or kept."""
        try:
            numbers = self._numbers((await self._rows.row(self._held_out.part, 0))["count"])
            while True:
                async with self._changed:
                    await self._changed.wait_for(
                        lambda: self._typed or (len(self._made) < BATCH and not self._over)
                    )
                if self._typed:
                    await self._make_typed(self._typed.popleft(), refused)
                elif (number := next(numbers, None)) is None:
                    self._over = True
                    await self._tell()
                else:
                    await self._make_row(number, refused)
        except RunFailed as error:
            self.lost, self._over, self._owed = str(error), True, 0
            await self._tell()

    async def next(self) -> Ballot | None:
        """The next one, once it is made; None where no row is left."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._first or (self._made and not self._owed) or (self._over and not self._owed)
            )
            queue = self._first or self._made
            ballot = queue.popleft() if queue else None
            self._changed.notify_all()
        return ballot

    async def ask(self, question: str) -> None:
        """A question of a person's own; it comes next."""
        self._typed.append(question)
        self._owed += 1
        await self._tell()

    def _numbers(self, count: int | None) -> Iterator[int]:
        """Rows in an order that is the same each time: a session that was left goes on where it was."""
        numbers = list(range(count if count is not None else UNCOUNTED))
        random.Random(0).shuffle(numbers)
        return iter(numbers)

    async def _make_typed(self, typed: str, refused: Callable[[str], None]) -> None:
        try:
            question = ({"role": "user", "content": typed},)
            self._first.append(self._ballot(question, "", votes.TYPED, await self._answers(question)))
        except RunFailed as error:
            self._passed_over(error, refused)
        self._owed -= 1
        await self._tell()

    async def _make_row(self, number: int, refused: Callable[[str], None]) -> None:
        row = await self._rows.row(self._held_out.part, number)
        *question, reference = row["messages"] or [None]
        if not question or votes.key(question) in self._voted:
            return
        self._voted.add(votes.key(question))
        try:
            tag = self._held_out.sources[row["set"]]
            answers = self._kept.get(votes.key(question)) or await self._answers(question, refused)
            self._made.append(self._ballot(tuple(question), reference["content"], tag, answers))
        except RunFailed as error:
            self._passed_over(error, refused)
        await self._tell()

    def _passed_over(self, error: RunFailed, refused: Callable[[str], None]) -> None:
        """One question may be too long for the model; without its worker there is none."""
        if self._chat.lost:
            raise error
        refused(f"a row is passed over: {error}")

    def _ballot(
        self, question: tuple[Message, ...], reference: str, tag: str, answers: dict[str, str]
    ) -> Ballot:
        return Ballot(question, reference, tag, answers, self._shuffle(self._columns))

    async def _answers(
        self, question: Sequence[Message], refused: Callable[[str], None] | None = None
    ) -> dict[str, str]:
        """What each column says. With `refused`, which hears why that failed, it is kept for another day."""
        said: Any = await self._chat.answer(
            "ask",
            messages={column: list(question) for column in self._columns},
            settings=dataclasses.asdict(self._settings),
        )
        answers = {column: str(said["columns"][column]["text"]) for column in self._columns}
        if refused and self._ahead and not said["cancelled"]:
            try:
                await asyncio.to_thread(self._ahead.keep, question, answers)
            except UserError as error:
                self._ahead = None  # said once: answers are made all the same
                refused(f"answers are not kept for another day: {error}")
        return answers

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
