"""docs/presets.md: settings by size of model and memory of the GPU, as the forecast chooses them.

    make docs            (or: python scripts/presets.py)

Nothing here is measured or written by hand: each cell is what a recipe with everything left open comes to.
"""

from __future__ import annotations

from pathlib import Path

from engine import fit, recipe
from engine.fit import Fit
from engine.footprint import Device
from engine.models import catalogue
from engine.shapes import Unknown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "presets.md"

MODELS = {
    "135M": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "1B": "meta-llama/Llama-3.2-1B-Instruct",
    "4B": "Qwen/Qwen3-4B",
    "8B": "Qwen/Qwen3-8B",
    "14B": "Qwen/Qwen3-14B",
    "32B": "Qwen/Qwen3-32B",
}
MEMORY = (8, 12, 16, 24, 48, 80, 141)
"""Of GPUs, in GB."""
LENGTHS = (1024, 4096)
RANK = 16
GB = 10**9

HEAD = f"""# Settings by model and GPU

What the forecast chooses for a recipe that leaves everything open, on a GPU that nobody else uses: LoRA of
rank {RANK} on all linear layers, rows up to the length above each table. A cell is the weights (16 bits where
they fit, else 4), micro-batch × accumulation, and the forecast; *c* means gradient checkpointing, *8* the
8-bit optimizer. An empty cell: nothing fits with room to spare. Most rows are shorter than the longest, and
then there is more.

```toml
[model]
load_in_4bit = true              # or false, as the cell says

[train]
batch_size = "auto"              # what the tables show is chosen again on your machine,
gradient_accumulation = "auto"   # for your rows and what is free at that moment
gradient_checkpointing = "auto"
optimizer = "auto"
```

`ift-tui memory RECIPE` says the same of one recipe here and now, term by term; `--probe` measures it.

(`make docs` writes this page from the program.)
"""


def main() -> None:
    PAGE.write_text(page(), "utf-8")
    print(PAGE.name)


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_table(length) for length in LENGTHS)


def _table(length: int) -> str:
    lines = [
        "",
        f"## Rows up to {length:,} tokens",
        "",
        "| | " + " | ".join(f"{n} GB" for n in MEMORY) + " |",
    ]
    lines.append("|---" * (len(MEMORY) + 1) + "|")
    for size, model in MODELS.items():
        cells = [_cell(best(model, length, memory)) for memory in MEMORY]
        lines.append(f"| {size} ({model.partition('/')[2]}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def best(model: str, length: int, memory: int) -> Fit | None:
    """16 bits where that fits, else 4; None where neither does. Memory is in GB."""
    info = next(one for one in catalogue() if one.id == model)
    for four_bit in (False, True):
        plan = recipe.parse(
            {
                "model": {"id": model, "load_in_4bit": four_bit},
                "data": {"sources": [{"path": "rows.jsonl"}], "max_length": length},
                "lora": {"rank": RANK, "alpha": 2 * RANK},
            }
        )
        found = fit.of_models(plan, [info], Device("cuda", memory * GB))[model]
        if not isinstance(found, Unknown) and found.forecast.verdict == "fits":
            return found
    return None


def _cell(found: Fit | None) -> str:
    if found is None:
        return ""
    train = found.train
    marks = " c" * train.gradient_checkpointing + " 8" * (train.optimizer == "adamw_8bit")
    bits = 4 if found.plan.four_bit else 16
    size = f"{train.batch_size} × {train.gradient_accumulation}"
    return f"{bits}-bit, {size}{marks}, {found.forecast.total / GB:.1f} GB"


if __name__ == "__main__":
    main()
