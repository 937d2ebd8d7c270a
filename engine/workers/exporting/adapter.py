"""The adapter as others load it: PEFT's folder with tokenizer, template, stop tokens and no path of ours."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from engine import exports, models
from engine.exports import serving
from engine.render import ChatFormat
from engine.workers.adapters import WEIGHTS, Saved
from engine.workers.exporting import parts


def fill(one: Saved, chat: ChatFormat, base: Path | None, out: Path, plain: bool = False) -> None:
    """Write the adapter into a folder, which is made.

    plain: for readers that know no scale but alpha / rank, as llama.cpp's converter and Ollama: of a
    rank-stabilised one (alpha / sqrt(rank)) B takes the rest.
    """
    out.mkdir(exist_ok=True)
    config = {**one.config, "base_model_name_or_path": base_name(one)}
    shutil.copyfile(one.folder / WEIGHTS, out / WEIGHTS)
    if plain and config.get("use_rslora"):
        config["use_rslora"] = False
        unstabilise(out / WEIGHTS)
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    parts.tokenizer(chat, one.folder, base, out)
    parts.generation_config(chat, base, out)
    parts.licences(base, out)


def unstabilise(file: Path) -> None:
    """Put into B what alpha / sqrt(rank) is more than alpha / rank."""
    tensors = load_file(file)
    for name in [name for name in tensors if ".lora_B." in name]:
        tensors[name] = tensors[name] * math.sqrt(tensors[name].shape[1])
    save_file(tensors, file, {"format": "pt"})


def base_name(one: Saved) -> str:
    """The base's id on the hub, or the bare name of one that is not there; never a path."""
    info = models.describe(one.run.recipe().model.id)
    return info.id if exports.on_the_hub(one.run) else info.name


def notes(one: Saved) -> list[str]:
    """What a person should know before passing it on."""
    said = []
    if not exports.on_the_hub(one.run):
        said.append(
            f"its base {base_name(one)} has no id on the hub: who loads it needs the base's folder as well"
        )
    if one.run.recipe().lora.init == "loftq":
        said.append(
            "it makes up for what 4 bits took from its base (LoftQ), and answers otherwise on one in 16 bits"
        )
    said += [f"vLLM does not serve it: {why}" for why in serving.refused(one.config)]
    return said
