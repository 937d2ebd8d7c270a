"""The plan of each kind of export: what is written, how it is checked, how large it will be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import exports, models
from engine.exports import llama_cpp, ollama, parity, possible, sizes
from engine.workers.adapters import Saved
from engine.workers.exporting import about, adapter, check, gguf, llama_server, merged, parts, retraining
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.exporting.making import SCRATCH, Plan, Work
from engine.workers.exporting.merged import Merge

MODEL, ADAPTER = "model", "adapter"
"""The folders in an export for Ollama."""

TEMPLATE = "chat_template.jinja"

UNSERVED = (
    f"{llama_cpp.SERVER} is not beside llama.cpp's converter, and nobody was asked what it answers: build it"
    " there and export again, or compare a few answers yourself"
)
ROUNDING = "the weights were rounded to {}"
UNROUNDED = "--dtype float32 rounds nothing, and takes twice the space"
LESS_ROUNDED = "--types with one of more bits rounds less"
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
        "base": None if exports.on_the_hub(work.run) else str(work.base),
        "dtype": saved.made_with["dtype"],
        "quantization": saved.made_with.get("quantization"),
    }

    def ask(folder: Path, asked: Asked, progress: Progress) -> dict[str, Any]:
        dtype = saved.made_with["dtype"]
        return check.compared(asked, folder, loading, dtype, parity.SAME, "", progress, work.cancelled)

    return Plan(fill, sizes.forecast(work.run, "adapter"), ask, notes=notes)


def _merged(work: Work) -> Plan:
    return _onto(work, _merged_onto)


def _onto(work: Work, plan: Callable[[Work, Merge], Plan], dtype: str = "auto") -> Plan:
    """The first of the ways to merge, and where that does not answer as the run did, the next. What one kind
    found out holds for the next: the weights are the same. dtype: unless a person asks for one."""
    ways = _ways(work, dtype)
    known = plan is _merged_onto or plan is _ollama_onto  # a GGUF file is rounded further

    def tried(number: int, why: list[str]) -> Plan:
        onto, dtype = ways[number]
        how = merged.plan(work.saved, work.base, dtype, onto)
        how.notes.extend(why)
        made = plan(work, how)
        if number + 1 == len(ways):
            return made

        def otherwise(found: dict[str, Any]) -> Plan:
            what = (
                "onto the originals" if onto == "original" else f"in {str(how.dtype).removeprefix('torch.')}"
            )
            share = f"on {found['share']:.1%} of the tokens, wanted {found['bar']:.0%}"
            said = [*why, f"merged {what} it agreed with the run {share}, and was not kept"]
            if known:
                work.refuted = said
            return tried(number + 1, said)

        return dataclasses.replace(made, otherwise=otherwise)

    begun = min(len(work.refuted), len(ways) - 1)
    return tried(begun, work.refuted[:begun])


def _ways(work: Work, dtype: str) -> list[tuple[str, str]]:
    """What to merge onto, and in which number type. A 4-bit run on the base's own weights, then on what it
    learnt on; one that computed in 32 bits at last in float16, eight times finer than bfloat16."""
    onto = work.asked.onto
    own = work.saved.made_with.get("quantization") is not None and not possible.is_packed(work.base)
    if onto == "auto" and own:
        # LoftQ makes up for what the originals never lost.
        loftq = work.run.recipe().lora.init == "loftq"
        places = ["4-bit"] if loftq else ["original", "4-bit"]
    else:
        places = [onto]
    if work.asked.dtype != "auto":
        dtype = work.asked.dtype
    ways = [(one, dtype) for one in places]
    first = merged.plan(work.saved, work.base, dtype, places[0])
    if dtype == "auto" and first.dtype == torch.bfloat16 and work.saved.made_with["dtype"] == "float32":
        ways.append((places[-1], "float16"))
    return ways


def _merged_onto(work: Work, how: Merge, below: str = "") -> Plan:
    """below: the folder in the export that the model is in."""
    dtype = str(how.dtype).removeprefix("torch.")
    limit = work.asked.shard or merged.SHARD
    same = work.saved.made_with.get("quantization") is None and how.dtype.itemsize == 4
    bar, numbers = (parity.SAME, "") if same else (parity.ROUNDED, _rounded(work, how, dtype))

    def fill(folder: Path) -> None:
        progress = work.tell("write", "merged")
        merged.fill(how, work.saved, work.chat, work.base, folder, limit, progress)
        _describe(work, "merged", how.notes, folder)

    def ask(folder: Path, asked: Asked, progress: Progress) -> dict[str, Any]:
        loading = {"base": None, "dtype": None, "quantization": None}
        return check.compared(asked, folder / below, loading, dtype, bar, numbers, progress, work.cancelled)

    needed = sizes.forecast(work.run, "merged", dtype_bytes=how.dtype.itemsize)
    return Plan(fill, needed, ask, notes=how.notes, settings={"dtype": dtype, "onto": how.onto})


def _rounded(work: Work, how: Merge, to: str) -> str:
    """Why the numbers may differ from the run's."""
    quantised = work.saved.made_with.get("quantization") is not None
    if quantised and how.onto == "original":
        return REQUANTISED
    return "" if to == "float32" else f"{ROUNDING.format(to)}; {UNROUNDED}"


