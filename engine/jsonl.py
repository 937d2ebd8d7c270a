"""Files that grow by a line of JSON at a time, each a person's work: on the disk before that is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine import private
from engine.errors import UserError


def append(file: Path, document: dict[str, Any]) -> None:
    """Add a line, readable by this user alone; one that a kill tore stays a line of its own.

    Raises UserError where it cannot be written.
    """
    line = json.dumps(document) + "\n"
    try:
        private.folder(file.parent)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = "\n" + line
            os.write(descriptor, line.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); what stood there is kept, free some space"
        ) from None


def read(file: Path) -> list[dict[str, Any]]:
    """All lines that are whole, in their order; others are passed over."""
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            found.append(document)
    return found
