"""A standalone Python file that trains the same ids and labels with the same settings: nothing is hidden.

It needs Unsloth, TRL and PEFT, and a file of rows beside it: {"input_ids": [...], "labels": [...]} a line, in
the run's own order; the order of training follows from the seed, in the file as in the run: accelerate draws
each epoch's from the seed and the epoch's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.schema import Recipe, Settled

ROWS = "rows.jsonl"
NAME = "train.py"

SOURCE = '''\
"""Trains {name} again, without the program that made it: {steps:,} steps on the ids and labels of {rows}.

    pip install {packages}
    python {file}

It prints each step's loss and saves the adapter to ./adapter.{remarks}
"""

import os

os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
from unsloth import FastLanguageModel  # first: it patches what comes after it

import torch
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq
from trl import SFTConfig, SFTTrainer

BASE, LONGEST = os.environ.get("BASE", {base!r}), {max_length}
HERE = os.path.dirname(os.path.abspath(__file__))
cuda = torch.cuda.is_available()

model, tokenizer = FastLanguageModel.from_pretrained(
    BASE, max_seq_length=LONGEST, load_in_4bit={four_bit}, use_exact_model_name=True
)
model = FastLanguageModel.get_peft_model(
    model, r={rank}, lora_alpha={alpha}, lora_dropout={dropout}, random_state={seed}, max_seq_length=LONGEST,
    target_modules={targets!r},
    use_gradient_checkpointing={checkpointing!r},
)


class Trainer(SFTTrainer):
    def log(self, logs, *rest):
        if "loss" in logs:
            print(f"step {{self.state.global_step}} loss {{logs['loss']:.7g}}", flush=True)


trainer = Trainer(
    model=model,
    processing_class=tokenizer,
    train_dataset=Dataset.from_json(os.path.join(HERE, {rows!r}), cache_dir=os.path.join(HERE, ".cache")),
    data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
    args=SFTConfig(
        output_dir=os.path.join(HERE, "trainer"), max_steps={steps}, seed={seed}, data_seed={seed},
        per_device_train_batch_size={batch_size}, gradient_accumulation_steps={accumulation},
        learning_rate={learning_rate!r}, lr_scheduler_type={schedule!r}, warmup_steps={warmup},
        weight_decay={weight_decay!r}, max_grad_norm={max_grad_norm!r}, gradient_checkpointing={recompute},
        optim="adamw_8bit" if {small} and cuda else "adamw_torch",
        bf16=cuda and torch.cuda.is_bf16_supported(), fp16=cuda and not torch.cuda.is_bf16_supported(),
        logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        max_length=None, packing=False,
    ),
)
for parameter in model.parameters():  # TRL turns a 4-bit model's adapter to bfloat16; it learns in float32
    if parameter.requires_grad:
        parameter.data = parameter.data.float()
trainer.train()
model.save_pretrained(os.path.join(HERE, "adapter"))
'''


def text(
    recipe: Recipe,
    plan: Settled,
    steps: int,
    base: str,
    targets: Sequence[str],
    versions: dict[str, Any],
    remarks: Sequence[str] = (),
) -> str:
    """The file. remarks: where it cannot do as the run did, one sentence each, said in its head."""
    packages = ("unsloth", "unsloth_zoo", "trl", "peft", "transformers", "torch", "datasets", "bitsandbytes")
    pinned = [f"{name}=={str(versions[name]).partition('+')[0]}" for name in packages if versions.get(name)]
    said = "".join(f"\n- {remark}" for remark in remarks)
    return SOURCE.format(
        name=recipe.name,
        file=NAME,
        rows=ROWS,
        packages=" ".join(pinned),
        remarks=f"\n\nWhat it does not do as the run did:{said}" if said else "",
        base=base,
        steps=steps,
        seed=plan.seed,
        warmup=plan.warmup_steps,
        schedule=plan.schedule,
        max_length=recipe.data.max_length,
        four_bit=recipe.model.load_in_4bit,
        rank=recipe.lora.rank,
        alpha=recipe.lora.alpha,
        dropout=recipe.lora.dropout,
        targets=list(recipe.lora.target_modules) or "all-linear",
        checkpointing="unsloth" if plan.gradient_checkpointing else False,
        recompute=plan.gradient_checkpointing,
        batch_size=plan.batch_size,
        accumulation=plan.gradient_accumulation,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        small=plan.optimizer == "adamw_8bit",
    )
