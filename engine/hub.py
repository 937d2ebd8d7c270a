"""Hugging Face's cache on this machine, read directly, and the one download a preview needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from engine import weights
from engine.errors import UserError

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[\w.-]{1,96})?")
"""What a model's id can look like."""

TOKENIZER_FILES = [
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.jinja",
    "chat_template.json",
]

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that forbid going to the hub."""


def home() -> Path:
    """The cache folder, by the same variables that huggingface_hub obeys."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given := os.environ.get(name):
            return Path(given).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def offline() -> str:
    """The variable that forbids going to the hub, or "" where none does."""
    return next((name for name in OFFLINE if is_yes(os.environ.get(name, ""))), "")


def is_yes(value: str) -> bool:
    """Whether an environment variable's value means yes, as huggingface_hub reads it."""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def cached() -> Iterator[tuple[str, Path]]:
    """(id, snapshot folder) of each model in the cache that has all its weights."""
    try:
        repositories = sorted(home().glob("models--*"))
    except OSError:
        return
    for repository in repositories:
        model_id = repository.name.removeprefix("models--").replace("--", "/")
        path = snapshot(model_id)
        if path is not None and is_complete(path):
            yield model_id, path


def snapshot(model_id: str) -> Path | None:
    """The cached folder of an id's main version (else the newest) that has a config.json."""
    repository = home() / f"models--{model_id.replace('/', '--')}"
    candidates: list[Path] = []
    try:
        main = (repository / "refs" / "main").read_text("utf-8").strip()
        candidates.append(repository / "snapshots" / Path(main).name)
    except (OSError, ValueError):
        pass
    try:
        versions = list((repository / "snapshots").iterdir())
        candidates += sorted(versions, key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        pass
    return next((path for path in candidates if (path / "config.json").is_file()), None)


def is_complete(path: Path) -> bool:
    """Whether weights are there, in whatever format: config and tokenizer alone are not a model."""
    try:
        return bool(weights.shards(path)) or any(path.glob("*.bin")) or any(path.glob("*.gguf"))
    except UserError:
        return False


def fetch_tokenizer(model_id: str) -> Path:
    """The snapshot with the id's tokenizer and config, downloaded if need be: a few MB.

    Raises UserError: offline, no such model, terms not accepted, no way to the hub.
    """
    path = snapshot(model_id)
    if path is not None and any(path.glob("tokenizer*")):
        return path
    if variable := offline():
        raise UserError(f"{model_id}: not in {home()}, and {variable} forbids to fetch it; unset it")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        path = Path(snapshot_download(model_id, allow_patterns=TOKENIZER_FILES, cache_dir=home()))
    except GatedRepoError:
        raise UserError(
            f"{model_id}: asks to accept its terms first; do so on its page on the hub, then `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{model_id}: the hub has no such public model; check the id, "
            "or `hf auth login` for a private one"
        ) from None
    except (
        OSError,
        ValueError,
    ) as error:
        raise UserError(
            f"{model_id}: not on this machine, and Hugging Face cannot be reached "
            f"({type(error).__name__}); go online, or give a model's folder or builtin:tiny"
        ) from None
    if not (path / "config.json").is_file():
        raise UserError(
            f"{model_id}: this repository has no config.json; give a model in Hugging Face format"
        )
    return path
