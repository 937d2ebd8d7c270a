"""How others run an export: four lines for its card, and the same as a small program in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.exports import llama_cpp, serving

PROGRAM = "ask.py"
QUESTION = "Hello"
MOST = 256
"""Tokens of an answer."""

HEAD = '''\
"""Asks this model: python {program} "{question}". It needs {packages}.{apart}"""

import os
import sys

'''
APART = """

The base model {base} has no id on the hub: the variable BASE names its folder.
"""

FOUR_BIT = ("load_in_4bit", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype")

Groups = tuple[list[str], list[str], list[str], list[str]]


def statements(kind: str, base: str, public: bool, made_with: Mapping[str, Any]) -> Groups:
    """Python that imports, loads an adapter or a whole model, asks it, and prints the answer.

    FOLDER stands for where it lies, BASE_FOLDER for a base that is not on the hub. An adapter gets its base
    as it had it in training, in 4 bits where it did: so it is asked before it is called done. made_with: of
    Saved.
    """
    names = ["AutoModelForCausalLM", "AutoTokenizer", "GenerationConfig"]
    if kind == "adapter":
        how = f'dtype="{made_with["dtype"]}", device_map="auto"'
        if held := made_with.get("quantization"):
            names.append("BitsAndBytesConfig")
            words = ", ".join(f"{key}={held[key]!r}" for key in FOUR_BIT if key in held)
            how += f", quantization_config=BitsAndBytesConfig({words})"
        source = base if public else "BASE_FOLDER"
        model = f'AutoModelForCausalLM.from_pretrained("{source}", {how})'
        model = f'PeftModel.from_pretrained({model}, "FOLDER")'
        imports = ["from peft import PeftModel"]
    else:
        model = 'AutoModelForCausalLM.from_pretrained("FOLDER", dtype="auto", device_map="auto")'
        imports = []
    return (
        [*imports, f"from transformers import {', '.join(names)}"],
        [f"model = {model}", 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'],
        [
            f'ids = tokenizer.apply_chat_template([{{"role": "user", "content": "{QUESTION}"}}],'
            ' add_generation_prompt=True, return_tensors="pt", return_dict=True).to(model.device)'
        ],
        [
            'said = model.generate(**ids, generation_config=GenerationConfig.from_pretrained("FOLDER"),'
            f" max_new_tokens={MOST})",
            'print(tokenizer.decode(said[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))',
        ],
    )


def lines(groups: Groups) -> list[str]:
    """The four of the card."""
    return ["; ".join(group) for group in groups]


def program(groups: Groups, base: str) -> str:
    """A file for the export's folder that asks what it is given. base: its name."""
    body = "\n".join(one for group in groups for one in group)
    needed = ["transformers"] + ["peft"] * ("PeftModel" in body) + ["bitsandbytes"] * ("BitsAndBytes" in body)
    apart = APART.format(base=base) if '"BASE_FOLDER"' in body else ""
    head = HEAD.format(program=PROGRAM, question=QUESTION, packages=", ".join(needed), apart=apart)
    for word, code in (
        ('"FOLDER"', "os.path.dirname(os.path.abspath(__file__))"),
        ('"BASE_FOLDER"', 'os.environ["BASE"]'),
        (f'"{QUESTION}"', f'" ".join(sys.argv[1:]) or "{QUESTION}"'),
    ):
        body = body.replace(word, code)
    return f"{head}{body}\n"


def commands(files: Sequence[str]) -> list[str]:
    """Of GGUF files: each served by llama.cpp."""
    base = f"FOLDER/{llama_cpp.BASE}" if llama_cpp.BASE in files else "BASE.gguf"
    alone = f"-m {base} --chat-template-file FOLDER/chat_template.jinja --lora "
    return [
        f"llama-server {alone if name.startswith('adapter-') else '-m '}FOLDER/{name}"
        for name in files
        if name != llama_cpp.BASE
    ]


def vllm(kind: str, base: str, public: bool, config: Mapping[str, Any], made_with: Mapping[str, Any]) -> str:
    """The command that serves it, or a sentence on why there is none. config: adapter_config.json."""
    if kind != "adapter":
        return "With vLLM: `vllm serve FOLDER`."
    if why := serving.refused(config):
        return f"vLLM does not serve it: {'; '.join(why)}."
    source = base if public else "BASE_FOLDER"
    options = serving.options(config, four_bit=bool(made_with.get("quantization")))
    return f"With vLLM: `vllm serve {source} {options} --lora-modules tuned=FOLDER`."
