"""A worker's lines to the world: JSON messages out, JSON requests in, its log; and the wish to stop."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from engine import runs
from engine.errors import UserError
from engine.redact import redacted

Request = dict[str, Any]

PR_SET_PDEATHSIG = 1
"""prctl(2), of Linux."""


class Stopped(Exception):
    """The run ends by someone's wish, and nothing new is saved."""


class Channel:
    """Messages to the front end. Made first: what libraries print on stdout then goes to stderr."""

    def __init__(self) -> None:
        os.umask(0o077)  # whatever a worker writes, it writes for the user alone
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, kind: str, **facts: Any) -> None:
        """Send one message. Lone surrogates of strange data travel as JSON escapes."""
        line = json.dumps({"kind": kind, **facts}, default=str)
        with self._lock:
            print(line, file=self._out, flush=True)

    def error(self, error: Exception, **facts: Any) -> None:
        """Say what went wrong, and whether it is the user's mistake, as one sentence."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        self.say("error", message=lines[0], user=isinstance(error, UserError), **facts)

    def requests(self) -> Iterator[Request]:
        """What the front end asks, until it closes its end."""
        for line in sys.stdin:
            yield json.loads(line)


def keep_printing() -> None:
    """Have what libraries print be no reason to end: where the log's disk is full, their words are lost.

    The user's token is taken out of what Python prints; code in C does not know it.
    """
    sys.stdout = _Discreet(_Forgiving(1, "w", closefd=False), "utf-8", "replace", line_buffering=True)
    sys.stderr = _Discreet(_Forgiving(2, "w", closefd=False), "utf-8", "replace", line_buffering=True)


class _Discreet(io.TextIOWrapper):
    def write(self, text: str) -> int:
        return super().write(redacted(text))


class _Forgiving(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent ends, however it ends; at once if it has already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class StopFlag:
    """Set by SIGTERM and SIGINT: asked between steps, so that what is under way ends whole."""

    def __init__(self) -> None:
        self.wanted = False
        signal.signal(signal.SIGTERM, self._set)
        signal.signal(signal.SIGINT, self._set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, runs.STOP_SIGNALS)  # the launcher blocked them

    def _set(self, *_: object) -> None:
        self.wanted = True
