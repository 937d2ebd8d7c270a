"""The lock of a run: its worker holds it for life. It says who is alive, where a process number would lie."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


def acquire(lock: int) -> bool:
    """Take the lock behind a descriptor; False where another process has it."""
    # A viewer that looks whether the run is alive holds the lock for microseconds: try again.
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
