"""The adapter that a run goes on with (model.adapter): where it is, and whether it fits. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from engine import models, runs
from engine.errors import UserError
from engine.runs import Run
from engine.schema import PREVIOUS, Recipe

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
KEPT = "first"
"""Folder of a run with the first weights of its adapter, where no seed gives them again."""

SHAPE = {"rank": "r", "alpha": "lora_alpha", "rank_stabilised": "use_rslora", "dora": "use_dora"}
"""Keys of [lora], and what PEFT calls them."""


def folder(recipe: Recipe) -> Path | None:
    """The folder of the adapter; None where the recipe names none."""
    name = recipe.model.adapter
    if not name:
        return None
    run = Run(runs.home() / "runs" / Path(name).name)
    return run.adapter if Path(name).name == name and run.path.is_dir() else Path(name).expanduser()


def check(recipe: Recipe) -> None:
    """Raise UserError, one sentence, where the adapter is not there or of another shape than [lora] says."""
    path = folder(recipe)
    if path is None or recipe.model.adapter == PREVIOUS:
        return
    name = recipe.model.adapter
    if not (path / WEIGHTS).is_file():
        raise UserError(
            f"model.adapter: {name} holds no {WEIGHTS}; give the name of a run that has come to its end,"
            " or the folder of an adapter"
        )
    config = _json(path / CONFIG)
    if config.get("peft_type") != "LORA":
        raise UserError(
            f"model.adapter: {name} is of the kind {config.get('peft_type')}; only LoRA is gone on with"
        )
    said = recipe.lora.model_dump()
    wrong = {key: config[peft] for key, peft in SHAPE.items() if config.get(peft, said[key]) != said[key]}
    if wrong:
        mend = ", ".join(f"lora.{key} = {json.dumps(value)}" for key, value in wrong.items())
        raise UserError(f"model.adapter: {name} has another shape than [lora] says; write {mend}")
    made_with = path.parent / "environment.json"
    base = _json(made_with).get("base") if made_with.is_file() else None
    if base not in (None, models.fingerprint(recipe.model.id)):
        raise UserError(
            f"model.adapter: {name} was trained on another model than {recipe.model.id}; name that"
            " one in model.id"
        )


def digest(recipe: Recipe) -> str | None:
    """sha256 of the adapter's weights; None where the recipe names none, or it is not there any more."""
    path = folder(recipe)
    if path is None or not (path / WEIGHTS).is_file():
        return None
    with (path / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"model.adapter: {file} cannot be read ({error}); give another adapter") from None
    return document if isinstance(document, dict) else {}
