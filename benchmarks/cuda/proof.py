"""Cells of proof: that what is trained, packed, compared and taken up again is what it is said to be."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cuda import place, report
from benchmarks.cuda.place import Place
from engine import hardware, recipe, runs
from engine.runs import Run
from engine.schema import Recipe

PROMPT = (5, 17, 42, 99, 321, 7, 64)


def trains(here: Place) -> dict[str, Any]:
    """Unsloth's patches, what the collator really gets, a falling loss, and the adapter in plain PEFT."""
    place.write_rows(here.folder / "train.jsonl", place.short_rows(48, 40))
    plan = place.plan(
        here.model("Llama-3.2-1B"), here.folder / "train.jsonl", 512,
        train={
            "steps": 20, "batch_size": 8, "gradient_accumulation": 1, "packing": True,
            "learning_rate": 1e-2 if here.tiny else 2e-3,
        },
    )  # fmt: skip
    run = runs.create(plan)
    told = _by_itself("trained_here", run, here.folder)
    plain = _by_itself("plain_logits", run, here.folder)
    losses = [event["loss"] for event in place.told(run, "step")]
    close = 2e-2 if place.on_gpu() else 1e-4
    off = max(abs(a - b) for a, b in zip(told["logits"], plain["logits"], strict=True))
    off /= max(map(abs, told["logits"]))
    first, last = statistics.mean(losses[:3]), statistics.mean(losses[-3:])
    bars = [
        report.bar("rows that the collator got as they were rendered", told["same"], least=1),
        report.bar("last losses / first", last / first, most=0.97),
        report.bar("logits in plain PEFT, largest difference", off, most=close),
    ]
    if place.on_gpu():
        bars.append(report.bar("Unsloth's own forward is in use", told["fast"], least=1))
    return {"figures": {}, "facts": {"losses": losses, "forward": told["forward"]}, "bars": bars}


def apart(here: Place) -> dict[str, Any]:
    """Rows in one sequence: each row's loss against its loss alone, and the gradient of a batch."""
    base = str(here.model("Llama-3.2-1B"))
    command = [sys.executable, "-m", "tests.packing_stage", str(here.folder), base]
    subprocess.run(command, check=True, stdout=2)
    told = json.loads((here.folder / "told.json").read_text("utf-8"))
    close = 2e-3 if place.on_gpu() else 1e-5
    bars = []
    for bits, one in told.items():
        off = max(abs(together / alone - 1) for together, alone in one["rows"])
        bars.append(report.bar(f"{bits}: loss of a row, largest difference", off, most=close))
        bars.append(report.bar(f"{bits}: gradient", one["off"] / one["gradient"], most=max(1e-5, 10 * close)))
        bars.append(report.bar(f"{bits}: a model that leaks is refused", all(one["refused"]), least=1))
    return {"figures": {}, "facts": {}, "bars": bars}


def packed_run(here: Place) -> dict[str, Any]:
    """A run with rows packed against the same one with rows padded: tokens and losses, step by step."""
    place.write_rows(here.folder / "train.jsonl", place.short_rows(40, 40))
    place.write_rows(here.folder / "held.jsonl", place.short_rows(8, 40, seed=1), seed=1)
    found = {}
    for packing in (True, False):
        plan = place.plan(
            here.model("Llama-3.2-1B"), here.folder / "train.jsonl", 512, here.folder / "held.jsonl",
            train={
                "steps": 8, "batch_size": 4, "gradient_accumulation": 2, "eval_every": 4, "packing": packing,
            },
        )  # fmt: skip
        run = place.trained(plan)
        steps, state = place.told(run, "step"), run.state()
        found[packing] = {
            "counted": [(event["tokens"], event["trained_tokens"]) for event in steps],
            "losses": [event["loss"] for event in steps] + [one.loss for one in state.evaluations],
        }
    packed, padded = found[True], found[False]
    off = max(abs(a / b - 1) for a, b in zip(packed["losses"], padded["losses"], strict=True))
    bars = [
        report.bar("same tokens in each step", packed["counted"] == padded["counted"], least=1),
        report.bar("losses, largest difference", off, most=5e-3 if place.on_gpu() else 1e-4),
    ]
    return {"figures": {}, "facts": {"packed": packed["losses"], "padded": padded["losses"]}, "bars": bars}


