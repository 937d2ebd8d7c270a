"""What being watched costs a training: the worker with all it tells and a viewer on it, and a bare script.

    python benchmarks/watched.py [--rounds 9] [--steps 60]

The bare script is what one would write with Unsloth and TRL alone, on the same ids and labels: the same model
in 4-bit with the same adapter, batch, optimizer and number of steps, one whole epoch of both. It computes in
float32 as the worker does: TRL's own choice, bfloat16 for the adapter and the rest, was several times slower
on a processor without instructions for it. The worker has its events, its looks at memory, its check of the
gradients and a log line each step; the viewer is another process that polls the run as the train screen does,
with the looks at the hardware. Both are forks of this process, in turns, so that what else the machine does
falls on both. Steps a second are taken from the end of step 5 on.

On a busy machine that ratio says little. So the share of a step that the worker's main thread spends on
telling is measured as well, in processor time, which other programs do not lengthen.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import kill

from engine import recipe, runs
from engine.events import Tail
from engine.runs import Run
from engine.schema import Recipe
from engine.workers import train
from tui.feed import Edges, RunFeed

FIRST = 5
TELLING = ("on_step_begin", "on_pre_optimizer_step", "on_step_end", "on_log")
"""All that the worker's Teller does in a step."""
SECONDS_BETWEEN_LOOKS = 0.25
"""As the train screen does it."""


def plan(steps: int) -> Recipe:
    """The default recipe for one epoch of so many steps, nothing evaluated, nothing saved on the way."""
    whole = recipe.changed(
        recipe.load("first-steps"),
        data={"validation": 0},
        train={"steps": steps, "eval_every": 0, "save_every": 0},
        evaluate={"samples": 0, "at_end": 0},
    )
    each = steps * whole.train.batch_size // len(whole.data.sources)
    sources = tuple(source.model_copy(update={"cap": each}) for source in whole.data.sources)
    return whole.model_copy(update={"data": whole.data.model_copy(update={"sources": sources})})


def watched(run: Run) -> tuple[float, float, float]:
    """Steps a second of the real worker with a viewer on it, the share of a step that telling takes, and the
    viewer's share of a core."""
    viewer = forked(lambda: watch(run))
    try:
        status = kill.life(run, lambda: timed(run), people=False)
    finally:
        os.kill(viewer, signal.SIGTERM)
        os.waitpid(viewer, 0)
    if status:
        raise SystemExit("the run failed:\n" + "\n".join(runs.log_tail(run)))
    telling, viewer_took = (
        json.loads((run.path / name).read_text("utf-8")) for name in ("telling.json", "viewer.json")
    )
    ended = [event["time"] for event in Tail(run.events).read() if event["kind"] == "step"]
    return rate(ended), telling, viewer_took


def timed(run: Run) -> None:
    """In a life: have the processor time of telling taken, but for the last step, which saves."""
    from engine.workers.teller import Teller

    spent: list[float] = []
    ends: list[float] = []

    def wrapped(method: Callable[..., None]) -> Callable[..., None]:
        def around(teller: Teller, *arguments: Any, **named: Any) -> None:
            began = time.thread_time()
            method(teller, *arguments, **named)
            ends.append(time.thread_time())
            spent.append(ends[-1] - began)
            if len(ends) == (asked_steps(run) - 1) * len(TELLING):
                first = FIRST * len(TELLING)
                share = sum(spent[first:]) / (ends[-1] - ends[first])
                (run.path / "telling.json").write_text(json.dumps(share), "utf-8")

        return around

    for name in TELLING:
        setattr(Teller, name, wrapped(getattr(Teller, name)))


def asked_steps(run: Run) -> int:
    return run.recipe().train.steps or 0


def watch(run: Run) -> None:
    """What the train screen does to follow a run, until this process is ended; then its share of a core."""
    feed, began = RunFeed(run, Edges()), time.perf_counter()
    used = time.process_time()

    def end(*_: object) -> None:
        share = (time.process_time() - used) / (time.perf_counter() - began)
        (run.path / "viewer.json").write_text(json.dumps(share), "utf-8")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        feed.poll()
        time.sleep(SECONDS_BETWEEN_LOOKS)


def bare(run: Run, chosen: Recipe) -> float:
    """Steps a second of the script, on the rows that the run has rendered."""
    times = run.path / "bare.json"
    log = os.open(run.path / "bare.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def script() -> None:
        os.dup2(log, 1)
        os.dup2(log, 2)
        times.write_text(json.dumps(scripted(run, chosen)), "utf-8")

    _, status = os.waitpid(forked(script), 0)
    os.close(log)
    if status:
        raise SystemExit(f"the bare script failed: {run.path / 'bare.log'}")
    return rate(json.loads(times.read_text("utf-8")))


def scripted(run: Run, chosen: Recipe) -> list[float]:
    """The script, and when each of its steps ended."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, TrainerCallback
    from trl import SFTConfig, SFTTrainer
    from unsloth import FastLanguageModel

    from engine import models

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(models.locate(chosen.model.id)), max_seq_length=chosen.data.max_length, load_in_4bit=True
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=chosen.lora.rank,
        lora_alpha=chosen.lora.alpha,
        lora_dropout=0,
        target_modules="all-linear",
        bias="none",
        use_gradient_checkpointing=False,
        max_seq_length=chosen.data.max_length,
    )
    ended: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ended.append(time.time())

    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_file(str(run.rows / "train.arrow")),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir=str(run.path / "bare"),
            max_steps=chosen.train.steps,
            per_device_train_batch_size=chosen.train.batch_size,
            gradient_accumulation_steps=1,
            learning_rate=chosen.train.learning_rate,
            gradient_checkpointing=False,
            bf16=False,
            optim="adamw_torch",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            max_length=None,
            packing=False,
        ),
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    trainer.train()
    return ended


def rate(ended: list[float]) -> float:
    return (len(ended) - FIRST) / (ended[-1] - ended[FIRST - 1])


def forked(do: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    return pid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=60)
    asked = parser.parse_args()
    os.umask(0o077)
    found: list[tuple[float, float]] = []
    shares: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="ift-tui-watched-") as home:
        os.environ |= {**runs.WORKER_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "IFT_TUI_HOME": home}
        train.warm()
        print(
            f"{'round':>6} {'watched':>8} {'bare':>8} steps/s {'ratio':>6} {'telling':>8} {'viewer':>7}",
            flush=True,
        )
        for number in range(1, asked.rounds + 1):
            chosen = plan(asked.steps)
            run = runs.create(chosen)
            speed, *share = watched(run)
            found.append((speed, bare(run, chosen)))
            shares.append((share[0], share[1]))
            print(line(f"{number}", *found[-1], *shares[-1]), flush=True)
    speeds, parts = (
        [statistics.median(column) for column in zip(*table, strict=True)] for table in (found, shares)
    )
    print(line("median", *speeds, *parts))
    print(f"median of the ratios {statistics.median(map(ratio, found)):.3f}")
    return 0


def line(name: str, watched: float, bare: float, telling: float, viewer: float) -> str:
    speeds = f"{watched:8.3f} {bare:8.3f} {ratio((watched, bare)):14.3f}"
    return f"{name:>6} {speeds} {telling:8.2%} {viewer:7.2%}"


def ratio(pair: Any) -> float:
    return float(pair[0] / pair[1])


if __name__ == "__main__":
    sys.exit(main())
