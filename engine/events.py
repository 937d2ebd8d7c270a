"""The facts of a run: one JSON line each, appended by the worker, folded into the state that screens show.

Kinds, with what each carries beside `kind`, `seq` (from 1) and `time` (Unix seconds):

    started    name, model, signs (autopsy.py), pid (for its share of a GPU, not to say that it lives);
               a worker's first word, again where one takes a run up
    queued     behind (name of the run before it), ahead (runs before it): waits for its turn (turns.py)
    resumed    step, from (path of the checkpoint, null where it begins anew): what came after it is void
    phase      phase: import | render | load | probe | baseline | train | evaluate | save | measure
    rendered   count, tokens, trained_tokens, digest, validation, left_out
    loaded     parameters, trainable, four_bit, dtype, device; gpu (its UUID in NVML, where there is one)
    forecast   total, free, verdict (fits | tight | does not fit), terms {name: bytes}; what memory.py says of
               this run before the model is loaded; or reason, where it says nothing
    probed     train {rows, length, peak}, evaluation {rows, length, peak} (null without validation rows):
               peaks in bytes, measured on the longest batches; forecast (bytes, null if unknown);
               seconds (of a whole step of usual rows), tokens_per_s, eta (seconds that the run will take)
    step       step, total, loss, lr, grad_norm, tokens, trained_tokens, tokens_per_s, memory, epoch, eta;
               seconds (forward, backward, optimizer), data (seconds that it waited for its rows);
               without memory where it is as it was a step before
    sampled    step, number (from 0), adapter (False: the base model's, with prompt and reference, once),
               answer, ended (whether it stopped by itself)
    evaluated  step, loss, rows, adapter (False: the base model's own loss), seconds (samples among them);
               right, answered (validation rows that were, where the recipe asks for it)
    saved      step, path (of a checkpoint, or of the adapter), seconds
    measured   part, file (of all answers), seconds, sets [{source, metric, rows, base, tuned}]: right answers
    non_finite step, what (loss | gradient), rows: numbers of all rows of that step, in training order;
               places: file and line of each; done (stopped | skipped | rolled back)
    chosen     choices [{key, value, why}]: of [train], what the recipe leaves open (auto.py)
    shrunk     batch_size, gradient_accumulation: memory ran out, it goes on from the last checkpoint so
    kept_best  step, loss, stopped_early: the adapter is that of the best evaluation, not of the last step
    paused     reason: what cannot be written; unpaused: it can again
    told       what, step, value (for learning rate, steps): what was asked of it in control.jsonl, and taken
    warned     text, mend
    finished | stopped     step, path
    failed     reason, mend
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from engine.redact import redacted

Event = dict[str, Any]

NEEDED: dict[str, frozenset[str]] = {
    "step": frozenset(("step", "loss")),
    "resumed": frozenset(("step",)),
    "phase": frozenset(("phase",)),
    "sampled": frozenset(("number", "answer")),
    "evaluated": frozenset(("step", "loss")),
    "non_finite": frozenset(("step",)),
    "measured": frozenset(("sets",)),
    "chosen": frozenset(("choices",)),
    "shrunk": frozenset(("batch_size", "gradient_accumulation")),
    "told": frozenset(("what",)),
    "warned": frozenset(("text",)),
}
"""Facts without which an event of that kind says nothing: where one lacks them it is passed over."""
KIND = frozenset(("kind",))

PIECE = 1 << 20
"""Bytes that are read at a time: the events of a long run are not held in memory all at once."""


class EventLog:
    """Appends events to a file, each one whole line in one write."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seq = sum(1 for _ in Tail(path).read()) if path.exists() else 0
        self.continued = self._seq > 0  # whether another process has written here before
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._torn = False
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            self._torn = True  # by a kill: it must not swallow the next line

    def write(self, kind: str, **facts: Any) -> None:
        self._seq += 1
        event = {"kind": kind, "seq": self._seq, "time": round(self._clock(), 3), **facts}
        # NaN is not JSON, but it is a fact of a run; Python reads its own spelling back.
        line = redacted(json.dumps(event, ensure_ascii=False)) + "\n"
        # A lone surrogate of strange data becomes a JSON escape, as which it is read back.
        self._put(line.encode("utf-8", "backslashreplace"))

    def _put(self, line: bytes) -> None:
        """One write, unless the disk is full: it then takes a part of the line, and the whole comes later."""
        line = b"\n" + line if self._torn else line
        while line:
            taken = os.write(self._fd, line)
            line = line[taken:]
            self._torn = bool(line)

    def close(self) -> None:
        os.close(self._fd)


class Tail:
    """Reads events that were added since the last read, by byte offset; a torn last line waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def read(self) -> Iterator[Event]:
        try:
            if self.path.stat().st_size <= self.offset:  # looked at often, and grown seldom
                return
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            torn = b""
            while piece := file.read(PIECE):
                whole, newline, rest = piece.rpartition(b"\n")
                if not newline:
                    torn += piece
                    continue
                data, torn = torn + whole, rest
                self.offset += len(data) + 1
                yield from _parsed(data)

    def skip(self, offset: int) -> None:
        """Go on with the first whole line after that byte."""
        with self.path.open("rb") as file:
            file.seek(offset)
            file.readline()
            self.offset = file.tell()


def _parsed(lines: bytes) -> Iterator[Event]:
    for line in lines.split(b"\n"):
        try:
            event = orjson.loads(line)
        except ValueError:
            event = _spelt_by_python(line)
        if isinstance(event, dict) and NEEDED.get(str(event.get("kind")), KIND) <= event.keys():
            yield event


def _spelt_by_python(line: bytes) -> Any:
    """A line with NaN in it; None for one that was torn by a full disk: the next one is whole again."""
    try:
        return json.loads(line)
    except ValueError:
        return None
