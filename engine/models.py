"""Which base models there are: bundled, in folders, in the Hugging Face cache, and a catalogue.

Nothing here imports torch or transformers; the hub is asked by tokenizer_folder alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from engine import RECIPES, hub, model_folder, weights
from engine.errors import UserError
from engine.weights import Size

BUILTIN = "builtin:"
MODELS = RECIPES / "models"

LEARNT_POSITIONS = {"gpt2", "gpt_bigcode", "gpt_neo", "openai-gpt", "opt", "biogpt"}
"""Kinds of model with a table of positions."""

Origin = Literal["builtin", "folder", "cache", "catalogue", "hub"]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a base model without loading it. None and "" where nothing is known."""

    id: str
    name: str
    origin: Origin
    """hub: an id that is neither in the cache nor in the catalogue; only describe() gives it."""
    path: Path | None
    """The folder with its weights on this machine."""
    architecture: str = ""
    parameters: int | None = None
    context: int | None = None
    """Longest text in tokens that its positions were made for."""
    licence: str = ""
    bytes_16bit: int | None = None
    bytes_4bit: int | None = None
    """Weights in memory as this program loads them; the formula is in weights.Size."""
    chat_template: bool | None = None
    problem: str = ""
    """One sentence: why it cannot be trained, and the mend."""
    gated: bool | None = None
    """Whether the hub asks to accept terms first; None where that is not known."""
    note: str = ""


def list_models(folders: Iterable[Path] = ()) -> list[ModelInfo]:
    """Bundled models, those in the folders (or one level below), the cache's, the catalogue's rest.

    A model that is there and cannot be trained is listed with its `problem`.
    """
    found = [_surveyed(BUILTIN + path.name, path, "builtin") for path in _model_folders(MODELS)]
    for folder in folders:
        for path in (folder, *_model_folders(folder)):
            if (path / "config.json").is_file():
                found.append(_surveyed(str(path), path, "folder"))
    for name, path in hub.cached():
        if not model_folder.holds_another_kind(path):
            found.append(_surveyed(name, path, "cache"))
    here = {info.id for info in found}
    return found + [info for info in catalogue() if info.id not in here]


def describe(model_id: str) -> ModelInfo:
    """What is known of one model. Raises UserError where it cannot be trained, with the mend."""
    path = locate(model_id)
    if path is not None:
        return _read(model_id, path, _origin(model_id))
    known = next((info for info in catalogue() if info.id == model_id), None)
    return known or ModelInfo(model_id, model_id.rpartition("/")[2], "hub", None)


def locate(model_id: str) -> Path | None:
    """The folder on this machine with the model's config.json; None for a hub id that is not here.

    A cache snapshot counts only with all its weights: one that was fetched in part is not here.
    Raises UserError for a bundled name, a path or an id that cannot be one.
    """
    if model_id.startswith(BUILTIN):
        return _bundled(model_id)
    path = _path(model_id)
    if path.exists() or model_id.startswith((".", "/", "~")):
        return model_folder.resolve(path)
    snapshot = hub.snapshot(model_id)
    if snapshot is not None and hub.is_complete(snapshot):
        return snapshot
    if "/" not in model_id or not hub.ID.fullmatch(model_id):
        raise UserError(
            f"{model_id}: no such folder; a Hugging Face id is org/name; bundled: {_bundled_names()}"
        )
    return None


def fingerprint(model_id: str) -> str | None:
    """What tells one version of a model's files from another; None for a hub id that is not here."""
    path = locate(model_id)
    return None if path is None else model_folder.fingerprint(path)


def tokenizer_folder(model_id: str) -> Path:
    """The folder with the model's tokenizer and config, fetched from the hub where it is not here.

    Raises UserError: a model that cannot be trained, or an id that the hub does not give.
    """
    path = locate(model_id)
    if path is not None:
        model_folder.read_config(path)
        return path
    return hub.fetch_tokenizer(model_id)


