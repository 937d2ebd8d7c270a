"""The states of all random number generators, as tensors and JSON, and back."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def captured() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The states now: tensors for a safetensors file, and what else there is to them."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.tensor(np.asarray(keys).tolist(), dtype=torch.int64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        for device, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"cuda.{device}"] = state
    facts = {
        "python": {"version": version, "gauss": gauss},
        "numpy": {"kind": str(kind), "position": position, "has_gauss": has_gauss, "cached": cached},
    }
    return tensors, facts


def restore(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Set the states that were captured. Devices that are not here any more are passed over."""
    python, numbers = facts["python"], facts["numpy"]
    random.setstate((python["version"], tuple(tensors["python"].tolist()), python["gauss"]))
    keys = np.array(tensors["numpy"].tolist(), dtype=np.uint32)
    np.random.set_state((numbers["kind"], keys, numbers["position"], numbers["has_gauss"], numbers["cached"]))
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            if f"cuda.{device}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda.{device}"], device)
