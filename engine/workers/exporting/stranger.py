"""Answers as somebody else gets them: a folder loaded by transformers or PEFT alone, with nothing of ours.

Run as a file, in a process of its own, so that nothing here can make up for what an export lacks:

    python stranger.py REQUEST.json

REQUEST  {"folder", "base": folder of the base model of an adapter, or null, "dtype": or null, "quantization":
         or null, "prompts": [[message, ...], ...], "max_new_tokens", "logits": file to be written}
stdout   a line a prompt: {"prompt": ids, "ids": without the stop token, "ended"}; at last
         {"stops": ids, "dtype"}; the file has the logits of each first token, (prompts, vocabulary)
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        asked = json.load(file)
    folder = asked["folder"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = load(asked)
    settings = GenerationConfig.from_pretrained(folder)
    stops = settings.eos_token_id
    stops = [stops] if isinstance(stops, int) else list(stops or [])
    first = []
    for messages in asked["prompts"]:
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(model.device)
        prompt = inputs["input_ids"][0].tolist()
        with torch.inference_mode():
            first.append(model(**inputs).logits[0, -1].float().cpu())
            made = model.generate(
                **inputs,
                generation_config=settings,
                do_sample=False,
                max_new_tokens=asked["max_new_tokens"],
            )[0].tolist()
        said = made[len(prompt) :]
        ended = bool(said) and said[-1] in stops
        line = {"prompt": prompt, "ids": said[:-1] if ended else said, "ended": ended}
        print(json.dumps(line), file=out, flush=True)
    save_file({"first": torch.stack(first)}, asked["logits"])
    print(
        json.dumps({"stops": stops, "dtype": str(model.dtype).removeprefix("torch.")}), file=out, flush=True
    )


def load(asked: dict):  # type: ignore[type-arg, no-untyped-def]
    how = {"device_map": {"": 0} if torch.cuda.is_available() else "cpu"}
    how["dtype"] = getattr(torch, asked["dtype"]) if asked["dtype"] else "auto"
    if asked["quantization"]:
        how["quantization_config"] = BitsAndBytesConfig.from_dict(asked["quantization"])
    if not os.path.isfile(os.path.join(asked["folder"], "adapter_config.json")):  # noqa: PTH113, PTH118
        return AutoModelForCausalLM.from_pretrained(asked["folder"], **how)
    from peft import AutoPeftModelForCausalLM, PeftModel

    if asked["base"] is None:
        model = AutoPeftModelForCausalLM.from_pretrained(asked["folder"], **how)
    else:
        base = AutoModelForCausalLM.from_pretrained(asked["base"], **how)
        model = PeftModel.from_pretrained(base, asked["folder"])
    for module in model.modules():
        # Where a processor computes in bfloat16, bitsandbytes lays 4-bit weights out for that: other numbers
        # than in training, which is what this is compared with.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model.eval()


if __name__ == "__main__":
    main()
