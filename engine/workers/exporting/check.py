"""Asks an export what the run was asked, in a process that knows nothing of this program, and compares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from engine import runs
from engine.errors import RunFailed
from engine.exports import parity
from engine.exports.parity import Answer, Logits, Side
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.io import Stopped

SECONDS_BETWEEN_LOOKS = 0.1


def compared(
    asked: Asked,
    folder: Path,
    loading: dict[str, Any],
    dtype: str,
    bar: float,
    numbers: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """PARITY of the export in a folder.

    loading: base, dtype and quantization of stranger.py's request; dtype: what it must compute in.

    Raises RunFailed where its users' loader cannot load it, with that loader's words.
    """
    with tempfile.TemporaryDirectory() as scratch:
        logits = Path(scratch) / "logits.safetensors"
        request = {
            "folder": str(folder),
            **loading,
            "prompts": asked.prompts,
            "max_new_tokens": asked.max_new_tokens,
            "logits": str(logits),
        }
        file = Path(scratch) / "request.json"
        file.write_text(json.dumps(request), "utf-8")
        lines = _said(file, len(asked.prompts), progress, cancelled)
        first = load_file(logits)["first"]
    answers = [Answer(one["prompt"], one["ids"], one["ended"]) for one in lines[:-1]]
    sides = Side(asked.stops, dtype), Side(frozenset(lines[-1]["stops"]), lines[-1]["dtype"])
    found = parity.judged(asked.answers, answers, _logits(asked, first), sides, bar, numbers)
    return {**found, "part": asked.part}


def _logits(asked: Asked, first: torch.Tensor) -> list[Logits]:
    words = min(first.shape[1], asked.tuned.shape[1])  # a vocabulary may be padded
    own, base, said = asked.tuned[:, :words], asked.base[:, :words], first[:, :words]

    def apart(a: torch.Tensor, b: torch.Tensor) -> list[float]:
        return [round(float(x), 6) for x in (a - b).abs().amax(dim=1)]

    return [Logits(*one) for one in zip(apart(own, said), apart(base, said), apart(own, base), strict=True)]


def _said(
    request: Path, prompts: int, progress: Progress, cancelled: Callable[[], bool]
) -> list[dict[str, Any]]:
    """All lines that stranger.py says. It dies with the cancel."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("stranger.py")), str(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**runs.WORKER_ENVIRONMENT, **os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
        )
        lines: list[dict[str, Any]] = []
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                if cancelled():
                    raise Stopped("cancelled")
                progress(min(len(lines), prompts), prompts)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            process.kill()
            process.wait()
        reader.join()
        if process.returncode != 0 or len(lines) != prompts + 1:
            errors.seek(0)
            last = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise RunFailed(f"it cannot be loaded as its users load it: {last[-1] if last else 'no word'}")
    return lines


def _read(stream: Any, lines: list[dict[str, Any]]) -> None:
    for line in stream:
        lines.append(json.loads(line))
