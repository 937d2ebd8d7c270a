"""Folders and files that nobody but the user reads, whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path


def folder(path: Path) -> Path:
    """Make a folder, and those above it that are not there, 0700. One that is there keeps its mode."""
    for each in reversed([path, *path.parents]):
        if not each.is_dir():
            each.mkdir(mode=0o700, exist_ok=True)
    return path


def write(path: Path, text: str) -> None:
    """Write a text file, 0600 where it is new. Lone surrogates are written as escapes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
