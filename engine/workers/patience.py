"""What cannot be written now is written later: a full disk makes a run wait, not fail."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from engine.events import EventLog
from engine.workers.io import StopFlag, Stopped

SECONDS_BETWEEN_TRIES = 2.0
SECONDS_BETWEEN_LOOKS = 0.1

Made = TypeVar("Made")

PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ESTALE,
}  # fmt: skip


class PatientLog(EventLog):
    """Keeps events in memory while they cannot be written, in order, and the run waiting."""

    def __init__(self, path: Path, stop: StopFlag) -> None:
        super().__init__(path)
        self._stop = stop
        self._waiting: list[bytes] = []

    def _put(self, line: bytes) -> None:
        self._waiting.append(line)
        if len(self._waiting) == 1:
            patiently(self._flush, self, self._stop)

    def last_word(self, kind: str, **facts: Any) -> None:
        """Tell the last event, without waiting for a disk that may never have room."""
        try:
            self.write(kind, **facts)
        except (OSError, Stopped):
            pass  # the lock is free then, and there is no last word: the run counts as crashed, and resumes

    def _flush(self) -> None:
        while self._waiting:
            super()._put(self._waiting[0])
            self._waiting.pop(0)


def patiently(write: Callable[[], Made], log: EventLog, stop: StopFlag) -> Made:
    """Do what writes files, again and again where there is no room; the run says that it waits.

    Raises Stopped where it is asked to stop meanwhile, and whatever does not pass by itself.
    """
    waited = False
    while True:
        try:
            made = write()
        except Exception as error:
            reason = passing(error)
            if not reason:
                raise
            if not waited:
                waited = True
                log.write("paused", reason=reason)
            _wait(stop, reason)
        else:
            break
    if waited:
        log.write("unpaused")
    return made


def passing(error: Exception) -> str:
    """One sentence where an error is of the kind that goes away when someone makes room; else ""."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and type(error).__name__ == "SafetensorError":  # it tells the system's error in words
        said = re.search(r"os error (\d+)", str(error))
        number = int(said[1]) if said else None
    if number not in PASSING:
        return ""
    what = error.filename if isinstance(error, OSError) and error.filename else "the run's folder"
    words = errno.errorcode[number] if not isinstance(error, OSError) else error.strerror
    return f"{what} cannot be written ({words}); the last checkpoint is whole; make room, and the run goes on"


def _wait(stop: StopFlag, reason: str) -> None:
    until = time.monotonic() + SECONDS_BETWEEN_TRIES
    while time.monotonic() < until:
        if stop.wanted:
            raise Stopped(f"stopped while it waited: {reason}")
        time.sleep(SECONDS_BETWEEN_LOOKS)
