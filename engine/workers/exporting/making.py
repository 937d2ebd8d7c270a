"""How each kind of export is made and checked: a plan for each, made of what all of them share."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import models
from engine.errors import RunFailed, UserError
from engine.exports import llama_cpp, ollama, parity, sizes
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import adapters
from engine.workers.adapters import Saved
from engine.workers.exporting import about, adapter, check, gguf, merged, parts, retraining, upload
from engine.workers.exporting import asked as questions
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.io import Channel, Stopped

EVERY = 0.1
"""Seconds between two words on how far it is."""

MODEL = "model"
"""The folder in an export for Ollama."""

ROUNDING = "the weights were rounded to {}"
REQUANTISED = (
    "the run learnt on 4-bit weights and is merged onto the originals, which 4 bits had rounded;"
    " --onto 4-bit merges onto what it learnt on"
)


@dataclass
class Work:
    """One call of the worker: the adapter to be exported, its format, and the run's answers once asked."""

    run: Run
    saved: Saved
    chat: ChatFormat
    base: Path
    asked: argparse.Namespace
    channel: Channel
    cancelled: Callable[[], bool]
    answers: Asked | None = None
    _last: float = 0.0

    @property
    def base_name(self) -> str:
        return adapter.base_name(self.saved)

    def tell(self, phase: str, kind: str = "") -> Progress:
        """Begin a phase; what it gives tells how far that is, and raises Stopped where it was cancelled."""
        self.channel.say("phase", phase=phase, export=kind)

        told = -1

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self.cancelled():
                raise Stopped("cancelled")
            if told != done and (time.monotonic() - self._last > EVERY or done == total):
                told, self._last = done, time.monotonic()
                self.channel.say("progress", phase=phase, done=done, total=total)

        return progress

    def asked_run(self) -> Asked:
        """What the run answered; asked once for all kinds. Raises UserError where it cannot be asked."""
        if self.answers is None:
            progress = self.tell("ask the run")
            step = self.asked.checkpoint
            self.answers = questions.answered(self.run, step, self.asked.rows, progress, self.cancelled)
        return self.answers


@dataclass
class Plan:
    """How one export is made. loading: how its users load it (stranger.py), None where that is not done here,
    and `unchecked` says why; numbers: why its numbers may differ. below: where in its folder they
    find the model. in_place: does all of it, without a folder.
    """

    fill: Callable[[Path], None]
    bytes: int
    loading: dict[str, Any] | None = None
    dtype: str = ""
    unchecked: str = ""
    bar: float = parity.SAME
    numbers: str = ""
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    below: str = ""
    in_place: Callable[[], dict[str, Any]] | None = None


def opened(run: Run, asked: argparse.Namespace, channel: Channel, cancelled: Callable[[], bool]) -> Work:
    """What all kinds need. Raises UserError where the run has no adapter, or the base is not what it was."""
    saved = adapters.saved(run, asked.checkpoint)
    base = models.locate(run.recipe().model.id)
    if base is None:
        raise UserError(f"{run.recipe().model.id}: its files are not on this machine any more")
    return Work(run, saved, adapters.chat_format(saved), base, asked, channel, cancelled)


def planned(work: Work, kind: str) -> Plan:
    """Raises UserError for what cannot be exported so."""
    return PLANS[kind](work)


def checked(work: Work, kind: str, plan: Plan, folder: Path) -> dict[str, Any]:
    """Status, why and parity of export.json."""
    if plan.loading is None:
        return {"status": "not checked", "why": plan.unchecked, "parity": None}
    try:
        asked = work.asked_run()
    except UserError as error:
        return {"status": "not checked", "why": str(error), "parity": None}
    progress = work.tell("ask the export", kind)
    try:
        found = check.compared(
            asked, folder, plan.loading, plan.dtype, plan.bar, plan.numbers, progress, work.cancelled
        )
    except RunFailed as error:
        return {"status": "failed", "why": str(error), "parity": None}
    why = "" if found["passed"] else f"it does not answer as the run did: {found['differs'][0]}"
    return {"status": "passed" if found["passed"] else "failed", "why": why, "parity": found}


def _adapter(work: Work) -> Plan:
    saved = work.saved
    notes = adapter.notes(saved)

    def fill(folder: Path) -> None:
        adapter.fill(saved, work.chat, work.base, folder)
        _describe(work, "adapter", notes, folder)

    loading = {
        "base": None if adapter.is_public(saved) else str(work.base),
        "dtype": saved.made_with["dtype"],
        "quantization": saved.made_with.get("quantization"),
    }
    return Plan(fill, sizes.forecast(work.run, "adapter"), loading, saved.made_with["dtype"], notes=notes)


