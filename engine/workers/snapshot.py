"""What a checkpoint holds, and how a trainer gets it back: safetensors and JSON, never a pickle.

adapter_model.safetensors, adapter_config.json, tokenizer files   as PEFT writes and reads them; or, where all
                          weights are trained, model.safetensors and config.json as transformers does
optimizer.safetensors     the optimizer's tensors as INDEX/NAME, each in its own type
random.safetensors        states of the random number generators
trainer_state.json        transformers' own count of steps and epochs
state.json                all else; written last
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.workers import checkpoints, randomness

TRAINER_STATE = "trainer_state.json"
OPTIMIZER = "optimizer.safetensors"
RANDOM = "random.safetensors"


def fill(path: Path, trainer: Any, save_weights: Callable[[Path], None]) -> dict[str, Any]:
    """Put a trainer's whole state into a folder; what of it is JSON is returned."""
    save_weights(path)
    tensors, optimizer = _taken_apart(trainer.optimizer.state_dict())
    save_file(tensors, path / OPTIMIZER)
    tensors, random = randomness.captured()
    save_file(tensors, path / RANDOM)
    trainer.state.log_history = []  # the events have it; here it would grow with every step
    trainer.state.save_to_json(str(path / TRAINER_STATE))
    scaler = trainer.accelerator.scaler
    scheduler = trainer.lr_scheduler.state_dict()
    return {
        "optimizer": optimizer,
        "random": random,
        "scheduler": {key: scheduler[key] for key in ("base_lrs", "last_epoch", "_step_count", "_last_lr")},
        "scaler": scaler.state_dict() if scaler is not None else None,
    }


def load_weights(path: Path, model: Any) -> None:
    """Put the adapter's weights, or the whole model's, into the live ones, which keep their type.

    Raises RuntimeError where they are not those of this model.
    """
    if isinstance(model, PeftModel):
        saved = load_file(path / checkpoints.ADAPTER)
        live = {name: weight.shape for name, weight in get_peft_model_state_dict(model).items()}
        if {name: weight.shape for name, weight in saved.items()} != live:
            raise RuntimeError(f"{path.name} holds an adapter of another shape than the recipe's")
        set_peft_model_state_dict(model, saved)
        return
    saved, weights = load_file(path / checkpoints.WHOLE), dict(model.named_parameters())
    if not weights.keys() <= saved.keys():
        # transformers writes the experts of a mixture one by one, by the names of the layers they once were.
        saved = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
    if any(name not in saved or saved[name].shape != weight.shape for name, weight in weights.items()):
        raise RuntimeError(f"{path.name} holds another model than the recipe's")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name])


def load_optimizer(path: Path, trainer: Any) -> None:
    """Put back the optimizer, the place on the schedule and the scale of half-precision gradients."""
    facts = checkpoints.state(path)
    trainer.optimizer.load_state_dict(_put_together(load_file(path / OPTIMIZER), facts["optimizer"]))
    schedule = facts["scheduler"]
    # Its functions are the trainer's own and not saved.
    trainer.lr_scheduler.load_state_dict({**schedule, "lr_lambdas": [None] * len(schedule["base_lrs"])})
    if facts["scaler"] is not None and trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler.load_state_dict(facts["scaler"])


def load_random(path: Path) -> None:
    """Put back the random number generators."""
    randomness.restore(load_file(path / RANDOM), checkpoints.state(path)["random"])


def _taken_apart(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimizer's tensors by their path, "0/exp_avg", and the tree that they were in without them."""
    tensors: dict[str, torch.Tensor] = {}

    def without(branch: dict[Any, Any], path: str) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        for name, value in branch.items():
            here = f"{path}{name}"
            if isinstance(value, torch.Tensor):
                # A copy: 8-bit states share their table, and safetensors refuses shared memory.
                tensors[here] = value.detach().cpu().clone().contiguous()
            else:
                # 8-bit states stand one level deeper.
                rest[str(name)] = without(value, f"{here}/") if isinstance(value, dict) else value
        return rest

    return tensors, {"state": without(state["state"], ""), "groups": state["param_groups"]}


def _put_together(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> dict[str, Any]:
    state: dict[Any, Any] = facts["state"]
    for path, value in tensors.items():
        *branches, name = path.split("/")
        place = state
        for branch in branches:
            place = place.setdefault(branch, {})
        place[name] = value
    groups = [
        {key: tuple(value) if key == "betas" else value for key, value in group.items()}
        for group in facts["groups"]
    ]
    return {"state": {int(index): values for index, values in state.items()}, "param_groups": groups}
