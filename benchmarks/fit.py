"""How near the memory forecast is to what a run takes: the probe of the train worker, on random weights.

    python benchmarks/fit.py [--out fit.json] [--only NUMBER ...]

Each configuration is a model saved to a temporary folder, and rows of one length; the train worker renders
them, loads the model and probes, as before any run, in a process of its own. Without a GPU the figure is the
peak of the resident set in the probe (VmHWM); with one it is what torch reserved at most and the context that
NVML counts beside it. --again takes the measurements of a file and reckons the forecasts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fit_cases import ON_CPU, ON_CUDA, Case

from engine import RECIPES, auto, fit, memory, recipe, runs, shapes
from engine.footprint import Device
from engine.memory import Rows
from engine.schema import Recipe
from engine.shapes import Shapes

MIB = 1 << 20
WORDS = 1000
"""Ids of the rows: below every vocabulary here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of configurations, from 1")
    parser.add_argument("--again", type=Path, help="a file that --out wrote")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one)))
        return
    found = []
    print(heading())
    for facts in again(arguments.again) if arguments.again else all_of(arguments.only):
        print(line(facts), flush=True)
        found.append(facts)
    ratios = [facts["forecast"] / facts["measured"] for facts in found if "measured" in facts]
    if ratios:
        print(f"\n{len(ratios)} of {len(found)} measured; ratios from {min(ratios):.3f} to {max(ratios):.3f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def all_of(only: list[int] | None) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(ON_CUDA if has_gpu() else ON_CPU, 1):
        if not only or number in only:
            yield {"number": number, "case": one, **in_a_process(one)}


def again(file: Path) -> Iterator[dict[str, Any]]:
    for facts in json.loads(file.read_text("utf-8")):
        if "measured" in facts:
            device = Device(facts["device"], facts["free"], facts["half"])
            facts |= forecast(facts["case"], device)
        yield facts


def forecast(one: Case, device: Device) -> dict[str, Any]:
    found = shapes.read(one["config"])
    assert isinstance(found, Shapes), found
    held = one["length"] if one.get("evaluated") else 0
    asked = plan(one, Path())
    settled = auto.known(asked.train, Path())
    assert settled is not None, asked.train
    facts = memory.plan(asked, settled, Rows(longest=one["length"], evaluated=held))
    made = memory.forecast(facts, found, device)
    terms = {term.name: term.bytes for term in made.terms}
    return {"parameters": found.count(), "forecast": made.total, "terms": terms}


def has_gpu() -> bool:
    """Asked in another process: this one shall not hold a context."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def in_a_process(one: Case) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", json.dumps(one)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def measured(one: Case) -> dict[str, Any]:
    """Probe that configuration in this process. Bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {**runs.WORKER_ENVIRONMENT, "IFT_TUI_HOME": name, "HF_HUB_OFFLINE": "1"}
        save_model(one["config"], folder / "model")
        write_rows(one, folder)
        return probed(one, plan(one, folder))


def probed(one: Case, plan: Recipe) -> dict[str, Any]:
    from engine.workers import probe
    from engine.workers.io import StopFlag

    out = os.dup(1)
    os.dup2(2, 1)  # libraries print
    found = probe.probed(plan, StopFlag(), lambda phase: None)
    os.dup2(out, 1)
    if not found["fits"]:
        raise SystemExit(found["reason"])
    peaks = found["measured"]
    device = fit.device()
    return {
        "device": device.kind,
        "free": found["forecast"]["free"],
        "half": device.half,
        "measured": max(part["peak"] for part in (peaks["train"], peaks["evaluation"]) if part),
        "seconds": round(peaks["seconds"], 2),
        **forecast(one, Device(device.kind, found["forecast"]["free"], device.half)),
    }


def write_rows(one: Case, folder: Path) -> None:
    """Ids and labels: a batch to train on, and one to evaluate. No two rows are the same."""
    for number, part in enumerate(("train", "validation")):
        with (folder / f"{part}.jsonl").open("w", encoding="ascii") as file:
            for row in range(one["batch"]):
                ids = [4 + (place + 7 * row + 3 * number) % WORDS for place in range(one["length"])]
                file.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")


def plan(one: Case, folder: Path) -> Recipe:
    source = {"path": str(folder / "train.jsonl"), "format": "tokens"}
    held = {"validation": str(folder / "validation.jsonl")} if one.get("evaluated") else {}
    return recipe.parse(
        {
            "model": {"id": str(folder / "model"), "load_in_4bit": one.get("four_bit", True)},
            "data": {
                "sources": [source | held],
                "max_length": one["length"],
                "validation": 0,
            },
            "lora": {"rank": one.get("rank", 16)},
            "train": {
                "steps": 1,
                "batch_size": one["batch"],
                "gradient_accumulation": 1,
                "gradient_checkpointing": one.get("checkpointing", True),
                "optimizer": "adamw",
                "attention": one.get("attention", "model"),
                "loader_workers": 0,
                "keep_dequantised": one.get("kept", False),
            },
        }
    )


def save_model(config: Case, folder: Path) -> None:
    """Random weights in 16 bits, written by a child: what it takes is not this process's."""
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("the model could not be made")
        return
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = dict(config)
    made = AutoConfig.for_model(settings.pop("model_type"), **settings)
    AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(RECIPES / "models" / "tiny" / name, folder / name)
    os._exit(0)


def heading() -> str:
    columns = f"{'model':22} {'par.':>7} {'rows':>8} {'bits':>4} {'ckpt':>4} {'rank':>4} {'eval':>4}"
    return f" #  {columns} {'forecast':>9} {'measured':>9} {'ratio':>6}   MiB"


def line(facts: dict[str, Any]) -> str:
    one = facts["case"]
    config = one["config"]
    width, layers = (
        config.get("hidden_size", config.get("n_embd")),
        config.get("num_hidden_layers", config.get("n_layer")),
    )
    name = f"{config['model_type']} {width}x{layers} v{config['vocab_size'] // 1000}k"
    start = f"{facts['number']:2}  {name:22}"
    if "error" in facts:
        return f"{start} {facts['error']}"
    settings = (
        f"{facts['parameters'] / 1e6:6.1f}M {one['batch']:>3}x{one['length']:<4} "
        f"{4 if one.get('four_bit', True) else 16:>4} {'yes' if one.get('checkpointing', True) else 'no':>4} "
        f"{one.get('rank', 16):>4} {'yes' if one.get('evaluated') else 'no':>4}"
    )
    ratio = facts["forecast"] / facts["measured"]
    sizes = f"{facts['forecast'] / MIB:9,.0f} {facts['measured'] / MIB:9,.0f} {ratio:6.3f}"
    return f"{start} {settings} {sizes}"


if __name__ == "__main__":
    main()
