"""What runs and checkpoints have learned as it lies on disk, an adapter or all weights: where, what it was
made with, and whether two of them can answer beside the same base. No torch here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import models, render
from engine.errors import UserError
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import checkpoints

WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
WHOLE = "model*.safetensors"
"""Weights of a run that trained all of them, in a folder as transformers writes it."""

UNMIXED = {
    "use_dora": "DoRA",
    "modules_to_save": "an adapter that replaces whole layers",
    "target_parameters": "LoRA on a mixture's experts",
    "trainable_token_indices": "an adapter with token embeddings of its own",
    "use_qalora": "QA-LoRA",
}
"""Keys of PEFT's adapter_config.json that one batch of several adapters has no room for, in words: such an
adapter answers in passes of its own.
"""

REFUSED = {
    "layer_replication": "it repeats layers, so that the base would not be the base any more",
    "alora_invocation_tokens": "it is an activated LoRA, which begins within the prompt",
}
"""Keys with which it cannot stand beside the base at all."""


@dataclass(frozen=True)
class Saved:
    """One adapter on disk, or all weights of a model. config: adapter_config.json, {} of whole weights;
    digest: sha256 of its weights' files; made_with: the run's environment.json.
    """

    run: Run
    step: int
    folder: Path
    digest: str
    config: dict[str, Any]
    made_with: dict[str, Any]
    whole: bool = False

    @property
    def biased(self) -> bool:
        """Whether it changes biases of the base."""
        return bool(self.config.get("bias", "none") != "none")

    @property
    def apart(self) -> str:
        """What of it no mixed batch has room for; empty where nothing in its settings says so."""
        if self.whole:
            return "a model with all weights of its own"
        found = next((words for key, words in UNMIXED.items() if self.config.get(key)), "")
        return found or ("an adapter with biases of its own" if self.biased else "")


def saved(run: Run, step: int | None = None) -> Saved:
    """The run's adapter, or that of one of its checkpoints. Raises UserError where it cannot be used."""
    folder = place(run, step)
    whole = not (folder / WEIGHTS).is_file() and (folder / "config.json").is_file()
    weights = files(folder)
    if not weights or not weights[0].is_file():
        if (folder / PICKLED).is_file():
            raise UserError(
                f"{run.name}: its adapter is a pickle ({PICKLED}), which can run code when loaded; "
                f"convert it to {WEIGHTS}, or train again"
            )
        raise UserError(_absent(run, step))
    if step is not None and (lack := checkpoints.missing(folder)):
        raise UserError(f"checkpoints/step-{step} of {run.name} is not whole ({lack}); take another")
    made_with = _json(run.path / "environment.json")
    config = {} if whole else _json(folder / "adapter_config.json")
    if not whole and config.get("peft_type") != "LORA":
        raise UserError(
            f"{run.name}: its adapter is of the kind {config.get('peft_type')}; only LoRA can be asked"
        )
    if why := next((why for key, why in REFUSED.items() if config.get(key)), ""):
        raise UserError(f"{run.name}: {why}; it cannot be compared here")
    base = run.recipe().model.id
    if made_with.get("base") != models.fingerprint(base):
        raise UserError(
            f"{base} is not the model that {run.name} was trained on: its files have changed;"
            " put the former ones back, or train again"
        )
    reached = run.state().step if step is None else step
    return Saved(run, reached, folder, digest(weights), config, made_with, whole)


def files(folder: Path) -> list[Path]:
    """The weights in a folder: an adapter's one file, or all of a whole model's. They need not be there."""
    alone = folder / WEIGHTS
    return [alone] if alone.is_file() else sorted(folder.glob(WHOLE)) or [alone]


def place(run: Run, step: int | None = None) -> Path:
    """The folder of what it has learned: at its end, or in a checkpoint. It need not be there."""
    return run.result if step is None else run.checkpoints / f"step-{step}"


def own_bytes(folder: Path) -> int:
    """Bytes of a whole model's weights, as many as the base has that stands beside it; 0 of an adapter."""
    if (folder / WEIGHTS).is_file():
        return 0
    return sum(file.stat().st_size for file in folder.glob(WHOLE))


def chat_format(one: Saved) -> ChatFormat:
    """The tokenizer and template that lie beside the adapter: those that it was trained with."""
    chat = render.load(one.folder, train_on="last answer")
    return replace(chat, reasoning=one.made_with.get("reasoning", False))


def check_beside(first: Saved, chat: ChatFormat, other: Saved, other_chat: ChatFormat) -> None:
    """Raise UserError with the reason where `other` cannot answer from the base loaded for `first`."""
    name = other.run.name
    if other.made_with.get("base") != first.made_with.get("base"):
        raise UserError(
            f"{name} was trained on {other.run.recipe().model.id}, and {first.run.recipe().model.id} is in"
            " memory; open a comparison of its own"
        )
    for key, what in (("quantization", "quantisation"), ("dtype", "number type")):
        if other.made_with.get(key) != first.made_with.get(key):
            raise UserError(
                f"{name} was trained on another {what} of the base than the one in memory;"
                " open a comparison of its own"
            )
    same = (chat.template, chat.tool_template, chat.special_tokens, chat.reasoning) == (
        other_chat.template,
        other_chat.tool_template,
        other_chat.special_tokens,
        other_chat.reasoning,
    )
    if not same:
        raise UserError(
            f"{name} was trained with another chat template than {first.run.name}: the same prompt would"
            " reach it as other text; open a comparison of its own"
        )
    if other_chat.tokenizer.to_str() != chat.tokenizer.to_str():
        raise UserError(
            f"{name} was trained with another tokenizer than {first.run.name}; open a comparison of its own"
        )


def digest(weights: Sequence[Path]) -> str:
    """sha256 of a file's bytes; of several files, of their bytes one after the other."""
    found = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                found.update(piece)
    return found.hexdigest()


def _absent(run: Run, step: int | None) -> str:
    if step is None:
        return f"{run.name} has no weights of its own yet; wait until it has saved, or train it to its end"
    there = [str(checkpoints.step_of(path)) for path in checkpoints.listed(run.checkpoints)]
    return f"{run.name} has no checkpoint of step {step}; there is {', '.join(there) or 'none'}"


def _json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error}); train again") from None
    if not isinstance(document, dict):
        raise UserError(f"{file}: not a JSON object; train again")
    return document
