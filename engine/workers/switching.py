"""An adapter that has no room in a batch beside others answers in passes of its own, on the same weights.

Such a pass is computed by PEFT's own layers with that adapter active; all others by mixed.py's.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper

from engine.workers import mixed
from engine.workers.mixed import Rows

Biases = list[tuple[torch.nn.Parameter, torch.Tensor, torch.Tensor]]
"""Biases that an adapter changes in the base itself: where they are, the base's numbers, its own."""


def reason(peft: Any, name: str) -> str:
    """What of a loaded adapter no mixed batch has room for, by its layers; empty where nothing is."""
    for module, layer in peft.named_modules():
        if isinstance(layer, LoraLayer):
            if name in layer.lora_embedding_A:
                return "LoRA on embeddings"
            if name in layer.lora_A and not mixed.fits(layer, name):
                return f"LoRA on {module.rpartition('.')[2]}"
    return ""


def turn(peft: Any, rows: Rows, name: str) -> None:
    """Have the passes to come answer as this adapter alone; "" has them answer by `rows` again."""
    if name == rows.alone:
        return
    if name and peft.active_adapter != name:
        peft.set_adapter(name, inference_mode=True)
    for module in peft.modules():
        # Layers that are replaced whole, and token embeddings, are no LoRA layers: mixed.py sees them not.
        if isinstance(module, AuxiliaryTrainingWrapper):
            module.enable_adapters(bool(name))
    rows.alone = name


def copied(model: torch.nn.Module) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    """All biases of a model with their numbers, before an adapter that has biases is loaded over them."""
    own = ((name, one) for name, one in model.named_parameters() if name.endswith("bias"))
    return [(one, one.detach().clone()) for _, one in own]


def changed(before: list[tuple[torch.nn.Parameter, torch.Tensor]]) -> Biases:
    """Those that were loaded over since they were copied."""
    return [(one, base, one.detach().clone()) for one, base in before if not torch.equal(one.detach(), base)]
