"""The locks of a run. Its worker holds one for life: it says who is alive, where a process number would lie.
Who reads the run, a comparison or an evaluation, shares another, so that it is not removed meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


def acquire(lock: int, how: int = fcntl.LOCK_EX) -> bool:
    """Take the lock behind a descriptor, for oneself or shared; False where another process has it."""
    # A viewer that looks whether the run is alive holds the lock for microseconds: try again.
    for _ in range(20):
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def is_held(path: Path) -> bool:
    """Whether some process holds it."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def given_at(path: Path) -> float:
    """When it was given to the worker that had it last, in Unix seconds; 0 where there was none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def share(path: Path) -> int | None:
    """A descriptor that keeps the folder of this lock from being removed, until it is closed or the process
    ends. None where another is removing it. A folder that cannot be written into can neither be removed: then
    what is given locks nothing.
    """
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except PermissionError:
        return os.open(path.parent, os.O_RDONLY)
    if acquire(held, fcntl.LOCK_SH):
        return held
    os.close(held)
    return None