def _gguf(work: Work) -> Plan:
    # The converter makes f16 of it, which rounded to bfloat16 before would be rounded twice.
    sixteen = merged.plan(work.saved, work.base, "auto", work.asked.onto).dtype.itemsize == 2
    return _onto(work, _gguf_onto, "float16" if sixteen else "auto")


def _gguf_onto(work: Work, how: Merge) -> Plan:
    """Files that hold the merged model; and the adapter alone, which is asked on its base as f16. Where that
    is not the original but what 4 bits left of it, the export holds it: it is nowhere to be had."""
    types = llama_cpp.types(work.asked.types)
    tools = llama_cpp.found(work.asked.llama_cpp)
    llama_cpp.check(tools, types)
    server = tools.server
    lora = "lora" in types
    own_base = how.onto == "4-bit"
    quantised = work.saved.made_with.get("quantization") is not None
    base_file = llama_cpp.BASE if own_base else f"{SCRATCH}/{llama_cpp.BASE}"
    notes = list(how.notes)
    if lora:
        notes.append(f"the adapter's file has no template: serve it with --chat-template-file {TEMPLATE}")

    def fill(folder: Path) -> None:
        scratch = folder / SCRATCH
        scratch.mkdir()
        model, alone, base = (scratch / name for name in ("merged", "adapter", "base"))
        if types != ["lora"]:
            progress = work.tell("write", "gguf")
            merged.fill(how, work.saved, work.chat, work.base, model, merged.SHARD, progress)
        if lora:
            adapter.fill(work.saved, work.chat, work.base, alone, plain=True)
            shutil.copyfile(alone / TEMPLATE, folder / TEMPLATE)
        if lora and (own_base or server is not None):
            progress = work.tell("write", "gguf")
            merged.fill(how, work.saved, work.chat, work.base, base, merged.SHARD, progress, bare=True)
        work.tell("convert", "gguf")
        bare = (base, folder / base_file) if base.is_dir() else None
        notes.extend(gguf.fill(tools, types, model, alone, work.base, folder, work.cancelled, bare))
        _describe(work, "gguf", notes, folder)

    def ask(folder: Path, asked: Asked, progress: Progress) -> dict[str, Any]:
        assert server is not None
        base, found = folder / base_file, []
        for kind in types:
            file = folder / gguf.name(kind)
            whole, alone = (base, file) if kind == "lora" else (file, None)
            why = ROUNDING.format(kind)
            if kind in parity.QUANTISED:
                why += f"; {LESS_ROUNDED}"
            elif quantised and how.onto == "original":
                why = REQUANTISED
            bar = parity.QUANTISED.get(kind, parity.ROUNDED)
            one = llama_server.compared(server, whole, alone, asked, bar, why, progress, work.cancelled)
            found.append({**one, "differs": [f"{file.name}: {said}" for said in one["differs"]]})
            notes.append(
                f"{file.name}: {one['identical']} of {one['rows']} answers are the run's, {one['share']:.1%}"
                f" of the tokens before a difference (wanted {bar:.0%})"
            )
        return min(found, key=lambda one: (one["passed"], one["share"] - one["bar"]))

    needed = sizes.forecast(work.run, "gguf", (*types, *(["f16"] if lora and own_base else [])))
    # The merged model and an f16 file stand beside it while it is made.
    needed += 2 * sizes.forecast(work.run, "merged", dtype_bytes=how.dtype.itemsize)
    settings = {"types": types, "onto": how.onto}
    return Plan(fill, needed, ask if server else None, UNSERVED, notes, settings)


