"""What the model card is made of, gathered: the run's facts, its files of data with counts and digests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from engine import RECIPES, exports, recipe
from engine.dataset import Sample
from engine.exports import card, curve, running
from engine.exports.card import About, Source
from engine.formats import Message
from engine.render import ChatFormat
from engine.runs import Run
from engine.schema import Recipe
from engine.workers import evaluate
from engine.workers.adapters import Saved
from engine.workers.exporting import adapter

BYTES_AT_ONCE = 1 << 20


def gathered(
    one: Saved,
    chat: ChatFormat,
    kind: str,
    notes: Sequence[str],
    licences: Sequence[str],
    files: Sequence[str],
    rows: int,
) -> About:
    """files: of GGUF. rows: of the training data, to be shown in the card; none unless a person asks."""
    return About(
        run=one.run,
        kind=kind,
        base=adapter.base_name(one),
        public=exports.on_the_hub(one.run),
        step=one.step,
        digest=one.digest,
        lora=one.config,
        whole=one.whole,
        made_with=one.made_with,
        template=chat.template,
        origin=one.run.recipe().data.chat_template
        or "the model's own, or the plain layout where it has none",
        sources=sources(one.run),
        notes=notes,
        licence_files=licences,
        files=files,
        samples=[_shown(sample) for sample in evaluate.held_out(one.run.recipe(), "train", rows)]
        if rows
        else (),
    )


def write(about: About, out: Path) -> None:
    """README.md, the curve, the recipe and a program that asks it, into a folder."""
    (out / "README.md").write_text(card.text(about), "utf-8")
    if about.kind != "gguf":
        groups = running.statements(about.kind, about.base, about.public, about.made_with)
        (out / running.PROGRAM).write_text(running.program(groups, about.base), "utf-8")
    state = about.run.state()
    drawn = curve.svg(list(state.losses), [(one.step, one.loss) for one in state.evaluations])
    if drawn:
        (out / card.CURVE).write_text(drawn, "utf-8")
    text = recipe.dumps(portable(about.run.recipe(), about.base))
    head = "# What this was trained with. Files of data are named, not included, without their folders.\n"
    (out / "recipe.toml").write_text(head + text, "utf-8")


def portable(plan: Recipe, base: str) -> Recipe:
    """The recipe without folders of this machine: files and the base by their bare names."""

    own = [*plan.data.sources]
    named = [path for one in own for path in (one.path, one.validation, one.test, *one.templates)]
    known = [Path(path) for path in (*named, plan.data.chat_template) if path and Path(path).is_absolute()]
    names = dict(zip(known, bare_names(known), strict=True))

    def bare(path: str | None) -> str | None:
        return names.get(Path(path), path) if path else path

    sources = tuple(
        one.model_copy(
            update={
                **{key: bare(getattr(one, key)) for key in ("path", "validation", "test")},
                "templates": tuple(bare(name) or "" for name in one.templates),
            }
        )
        for one in own
    )
    data = plan.data.model_copy(
        update={"sources": sources, "chat_template": bare(plan.data.chat_template) or ""}
    )
    model = plan.model.id if plan.model.id.startswith("builtin:") else base
    own_model = plan.model.model_copy(update={"id": model, "adapter": card.first_adapter(plan)})
    return plan.model_copy(update={"data": data, "model": own_model, "then": ()})


def sources(run: Run) -> list[Source]:
    """The files that training rows came from, with how many, and their digests as they are now."""
    try:
        files = json.loads((run.rows / "files.json").read_text("utf-8"))
        with pa.memory_map(str(run.rows / "train.arrow")) as file, pa.ipc.open_stream(file) as stream:
            counts = Counter(stream.read_all()["file"].to_pylist())
    except (OSError, ValueError, pa.ArrowInvalid):
        return []  # a run that has been put away without its rows
    paths = [Path(name) for name in files]
    names = bare_names(paths)
    return [Source(names[i], counts[i], _digest(file)) for i, file in enumerate(paths)]


def bare_names(files: Sequence[Path]) -> list[str]:
    """Files without their folders, which are nobody's business: of bundled sets with the one that names the
    set, and with as many of the nearest as tell two files of the same name apart."""

    def tail(file: Path, parts: int) -> tuple[str, ...]:
        return file.parts[-parts:]

    names = []
    for file in files:
        parts = 2 if file.is_relative_to(RECIPES) else 1
        others = [other for other in files if other != file]
        while parts < len(file.parts) - 1 and tail(file, parts) in (tail(one, parts) for one in others):
            parts += 1
        names.append("/".join(tail(file, parts)))
    return names


def _digest(file: Path) -> str:
    total = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while piece := stream.read(BYTES_AT_ONCE):
                total.update(piece)
    except OSError:
        return ""
    return total.hexdigest()


def _shown(sample: Sample) -> tuple[str, str]:
    def last(messages: Sequence[Message]) -> str:
        return messages[-1]["content"] if messages else ""

    return last(sample.question) or sample.rendered.text, sample.reference
