"""The same run as a LLaMA-Factory configuration: its ids and labels, and the conversations behind them.

Keys as in its src/llamafactory/hparams; the dataset's entry as in its data/README.md (openai format).
tokenized_path has it take ids and labels as they are, in place of its own templates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.exports import yaml
from engine.exports.axolotl import drawn
from engine.exports.script import START
from engine.schema import Recipe, Settled

NAME = "llamafactory.yaml"
INFO = "dataset_info.json"
CONVERSATIONS = "conversations.jsonl"
TOKENIZED = "tokenized"

UNMAPPED = (
    "the order of the rows: it shuffles by the same seed in its own way",
    "on_nonfinite, on_oom and the probe of the longest rows are this program's own",
    "early stopping has no key; evaluation needs an eval_dataset of your own",
    f"without tokenized_path it would render {CONVERSATIONS} by a template of its own, not by the run's",
)


ATTENTION = {"sdpa": "sdpa", "flash": "fa2", "eager": "disabled"}
"""What it calls what [train] names."""


def settings(
    recipe: Recipe, plan: Settled, steps: int, base: str, targets: Sequence[str], start: bool = False
) -> dict[str, Any]:
    """Keys and values. start: whether the adapter's first weights lie beside it."""
    return {
        "model_name_or_path": base,
        **({"quantization_bit": 4} if recipe.model.load_in_4bit else {}),
        "stage": "sft",
        "do_train": True,
        **({"finetuning_type": "full"} if plan.method == "full" else _adapter(recipe, targets, start)),
        "dataset": recipe.name,
        "dataset_dir": ".",
        "tokenized_path": TOKENIZED,
        "template": "default",
        "cutoff_len": recipe.data.max_length,
        "packing": False,
        "per_device_train_batch_size": plan.batch_size,
        "gradient_accumulation_steps": plan.gradient_accumulation,
        "max_steps": steps,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": plan.schedule,
        "warmup_steps": 0 if plan.schedule == "constant" else plan.warmup_steps,
        "weight_decay": plan.weight_decay,
        "max_grad_norm": plan.max_grad_norm,
        "optim": "adamw_8bit" if plan.optimizer == "adamw_8bit" else "adamw_torch",
        "disable_gradient_checkpointing": not plan.gradient_checkpointing,
        "bf16": True,
        **({"neftune_noise_alpha": plan.neftune} if plan.neftune else {}),
        **({"flash_attn": ATTENTION[plan.attention]} if plan.attention != "model" else {}),
        "logging_steps": 1,
        "save_steps": plan.save_every or steps,
        "save_total_limit": plan.keep_checkpoints,
        "output_dir": "out",
        "seed": plan.seed,
        "report_to": "none",
    }


def _adapter(recipe: Recipe, targets: Sequence[str], start: bool) -> dict[str, Any]:
    lora = recipe.lora
    return {
        "finetuning_type": "lora",
        "lora_rank": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "lora_target": ",".join(sorted(targets)),
        **({"use_rslora": True} if lora.rank_stabilised else {}),
        **({"use_dora": True} if lora.dora else {}),
        **({"loraplus_lr_ratio": lora.plus_ratio} if lora.plus_ratio != 1 else {}),
        **({"adapter_name_or_path": START} if start else {}),
    }


def text(
    recipe: Recipe,
    plan: Settled,
    steps: int,
    base: str,
    targets: Sequence[str],
    remarks: Sequence[str],
    start: bool = False,
) -> str:
    """The file, with what could not be said in it at its head."""
    head = [
        f"The run {recipe.name} for LLaMA-Factory: llamafactory-cli train {NAME}",
        f"{TOKENIZED}/ holds the run's own ids and labels.",
        "What is not as in the run:",
        *(f"- {one}" for one in (*UNMAPPED, *drawn(plan, start), *remarks)),
    ]
    return yaml.text(settings(recipe, plan, steps, base, targets, start), head)


def info(recipe: Recipe) -> str:
    """dataset_info.json with the entry of the conversations."""
    entry = {
        "file_name": CONVERSATIONS,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    return json.dumps({recipe.name: entry}, indent=2) + "\n"