def resume(here: Place) -> dict[str, Any]:
    """Killed behind a checkpoint and taken up again, with rows packed: the losses of a run left alone."""
    place.write_rows(here.folder / "train.jsonl", place.short_rows(40, 40))
    plan = place.plan(
        here.model("Llama-3.2-1B"), here.folder / "train.jsonl", 512,
        lora={"dropout": 0.1},
        train={"steps": 8, "batch_size": 4, "gradient_accumulation": 2, "save_every": 2, "packing": True},
    )  # fmt: skip
    whole = place.trained(plan)
    killed = runs.create(plan)
    runs.launch(killed)
    place.wait(killed, lambda events: any(e["kind"] == "step" and e["step"] == 5 for e in events))
    os.kill(int((killed.path / "lock").read_text()), signal.SIGKILL)
    place.wait(killed)
    runs.resume(killed)
    place.wait(killed)
    if killed.state().status != "finished":
        raise SystemExit("\n".join(runs.log_tail(killed)))
    undisturbed, again = ([loss for _, loss in run.state().losses] for run in (whole, killed))
    off = max(abs(a / b - 1) for a, b in zip(again, undisturbed, strict=True))
    digests = [
        hashlib.sha256((run.adapter / "adapter_model.safetensors").read_bytes()).hexdigest()
        for run in (whole, killed)
    ]
    facts = {"losses": undisturbed, "after the kill": again, "adapters equal": digests[0] == digests[1]}
    bars = [
        report.bar("loss path, largest difference", off, most=1e-3),
        report.bar("taken up again", killed.state().resumes, least=1, most=1),
    ]
    if not place.on_gpu():
        bars.append(report.bar("the same adapter bit for bit", digests[0] == digests[1], least=1))
    return {"figures": {}, "facts": facts, "bars": bars}


def memory_runs_out(here: Place) -> dict[str, Any]:
    """A real CUDA out-of-memory (on a CPU an ordered one): our sentence, and the run goes on smaller."""
    length = here.of(4096, 64)
    place.write_rows(here.folder / "train.jsonl", place.whole_rows(here.of(256, 32), length))
    batch = here.of(256, 8)
    plan = place.plan(
        here.model("Llama-3.2-1B"), here.folder / "train.jsonl", length,
        train={
            "steps": 2, "batch_size": batch, "gradient_accumulation": 1, "on_oom": "shrink", "probe": True,
            "gradient_checkpointing": False, "packing": True,
        },
    )  # fmt: skip
    environment = {} if place.on_gpu() else {"IFT_TUI_FAULT": "oom@probe"}
    run = place.trained(plan, environment)
    said = [event["text"] for event in place.told(run, "warned") if "memory ran out" in event["text"]]
    shrunk = [event["batch_size"] for event in place.told(run, "shrunk")]
    bars = [
        report.bar("a sentence each time", len(said), least=max(1, len(shrunk))),
        report.bar("it went on with a smaller batch", bool(shrunk) and shrunk[-1] < batch, least=1),
    ]
    return {"figures": {}, "facts": {"said": said, "batch sizes": [batch, *shrunk]}, "bars": bars}


def nvml(here: Place) -> dict[str, Any]:
    """The figures of the first GPU against nvidia-smi's, taken a moment apart."""
    place.needs_gpu("nvidia-smi")
    names = ("name", "uuid", "driver_version", "memory.total", "memory.used", "temperature.gpu", "power.draw")
    ask = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits", "--id=0"]
    done = subprocess.run(ask, check=True, capture_output=True, text=True)
    theirs = dict(zip(names, (one.strip() for one in next(csv.reader([done.stdout]))), strict=True))
    ours = hardware.gpus()[0]
    mib = 1 << 20
    bars = [
        report.bar("same name", ours.name == theirs["name"], least=1),
        report.bar("same UUID", ours.uuid == theirs["uuid"], least=1),
        report.bar("memory, MiB apart", abs((ours.total or 0) / mib - float(theirs["memory.total"])), most=1),
        report.bar("used, MiB apart", abs((ours.used or 0) / mib - float(theirs["memory.used"])), most=64),
        report.bar("degrees apart", abs((ours.temperature or 0) - float(theirs["temperature.gpu"])), most=3),
        report.bar("watts apart", abs((ours.power or 0) - float(theirs["power.draw"])), most=30),
    ]
    return {"figures": {}, "facts": {"nvidia-smi": theirs}, "bars": bars}


def probe(here: Place) -> dict[str, Any]:
    """A run's forecast, what its probe measured, and the peak of its steps. Bytes."""
    length = here.of(2048, 96)
    place.write_rows(here.folder / "train.jsonl", place.whole_rows(32, length))
    plan = place.plan(
        here.model("Llama-3.2-1B"), here.folder / "train.jsonl", length,
        train={"steps": 3, "batch_size": 4, "gradient_accumulation": 1, "probe": True},
    )  # fmt: skip
    run = place.trained(plan)
    (probed,) = place.told(run, "probed")
    used = [event["memory"] for event in place.told(run, "step") if "memory" in event]
    peak = max(one.get("peak", one.get("rss_peak", 0)) for one in used)
    facts = {"forecast": probed["forecast"], "probe": probed["train"]["peak"], "steps": peak}
    # The probe counts the context of CUDA, which torch's own figure for the steps does not.
    near = probed["forecast"] / probed["train"]["peak"]
    bars = [report.bar("forecast / probe", near, least=0.85, most=1.15)]
    return {"figures": {}, "facts": facts, "bars": bars}


