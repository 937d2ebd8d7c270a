"""The model card: what a stranger must know of a tuned model, as Markdown with the hub's head."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import evals, models, votes
from engine.errors import UserError
from engine.exports import licences, running
from engine.runs import Run
from engine.schema import Recipe

CURVE = "loss.svg"
TAGS = ("text-generation", "unsloth", "trl")
SHOWN_TEXT = 400
"""Characters of a row, where rows were asked for."""


@dataclass(frozen=True)
class Source:
    """A file of training data: its bare name, rows, and the sha256 of its bytes, "" where it is gone."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True)
class About:
    """What a card is made of. base: id on the hub, or the bare name of a base that is not there."""

    run: Run
    kind: str
    base: str
    public: bool
    step: int
    digest: str
    lora: dict[str, Any]  # adapter_config.json; {} of whole weights
    made_with: dict[str, Any]  # environment.json
    template: str
    origin: str  # of the template, in words
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()
    licence_files: Sequence[str] = ()
    files: Sequence[str] = ()  # of GGUF
    samples: Sequence[tuple[str, str]] = field(default=())  # rows that a person asked to be shown
    whole: bool = False  # whether all weights were trained


def text(about: About) -> str:
    """The whole card."""
    recipe = about.run.recipe()
    licence = models.describe(recipe.model.id).licence
    parts = [
        _head(about, licence),
        f"# {recipe.name}",
        _what(about, recipe),
        "## How to run it",
        *_run(about),
        "## Licence",
        _licence(about, licence),
        "## Data",
        _data(about, recipe),
        "## Chat template",
        f"{about.origin[:1].upper()}{about.origin[1:]}:\n\n{_fenced(about.template, 'jinja')}",
        "## Training",
        _settings(about, recipe),
        *([f"![Loss]({CURVE})"] if len(about.run.state().losses) else []),
        *_evaluation(about.run, about.digest),
        *_votes(about.run, about.digest),
        "## Versions",
        _versions(about.made_with),
    ]
    return "\n\n".join(parts) + "\n"


def _head(about: About, licence: str) -> str:
    """YAML that the hub reads (huggingface.co/docs/hub/model-cards)."""
    lines = ["---"]
    if about.public:
        lines += [f"base_model: {about.base}"]
        lines += [f"base_model_relation: {'adapter' if about.kind == 'adapter' else 'finetune'}"]
    known = bool(licence) and licences.asks(licence) is not licences.UNKNOWN
    lines += [f"license: {json.dumps(licence) if known else 'other'}"]
    if not known:
        lines += [f"license_name: {json.dumps(licence or 'unknown')}"]
    tags = (*TAGS, *([] if about.whole else ["lora"]), *(["gguf"] if about.kind == "gguf" else []))
    if about.kind != "gguf":
        lines += [f"library_name: {'peft' if about.kind == 'adapter' else 'transformers'}"]
    lines += ["pipeline_tag: text-generation", "tags:", *(f"- {tag}" for tag in tags), "---"]
    return "\n".join(lines)


def _what(about: About, recipe: Recipe) -> str:
    bits = "in 4 bits (NF4)" if about.made_with.get("quantization") else f"in {about.made_with.get('dtype')}"
    name = "DoRA" if about.lora.get("use_dora") else "LoRA"
    what = f"A {name} adapter for" if about.kind == "adapter" else f"A {name} adapter merged into"
    said = f"{what} **{_plain(about.base)}**, trained on it {bits}"
    if about.whole:
        said = f"**{_plain(about.base)}**, all of its weights trained {bits}"
    said += f" by supervised fine-tuning, {about.step:,} steps."
    said += f" {'Weights' if about.whole else 'Adapter'} `{about.digest[:16]}`."
    if first := first_adapter(recipe):
        known = str(about.made_with.get("adapter") or "")[:16]
        said += f" It went on from the adapter **{_plain(first)}**{f' `{known}`' if known else ''}."
    return "\n\n".join([said, *(f"- {note[:1].upper()}{note[1:]}." for note in about.notes)])


def first_adapter(recipe: Recipe) -> str:
    """The name of the adapter that a run went on from, without the folders it lies in; "" of none."""
    path = Path(recipe.model.adapter)
    return path.parent.name if path.name == "adapter" and path.parent.name else path.name


def _run(about: About) -> Iterator[str]:
    if about.kind == "gguf":
        yield _fenced("\n".join(running.commands(about.files)), "sh")
        return
    groups = running.statements(about.kind, about.base, about.public, about.made_with)
    yield _fenced("\n".join(running.lines(groups)), "python")
    yield f"`{running.PROGRAM}` beside this card is the same as a program."
    yield running.vllm(about.kind, about.base, about.public, about.lora, about.made_with)


def _licence(about: About, licence: str) -> str:
    lines = [
        f"The base model's licence is {_plain(licence) if licence else 'not known here'}. What it asks:",
        "",
    ]
    lines += [f"- {one}" for one in licences.asks(licence)]
    if shown := licences.shown(licence):
        lines = [shown, "", *lines]
    if about.licence_files:
        lines += ["", f"Copied from the base: {', '.join(map(_plain, about.licence_files))}."]
    return "\n".join(lines)


