"""What merging costs in memory: its peak against the size of the model and of one file of weights.

    python benchmarks/export.py [--layers 24] [--width 1024] [--shard 50]

Makes a Llama of random 16-bit weights in several files and an adapter on all its linear layers, merges them
in a process of its own, and tells that process's peak of resident memory above what it had before, beside the
bytes of the model, of a shard and of the largest tensor.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MB = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--shard", type=int, default=50, help="MB of a file of weights")
    parser.add_argument("--merge", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.merge:
        return merge(asked.merge, asked.shard * MB)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, asked.layers, asked.width, asked.shard)
        words = ["--merge", str(folder), "--shard", str(asked.shard)]
        return subprocess.run([sys.executable, __file__, *words], check=False).returncode


def make(folder: Path, layers: int, width: int, shard: int) -> None:
    """The model and the adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=8,
        vocab_size=8192,
        dtype="bfloat16",
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder / "base", max_shard_size=f"{shard}MB")
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(model, lora).save_pretrained(folder / "adapter")


def merge(folder: Path, limit: int) -> int:
    """Merge, and print the figures."""
    import torch

    from engine.workers import peak
    from engine.workers.exporting import merge

    (folder / "out").mkdir()
    shards = merge.planned(folder / "base", torch.bfloat16, limit)
    torch.zeros(64, 64) @ torch.zeros(64, 64)  # what its libraries take at their first use is no merge's
    peak.forget()
    before, began = peak.resident(), time.perf_counter()
    total = merge.write(
        folder / "base",
        folder / "adapter",
        folder / "out",
        torch.bfloat16,
        limit,
        lambda name, tensor: tensor,
        lambda done, whole: None,
    )
    seconds = time.perf_counter() - began
    largest = max(shard.bytes for shard in shards)
    print(f"model {total / MB:,.0f} MB in {len(shards)} files, the largest {largest / MB:,.0f} MB")
    print(f"peak {(peak.resident() - before) / MB:,.0f} MB above {before / MB:,.0f} MB before")
    print(f"{seconds:.1f} s, {total / MB / seconds:,.0f} MB/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