def walk(here: Place) -> dict[str, Any]:
    """From the recipe to the comparison by the commands, on Qwen3-4B's shape with real instructions."""
    file = here.folder / "walk.toml"
    file.write_text(recipe.dumps(_walked(here)), "utf-8")
    said = {}
    for name, command in (
        ("memory", ["memory", str(file)]),
        ("preview", ["preview", str(file), "--all"]),
        ("train", ["train", str(file)]),
        ("eval", ["eval", "last"]),
        ("compare", ["compare", "last", "--prompt", "Name three colours."]),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tui", *command, "--json"], capture_output=True, text=True
        )
        said[name] = done.returncode
        if done.returncode:
            raise SystemExit(
                f"{name} ended with {done.returncode}: {done.stderr[-800:] or done.stdout[-800:]}"
            )
    losses = [loss for _, loss in runs.find("last").state().losses]
    bars = [report.bar("last loss / first", losses[-1] / losses[0], most=1.0)]
    return {"figures": {}, "facts": {"exit codes": said, "losses": losses}, "bars": bars}


def _walked(here: Place) -> Recipe:
    real = Path(os.environ.get("IFT_TUI_CUDA_DATA", ""))
    alpaca = real / "alpaca_en_demo.json"
    source = {"path": str(alpaca)} if alpaca.is_file() else {"path": "builtin:products"}
    document = {
        "name": "walk",
        "model": {"id": str(here.model("Qwen3-4B")), "load_in_4bit": True},
        "data": {"sources": [{**source, "cap": here.of(2000, 64)}], "max_length": here.of(1024, 256)},
        "train": {
            "steps": here.of(30, 6), "batch_size": 4, "gradient_accumulation": 1, "packing": True,
            "learning_rate": 2e-3, "warmup_steps": 1, "eval_every": here.of(15, 3),
        },
        "evaluate": {"rows": 8, "max_new_tokens": 16, "samples": 1, "sample_tokens": 8, "at_end": 0},
    }  # fmt: skip
    return recipe.parse(document)


def _by_itself(function: str, run: Run, folder: Path) -> dict[str, Any]:
    """What a function of this file tells of a run, from a process of its own."""
    out = folder / f"{function}.json"
    code = "import sys; from benchmarks.cuda import proof; getattr(proof, sys.argv[1])(*sys.argv[2:])"
    subprocess.run([sys.executable, "-c", code, function, str(run.path), str(out)], check=True, stdout=2)
    return dict(json.loads(out.read_text("utf-8")))


def trained_here(path: str, out: str) -> None:
    """The worker's own way, in this process, to look at the model that it leaves and at what was collated."""
    from engine.events import EventLog
    from engine.workers import rows, train
    from engine.workers.io import StopFlag

    run = Run(Path(path))
    train.warm()
    import torch

    from engine.workers import trainer

    built: list[Any] = []
    build = trainer.build
    seen: Counter[str] = Counter()

    def looked_at(*arguments: Any, **named: Any) -> Any:
        made = build(*arguments, **named)
        collate = made.data_collator

        def collated(given: Sequence[Any]) -> dict[str, Any]:
            seen.update(_digest(row) for row in given)
            return dict(collate(given))

        made.data_collator = collated
        built.append(made)
        return made

    trainer.build = looked_at
    train.train(run, EventLog(run.events), StopFlag())
    from datasets import Dataset

    rendered = Dataset.from_file(str(run.rows / "train.arrow")).select_columns(rows.TRAINED)
    model = built[0].model.eval()
    inner = model.base_model.model
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([PROMPT], device=model.device)).logits[0, -1].float().tolist()
    forward = f"{type(inner).forward.__module__}.{type(inner).forward.__qualname__}"
    told = {
        "same": set(seen) == {_digest(row) for row in rendered},
        "fast": "unsloth" in forward or "fast_forward" in forward,
        "forward": forward,
        "logits": logits,
    }
    Path(out).write_text(json.dumps(told), "utf-8")


def plain_logits(path: str, out: str) -> None:
    """The same logits from transformers and PEFT alone, with the adapter as it was saved."""
    import torch
    from peft import PeftModel

    from engine.workers import adapters, pair

    run = Run(Path(path))
    base = pair._base(adapters.saved(run))
    model = PeftModel.from_pretrained(base, str(run.adapter), autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([PROMPT], device=model.device)).logits[0, -1].float().tolist()
    Path(out).write_text(json.dumps({"logits": logits}), "utf-8")
    shutil.rmtree(run.checkpoints, ignore_errors=True)


def _digest(row: Any) -> str:
    return hashlib.sha256(
        repr([list(map(int, row[key])) for key in ("input_ids", "labels")]).encode()
    ).hexdigest()
