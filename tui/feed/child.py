"""Child workers: one JSON object a line, on their stdin and their stdout."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from engine import runs
from engine.errors import RunFailed

Message = dict[str, Any]

# One rendered row is one line: it may be megabytes long.
LONGEST_LINE = 64 * 1024 * 1024


class Child:
    """A worker process, asked on its stdin and answering on its stdout; it ends with this one."""

    def __init__(self, worker: str, *arguments: str) -> None:
        self.worker = worker
        self.arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[None] | None = None
        self._last_words: list[str] = []

    async def start(self) -> None:
        """Start the worker. What its libraries print is kept for the message of a failure."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            f"engine.workers.{self.worker}",
            *self.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            env={**runs.WORKER_ENVIRONMENT, **os.environ},
        )
        self._errors = asyncio.create_task(self._keep_errors(self._process))

    async def send(self, **request: Any) -> None:
        """Ask. A worker that is gone is told about by `messages`, not here."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(request) + "\n").encode())
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass

    async def messages(self) -> AsyncIterator[Message]:
        """What the worker says, until it ends; an end with an error code becomes an error."""
        assert self._process is not None and self._process.stdout is not None
        said_why = False
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            said_why |= message["kind"] == "error" and "id" not in message
            yield message
        code = await self._process.wait()
        if self._errors is not None:
            await self._errors
        if code not in (0, -15) and not said_why:
            last = next((line for line in reversed(self._last_words) if line.strip()), "")
            yield {"kind": "error", "message": f"the {self.worker} worker ended ({code}): {last}"}

    async def close(self) -> None:
        """End the worker: its stdin is closed, and it is terminated if it does not go at once."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            try:
                process.terminate()
            except ProcessLookupError:
                pass
        await process.wait()

    async def _keep_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(65_536):
            lines = chunk.decode("utf-8", "replace").splitlines()
            self._last_words = (self._last_words + lines)[-50:]


class Dialogue:
    """Questions to one child and its answers, told apart by the id that each request carries."""

    # All other kinds end the answer to a request.
    UNDER_WAY = frozenset({"progress", "surveyed", "token", "phase"})

    def __init__(self, child: Child) -> None:
        self._child = child
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Message]] = {}
        self._unasked: asyncio.Queue[Message] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self.lost = ""
        """Why the child is gone; empty while it lives."""

    async def start(self) -> None:
        await self._child.start()
        self._reader = asyncio.create_task(self._read())

    async def ask(self, do: str, **facts: Any) -> AsyncIterator[Message]:
        """The messages that answer one request, the last one included. Raises RunFailed."""
        number = next(self._numbers)
        answers = self._waiting[number] = asyncio.Queue()
        try:
            if self.lost:
                raise RunFailed(self.lost)
            await self._child.send(do=do, id=number, **facts)
            while True:
                message = _sound(await answers.get())
                yield message
                if message["kind"] not in self.UNDER_WAY:
                    return
        finally:
            del self._waiting[number]

    async def answer(self, do: str, **facts: Any) -> Message:
        """The last message that answers one request. Raises RunFailed."""
        return [message async for message in self.ask(do, **facts)][-1]

    async def tell(self, do: str) -> None:
        """A request that nobody answers."""
        await self._child.send(do=do)

    async def unasked(self, last: str) -> AsyncIterator[Message]:
        """What the child says by itself, up to a message of the kind `last`. Raises RunFailed."""
        while True:
            message = _sound(await self._unasked.get())
            yield message
            if message["kind"] == last:
                return

    async def close(self) -> None:
        """End the child; what still waits for an answer hears that it is gone."""
        await self._child.close()
        if self._reader is not None:
            await self._reader

    async def _read(self) -> None:
        gone: Message = {
            "kind": "error",
            "message": f"the {self._child.worker} worker has ended; leave this screen and open it again",
        }
        try:
            async for message in self._child.messages():
                if "id" not in message and message["kind"] == "error":
                    gone = message
                else:
                    self._waiting.get(message.get("id", 0), self._unasked).put_nowait(message)
        except ValueError:  # a library wrote to the protocol's line in spite of all
            gone = {
                "kind": "error",
                "message": f"the {self._child.worker} worker said what is not JSON; open this screen again",
            }
        self.lost = gone["message"]
        for queue in (*self._waiting.values(), self._unasked):
            queue.put_nowait(gone)


def _sound(message: Message) -> Message:
    if message["kind"] == "error":
        raise RunFailed(message["message"])
    return message
