"""The scripts that our worker is measured against, each in a process: `python -m benchmarks.cuda.arms SPEC`.

unsloth: what one writes with Unsloth and TRL alone, with Unsloth's own choice of how to batch. stock: TRL,
PEFT and bitsandbytes without Unsloth, as their documentation has it. Same ids and labels, same adapter, same
number of rows a step as ours. A line of JSON a step says when it ended and its tokens, without padding.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    spec = json.loads(sys.argv[1])
    if spec["kind"] == "unsloth":
        import unsloth  # noqa: F401  (before the libraries that it patches)
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = (_unsloth if spec["kind"] == "unsloth" else _stock)(spec)
    lines = Path(spec["steps"]).open("w", encoding="ascii", buffering=1)  # noqa: SIM115  (until the end)
    counted: list[Any] = []

    class Counting(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            mask = inputs.get("attention_mask")  # a sum that nobody reads yet makes no GPU wait
            counted.append(inputs["input_ids"].numel() if mask is None else mask.sum())
            return super().training_step(model, inputs, *rest, **named)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            tokens = sum(int(one) for one in counted)  # waits until the step is done
            counted.clear()
            held = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
            lines.write(json.dumps({"time": time.time(), "tokens": tokens, "reserved": held}) + "\n")

    cuda = torch.cuda.is_available()
    rows = [json.loads(line) for line in Path(spec["rows"]).read_text("ascii").splitlines()]
    trainer = Counting(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir=spec["folder"],
            max_steps=10**6,
            per_device_train_batch_size=spec["batch"],
            gradient_accumulation_steps=spec["accumulation"],
            learning_rate=1e-3,
            gradient_checkpointing=spec["checkpointing"],
            bf16=cuda,
            optim="adamw_torch",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            max_length=None,
        ),
    )
    if not cuda:  # processors without bfloat16 are several times slower in it
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    trainer.train()


def _unsloth(spec: dict[str, Any]) -> tuple[Any, Any]:
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        spec["model"], max_seq_length=spec["length"], load_in_4bit=True, use_exact_model_name=True
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=16,
        lora_alpha=32,
        lora_dropout=0,
        target_modules="all-linear",
        bias="none",
        use_gradient_checkpointing="unsloth" if spec["checkpointing"] else False,
        max_seq_length=spec["length"],
    )
    return model, tokenizer


def _stock(spec: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    cuda = torch.cuda.is_available()
    dtype = torch.bfloat16 if cuda else torch.float32
    base = AutoModelForCausalLM.from_pretrained(
        spec["model"],
        dtype=dtype,
        device_map={"": 0} if cuda else "cpu",
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        ),
    )
    for module in base.modules():  # repacked weights have no backward pass on a CPU
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=spec["checkpointing"])
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(base, lora), AutoTokenizer.from_pretrained(spec["model"])


if __name__ == "__main__":
    main()
