"""The model that is trained: the base with an adapter on it, or all of it; and what comes of it as files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import initial, models, render, resume
from engine.errors import UserError
from engine.events import EventLog
from engine.render import ChatFormat
from engine.runs import Run
from engine.schema import Recipe, Settled
from engine.workers import attention, durable

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")
ONE_FILE = "1000GB"
"""A checkpoint is read back from one file."""


def load(recipe: Recipe, plan: Settled, log: EventLog, weights_follow: bool = False) -> tuple[Any, Any]:
    """The base model, quantised as asked where that works, with an adapter on it or to be trained whole.

    plan: [train] as it is run, in which nothing is "auto" any more. weights_follow: those of a checkpoint
    will take the place of the first ones. Raises UserError where the recipe asks for what this model cannot
    have.
    """
    import torch
    from unsloth import FastLanguageModel

    full = plan.method == "full"
    again = "unsloth" if plan.gradient_checkpointing else False
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(models.locate(recipe.model.id) or recipe.model.id),
        max_seq_length=recipe.data.max_length,
        load_in_4bit=recipe.model.load_in_4bit,
        full_finetuning=full,
        **({"use_gradient_checkpointing": again} if full else {}),
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
    total = model.num_parameters()
    if not full:
        model = _with_adapter(model, recipe, plan)
        if not weights_follow:
            _begin(model, recipe)
    attention.have(model, plan.attention)
    if plan.keep_dequantised and four_bit:
        from engine.workers import dequantised

        dequantised.keep(model)
    info = models.describe(recipe.model.id)
    log.write(
        "loaded",
        parameters=info.parameters or total,  # 4-bit tensors hold two weights an element
        trainable=trainable(model),
        four_bit=four_bit,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        dtype=str(model.dtype).removeprefix("torch."),
        **({"gpu": f"GPU-{torch.cuda.get_device_properties(0).uuid}"} if torch.cuda.is_available() else {}),
    )
    return model, tokenizer


def trainable(model: Any) -> int:
    """Parameters that are trained; shared ones count once."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def _with_adapter(model: Any, recipe: Recipe, plan: Settled) -> Any:
    from unsloth import FastLanguageModel

    lora = recipe.lora
    return FastLanguageModel.get_peft_model(
        model,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        bias="none",
        use_gradient_checkpointing="unsloth" if plan.gradient_checkpointing else False,
        random_state=plan.seed,
        max_seq_length=recipe.data.max_length,
        use_rslora=lora.rank_stabilised,
        use_dora=lora.dora,
    )


def _begin(model: Any, recipe: Recipe) -> None:
    """Give a new adapter other first weights than PEFT's own, where the recipe says so."""
    from engine.workers import loftq, snapshot

    if recipe.lora.init == "loftq":
        loftq.begin(model, models.tokenizer_folder(recipe.model.id))
    initial.check(recipe)
    if folder := initial.folder(recipe):
        try:
            snapshot.load_weights(folder, model)
        except RuntimeError as error:
            raise UserError(
                f"model.adapter: {recipe.model.adapter} lies on other layers than [lora] names, or on another"
                f" model ({error}); name its layers in lora.target_modules"
            ) from None


def keep_first(run: Run, recipe: Recipe, model: Any) -> None:
    """Keep LoftQ's first weights in the run, for its script: on other cores they would be rounded otherwise.

    Raises OSError.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    if recipe.lora.init == "loftq":
        first = {name: weight.contiguous() for name, weight in get_peft_model_state_dict(model).items()}
        durable.folder(
            run.path / initial.KEPT, lambda path: save_file(first, path / initial.WEIGHTS, {"format": "pt"})
        )


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


def saver(model: Any, recipe: Recipe, chat: ChatFormat) -> Callable[[Path], None]:
    """What puts the adapter, or the whole model, into a folder, as PEFT or transformers loads it, with the
    tokenizer and template it was trained with.
    """
    base = models.tokenizer_folder(recipe.model.id)

    def save(folder: Path) -> None:
        model.save_pretrained(str(folder), **({"max_shard_size": ONE_FILE} if whole else {}))
        # The base model's own files: what a library saves of a tokenizer may differ from what it read.
        for name in TOKENIZER_FILES:
            if (base / name).is_file():
                shutil.copyfile(base / name, folder / name)
        render.save_templates(chat, folder)

    whole = recipe.train.method == "full"
    return save
