"""How a command talks to a child worker: one conversation, ended whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from engine.errors import RunFailed, UserError
from tui.commands import _print
from tui.feed import Child, Message

Answer = TypeVar("Answer")


class Conversation:
    """A started worker. Its errors become exceptions: of a request, UserError; of the worker, RunFailed."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._messages = child.messages()
        self._id = 0

    async def ask(self, do: str, answer: str, **request: object) -> Message:
        """Send a request and wait for its answer of that kind, showing progress on the way."""
        self._id += 1
        await self._child.send(do=do, id=self._id, **request)
        return await self.wait(answer)

    async def wait(self, kind: str) -> Message:
        """The next message of that kind."""
        async for message in self._messages:
            match message:
                case {"kind": found} if found == kind:
                    _print.progress("")
                    return message
                case {"kind": "error", "message": str(text)}:
                    _print.progress("")
                    raise UserError(text) if message.get("user") else RunFailed(text)
                case {"kind": "progress", "done": done, "total": total}:
                    _print.progress(f"{done:,} of {total:,}")
                case {"kind": "phase", "phase": "load", "bytes": int(needed)}:
                    _print.progress(f"load: two models, {_print.size(needed)} ...")
                case {"kind": "phase", "phase": phase}:
                    _print.progress(f"{phase} ...")
        raise RunFailed(
            f"the {self._child.worker} worker ended without an answer; nothing of yours is lost, ask again"
        )


def talk(worker: str, *arguments: str, what: Callable[[Conversation], Awaitable[Answer]]) -> Answer:
    """Start a worker, let `what` ask it, end it."""

    async def conversation() -> Answer:
        async with _started(worker, *arguments) as child:
            return await what(Conversation(child))

    return asyncio.run(conversation())


@asynccontextmanager
async def _started(worker: str, *arguments: str) -> AsyncIterator[Child]:
    child = Child(worker, *arguments)
    await child.start()
    try:
        yield child
    finally:
        await child.close()
