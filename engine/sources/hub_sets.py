"""Sets of the Hugging Face hub as they were fetched: which Arrow files hold which part."""

from __future__ import annotations

import json
from pathlib import Path

from engine import runs
from engine.errors import UserError
from engine.schema import Source
from engine.sources.folders import part_of_name
from engine.sources.rows import File, Found


def manifest(source: Source) -> Path:
    """The file that says where a fetched set lies: {part's name on the hub: [Arrow file, ...]}."""
    name = source.path.removeprefix("hf:").replace("/", "--")
    return runs.home() / "datasets" / f"{name}{'@' + source.subset if source.subset else ''}.json"


def is_fetched(source: Source) -> bool:
    """Whether all files of a set are on this machine."""
    try:
        return all(Path(file).is_file() for files in _parts(source).values() for file in files)
    except (OSError, ValueError):
        return False


def found(source: Source) -> Found:
    """The files of a fetched set. Raises UserError where it is not fetched yet."""
    if not is_fetched(source):
        raise UserError(f"{source.path}: not on this machine yet; open it once with a network")
    files = [
        File(Path(file), part_of_name(name) or "train", "arrow")
        for name, paths in _parts(source).items()
        for file in paths
    ]
    parts = ", ".join(_parts(source))
    return Found(files, [f"its parts on the hub: {parts}"])


def _parts(source: Source) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = json.loads(manifest(source).read_text("utf-8"))
    return parts