def _merged(work: Work) -> Plan:
    how = merged.plan(work.saved, work.base, work.asked.dtype, work.asked.onto)
    dtype = str(how.dtype).removeprefix("torch.")
    limit = work.asked.shard or merged.SHARD

    def fill(folder: Path) -> None:
        progress = work.tell("write", "merged")
        merged.fill(how, work.saved, work.chat, folder, limit, progress)
        _describe(work, "merged", how.notes, folder)

    same = work.saved.made_with.get("quantization") is None and how.dtype.itemsize == 4
    quantised = work.saved.made_with.get("quantization") is not None
    return Plan(
        fill,
        sizes.forecast(work.run, "merged", dtype_bytes=how.dtype.itemsize),
        {"base": None, "dtype": None, "quantization": None},
        dtype,
        bar=parity.SAME if same else parity.ROUNDED,
        numbers=(
            REQUANTISED if quantised and how.onto == "original" else "" if same else ROUNDING.format(dtype)
        ),
        notes=how.notes,
        settings={"dtype": dtype, "onto": how.onto},
    )


def _gguf(work: Work) -> Plan:
    types = llama_cpp.types(work.asked.types)
    tools = llama_cpp.found(work.asked.llama_cpp)
    llama_cpp.check(tools, types)
    whole = [one for one in types if one != "lora"]
    how = merged.plan(work.saved, work.base, work.asked.dtype, work.asked.onto) if whole else None

    def fill(folder: Path) -> None:
        model, lora = folder / "merged", folder / "adapter"
        if how is not None:
            model.mkdir()
            merged.fill(how, work.saved, work.chat, model, merged.SHARD, work.tell("write", "gguf"))
        if "lora" in types:
            lora.mkdir()
            adapter.fill(work.saved, work.chat, work.base, lora)
        work.tell("convert", "gguf")
        gguf.fill(tools, types, model, lora, work.base, folder, work.cancelled)
        for scratch in (model, lora):
            shutil.rmtree(scratch, ignore_errors=True)
        _describe(work, "gguf", [], folder)

    needed = sizes.forecast(work.run, "gguf", tuple(types))
    if how is not None:  # the merged model and an f16 file stand beside it while it is made
        needed += 2 * sizes.forecast(work.run, "merged", dtype_bytes=how.dtype.itemsize)
    unchecked = "llama.cpp was not asked what it answers: compare a few answers yourself"
    return Plan(fill, needed, unchecked=unchecked, settings={"types": types})


def _ollama(work: Work) -> Plan:
    how = merged.plan(work.saved, work.base, work.asked.dtype, work.asked.onto)
    plan = _merged(work)
    licence = models.describe(work.run.recipe().model.id).licence
    context = json.loads((work.base / "config.json").read_text("utf-8")).get("max_position_embeddings", 2048)
    text = ollama.modelfile(parts.asking(work.chat), f"./{MODEL}", context, licence)

    def fill(folder: Path) -> None:
        (folder / MODEL).mkdir()
        merged.fill(how, work.saved, work.chat, folder / MODEL, merged.SHARD, work.tell("write", "ollama"))
        (folder / "Modelfile").write_text(text, "utf-8")

    notes = [
        *how.notes,
        f"template and stop tokens were checked by rendering {len(ollama.SAMPLES)} conversations, the weights"
        " by transformers; Ollama itself was not asked",
        *([] if ollama.takes_system(work.chat) else ["its template has no system prompt: one is left out"]),
        "make it known to Ollama with `ollama create NAME -f Modelfile`",
    ]
    return dataclasses.replace(plan, fill=fill, notes=notes, below=MODEL)


def _hub(work: Work) -> Plan:
    asked = work.asked
    found = upload.ready(work.run, asked.of, asked.checkpoint)

    def send() -> dict[str, Any]:
        if asked.dry_run:
            why = "a dry run: nothing went up"
            return {"status": "not checked", "why": why, **upload.planned(found, asked.repo, asked.public)}
        work.tell("upload", "hub")
        why = "what is on the hub now was not loaded back; the folder it came from had passed"
        return {"status": "not checked", "why": why, **upload.upload(found, asked.repo, asked.public)}

    return Plan(lambda folder: None, 0, in_place=send)


def _script(work: Work) -> Plan:
    return _retrained(work, "script", retraining.as_script)


def _axolotl(work: Work) -> Plan:
    def fill(saved: Saved, told: retraining.Trained, folder: Path) -> None:
        retraining.as_axolotl(saved, told, work.chat.template, folder)

    return _retrained(work, "axolotl", fill)


def _llamafactory(work: Work) -> Plan:
    return _retrained(work, "llamafactory", retraining.as_llamafactory)


def _retrained(work: Work, kind: str, fill: Callable[[Saved, retraining.Trained, Path], None]) -> Plan:
    told = retraining.trained(work.saved)
    unchecked = "it trains anew and was not run; script prints each step's loss, to be held against the run's"
    return Plan(
        lambda folder: fill(work.saved, told, folder),
        sizes.forecast(work.run, kind),
        unchecked=unchecked,
        notes=told.remarks,
    )


def _describe(work: Work, kind: str, notes: list[str], folder: Path) -> None:
    copied = [file.name for pattern in parts.LICENCES for file in sorted(folder.glob(pattern))]
    described = about.gathered(work.saved, work.chat, kind, notes, copied, work.asked.with_rows)
    about.write(described, folder)


PLANS: dict[str, Callable[[Work], Plan]] = {
    "adapter": _adapter,
    "merged": _merged,
    "gguf": _gguf,
    "ollama": _ollama,
    "script": _script,
    "axolotl": _axolotl,
    "llamafactory": _llamafactory,
    "hub": _hub,
}