def _data(about: About, recipe: Recipe) -> str:
    rendered = about.run.state().rendered
    lines = [
        f"{rendered.get('count', 0):,} training rows of {rendered.get('tokens', 0):,} tokens,"
        f" {rendered.get('trained_tokens', 0):,} of them trained ({recipe.data.train_on}). Digest of ids and"
        f" labels: `{about.made_with.get('digest', '')}`.",
    ]
    if about.sources:
        lines += ["", "| file | rows | sha256 |", "| --- | ---: | --- |"]
    lines += [f"| {_plain(one.name)} | {one.rows:,} | {one.digest[:16] or 'gone'} |" for one in about.sources]
    for question, answer in about.samples:
        lines += ["", _fenced(f"{question[:SHOWN_TEXT]}\n---\n{answer[:SHOWN_TEXT]}")]
    return "\n".join(lines)


def _settings(about: About, recipe: Recipe) -> str:
    plan = about.run.plan() or recipe.train
    state = about.run.state()
    rows = {
        "steps": f"{state.step:,}",
        "rows a step": f"{plan.batch_size} x {plan.gradient_accumulation}",
        "learning rate": f"{plan.learning_rate:g}, {plan.schedule}, {plan.warmup_steps} steps of warm-up",
        "optimizer": f"{plan.optimizer}, weight decay {plan.weight_decay:g}, gradients clipped at"
        f" {plan.max_grad_norm:g}",
        **({"trained": "all weights"} if about.whole else _shape(about.lora, recipe)),
        "longest row": f"{recipe.data.max_length:,} tokens",
        **({"noise": f"NEFTune, {plan.neftune:g}"} if plan.neftune else {}),
        **({"packing": "rows behind one another, none sees another"} if plan.packing is True else {}),
        **({"attention": plan.attention} if plan.attention not in ("model", "auto") else {}),
        "seed": str(plan.seed),
    }
    if state.evaluations:
        rows["validation loss"] = f"{state.evaluations[-1].loss:.4f}" + (
            f" (base {state.base_loss:.4f})" if state.base_loss is not None else ""
        )
    lines = [f"| {key} | {_plain(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _shape(lora: dict[str, Any], recipe: Recipe) -> dict[str, str]:
    """What the adapter is, by its kind."""
    scale = ", rank-stabilised" if lora.get("use_rslora") else ""
    said = f"rank {lora['r']}, alpha {lora['lora_alpha']}{scale}, dropout {lora['lora_dropout']:g}"
    said += f", on {', '.join(sorted(lora['target_modules']))}"
    if recipe.lora.init == "loftq":
        said += ", begun with what 4 bits took from the base (LoftQ)"
    if recipe.lora.plus_ratio != 1:
        said += f", B at {recipe.lora.plus_ratio:g} times the learning rate of A (LoRA+)"
    return {"DoRA" if lora.get("use_dora") else "LoRA": said}


def _evaluation(run: Run, digest: str) -> list[str]:
    """Figures of the adapter's last evaluation, with intervals; of another adapter there is none."""
    for name in ("test", "validation", "end"):
        try:
            found = evals.read(run, name)
        except UserError:
            continue
        facts = found.summary
        if facts.get("digest") != digest:
            continue
        lines = [
            "## Evaluation",
            f"Greedy answers to {facts['part']} rows. Differences are the tuned model less the base, with the"
            f" {facts['settings']['share']:.0%} interval of {facts['settings']['resamples']:,} resamples.",
        ]
        for one in facts["sets"]:
            lines += [_set(one)]
        return lines
    return []


def _set(one: dict[str, Any]) -> str:
    columns = {name: evals.figures(one, name) for name in ("base", "tuned")}
    lines = [
        f"**{_plain(Path(one['source']).name)}**, {one['rows']:,} rows, judged by {one['metric']}:",
        "",
        "| | base | tuned | difference |",
        "| --- | --- | --- | --- |",
    ]
    for figure in dict.fromkeys([*columns["base"], *columns["tuned"]]):
        change = one["differences"]["tuned"].get(figure)
        said = evals.difference(change, figure) if change else ""
        cells = [figure, columns["base"].get(figure, "-"), columns["tuned"].get(figure, "-"), said]
        lines.append("| " + " | ".join(map(_plain, cells)) + " |")
    return "\n".join(lines)


def _votes(run: Run, digest: str) -> list[str]:
    cast = votes.read(run)
    own = [pair for pair in votes.pairs(cast) if pair.digest == digest]
    if not own:
        return []
    tally = votes.tally(cast, own[0])
    return ["## Blind votes", f"The tuned model {votes.words(tally)}: {votes.rate(tally)}."]


def _versions(made_with: dict[str, Any]) -> str:
    versions = {**made_with.get("versions", {}), "python": made_with.get("python")}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version) + "."


def _fenced(text: str, language: str = "") -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _plain(text: str) -> str:
    """Foreign text on one line of Markdown, with no markup of its own."""
    for char in "\\`*_[]<>|#":
        text = text.replace(char, "\\" + char)
    return " ".join(text.split())
