"""An error that nobody foresaw, as one sentence; where it arose is kept in a file."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from tui.safe import clean


def sentence(error: BaseException) -> str:
    """What happened, cleaned, and where its traceback is. Call it while the error is handled."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="ift-tui-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(where(error))
    said = f"unexpected {type(error).__name__}: {error}; its traceback is in {Path(file.name)}"
    return clean(said, newlines=False)


def where(error: BaseException) -> str:
    """The traceback, cleaned."""
    return clean("".join(traceback.format_exception(error)))
