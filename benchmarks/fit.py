"""How near the memory forecast is to what a run takes: real steps of the train worker's own functions.

    python benchmarks/fit.py [--out fit.json] [--only NUMBER ...]

Each configuration is a model of random weights, saved to a temporary folder, and three steps on batches of
rows of the same length, in a process of its own: the worker's _load, the trainer's build and train. Without a
GPU the figure is the peak of the resident set from the loaded model on (VmHWM); reading the weights before
that maps the file as well, pages that the system takes back when it needs them: its peak is a column of its
own. With a GPU it is what torch reserved at most, and what NVML counts beside it: the context.
--again takes the measurements of a file and reckons the forecasts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fit_cases import ON_CPU, ON_CUDA, Case

from engine import RECIPES, memory, recipe, render, shapes
from engine.events import EventLog
from engine.footprint import Device
from engine.recipe import Recipe
from engine.shapes import Shapes

MIB = 1 << 20
STEPS = 3
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
    made = memory.forecast(memory.plan(plan(one, Path("model"))), found, device)
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
    """Train that configuration in this process and measure. Bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"IFT_TUI_HOME": name, "HF_HUB_OFFLINE": "1"}
        save_model(one["config"], folder / "model")
        found = trained(one, plan(one, folder / "model"), folder)
    return found


def plan(one: Case, model_folder: Path) -> Recipe:
    return recipe.parse(
        {
            "model": {"id": str(model_folder), "load_in_4bit": one.get("four_bit", True)},
            "data": {
                "sources": [{"path": "rows are made here"}],
                "max_length": one["length"],
                "validation": 0.05 if one.get("evaluated") else 0,
            },
            "lora": {"rank": one.get("rank", 16)},
            "train": {
                "steps": STEPS,
                "batch_size": one["batch"],
                "gradient_accumulation": 1,
                "gradient_checkpointing": one.get("checkpointing", True),
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


def trained(one: Case, plan: Recipe, folder: Path) -> dict[str, Any]:
    """The steps of engine.workers.train, in its order, on rows of one length."""
    from engine.workers import rows, train
    from engine.workers.io import StopFlag

    train._private_settings()
    sys.stdout = sys.stderr  # libraries print
    import unsloth  # noqa: F401  (before torch's friends: it patches them)

    import torch  # isort: skip
    from engine.workers.trainer import Teller, build

    device = here(torch)
    ids = [4 + place % WORDS for place in range(one["length"])]
    made = [(ids, ids)] * (one["batch"] * STEPS)
    with rows.writer(folder / "train.arrow") as write:
        for pair in made:
            write(*pair, "made up", 0)
    log = EventLog(folder / "events.jsonl")
    base, tokenizer = train._load(plan, log)
    loading = peak()
    forget_peak()
    teller = Teller(plan.train, log, StopFlag(), lambda step: None)
    trainer = build(
        plan.train,
        base,
        tokenizer,
        folder / "train.arrow",
        render.digest(made),
        [],
        teller,
        str(folder / "out"),
    )
    # TRL's config says yes by itself, and Unsloth leaves that so on CPU: what the recipe says is meant here.
    trainer.args.gradient_checkpointing = plan.train.gradient_checkpointing
    if one.get("evaluated"):
        trainer.validation = [{"input_ids": ids, "labels": ids}] * one["batch"]
        teller.evaluate(0, adapter=False)
    started = time.perf_counter()
    trainer.train()
    if one.get("evaluated"):
        teller.evaluate(STEPS)
    took = time.perf_counter() - started
    sys.stdout = sys.__stdout__
    return {
        "device": device.kind,
        "free": device.free,
        "half": device.half,
        "four_bit": bool(getattr(base, "is_loaded_in_4bit", False)),
        "measured": peak() if device.kind == "cpu" else gpu_peak(torch),
        "loading": loading,
        "seconds": round(took, 1),
        **forecast(one, device),
    }


def here(torch: Any) -> Device:
    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.mem_get_info()[0])
    import psutil
    from unsloth_zoo.cpu.runtime import cpu_bf16_supported

    return Device("cpu", psutil.virtual_memory().available, half=cpu_bf16_supported())


def peak() -> int:
    """Largest resident set since forget_peak, or of the process's life where the system cannot forget."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:  # not allowed here: then the peak is that of the whole life
        pass


def gpu_peak(torch: Any) -> int:
    """What torch reserved at most, and what NVML counts for this process beside what is reserved now."""
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(torch.cuda.current_device())
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    ours = next((one.usedGpuMemory for one in processes if one.pid == os.getpid()), None)
    context = ours - torch.cuda.memory_reserved() if ours else 0
    return int(torch.cuda.max_memory_reserved() + context)


def heading() -> str:
    columns = f"{'model':22} {'par.':>7} {'rows':>8} {'bits':>4} {'ckpt':>4} {'rank':>4} {'eval':>4}"
    return f" #  {columns} {'forecast':>9} {'measured':>9} {'ratio':>6} {'loading':>8}   MiB"


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
        f"{4 if facts['four_bit'] else 16:>4} {'yes' if one.get('checkpointing', True) else 'no':>4} "
        f"{one.get('rank', 16):>4} {'yes' if one.get('evaluated') else 'no':>4}"
    )
    ratio = facts["forecast"] / facts["measured"]
    sizes = f"{facts['forecast'] / MIB:9,.0f} {facts['measured'] / MIB:9,.0f} {ratio:6.3f}"
    return f"{start} {settings} {sizes} {facts['loading'] / MIB:8,.0f}"


if __name__ == "__main__":
    main()
