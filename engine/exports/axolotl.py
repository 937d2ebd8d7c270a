"""The same run as an Axolotl configuration, on the run's own ids and labels.

Keys as in docs.axolotl.ai (config reference; dataset formats: custom pre-tokenized).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.exports import yaml
from engine.exports.script import ATTENTION, START
from engine.schema import Recipe, Settled

NAME = "axolotl.yml"
ROWS = "rows.jsonl"

UNMAPPED = (
    "the order of the rows: Axolotl shuffles by the same seed in its own way",
    "on_nonfinite, on_oom and the probe of the longest rows are this program's own",
    "evaluation and early stopping: give a test_datasets entry of your own",
)


def settings(
    recipe: Recipe,
    plan: Settled,
    steps: int,
    base: str,
    template: str,
    targets: Sequence[str],
    start: bool = False,
) -> dict[str, Any]:
    """Keys and values, in Axolotl's own order of examples. start: whether the adapter's first weights lie
    beside it."""
    return {
        "base_model": base,
        "load_in_4bit": recipe.model.load_in_4bit,
        **({} if plan.method == "full" else _adapter(recipe, targets, start)),
        "chat_template_jinja": template,
        "datasets": [{"path": ROWS, "ds_type": "json", "type": None}],
        "sequence_len": recipe.data.max_length,
        "sample_packing": False,
        "train_on_inputs": False,
        "micro_batch_size": plan.batch_size,
        "gradient_accumulation_steps": plan.gradient_accumulation,
        "max_steps": steps,
        "learning_rate": plan.learning_rate,
        "lr_scheduler": plan.schedule,
        "warmup_steps": 0 if plan.schedule == "constant" else plan.warmup_steps,
        "weight_decay": plan.weight_decay,
        "max_grad_norm": plan.max_grad_norm,
        "optimizer": "adamw_bnb_8bit" if plan.optimizer == "adamw_8bit" else "adamw_torch",
        "gradient_checkpointing": plan.gradient_checkpointing,
        "bf16": "auto",
        **({"neftune_noise_alpha": plan.neftune} if plan.neftune else {}),
        **({"attn_implementation": ATTENTION[plan.attention]} if plan.attention != "model" else {}),
        "val_set_size": 0,
        "logging_steps": 1,
        "save_steps": plan.save_every or steps,
        "save_total_limit": plan.keep_checkpoints,
        "output_dir": "./out",
        "seed": plan.seed,
    }


def _adapter(recipe: Recipe, targets: Sequence[str], start: bool) -> dict[str, Any]:
    lora = recipe.lora
    return {
        "adapter": "qlora" if recipe.model.load_in_4bit else "lora",
        "lora_r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "lora_target_modules": sorted(targets),
        **({"peft_use_rslora": True} if lora.rank_stabilised else {}),
        **({"peft_use_dora": True} if lora.dora else {}),
        **({"loraplus_lr_ratio": lora.plus_ratio} if lora.plus_ratio != 1 else {}),
        **({"lora_model_dir": f"./{START}"} if start else {}),
    }


def text(
    recipe: Recipe,
    plan: Settled,
    steps: int,
    base: str,
    template: str,
    targets: Sequence[str],
    remarks: Sequence[str],
    start: bool = False,
) -> str:
    """The file, with what could not be said in it at its head."""
    head = [
        f"The run {recipe.name} for Axolotl: axolotl train {NAME}",
        f"{ROWS} holds the run's own ids and labels.",
        "What is not as in the run:",
        *(f"- {one}" for one in (*UNMAPPED, *drawn(plan, start), *remarks)),
    ]
    return yaml.text(settings(recipe, plan, steps, base, template, targets, start), head)


def drawn(plan: Settled, start: bool) -> list[str]:
    """What trainers other than Unsloth draw otherwise, though it is said to them."""
    found = []
    if plan.method == "lora" and not start:
        found.append(
            "LoRA starts from other random numbers, so that the losses are near the run's, not the same"
        )
    if plan.neftune:
        found.append(
            "the noise on the tokens counts a batch's padding as transformers does, the run's does not"
        )
    return found
