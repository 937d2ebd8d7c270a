"""The base model with a new adapter on it, what it was made with, and the adapter as files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import models, render, resume
from engine.events import EventLog
from engine.recipe import Recipe, Settled
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import attention, durable

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")


def load(recipe: Recipe, plan: Settled, log: EventLog) -> tuple[Any, Any]:
    """The base model, quantised as asked where that works, with a new adapter on it; plan: [train] as it is
    run, in which nothing is "auto" any more."""
    import torch
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(models.locate(recipe.model.id) or recipe.model.id),
        max_seq_length=recipe.data.max_length,
        load_in_4bit=recipe.model.load_in_4bit,
        # Without this Unsloth may load another repository's ready-made 4-bit weights in its place.
        use_exact_model_name=True,
        trust_remote_code=False,
        use_safetensors=True,  # a hub's model may have pickles too
        **attention.asked(plan.attention),
    )
    four_bit = bool(getattr(model, "is_loaded_in_4bit", False))
    if recipe.model.load_in_4bit and not four_bit:
        log.write(
            "warned",
            text="this model's layers cannot be quantised to 4 bits here; it is trained unquantised",
            mend="where memory is short, take another model",
        )
    model = FastLanguageModel.get_peft_model(
        model,
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=list(recipe.lora.target_modules) or "all-linear",
        bias="none",
        use_gradient_checkpointing="unsloth" if plan.gradient_checkpointing else False,
        random_state=plan.seed,
        max_seq_length=recipe.data.max_length,
    )
    attention.have(model, plan.attention)
    if plan.keep_dequantised and four_bit:
        from engine.workers import dequantised

        dequantised.keep(model)
    trainable, total = model.get_nb_trainable_parameters()
    info = models.describe(recipe.model.id)
    log.write(
        "loaded",
        parameters=info.parameters or total - trainable,  # 4-bit tensors hold two weights an element
        trainable=trainable,
        four_bit=four_bit,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        dtype=str(model.dtype).removeprefix("torch."),
        **({"gpu": f"GPU-{torch.cuda.get_device_properties(0).uuid}"} if torch.cuda.is_available() else {}),
    )
    return model, tokenizer


def write_environment(run: Run, recipe: Recipe, model: Any, digest: str, reasoning: bool) -> None:
    """What the run was made with: `quantization` is how the comparison loads the same weights, `reasoning`
    whether it leaves room for a thought, and the rest is what taking it up again compares.
    """
    quantization = getattr(model.config, "quantization_config", None)
    facts = {
        **resume.facts(run),
        "digest": digest,
        "seed": recipe.train.seed,
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": quantization.to_dict() if quantization is not None else None,
        "reasoning": reasoning,
    }
    durable.document(run.path / "environment.json", facts)
    (run.path / "confirm.json").unlink(missing_ok=True)  # what was agreed to is now as it was started


def adapter_saver(model: Any, recipe: Recipe, chat: ChatFormat) -> Callable[[Path], None]:
    """What puts the adapter into a folder, with the tokenizer and template it was trained with."""
    base = models.tokenizer_folder(recipe.model.id)

    def save(folder: Path) -> None:
        model.save_pretrained(str(folder))
        # The base model's own files: what a library saves of a tokenizer may differ from what it read.
        for name in TOKENIZER_FILES:
            if (base / name).is_file():
                shutil.copyfile(base / name, folder / name)
        render.save_templates(chat, folder)

    return save
