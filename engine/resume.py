"""What has changed since a run was started: said before it is taken up again, and confirmed by a person.

environment.json holds what the run was started with; confirm.json the differences that were agreed to. No
torch here: a front end asks first, the worker asks again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import events, initial, models, private
from engine.errors import UserError
from engine.runs import Run

PACKAGES = (
    "ift-tui", "torch", "transformers", "unsloth", "unsloth_zoo", "trl", "peft", "bitsandbytes",
    "accelerate", "datasets", "tokenizers",
)  # fmt: skip


def facts(run: Run) -> dict[str, Any]:
    """What a later start compares: the recipe's text, the files of model and first adapter, versions."""
    recipe = run.recipe()
    return {
        "recipe": hashlib.sha256((run.path / "recipe.toml").read_bytes()).hexdigest(),
        "base": models.fingerprint(recipe.model.id),
        "adapter": initial.digest(recipe),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": sys.version.split()[0],
    }


def changes(run: Run) -> list[str]:
    """What is not as it was when the run was started, a sentence each; rows as they were last rendered."""
    then = _read(run.path / "environment.json")
    if "recipe" not in then:
        return []  # it never came so far as to load its model: there is nothing to take up
    now = facts(run)
    found = []
    if now["recipe"] != then["recipe"]:
        found.append("recipe.toml is not the one that the run was started with")
    if now["base"] != then["base"]:
        found.append(f"the files of {run.recipe().model.id} are not those that the run was started with")
    if now["adapter"] != then.get("adapter"):
        found.append(f"{run.recipe().model.adapter} is not the adapter that the run began with")
    for name, version in {"python": now["python"], **now["versions"]}.items():
        former = then["python"] if name == "python" else then["versions"].get(name)
        if version != former:
            found.append(f"{name} is {version or 'not installed'}, it was {former or 'not installed'}")
    found.extend(changed_rows(run, _last_digest(run)))
    return found


def changed_rows(run: Run, digest: str | None) -> list[str]:
    """A sentence where rows of that digest are not those that the run was started with."""
    former = _read(run.path / "environment.json").get("digest")
    if digest is None or former is None or digest == former:
        return []
    return ["the rows are not those that the run was started with: its files of data have changed"]


def confirm(run: Run, agreed: list[str]) -> None:
    """Write down that a person agrees to go on in spite of these differences."""
    beside = run.path / "confirm.json.part"
    private.write(beside, json.dumps({"accepted": agreed}, indent=2) + "\n")
    beside.rename(run.path / "confirm.json")


def check(run: Run, found: list[str]) -> None:
    """Raise UserError with every difference that nobody has agreed to."""
    accepted = _read(run.path / "confirm.json").get("accepted", [])
    if left := [text for text in found if text not in accepted]:
        raise UserError(
            f"{run.name} is not as it was: {'; '.join(left)}; its checkpoints are kept; put it back as"
            " it was, or confirm that it goes on so"
        )


def _last_digest(run: Run) -> str | None:
    digest = None
    for event in events.Tail(run.events).read():
        if event["kind"] == "rendered":
            digest = event.get("digest")
    return digest


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
