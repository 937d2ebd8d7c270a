"""Sets of the Hugging Face hub: fetched once through `datasets`, then read from its Arrow files."""

from __future__ import annotations

import json

from engine import hub, private
from engine.errors import UserError
from engine.schema import Recipe, Source
from engine.sources import hub_sets


def fetch(recipe: Recipe) -> None:
    """Have every hf: set of a recipe on this machine. Raises UserError where one cannot be had."""
    for source in recipe.data.sources:
        if source.path.startswith("hf:") and not hub_sets.is_fetched(source):
            _fetch(source)


def _fetch(source: Source) -> None:
    """Write down which Arrow files hold each part of a set; `datasets` obeys HF_HUB_OFFLINE by itself."""
    from datasets import load_dataset

    try:
        parts = load_dataset(source.path.removeprefix("hf:"), source.subset)
    except Exception as error:  # the library lets through whatever its network and file layers raise
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        offline = f" ({hub.offline()} is set: only what is cached can be had)" if hub.offline() else ""
        raise UserError(
            f"{source.path}: cannot be had from the hub{offline}: {text}; check the id and the network"
        ) from None
    files = {name: [entry["filename"] for entry in part.cache_files] for name, part in parts.items()}
    manifest = hub_sets.manifest(source)
    private.folder(manifest.parent)
    beside = manifest.with_suffix(".part")
    beside.write_text(json.dumps(files, indent=2) + "\n", "utf-8")
    beside.rename(manifest)
