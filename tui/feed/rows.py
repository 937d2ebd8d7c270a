"""The rows of a recipe, as data workers read and render them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from engine.errors import RunFailed
from engine.recipe import Recipe
from tui.feed.child import Child, Dialogue, Message


class RowsFeed:
    """A recipe's rows, from a data worker; a second one scans the set, so that rows never wait."""

    def __init__(self, child: Callable[..., Child] = Child) -> None:
        self._child = child
        self._rows: Dialogue | None = None
        self._scanner: Dialogue | None = None

    async def open(self, plan: Recipe) -> Message:
        """Read the recipe's sources: the `opened` message. Raises RunFailed."""
        if self._rows is None or self._rows.lost:
            self._rows = Dialogue(self._child("data"))
            await self._rows.start()
        return await self._rows.answer("open", recipe=plan.model_dump(mode="json"))

    async def row(self, part: str, index: int) -> Message:
        """One row as it is trained: the `row` message. Raises RunFailed."""
        if self._rows is None:
            raise RunFailed("the rows are not open yet")
        return await self._rows.answer("row", part=part, index=index)

    async def scan(self, plan: Recipe) -> AsyncIterator[Message]:
        """`progress` messages, then `scanned`. Raises RunFailed. Leaving it early ends the scan."""
        scanner = self._scanner = Dialogue(self._child("data"))
        await scanner.start()
        try:
            await scanner.answer("open", recipe=plan.model_dump(mode="json"))
            async for message in scanner.ask("scan"):
                yield message
        finally:
            await scanner.close()

    async def close(self) -> None:
        for dialogue in (self._rows, self._scanner):
            if dialogue is not None:
                await dialogue.close()
