"""The first weights of a run's adapter, where no seed gives them: a script needs them to train the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine import initial
from engine.errors import UserError
from engine.exports.script import START
from engine.workers.adapters import Saved
from engine.workers.exporting import adapter, merge, merged, stored


def write(one: Saved, base: Path, out: Path) -> bool:
    """Put them into a folder of their own in `out`, as PEFT lays an adapter out; False where a seed does.

    Raises UserError where they cannot be had any more.
    """
    recipe = one.run.recipe()
    begun = recipe.lora.init == "loftq"
    source = initial.folder(recipe)
    if one.whole or not (begun or source):
        return False
    if source and initial.digest(recipe) != one.made_with.get("adapter"):
        raise UserError(
            f"{one.run.name}: the adapter that it went on from is not there any more as it was, and without"
            " it nobody can train this one again; put it back, or export the adapter itself"
        )
    folder = out / START
    folder.mkdir()
    kept = source or one.run.path / initial.KEPT
    if (kept / initial.WEIGHTS).is_file():
        shutil.copyfile(kept / initial.WEIGHTS, folder / initial.WEIGHTS)
    else:  # a run that has not kept them: worked out again, the same but for the last bits
        save_file(_begun(one, base), folder / initial.WEIGHTS, {"format": "pt"})
    config = {**one.config, "base_model_name_or_path": adapter.base_name(one)}
    (folder / initial.CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return True


def _begun(one: Saved, base: Path) -> dict[str, torch.Tensor]:
    """LoftQ's, worked out again as loftq.py did on the loaded model. Raises UserError."""
    from engine.workers import loftq  # which imports bitsandbytes, seldom needed here

    pairs, found = merge.pairs(one.folder), stored.tensors(base)
    places = merge.places(pairs, [tensor.name for tensor in found])
    restored = merged.requantised(base, one)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    first = {}
    for tensor in found:
        if (own := places.get(tensor.name)) is None:
            continue
        weight = stored.read(tensor)
        held = restored(tensor.name, weight)
        if held is weight:
            raise UserError(
                f"{own}: was not held in 4 bits, and begins with random numbers that are not known any more;"
                " export the adapter itself"
            )
        pair = pairs[own]
        a, b = loftq.best(weight.to(device), held.to(device).float(), pair.a.shape[0], pair.scale)
        layer = merge.PREFIX + own.removesuffix(".weight")
        first[f"{layer}.lora_A.weight"] = a.cpu().contiguous()
        first[f"{layer}.lora_B.weight"] = b.cpu().contiguous()
    return first
