"""Asks a GGUF file what the run was asked, by llama.cpp's own server, and compares.

The server writes the prompt by the file's own template and tokenizer, as it does for a chat; the answer is
asked for by the prompt's ids. See llama.cpp's tools/server/README.md.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from engine.errors import RunFailed
from engine.exports import parity
from engine.exports.parity import Answer, Logits, Side
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.io import Stopped

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_FOR_AN_ANSWER = 3600
"""A large model's on a slow processor; who does not want to wait cancels."""

FIRST = 100
"""Tokens that may come first, the likeliest ones, whose log-probabilities are compared."""

FORCED = 1000.0
"""Added to a logit so that its token is said."""

GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "cache_prompt": False, "return_tokens": True}

# What is asked stays on this machine, whatever proxy its environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Heard:
    """What the server said so far. first: {id: log-probability} of each prompt's likeliest first tokens;
    stops: those of the run's stop tokens that end an answer here."""

    answers: list[Answer] = field(default_factory=list)
    first: list[dict[int, float]] = field(default_factory=list)
    stops: set[int] = field(default_factory=set)
    error: Exception | None = None


def compared(
    server: Path,
    model: Path,
    lora: Path | None,
    asked: Asked,
    bar: float,
    numbers: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """PARITY of a GGUF file, or of an adapter as GGUF on one of its base. Its logits are compared as
    log-probabilities, of the likeliest tokens alone.

    Raises RunFailed where the server cannot load it, with its words.
    """
    heard = Heard()
    with _serving(server, model, lora, asked, cancelled) as (address, process):
        asker = threading.Thread(target=_ask, args=(address, asked, heard), daemon=True)
        asker.start()
        while asker.is_alive() and process.poll() is None:
            if cancelled():
                raise Stopped("cancelled")
            progress(min(len(heard.answers), len(asked.prompts)), len(asked.prompts))
            asker.join(SECONDS_BETWEEN_LOOKS)
    asker.join(1)
    if heard.error is not None or len(heard.answers) != len(asked.prompts):
        raise RunFailed(f"{server.name} did not answer: {heard.error or 'it ended'}")
    logits = [_logits(asked, row, first) for row, first in enumerate(heard.first)]
    # It computes in what the file holds, which `numbers` speaks of: no number type is wrong here.
    sides = Side(asked.stops, ""), Side(frozenset(heard.stops), "")
    return {**parity.judged(asked.answers, heard.answers, logits, sides, bar, numbers), "part": asked.part}


@contextmanager
def _serving(
    server: Path, model: Path, lora: Path | None, asked: Asked, cancelled: Callable[[], bool]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The server with the model loaded: its address, and its process, which dies with the block."""
    port = _free_port()
    room = max(len(one.prompt) for one in asked.answers) + asked.max_new_tokens
    command = [str(server), "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
    # Its threads spin while they wait for each other: on all cores of a busy machine they stand still.
    threads = max(1, (os.cpu_count() or 1) // 2)
    command += ["--parallel", "1", "--ctx-size", str(2 * room), "--threads", str(threads)]
    command += ["--lora", str(lora)] if lora else []
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            address = f"http://127.0.0.1:{port}"
            while not _is_ready(address):
                if cancelled():
                    raise Stopped("cancelled")
                if process.poll() is not None:
                    said.seek(0)
                    lines = said.read().decode("utf-8", "replace").strip().splitlines()
                    raise RunFailed(f"{server.name} cannot load it: {lines[-1] if lines else 'no word'}")
                time.sleep(SECONDS_BETWEEN_LOOKS)
            yield address, process
        finally:
            process.kill()
            process.wait()


def _ask(address: str, asked: Asked, heard: Heard) -> None:
    try:
        for stop in sorted(asked.stops):
            forced = {"prompt": list(asked.answers[0].prompt), "n_predict": 1, "logit_bias": [[stop, FORCED]]}
            if _post(address, "completion", {**GREEDY, **forced})["stop_type"] == "eos":
                heard.stops.add(stop)
        for messages in asked.prompts:
            text = _post(address, "apply-template", {"messages": messages})["prompt"]
            whole = {"content": text, "add_special": True, "parse_special": True}
            ids = _post(address, "tokenize", whole)["tokens"]
            asking = {**GREEDY, "prompt": ids}
            one = _post(address, "completion", {**asking, "n_predict": 1, "n_probs": FIRST})
            likeliest = one["completion_probabilities"][0]["top_logprobs"]
            heard.first.append({each["id"]: each["logprob"] for each in likeliest})
            said = _post(address, "completion", {**asking, "n_predict": asked.max_new_tokens})
            ended = said["stop_type"] == "eos"
            tokens = said["tokens"][: asked.max_new_tokens]
            heard.answers.append(Answer(ids, tokens[:-1] if ended else tokens, ended))
    except (OSError, ValueError, KeyError, IndexError) as error:
        heard.error = error


def _logits(asked: Asked, row: int, first: dict[int, float]) -> Logits:
    known = [one for one in first if one < asked.tuned.shape[1]]  # a vocabulary may be padded
    said = torch.tensor([first[one] for one in known])
    own, base = (side[row].float().log_softmax(0)[known] for side in (asked.tuned, asked.base))
    apart = ((own, said), (base, said), (own, base))
    return Logits(*(round(float((a - b).abs().max()), 6) for a, b in apart))


def _post(address: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Raises OSError, with the server's words where it refuses."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/{what}", json.dumps(body).encode(), headers)
    try:
        with OPENER.open(request, timeout=SECONDS_FOR_AN_ANSWER) as answer:
            document: dict[str, Any] = json.load(answer)
            return document
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        raise OSError(f"{what}: {error.code} {said[:200]}") from None


def _is_ready(address: str) -> bool:
    try:
        with OPENER.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False  # not listening yet, or 503 while it loads


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
