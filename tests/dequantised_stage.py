"""Run by itself (`python -m tests.dequantised_stage FOLDER`): what the settings of a load change, as JSON.

In a process of its own because Unsloth changes the libraries that other tests look at. Models are loaded by
the worker's own function.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from engine import auto, recipe
from engine.errors import UserError
from engine.events import EventLog
from engine.workers import train

STEPS = 4


def main() -> None:
    folder = Path(sys.argv[1])
    train.warm()
    told = {
        "packed": told_of(folder, keep_dequantised=False, gradient_checkpointing=True),
        "kept": told_of(folder, keep_dequantised=True, gradient_checkpointing=True),
        "kept without checkpointing": told_of(folder, keep_dequantised=True, gradient_checkpointing=False),
        "eager": told_of(folder, attention="eager"),
        "sdpa": told_of(folder, attention="sdpa"),
        "flash": refused(folder, "flash"),
    }
    (folder / "told.json").write_text(json.dumps(told), "utf-8")


def loaded(folder: Path, **settings: Any) -> Any:
    from engine.workers import model

    plan = recipe.load("first-steps")
    settled = auto.applied(recipe.changed(plan, train=settings).train, ())
    plan = recipe.changed(plan, train=dict.fromkeys(auto.OPEN, "auto"))
    return model.load(plan, settled, EventLog(folder / "events.jsonl"))[0]


def told_of(folder: Path, **settings: Any) -> dict[str, Any]:
    """Losses of a few steps, validation between them, and the adapter's weights at their end, as a digest."""
    import hashlib

    import torch

    tuned = loaded(folder, **settings)
    weights = [weight for weight in tuned.parameters() if weight.requires_grad]
    adamw = torch.optim.AdamW(weights, 1e-2)
    numbers = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(STEPS):
        ids = torch.randint(4, 2000, (3, 57), generator=numbers)
        loss = tuned(input_ids=ids, labels=ids).loss
        loss.backward()
        adamw.step()
        tuned.zero_grad()
        tuned.eval()
        with torch.no_grad():
            losses += [float(loss.detach()), float(tuned(input_ids=ids[:1], labels=ids[:1]).loss)]
        tuned.train()
    linear = [layer for name, layer in tuned.named_modules() if name.endswith("proj.base_layer")]
    return {
        "losses": losses,
        "adapter": hashlib.sha256(
            b"".join(weight.detach().numpy().tobytes() for weight in weights)
        ).hexdigest(),
        "layers": sorted({type(layer).__name__ for layer in linear}),
        "bytes": sum(weight.nbytes for layer in linear for weight in layer.parameters()),
        "attention": tuned.config._attn_implementation,
        "checkpointing": tuned.is_gradient_checkpointing,
    }


def refused(folder: Path, attention: str) -> str:
    try:
        loaded(folder, attention=attention)
    except UserError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
