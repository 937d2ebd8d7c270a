"""Whether the terminal is still there: a viewer whose SIGHUP is ignored must notice by itself, and leave."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import IO

GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL

SECONDS_TO_LEAVE = 0.5
"""After these a program that has not left by itself is ended."""


def gone(stream: IO[str]) -> bool:
    """Whether the terminal behind a stream was closed, or nobody reads from its pipe any more."""
    try:
        return _hung_up(stream.fileno(), 0)
    except (OSError, ValueError):  # there is no file behind it
        return False


def watch(descriptor: int, leave: Callable[[], None]) -> None:
    """Call `leave` in a thread when the terminal is closed, and end this process if that does not help.

    Costs nothing while it is there: the system wakes the thread.
    """

    def wait() -> None:
        if _hung_up(descriptor, None):
            ended = threading.Timer(SECONDS_TO_LEAVE, os._exit, (129,))
            ended.daemon = True
            ended.start()
            leave()

    if os.isatty(descriptor):
        threading.Thread(target=wait, name="terminal", daemon=True).start()


def _hung_up(descriptor: int, milliseconds: int | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up is told without being asked for
    return any(event & GONE for _, event in poll.poll(milliseconds))
