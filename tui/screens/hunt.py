"""Rows that have something: a finding, or a text that is looked for; the way from one to the next."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual import work
from textual.binding import BindingType

from engine.errors import RunFailed
from tui.feed import RowsFeed
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import AskScreen
from tui.screens.paging import PagingScreen, Place

ANY = "any"


class HuntScreen(PagingScreen):
    """Goes from find to find as PagingScreen goes from row to row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "hunt",
            ("slash", "seek", "Search", "seek", "Look for a text in the rows"),
        ),
        *hidden(
            "hunt",
            ("n", "again(1)", "Next match", "next", "Go to the next match"),
            ("N", "again(-1)", "Match before", "before", "Go to the match before"),
            (
                "right_square_bracket",
                "found(1)",
                "Next finding",
                "found",
                "Go to the next row with a finding",
            ),
            (
                "left_square_bracket",
                "found(-1)",
                "Finding before",
                "found_before",
                "Go to the row before with a finding",
            ),
            ("x,backspace", "all_rows", "All rows again", "all", "Go through all rows again"),
        ),
    ]

    def __init__(self, rows: RowsFeed, place: Place) -> None:
        super().__init__(place)
        self._rows = rows
        self.sought = ""
        """The text that is looked for."""
        self._finding = ""
        self._nth: tuple[int, int] | None = None
        self._looking = ""
        # Each hunt begins where the one before has ended: keys may be faster than answers.
        self._turn = asyncio.Lock()

    def paint_row(self, stay: bool = False) -> None:
        """The row is the same; what is marked in it, or said about it, is not."""
        raise NotImplementedError

    def hunted(self) -> list[tuple[str, str]]:
        """What the rows are found by, for the line above them."""
        words = []
        if self._finding:
            nth = f" {self._nth[0]:,} of {self._nth[1]:,}" if self._nth else ""
            words.append((f" · {clean(self._finding, newlines=False)}{nth}", "$text-warning"))
            words.append((" x: all rows", "$foreground-muted"))
        if self.sought:
            words.append((f" · “{clean(self.sought, newlines=False)}”", "$text-accent"))
        if self._looking:
            words.append((f" · {self._looking}", "$foreground-muted"))
        return words

    def go_through(self, finding: str) -> None:
        """From now on only the rows of a finding, from the first on."""
        self._cancel()
        self._hunt(1, 1, finding, "", self.place.part, -1)

    def leave_hunt(self) -> bool:
        """Stop looking, or forget what was looked for; False where there is nothing of the kind."""
        if not self.sought and not self._looking:
            return False
        self._cancel()
        self.sought = ""
        return True

    def go_to(self, place: Place) -> None:
        self._cancel()
        if place.index != self.place.index:
            self._nth = None
        if place.part != self.place.part:
            self._finding = ""
        super().go_to(place)

    def _cancel(self) -> None:
        self.workers.cancel_group(self, "hunt")
        self._looking = ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "again":
                return bool(self.sought)
            case "all_rows":
                return bool(self._finding)
        return super().check_action(action, parameters)

    def action_turn(self, by: int) -> None:
        if self._finding:
            self._hunt(1 if by > 0 else -1, abs(by), self._finding, "")
        else:
            super().action_turn(by)

    def action_found(self, step: int) -> None:
        self._hunt(step, 1, self._finding or ANY, "")

    def action_again(self, step: int) -> None:
        self._hunt(step, 1, self._finding, self.sought)

    def action_all_rows(self) -> None:
        self._cancel()
        self._finding, self._nth = "", None
        self.paint_row(stay=True)
        self.refresh_bindings()

    def action_seek(self) -> None:
        def seek(typed: str | None) -> None:
            if typed is not None:
                self._cancel()
                self.sought = typed
                self._hunt(1, 1, self._finding, typed, self.place.part, self.place.index - 1)

        self.app.push_screen(AskScreen("Which text?", self.sought, "looks for it"), seek)

    @work(group="hunt")
    async def _hunt(
        self, step: int, hops: int, finding: str, text: str, part: str = "", start: int | None = None
    ) -> None:
        """Go `hops` finds on, as far as there are; a text is looked for all round, findings to the end."""
        async with self._turn:
            part = part or self.place.part
            begin = self.place.index if start is None else start
            last: dict[str, Any] | None = None
            try:
                for _ in range(hops):
                    at = begin if last is None else last["index"]
                    found = await self._look(part, at, step, finding, text)
                    if found is None:
                        break
                    last = found
            except RunFailed as error:
                if self.stands:
                    self._looking = ""
                    self.refuse(str(error))
                return
            if self.stands:
                self._looking = ""
                self._arrive(last, part, finding, text)

    async def _look(self, part: str, at: int, step: int, finding: str, text: str) -> dict[str, Any] | None:
        """The next find, or None where there is none."""
        begins = [at]
        if text and (step > 0 or self.count is not None):
            begins.append(-1 if step > 0 else self.count or 0)
        for begin in begins:
            async for found in self._rows.find(part, begin, step, finding, text):
                if found["index"] is not None:
                    return found
                if begin != at and (found["reached"] - at) * step >= 0:
                    return None  # once round
                if found["more"]:
                    self._looking = f"looking … row {found['reached'] + 1:,}"
                    self.paint_row(stay=True)
        return None

    def _arrive(self, found: dict[str, Any] | None, part: str, finding: str, text: str) -> None:
        if found is None:
            what = f"“{text}”" if text else "a finding" if finding == ANY else finding
            more = "no row" if text or finding != self._finding else "no further row"
            self.refuse(f"{more} of {part} with {what}")
            self.paint_row(stay=True)
            return
        if not text:
            self._finding = "" if finding == ANY else finding
        self._nth = (found["nth"], found["of"]) if self._finding and found["nth"] else None
        self.place = Place(part, found["index"])
        self.ask()
        self.paint_row()
        self.refresh_bindings()
