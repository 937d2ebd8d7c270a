"""A standalone Python file that trains the same ids and labels with the same settings: nothing is hidden.

It needs Unsloth, TRL and PEFT, and a file of rows beside it: {"input_ids": [...], "labels": [...]} a line, in
the run's own order; the order of training follows from the seed, in the file as in the run: accelerate draws
each epoch's from the seed and the epoch's number. What a run did not do (DoRA, noise, ...) has no line in it.
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

It prints each step's loss and saves {what} to ./{result}.{remarks}
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
    BASE, max_seq_length=LONGEST, load_in_4bit={four_bit}, use_exact_model_name=True{loading}
)
{adapter}

class Trainer(SFTTrainer):
    def log(self, logs, *rest):
        if "loss" in logs:
            print(f"step {{self.state.global_step}} loss {{logs['loss']:.7g}}", flush=True)
{methods}

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
{hook}trainer.train()
model.save_pretrained(os.path.join(HERE, {result!r}))
'''

ADAPTER = """\
model = FastLanguageModel.get_peft_model(
    model, r={rank}, lora_alpha={alpha}, lora_dropout={dropout}, random_state={seed}, max_seq_length=LONGEST,
    target_modules={targets!r},
    use_gradient_checkpointing={checkpointing!r},{variant}
)
"""

FIRST = """\
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

set_peft_model_state_dict(model, load_file(os.path.join(HERE, {start!r}, "adapter_model.safetensors")))
"""

PLUS = """
    def create_optimizer(self, *rest, **named):  # LoRA+: B learns at {ratio:g} times the rate of A
        fresh, optimizer = self.optimizer is None, super().create_optimizer(*rest, **named)
        of_b = {{id(weight) for name, weight in self.model.named_parameters() if ".lora_B." in name}}
        for group in list(optimizer.param_groups) if fresh else ():
            apart = [weight for weight in group["params"] if id(weight) in of_b]
            group["params"] = [weight for weight in group["params"] if id(weight) not in of_b]
            optimizer.add_param_group({{**group, "params": apart, "lr": group["lr"] * {ratio!r}}})
        return optimizer
"""

LENGTHS = """
    def training_step(self, model, inputs, *rest, **named):
        self.lengths = inputs["attention_mask"].sum(1).tolist()
        return super().training_step(model, inputs, *rest, **named)
"""

NOISE = """\


def noisy(module, _, embedded):  # NEFTune, by each row's own length
    if not module.training:
        return embedded
    most = torch.tensor([{alpha!r} / (length * embedded.shape[-1]) ** 0.5 for length in trainer.lengths])
    return embedded + torch.empty_like(embedded).uniform_(-1, 1) * most.view(-1, 1, 1).to(embedded)


model.get_input_embeddings().register_forward_hook(noisy)
"""

START = "start"
"""The folder of the adapter's first weights, where they are not PEFT's own."""

ATTENTION = {"sdpa": "sdpa", "flash": "flash_attention_2", "eager": "eager"}
"""What transformers calls what [train] names."""


def text(
    recipe: Recipe,
    plan: Settled,
    steps: int,
    base: str,
    targets: Sequence[str],
    versions: dict[str, Any],
    remarks: Sequence[str] = (),
    start: bool = False,
) -> str:
    """The file. remarks: where it cannot do as the run did, one sentence each, said in its head; start:
    whether the adapter's first weights lie beside it."""
    packages = ("unsloth", "unsloth_zoo", "trl", "peft", "transformers", "torch", "datasets", "bitsandbytes")
    pinned = [f"{name}=={str(versions[name]).partition('+')[0]}" for name in packages if versions.get(name)]
    said = "".join(f"\n- {remark}" for remark in remarks)
    full, ratio = plan.method == "full", recipe.lora.plus_ratio
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
        what="the model" if full else "the adapter",
        result="model" if full else "adapter",
        loading=_loading(plan),
        adapter="" if full else _adapter(recipe, plan, targets, start),
        methods=(PLUS.format(ratio=ratio) if ratio != 1 else "") + (LENGTHS if plan.neftune else ""),
        hook=NOISE.format(alpha=plan.neftune) if plan.neftune else "",
        recompute=plan.gradient_checkpointing,
        batch_size=plan.batch_size,
        accumulation=plan.gradient_accumulation,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        small=plan.optimizer == "adamw_8bit",
    )


def _loading(plan: Settled) -> str:
    """What the model is loaded with besides the usual."""
    said = ""
    if plan.method == "full":
        said += f",\n    full_finetuning=True, use_gradient_checkpointing={_checkpointing(plan)!r}"
    if plan.attention != "model":
        said += f",\n    attn_implementation={ATTENTION[plan.attention]!r}"
    return said + ("," if said else "")


def _adapter(recipe: Recipe, plan: Settled, targets: Sequence[str], start: bool) -> str:
    lora = recipe.lora
    variant = (["use_rslora=True"] if lora.rank_stabilised else []) + (["use_dora=True"] if lora.dora else [])
    text = ADAPTER.format(
        rank=lora.rank,
        alpha=lora.alpha,
        dropout=lora.dropout,
        seed=plan.seed,
        targets=list(targets) or "all-linear",
        checkpointing=_checkpointing(plan),
        variant="\n    " + ", ".join(variant) + "," if variant else "",
    )
    return text + (FIRST.format(start=START) if start else "")


def _checkpointing(plan: Settled) -> str | bool:
    return "unsloth" if plan.gradient_checkpointing else False
