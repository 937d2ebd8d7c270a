"""What can be made of a run's adapter for use elsewhere, where it is put, and what was written down of it.

A finished export is a folder with export.json in it:

    kind, name, run, model, step, digest (sha256 of the adapter's weights), made (ISO time), seconds, bytes,
    status     passed: it answered as the run did | failed | not checked
    why        one sentence, where the status is not "passed"
    parity     PARITY of parity.py, or null
    notes      what a person should know of it, one sentence each
    settings   what it was made with; versions

One that did not answer as the run did is named NAME.failed; nothing half written stands under either name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine import models
from engine.errors import UserError
from engine.runs import Run

Status = Literal["passed", "failed", "not checked"]
STATUSES: tuple[Status, ...] = get_args(Status)

KINDS = {
    "adapter": "LoRA adapter for PEFT and vLLM, with tokenizer, template, stop tokens and model card",
    "merged": "the whole model with the adapter in it, as safetensors",
    "gguf": "for llama.cpp, by its own converter: f16, q8_0, q4_k_m, or the adapter alone",
    "ollama": "a Modelfile with template and stop tokens, beside the merged model or its GGUF file",
    "script": "a Python file and data that train the same run without this program",
    "axolotl": "the same run as an Axolotl configuration",
    "llamafactory": "the same run as a LLaMA-Factory configuration",
    "hub": "an upload of one of these to the Hugging Face hub, private unless asked otherwise",
}

FILE = "export.json"
FAILED = ".failed"


@dataclass(frozen=True)
class Export:
    """One that was made: its folder, and what export.json says of it."""

    folder: Path
    facts: dict[str, Any]

    @property
    def status(self) -> Status:
        """What the file says, which somebody else may have written: a word that is not known is no check."""
        said = self.facts.get("status")
        return said if said in STATUSES else "not checked"


def place(run: Run, kind: str, step: int | None = None) -> Path:
    """Where an export of the run's adapter, or of a checkpoint's, is put unless a person says otherwise."""
    return run.path / "exports" / (kind if step is None else f"{kind}-step-{step}")


def on_the_hub(run: Run) -> bool:
    """Whether the model that it was trained on has an id there, which others can load it by."""
    return models.describe(run.recipe().model.id).origin in ("cache", "catalogue", "hub")


def read(folder: Path) -> Export:
    """Raises UserError where there is no finished export."""
    try:
        facts = json.loads((folder / FILE).read_text("utf-8"))
        return Export(folder, {**facts, "status": facts["status"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: no finished export ({type(error).__name__}); export again") from None


def listed(run: Run) -> list[Export]:
    """Those in the run's own folder, failed ones among them, by name."""
    found = []
    for file in sorted((run.path / "exports").glob(f"*/{FILE}")):
        if file.parent.suffix not in (".part", ".gone"):
            try:
                found.append(read(file.parent))
            except UserError:
                continue  # torn by hands: not whole, so none
    return found


def kinds(text: str) -> list[str]:
    """The kinds in "adapter,merged". Raises UserError."""
    asked = [one.strip() for one in text.split(",") if one.strip()]
    for one in asked:
        if one not in KINDS:
            raise UserError(f"--to {one}: no such export; there is {', '.join(KINDS)}")
    if not asked:
        raise UserError(f"--to: name what to export: {', '.join(KINDS)}")
    return list(dict.fromkeys(asked))
