"""An export's folder: filled beside its final name, looked at there, renamed when all is on disk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import exports
from engine.errors import UserError
from engine.workers import durable

WISHES = (signal.SIGTERM, signal.SIGINT)
"""Signals by which a person ends an export."""


def check(target: Path) -> None:
    """Raise UserError for a place that holds something else, or where nothing can be written."""
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; name a folder")
    if target.exists() and not (target / exports.FILE).is_file() and any(target.iterdir()):
        raise UserError(f"{target}: there is something else; name an empty or a new folder")
    there = next(path for path in target.absolute().parents if path.exists())
    if not os.access(there, os.W_OK):
        raise UserError(f"{target}: nothing can be written into {there}; name another folder")


def placed(target: Path, fill: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """Make the folder; fill(folder) puts the files there and gives the facts of export.json.

    A failed one is named NAME.failed, and leaves one that stands under the name itself alone. Whatever goes
    wrong in `fill`, nothing of it stays. Raises UserError for a place that holds something else.
    """
    check(target)
    beside = target.with_name(target.name + durable.PART)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        facts = fill(beside)
        files = {
            str(file.relative_to(beside)): file.stat().st_size
            for file in sorted(beside.rglob("*"))
            if file.is_file()
        }
        facts = {**facts, "bytes": sum(files.values()), "files": files}
        durable.document(beside / exports.FILE, facts)
        for file in beside.rglob("*"):
            durable.sync(file)
        durable.sync(beside)
        failed = target.with_name(target.name + exports.FAILED)
        final = failed if facts["status"] == "failed" else target
        with _undisturbed():
            durable.remove(failed)
            durable.remove(final)
            beside.rename(final)
            durable.sync(final.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return final, facts


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A wish to end waits for the end of the block, in which neither the former export stands nor the new."""
    came: list[int] = []
    before = {wish: signal.signal(wish, lambda number, _: came.append(number)) for wish in WISHES}
    try:
        yield
    finally:
        for wish, handler in before.items():
            signal.signal(wish, handler)
    if came:
        signal.raise_signal(came[0])
