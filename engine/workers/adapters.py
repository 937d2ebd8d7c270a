"""The adapters of runs and checkpoints as they lie on disk: where, what they were made with, and whether two
of them can answer in the same batch. No torch here.
"""

from __future__ import annotations

import hashlib
import json
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

UNMIXED = {
    "use_dora": "it was trained with DoRA",
    "modules_to_save": "it changes whole layers besides LoRA",
    "target_parameters": "it changes a mixture's experts",
    "trainable_token_indices": "it changes token embeddings",
    "layer_replication": "it repeats layers",
    "alora_invocation_tokens": "it is an activated LoRA",
    "use_qalora": "it was trained with QA-LoRA",
}
"""Keys of PEFT's adapter_config.json that one batch of several adapters has no room for."""


@dataclass(frozen=True)
class Saved:
    """One adapter on disk. digest: sha256 of its weights' file; made_with: the run's environment.json."""

    run: Run
    step: int
    folder: Path
    digest: str
    config: dict[str, Any]
    made_with: dict[str, Any]


def saved(run: Run, step: int | None = None) -> Saved:
    """The run's adapter, or that of one of its checkpoints. Raises UserError where it cannot be used."""
    folder = run.adapter if step is None else run.checkpoints / f"step-{step}"
    if not (folder / WEIGHTS).is_file():
        if (folder / PICKLED).is_file():
            raise UserError(
                f"{run.name}: its adapter is a pickle ({PICKLED}), which can run code when loaded; "
                f"convert it to {WEIGHTS}, or train again"
            )
        raise UserError(_absent(run, step))
    if step is not None and (lack := checkpoints.missing(folder)):
        raise UserError(f"checkpoints/step-{step} of {run.name} is not whole ({lack}); take another")
    config, made_with = _json(folder / "adapter_config.json"), _json(run.path / "environment.json")
    if config.get("peft_type") != "LORA":
        raise UserError(
            f"{run.name}: its adapter is of the kind {config.get('peft_type')}; only LoRA can be asked"
        )
    why = next((why for key, why in UNMIXED.items() if config.get(key)), "")
    why = why or ("it trains biases" if config.get("bias", "none") != "none" else "")
    if why:
        raise UserError(
            f"{run.name}: {why}, which cannot answer in one batch with the base; merge it and ask that"
        )
    base = run.recipe().model.id
    if made_with.get("base") != models.fingerprint(base):
        raise UserError(
            f"{base} is not the model that {run.name} was trained on: its files have changed;"
            " put the former ones back, or train again"
        )
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    return Saved(run, run.state().step if step is None else step, folder, digest, config, made_with)


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


def _absent(run: Run, step: int | None) -> str:
    if step is None:
        return f"{run.name} has no adapter yet; wait until it has saved, or train it to its end"
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
