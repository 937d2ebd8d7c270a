"""The terminal: whether it is still there (a viewer whose SIGHUP is ignored must notice), and its colours."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO

GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL

SECONDS_TO_LEAVE = 0.5
"""After these a program that has not left by itself is ended."""


def is_there() -> bool:
    """Whether there is one with keys and a screen: no pipe on either side, none that calls itself dumb."""
    streams = (sys.stdin, sys.stdout)
    return all(one is not None and one.isatty() for one in streams) and os.environ.get("TERM") != "dumb"


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


def colours(environment: Mapping[str, str] = os.environ) -> int:
    """How many colours the terminal has, by what it says of itself, else by its entry in terminfo.

    An unknown terminal is taken to have 8: all that come without an entry have.
    """
    if environment.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return 1 << 24
    name = environment.get("TERM", "")
    if name.endswith(("-256color", "-direct", "kitty")):
        return 256
    import curses  # takes some milliseconds, and most terminals say what they are

    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        curses.setupterm(name, nowhere)
        return max(0, curses.tigetnum("colors"))
    except curses.error:
        return 8
    finally:
        os.close(nowhere)


def colour_system(environment: Mapping[str, str] = os.environ) -> str:
    """The same in the words of Rich, which takes every name that it does not know for 16 colours."""
    known = colours(environment)
    return "truecolor" if known > 256 else "256" if known == 256 else "standard"


def _hung_up(descriptor: int, milliseconds: int | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up is told without being asked for
    return any(event & GONE for _, event in poll.poll(milliseconds))
