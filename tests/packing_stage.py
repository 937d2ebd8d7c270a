"""Run by itself (`python -m tests.packing_stage FOLDER [MODEL]`): rows that share a sequence, as JSON.

In a process of its own because Unsloth changes the libraries that other tests look at. The model is loaded by
the worker's own function, its adapter is filled with noise, and rows of very different lengths go through it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from engine import auto, recipe, render
from engine.errors import UserError
from engine.events import EventLog
from engine.workers import train

LENGTHS = (61, 9, 140, 2, 33)


def main() -> None:
    folder = Path(sys.argv[1])
    train.warm()
    base = sys.argv[2] if len(sys.argv) > 2 else "builtin:tiny"
    told = {bits: told_of(bits == "4-bit", base, folder) for bits in ("4-bit", "32-bit")}
    (folder / "told.json").write_text(json.dumps(told), "utf-8")


def told_of(four_bit: bool, base: str, folder: Path) -> dict[str, Any]:
    import torch

    from engine.workers import batches, model
    from engine.workers.batches import Collator

    plan = recipe.changed(
        recipe.load("first-steps"),
        model={"id": base, "load_in_4bit": four_bit},
        lora={"rank": 8},
        train={"gradient_checkpointing": True},
    )
    settled = auto.applied(plan.train, ())
    tuned, tokenizer = model.load(plan, settled, EventLog(folder / f"{four_bit}.jsonl"))
    torch.manual_seed(0)
    weights = [weight for _, weight in tuned.named_parameters() if weight.requires_grad]
    for weight in weights:
        weight.data = torch.randn_like(weight, dtype=torch.float32) * 0.05
    numbers = torch.Generator().manual_seed(1)
    rows = [torch.randint(4, 2000, (length,), generator=numbers) for length in LENGTHS]
    # The first third is not trained, but in one row everything is: its first label must not be asked of the
    # row before it.
    labels = [row.clone() for row in rows]
    for number, one in enumerate(labels):
        if number != 2:
            one[: len(one) // 3] = render.IGNORED
    made = [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]
    packed, padded = (Collator(tokenizer.pad_token_id, packing) for packing in (True, False))

    def passed(batch: dict[str, Any]) -> Any:
        size = batch.pop("size")
        batch = {name: value.to(tuned.device) for name, value in batch.items()}
        return tuned(
            **batch, **size.keys, num_items_in_batch=(batch["labels"][:, 1:] != render.IGNORED).sum()
        ).loss

    def only(trained: int) -> list[dict[str, Any]]:
        hidden = [torch.full_like(one, render.IGNORED) for one in labels]
        chosen = [labels[n] if n == trained else hidden[n] for n in range(len(rows))]
        return [{"input_ids": row, "labels": label} for row, label in zip(rows, chosen, strict=True)]

    told: dict[str, Any] = {"rows": [], "as_theirs": as_theirs(tokenizer, made, padded(made))}
    with torch.no_grad():
        for training in (True, False):
            tuned.train(training)
            for number in range(len(rows)):
                together = float(passed(packed(only(number))))
                told["rows"].append([together, float(passed(padded([made[number]])))])
    tuned.train()
    gradients = []
    for collate in (packed, padded):
        tuned.zero_grad()
        passed(collate(made)).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in weights]))
    told["gradient"] = float(gradients[1].norm())
    told["off"] = float((gradients[0] - gradients[1]).norm())
    state = torch.get_rng_state()
    batches.kept_apart(tuned)
    told["untouched"] = torch.equal(state, torch.get_rng_state()) and tuned.training
    told["refused"] = [refused(tuned, broken) for broken in (with_a_mask, without_places)]
    return told


def as_theirs(tokenizer: Any, rows: list[dict[str, Any]], ours: dict[str, Any]) -> bool:
    """Whether a padded batch is the one that transformers makes."""
    from transformers import DataCollatorForSeq2Seq

    lists = [{name: value.tolist() for name, value in row.items()} for row in rows]
    theirs = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=render.IGNORED)(lists)
    return all(ours[name].equal(value) for name, value in theirs.items()) and len(ours) == len(theirs) + 1


def refused(model: Any, broken: Any) -> str:
    """What is said of a model whose forward is broken so."""
    from engine.workers import batches

    forward = model.forward
    model.forward = lambda **batch: forward(**broken(batch))
    try:
        batches.kept_apart(model)
    except UserError as error:
        return str(error)
    finally:
        model.forward = forward
    return ""


def with_a_mask(batch: dict[str, Any]) -> dict[str, Any]:
    """As a library does that adds an attention mask of ones: it means no harm."""
    return {**batch, "attention_mask": batch["input_ids"].new_ones(batch["input_ids"].shape)}


def without_places(batch: dict[str, Any]) -> dict[str, Any]:
    """As a model does that knows no positions."""
    return {name: value for name, value in batch.items() if name != "position_ids"}


if __name__ == "__main__":
    main()
