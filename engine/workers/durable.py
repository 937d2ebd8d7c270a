"""Files that are whole or not there at all, whenever the process or the machine dies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

PART = ".part"
GONE = ".gone"


def folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder, or replace it: filled beside, every file synced, renamed, its parent synced."""
    beside = path.with_name(path.name + PART)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    fill(beside)
    for file in beside.rglob("*"):
        sync(file)
    sync(beside)
    remove(path)
    beside.rename(path)
    sync(path.parent)
    shutil.rmtree(path.with_name(path.name + GONE), ignore_errors=True)  # of a life that ended in `remove`


def remove(path: Path) -> None:
    """Take a folder away: first its name, so that what a kill leaves of it is not taken for a whole one."""
    if not path.exists():
        return
    gone = path.with_name(path.name + GONE)
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone)


def document(path: Path, facts: dict[str, Any]) -> None:
    """Write facts as JSON, replacing the former file in one move."""
    beside = path.with_name(path.name + PART)
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=2, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
