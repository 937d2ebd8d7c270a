"""Folders: data files with their parts by name, a saved dataset, or documents and source code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from engine.ledger import Entry
from engine.schema import Source
from engine.sources import documents, kinds
from engine.sources.rows import PARTS, File, Found, Part
from engine.sources.streams import regular

PART_WORDS: dict[str, Part] = {
    "train": "train", "training": "train", "trainset": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "devset": "validation", "validate": "validation",
    "test": "test", "testing": "test", "testset": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
# Folders of what programs made or fetched, never of what people wrote.
NOT_ENTERED = frozenset({
    "node_modules", "__pycache__", "bower_components", "site-packages", "build", "dist", "target", "out",
    "venv", "env", "vendor", "coverage", "htmlcov",
})  # fmt: skip
# JSON files that describe and hold no rows; beside rows nobody misses them.
DESCRIPTIONS = frozenset({
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "croissant.json",
    "package.json", "package-lock.json", "tsconfig.json", "jsconfig.json", "composer.json", "manifest.json",
    "config.json", "settings.json", "angular.json", "vercel.json", "deno.json", "lerna.json",
})  # fmt: skip
PLAIN_NAMES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "authors")
LARGEST_DESCRIPTION = 1024 * 1024

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass
class _Tree:
    """What a walk through a folder met, by path from the folder."""

    files: list[Path] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)


def found(folder: Path, source: Source) -> Found:
    """The files of a folder with their parts. Raises UserError where none can be read."""
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _saved(folder)
    tree = _walk(folder)
    data = [path for path in tree.files if _is_data(path)]
    texts = [path for path in tree.files if _is_document(path) and not _is_plain(path)]
    if data and (any(len(path.parts) == 1 for path in data) or len(data) >= len(texts)):
        return _data(folder, data, tree, source)
    return _documents(folder, tree, source)


def _walk(folder: Path) -> _Tree:
    tree, root = _Tree(), folder.resolve()

    def unreadable(error: OSError) -> None:
        tree.skipped[Path(error.filename).relative_to(folder)] = f"cannot be opened: {error.strerror}"

    for at, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(at)
        for name in sorted(folders):
            if why := _not_entered(here / name):
                tree.skipped[(here / name).relative_to(folder)] = why
        folders[:] = sorted(name for name in folders if not _not_entered(here / name))
        for path in (here / name for name in sorted(names)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                tree.skipped[path.relative_to(folder)] = "a link that leads out of the folder"
            else:
                tree.files.append(path.relative_to(folder))
    return tree


def _not_entered(folder: Path) -> str:
    if folder.is_symlink():
        return "a link to a folder"
    if folder.name.startswith("."):
        return "a hidden folder"
    return "a folder of built or fetched files" if folder.name.lower() in NOT_ENTERED else ""


def _is_data(path: Path) -> bool:
    return (
        not path.name.startswith(".") and kinds.suffix(path) in kinds.DATA and path.name not in DESCRIPTIONS
    )


def _is_document(path: Path) -> bool:
    known = kinds.suffix(path) in documents.PROSE | documents.SOURCES
    return not path.name.startswith(".") and (known or path.name.lower() in documents.SOURCE_NAMES)


def _is_plain(path: Path) -> bool:
    """Whether nobody would take the file for rows."""
    name = path.name.lower()
    return name.startswith((".", *PLAIN_NAMES)) or name in DESCRIPTIONS


def _data(folder: Path, data: list[Path], tree: _Tree, source: Source) -> Found:
    skipped = {path: why for path, why in tree.skipped.items() if not _is_plain(path)}
    rest = {path: "not a data file" for path in tree.files if path not in data and not _is_plain(path)}
    parts = {path: _part(path) for path in data}
    in_order = {path: parts[path] for path in sorted(data, key=lambda path: (PARTS.index(parts[path]), path))}
    files, refused = _looked(folder, in_order, source)
    return Found(files, [], _entries(folder, skipped | rest | refused))


def _documents(folder: Path, tree: _Tree, source: Source) -> Found:
    texts: dict[Path, Part] = {path: "train" for path in tree.files if _is_document(path)}
    if not texts:
        raise UserError(
            f"{folder}: no data, text or source files in this folder; name a file, or another one"
        )
    rest = {path: _why_no_document(path) for path in tree.files if path not in texts}
    files, refused = _looked(folder, texts, source)
    said = f"a folder of {len(files)} documents; each is one text, and its path is kept"
    return Found(files, [said], _entries(folder, tree.skipped | rest | refused))


def _why_no_document(path: Path) -> str:
    if path.name.startswith("."):
        return "a hidden file"
    return "a data file among documents" if _is_data(path) else "not a text or source file by its name"


def _looked(folder: Path, parts: dict[Path, Part], source: Source) -> tuple[list[File], dict[Path, str]]:
    """The files that can be read, and why not the others. Raises UserError where none can."""
    files: list[File] = []
    refused: dict[Path, str] = {}
    for path, part in parts.items():
        try:
            files += kinds.look(folder / path, part, source, name=path.as_posix())
        except UserError as error:
            refused[path] = str(error).removeprefix(f"{folder / path}: ")
    if not files:
        path, why = next(iter(refused.items()))
        raise UserError(f"{folder / path}: {why}")
    return files, refused


def _entries(folder: Path, skipped: dict[Path, str]) -> list[Entry]:
    return [Entry(str(folder / path), 1, "skipped file", why) for path, why in sorted(skipped.items())]


def _part(path: Path) -> Part:
    """The part by a word of the name, then of the folders above it; without one it is for training."""
    parts = (part_of_name(name) for name in (path.name, *(folder.name for folder in path.parents)))
    return next(filter(None, parts), "train")


def part_of_name(name: str) -> Part | None:
    """The part that a name has a word for; None: it has none."""
    words = (word.lower() for word in _WORD.findall(name))
    return next((PART_WORDS[word] for word in words if word in PART_WORDS), None)


def told(files: list[File]) -> list[str]:
    """Which files of a folder are which part."""
    said = []
    for part in PARTS:
        names = list(dict.fromkeys(file.name for file in files if file.part == part))
        if len(names) == 1:
            said.append(f"{part}: {names[0]}")
        elif names:
            said.append(f"{part}: {len(names)} files, {names[0]} to {names[-1]}")
    return said


def _saved(folder: Path) -> Found:
    """A folder that `datasets` wrote with save_to_disk."""
    splits: list[Any] = [""]
    if (folder / "dataset_dict.json").is_file():
        splits = _description(folder / "dataset_dict.json").get("splits", [])
    names = [name for name in splits if isinstance(name, str) and "/" not in name]
    parts = {name: part_of_name(name) or ("train" if len(names) == 1 else None) for name in names}
    files = [file for name, part in parts.items() if part for file in _shards(folder, name, part)]
    if not files:
        raise UserError(f"{folder}: a saved dataset without a split for training; name the folder of a split")
    files.sort(key=lambda file: PARTS.index(file.part))
    told = ", ".join(f"{name or 'all of it'} for {part}" for name, part in parts.items() if part)
    other = {Path(name): "a split of another name" for name, part in parts.items() if not part}
    return Found(files, [f"a saved dataset: {told}"], _entries(folder, other))


def _shards(folder: Path, split: str, part: Part) -> Iterator[File]:
    for shard in _description(folder / split / "state.json").get("_data_files", []):
        path = folder / split / str(shard.get("filename") if isinstance(shard, dict) else shard)
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{folder}: it names a file outside of the folder; save the dataset again")
        regular(path).close()
        yield File(path, part, "arrow")


def _description(path: Path) -> dict[str, Any]:
    with regular(path) as file:
        raw = file.read(LARGEST_DESCRIPTION)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise UserError(f"{path}: not the description of a saved dataset; save the dataset again")
    return document


def in_part(part: Part, given: Found) -> Found:
    """All the files for one part, whatever their names say."""
    return replace(given, files=[replace(file, part=part) for file in given.files])
