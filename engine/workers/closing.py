"""The short evaluation at the end of a training: base and tuned on a few validation rows.

In a process of its own: Unsloth, which trains, and the mixed batches of base and tuned cannot share one. It
dies with this one, which holds the run's lock: nobody could tell it to stop any more.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from engine.evals import CLOSING
from engine.events import EventLog
from engine.runs import Run
from engine.workers.io import StopFlag

FACTS = ("source", "metric", "rows", "base", "tuned")

SECONDS_BETWEEN_LOOKS = 0.1


def measure(run: Run, log: EventLog, stop: StopFlag) -> None:
    """Tell how often base and tuned are right. What goes wrong is a warning: the adapter is saved by now."""
    plan = run.recipe()
    rows = plan.evaluate.at_end
    if rows and plan.data.all_data:
        log.write(
            "warned",
            text="no evaluation at the end: all rows were trained on (data.all_data)",
            mend="what the same settings are worth, the run without data.all_data says",
        )
    if not rows or not run.state().rendered.get("validation"):
        return
    log.write("phase", phase="measure")
    _free_memory()
    told = _evaluated(run, rows, stop)
    if told.get("kind") == "evaluated":
        sets = [{key: one[key] for key in FACTS} for one in told["sets"]]
        log.write("measured", part=told["part"], file=told["file"], seconds=told["seconds"], sets=sets)
    elif not stop.wanted:
        why = told.get("message", "its process ended without a word; worker.log has the details")
        log.write(
            "warned",
            text=f"the evaluation at the end failed: {why}",
            mend=f"the adapter is saved; `ift-tui eval {run.name} --part validation` tries again",
        )


def _evaluated(run: Run, rows: int, stop: StopFlag) -> dict[str, Any]:
    """The last message of the evaluation's process; empty where it was stopped or had none."""
    asked = ["--part", "validation", "--rows", str(rows), "--name", CLOSING, "--no-general"]
    asked += ["--no-likelihood", "--parent", str(os.getpid())]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.workers.evaluate", str(run.path), *asked],
            stdin=subprocess.DEVNULL,
            stdout=said,
        )
        while process.poll() is None:
            if stop.wanted:
                process.kill()  # nothing half written stands under a final name
            time.sleep(SECONDS_BETWEEN_LOOKS)
        said.seek(0)
        lines = said.read().splitlines()
    return dict(json.loads(lines[-1])) if lines and not stop.wanted else {}


def _free_memory() -> None:
    """What trained is gone with its frame, but for cycles and what the allocator keeps."""
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
