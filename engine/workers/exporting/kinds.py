"""The plan of each kind of export: what is written, how it is checked, how large it will be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import models
from engine.exports import llama_cpp, ollama, parity, sizes
from engine.workers.adapters import Saved
from engine.workers.exporting import about, adapter, gguf, merged, parts, retraining
from engine.workers.exporting.making import Plan, Work
from engine.workers.exporting.merged import Merge

MODEL = "model"
"""The folder in an export for Ollama."""

ROUNDING = "the weights were rounded to {}"
REQUANTISED = (
    "the run learnt on 4-bit weights and is merged onto the originals, which 4 bits had rounded;"
    " --onto 4-bit merges onto what it learnt on"
)


def planned(work: Work, kind: str) -> Plan:
    """Raises UserError for what cannot be exported so."""
    return PLANS[kind](work)


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
    return _onto(work, work.asked.onto, _merged_onto)


def _onto(work: Work, onto: str, plan: Callable[[Work, Merge], Plan]) -> Plan:
    """auto: onto the base's own weights, and where that does not answer as a 4-bit run did, onto its own."""
    if onto != "auto" or work.saved.made_with.get("quantization") is None:
        return plan(work, merged.plan(work.saved, work.base, work.asked.dtype, onto))

    def otherwise(found: dict[str, Any]) -> Plan:
        how = merged.plan(work.saved, work.base, work.asked.dtype, "4-bit")
        share = f"on {found['share']:.1%} of the tokens, wanted {found['bar']:.0%}"
        how.notes.append(f"merged onto the originals it agreed with the run {share}, and was not kept")
        return plan(work, how)

    first = plan(work, merged.plan(work.saved, work.base, work.asked.dtype, "original"))
    return dataclasses.replace(first, otherwise=otherwise)


def _merged_onto(work: Work, how: Merge) -> Plan:
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
    return _onto(work, work.asked.onto, _ollama_onto)


def _ollama_onto(work: Work, how: Merge) -> Plan:
    plan = _merged_onto(work, how)
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
}