def check_length(model_id: str, tokens: int) -> None:
    """Raise UserError where a model has learnt fewer positions than that: it fails at the first one beyond.

    Others reckon their positions, and go on beyond what they were made for.
    """
    config = model_folder.read_config(tokenizer_folder(model_id))
    context = _first_int(config, "n_positions", "max_position_embeddings")
    if config.get("model_type") in LEARNT_POSITIONS and context is not None and tokens > context:
        raise UserError(
            f"data.max_length: {model_id} has learnt {context:,} positions, and no row can be longer; set it"
            f" to {context}, or less"
        )


@cache
def catalogue() -> tuple[ModelInfo, ...]:
    """Well-known open models that train in 4-bit on one GPU (recipes/models/catalogue.toml)."""
    return tuple(_catalogued(entry) for entry in _entries())


def catalogue_config(model_id: str) -> dict[str, Any] | None:
    """What the catalogue knows of a model's config.json: all that its shapes follow from."""
    return next((entry["config"] for entry in _entries() if entry["id"] == model_id), None)


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads((MODELS / "catalogue.toml").read_text("utf-8"))["models"]
    return entries


def _catalogued(entry: dict[str, Any]) -> ModelInfo:
    size = weights.from_config(entry["config"])
    info = ModelInfo(
        id=entry["id"],
        name=entry["name"],
        origin="catalogue",
        path=None,
        parameters=entry["parameters"],
        context=entry["context"],
        licence=entry["licence"],
        gated=entry.get("gated"),
        note=entry["note"],
    )
    return _sized(info, size)


def _sized(info: ModelInfo, size: Size | None) -> ModelInfo:
    if size is None:
        return info
    return replace(
        info,
        parameters=size.parameters,
        bytes_16bit=size.bytes_16bit,
        bytes_4bit=size.bytes_4bit,
    )


def _origin(model_id: str) -> Origin:
    if model_id.startswith(BUILTIN):
        return "builtin"
    return "folder" if Path(model_id).expanduser().is_dir() else "cache"


def _path(model_id: str) -> Path:
    try:
        path = Path(model_id).expanduser()
        path.exists()
    except (OSError, RuntimeError):  # too long for a file system, or ~nobody
        raise UserError(f"{model_id:.80}: cannot be a folder; give a model folder, or org/name") from None
    return path


def _bundled(model_id: str) -> Path:
    name = model_id.removeprefix(BUILTIN)
    for folder in _model_folders(MODELS):
        if folder.name == name:
            return folder
    raise UserError(f"{model_id}: no such bundled model; there is {_bundled_names()}")


def _bundled_names() -> str:
    return ", ".join(BUILTIN + folder.name for folder in _model_folders(MODELS)) or "none"


def _model_folders(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return
    for path in inside:
        if (path / "config.json").is_file():
            yield path


def _surveyed(model_id: str, path: Path, origin: Origin) -> ModelInfo:
    try:
        return _read(model_id, path, origin)
    except (UserError, OSError) as error:
        return ModelInfo(model_id, _name(model_id), origin, path, problem=str(error))


def _read(model_id: str, path: Path, origin: Origin) -> ModelInfo:
    config = model_folder.read_config(path)
    # Stored 4-bit or 8-bit tensors are packed: their shapes are not the model's.
    packed = "quantization_config" in config
    size = weights.from_config(config) if packed else weights.counted(
        weights.shards(path), weights.is_tied(config)
    )  # fmt: skip
    info = ModelInfo(
        id=model_id,
        name=_name(model_id),
        origin=origin,
        path=path,
        architecture=config["architectures"][0],
        context=_first_int(config, "max_position_embeddings", "n_positions", "max_sequence_length"),
        licence=model_folder.licence(path),
        chat_template=model_folder.has_template(path),
    )
    return _sized(info, size)


def _first_int(config: dict[str, Any], *keys: str) -> int | None:
    return next((config[key] for key in keys if isinstance(config.get(key), int)), None)


def _name(model_id: str) -> str:
    return model_id.removeprefix(BUILTIN).rstrip("/").rpartition("/")[2] or model_id
