"""The rows of a recipe, as data workers read and render them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from engine.errors import RunFailed
from tui.feed.child import Child, Dialogue, Message

if TYPE_CHECKING:
    from engine.schema import Recipe, Source


class RowsFeed:
    """A recipe's rows, from a data worker; a second one scans the set, so that rows never wait."""

    def __init__(self, child: Callable[..., Child] = Child) -> None:
        self._child = child
        self._rows: Dialogue | None = None
        self._scanner: Dialogue | None = None
        self._starting = asyncio.Lock()

    async def open(self, plan: Recipe) -> Message:
        """Read the recipe's sources: the `opened` message. Raises RunFailed."""
        return await (await self._reader()).answer("open", recipe=plan.model_dump(mode="json"))

    async def row(self, part: str, index: int, variant: int = 0, **more: Any) -> Message:
        """One row as it is trained: the `row` message. Raises RunFailed.

        more: `tokens`, to have its tokens too; `changed`, keys of [data] with which it is rendered instead.
        """
        if changed := more.pop("changed", None):
            more["as"] = changed
        return await self._opened().answer("row", part=part, index=index, variant=variant, **more)

    async def link(self, part: str, index: int, number: int, said: dict[str, dict[str, str]]) -> Message:
        """A sub-task of a row, as each column is asked it: the `link` message. Raises RunFailed."""
        return await self._opened().answer("link", part=part, index=index, number=number, said=said)

    async def layouts(self) -> list[dict[str, Any]]:
        """The chat templates that the model could be trained with. Raises RunFailed."""
        layouts: list[dict[str, Any]] = (await self._opened().answer("layouts"))["layouts"]
        return layouts

    async def find(
        self, part: str, index: int, step: int, finding: str = "", text: str = ""
    ) -> AsyncIterator[Message]:
        """`found` messages from a row on, until one has an index or the part has ended. Raises RunFailed."""
        reached, more = index, True
        while more:
            found = await self._opened().answer(
                "find", part=part, index=reached, step=step, finding=finding, text=text
            )
            yield found
            reached, more = found["reached"], found["index"] is None and found["more"]

    async def tried(self, source: Source, template: dict[str, Any] | None = None, rows: int = 3) -> Message:
        """The first rows of a source read in another way: the `tried` message. Raises RunFailed."""
        document = source.model_dump(mode="json")
        return await (await self._reader()).answer("try", source=document, template=template, rows=rows)

    async def adopt(self, folder: str) -> Message:
        """Let the worker of the rows know what the scanning one has counted. Raises RunFailed."""
        return await (await self._reader()).answer("adopt", folder=folder)

    async def ledger(self, reason: str | None, start: int, rows: int) -> Message:
        """A page of the ledger: the `ledger` message. Raises RunFailed."""
        return await (await self._reader()).answer("ledger", reason=reason, start=start, rows=rows)

    async def scan(self, plan: Recipe) -> AsyncIterator[Message]:
        """`progress` and `surveyed` messages, then `scanned`. Raises RunFailed. Leaving early ends it."""
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

    def _opened(self) -> Dialogue:
        if self._rows is None:
            raise RunFailed("the rows are not open yet; wait a moment")
        return self._rows

    async def _reader(self) -> Dialogue:
        async with self._starting:
            if self._rows is None or self._rows.lost:
                dialogue = Dialogue(self._child("data"))
                await dialogue.start()
                self._rows = dialogue
            return self._rows