def _ollama(work: Work) -> Plan:
    return _onto(work, _ollama_onto)


def _ollama_onto(work: Work, how: Merge) -> Plan:
    plan = _merged_onto(work, how, MODEL)
    apart = work.asked.ollama == ADAPTER
    licence = models.describe(work.run.recipe().model.id).licence
    context = json.loads((work.base / "config.json").read_text("utf-8")).get("max_position_embeddings", 2048)
    beside = f"./{ADAPTER}" if apart else ""
    text = ollama.modelfile(parts.asking(work.chat), f"./{MODEL}", context, licence, beside)

    def fill(folder: Path) -> None:
        progress = work.tell("write", "ollama")
        merged.fill(how, work.saved, work.chat, work.base, folder / MODEL, merged.SHARD, progress, bare=apart)
        if apart:
            adapter.fill(work.saved, work.chat, work.base, folder / ADAPTER, plain=True)
        (folder / "Modelfile").write_text(text, "utf-8")

    def ask(folder: Path, asked: Asked, progress: Progress) -> dict[str, Any]:
        dtype = str(how.dtype).removeprefix("torch.")
        loading = {"base": str(folder / MODEL), "dtype": dtype, "quantization": None}
        why = _rounded(work, how, dtype)
        return check.compared(
            asked, folder / ADAPTER, loading, dtype, parity.ROUNDED, why, progress, work.cancelled
        )

    notes = [
        *how.notes,
        f"template and stop tokens were checked by rendering {len(ollama.SAMPLES)} conversations, the weights"
        f" by {'PEFT' if apart else 'transformers'}; Ollama itself was not asked",
        *([] if ollama.takes_system(work.chat) else ["its template has no system prompt: one is left out"]),
        "make it known to Ollama with `ollama create NAME -f Modelfile`",
    ]
    settings = {**plan.settings, "apart": apart}
    return dataclasses.replace(
        plan, fill=fill, ask=ask if apart else plan.ask, notes=notes, settings=settings
    )


def _script(work: Work) -> Plan:
    return _retrained(work, "script", retraining.as_script)


def _axolotl(work: Work) -> Plan:
    def fill(saved: Saved, told: retraining.Trained, base: Path, folder: Path) -> None:
        retraining.as_axolotl(saved, told, work.chat.template, base, folder)

    return _retrained(work, "axolotl", fill)


def _llamafactory(work: Work) -> Plan:
    return _retrained(work, "llamafactory", retraining.as_llamafactory)


def _retrained(work: Work, kind: str, fill: Callable[[Saved, retraining.Trained, Path, Path], None]) -> Plan:
    told = retraining.trained(work.saved)
    unchecked = "it trains anew and was not run; script prints each step's loss, to be held against the run's"
    return Plan(
        lambda folder: fill(work.saved, told, work.base, folder),
        sizes.forecast(work.run, kind),
        unchecked=unchecked,
        notes=told.remarks,
    )


def _describe(work: Work, kind: str, notes: list[str], folder: Path) -> None:
    copied = [file.name for pattern in parts.LICENCES for file in sorted(folder.glob(pattern))]
    files = [file.name for file in sorted(folder.glob("*.gguf"))]
    described = about.gathered(work.saved, work.chat, kind, notes, copied, files, work.asked.with_rows)
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
