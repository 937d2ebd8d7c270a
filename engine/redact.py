"""Keeps the token of the Hugging Face hub out of what is shown and written down."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
SHORTEST = 8
"""Characters; what is shorter is no token, and may be a word of any text."""

MASK = "(HF_TOKEN)"


def redacted(text: str) -> str:
    """The text without the token, should a library have put it into an error or a log."""
    for token in tokens():
        if token in text:
            text = text.replace(token, MASK)
    return text


@cache
def tokens() -> tuple[str, ...]:
    """The user's tokens: of the environment, and the one that `hf auth login` has saved."""
    from engine import hub

    found = [os.environ.get(name, "") for name in VARIABLES]
    saved = Path(os.environ.get("HF_TOKEN_PATH") or hub.home().parent / "token").expanduser()
    try:
        found.append(saved.read_text("utf-8"))
    except (OSError, ValueError):
        pass
    return tuple({token.strip() for token in found if len(token.strip()) >= SHORTEST})
