"""The page of a recipe that was trained and measured: what the files of its runs say."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from engine import RECIPES, evals, fit, memory, recipe, runs
from engine.errors import UserError
from engine.evals import Evaluation
from engine.footprint import Device, Plan
from engine.runs import Run
from engine.schema import Recipe
from engine.shapes import Shapes
from engine.state import RunState
from scripts import presets, recipe_figures
from tui.commands.train import changed

ROOT = RECIPES.parent
PAGES = ROOT / "docs" / "recipes"
PLAN = Path(__file__).with_name("recipe_reports.toml")
SHOWN = 3
"""Rows of each set whose answers stand in a page."""
LONGEST, LINES = 400, 8
"""Characters and lines of an answer that are shown: a base model runs on."""
SIZES = ("135M", "1B", "4B", "8B")
DATE = re.compile(r"\b\d{8}-\d{6}-")
"""What stands before a run's name in that of its folder."""
LENGTH = 1024
"""Of the models and rows of the table of memory."""

Measuring = dict[str, Any]
"""A table of scripts/recipe_reports.toml."""


def index() -> str:
    """The page that names the others, and the recipes that have none yet."""
    lines = ["# Recipes", "", "`ift-tui train NAME`, or N on the first screen, begins from one of these.", ""]
    for file in recipe.bundled():
        there = (PAGES / f"{file.stem}.md").is_file()
        name = f"[{file.stem}]({file.stem}.md)" if there else file.stem
        lines.append(f"- {name}: {recipe.purpose(file)}")
    lines += ["", "A page says what came of a recipe on the embedded model; `make recipes` writes it."]
    return "\n".join(lines) + "\n"


def commands(of: str, name: str, plan: Measuring, root: str) -> tuple[list[str], list[str]]:
    """How a run of this name is trained and measured, as words of `ift-tui`."""
    train = ["train", of, *(word for each in _settings(of, name, plan, root) for word in ("--set", each))]
    return train, ["eval", plan.get("measured", name), *plan.get("eval", ())]


def _settings(of: str, name: str, plan: Measuring, root: str) -> list[str]:
    """What is changed of a bundled recipe for a run of this name, as `--set` takes it."""
    own = [f"name={name}"] if name != of else []
    return own + [each.replace("{root}", root) for each in plan.get("set", ())]


def links(name: str) -> list[str]:
    """The names of the runs that a bundled recipe makes, in their order: one, or those of its chain."""
    return [link.name for link in recipe.links(recipe.load(name))]


@cache
def plans() -> dict[str, Measuring]:
    """What is trained and measured, by recipe."""
    return tomllib.loads(PLAN.read_text("utf-8"))


@cache
def expected() -> dict[str, Recipe]:
    """The recipe of every run that is asked for, by the run's name: of chains and variants too."""
    asked: dict[str, Recipe] = {}
    for of, plan in plans().items():
        own = [(variant, changes) for variant, changes in _variants(plan) if "of" not in changes]
        for name, one in [(of, plan), *own]:
            whole = changed(recipe.load(of), _settings(of, name, one, str(ROOT)))
            asked |= {link.name: link for link in recipe.links(whole)}
    return asked


def trained(name: str) -> Run | None:
    """The newest run of this name that was trained to its end by the recipe as it is, told nothing else."""
    wanted = _alone(expected()[name])
    for run in runs.list_runs():
        own, state = run.recipe(), run.state()
        if own.name == name and _alone(own) == wanted and state.status == "finished" and not state.told:
            return run
    return None


def _alone(plan: Recipe) -> Recipe:
    """A recipe without the names of other runs, which are others each time a chain is started."""
    model = plan.model.model_copy(update={"adapter": ""})
    return plan.model_copy(update={"after": "", "then": (), "model": model})


def found(name: str) -> tuple[Run, Evaluation] | None:
    """The run of this name and its evaluation on test rows, where both are there."""
    run = trained(name)
    try:
        return (run, evals.read(run, "test")) if run else None
    except UserError:
        return None


def page(name: str, plan: Measuring) -> str:
    """The whole page of a recipe that was trained and measured."""
    have = found(plan.get("measured", name))
    assert have is not None
    run, measured = have
    lines = [f"# {name}", "", *head(name), "", "## Commands", "", "```sh", *_shell(name, name, plan)]
    variants = {variant: {**plan, "measured": variant, **own} for variant, own in _variants(plan)}
    there = {variant: other for variant in variants if (other := found(variant))}
    for variant in there:
        lines += _shell(variants[variant].get("of", name), variant, variants[variant])
    lines += ["```", *course_of_all(name)]
    lines += [
        "",
        "## On test rows",
        "",
        *recipe_figures.figures(run, measured),
        *recipe_figures.forgetting(measured),
    ]
    if variants:
        lines += [
            "",
            "## What the difference is worth",
            "",
            *recipe_figures.differences(have, variants, there),
        ]
    if plan.get("memory"):
        lines += ["", "## Memory", "", *why_lora()]
    lines += ["", "## Some answers", "", *answers(run, measured), *footer(run, measured)]
    return DATE.sub("", "\n".join(lines) + "\n")


def _variants(plan: Measuring) -> list[tuple[str, Measuring]]:
    return list(plan.get("variants", {}).items())


def head(name: str) -> list[str]:
    """The prose at the head of the recipe, up to its commands, and its paragraph about a real model."""
    said = []
    for line in (RECIPES / f"{name}.toml").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#")
        said.append("" if text.startswith("   ") else text.removeprefix(" "))
    paragraphs = [each for each in "\n".join(said).split("\n\n") if each.strip()]
    return "\n\n".join(each.strip() for each in paragraphs if not each.rstrip().endswith(":")).splitlines()


def _shell(of: str, name: str, plan: Measuring) -> Iterator[str]:
    if plan.get("of") == name:  # a recipe of its own, with a page of its own
        return
    for words in commands(of, name, plan, "$PWD"):
        yield " ".join(["ift-tui", *map(_word, words)])


def _word(word: str) -> str:
    """A word as a shell takes it; $PWD stays to be filled in."""
    if all(char.isalnum() or char in "-_./=" for char in word):
        return word
    return f'"{word}"' if "$" in word else "'" + word + "'"


def course_of_all(name: str) -> list[str]:
    """Rows and losses of each run of a recipe."""
    names = links(name)
    lines: list[str] = []
    for one in names:
        if run := trained(one):
            which = f": {one}" if len(names) > 1 else ""
            lines += [
                "",
                f"## Rows{which}",
                "",
                *rows(run),
                "",
                f"## While it trained{which}",
                "",
                *course(run),
            ]
    return lines


def rows(run: Run) -> list[str]:
    """How many rows and tokens, and what the ledger says, by reason."""
    told = run.state().rendered
    lines = [
        f"{told['count']:,} rows were trained on, {told['tokens']:,} tokens, of which"
        f" {told['trained_tokens']:,} are answers; {told['validation']:,} rows are for validation.",
    ]
    noted = Counter((entry["reason"], entry["done"]) for entry in ledger(run))
    if noted:
        lines += ["", "| ledger | what was done | rows |", "|---|---|---|"]
        lines += [f"| {reason} | {done} | {count:,} |" for (reason, done), count in sorted(noted.items())]
    return lines


def ledger(run: Run) -> Iterator[dict[str, Any]]:
    for line in (run.path / "ledger.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def course(run: Run) -> list[str]:
    """Validation loss, and right answers where they were counted, at each evaluation."""
    state = run.state()
    return _evaluations(state) or [f"{state.step:,} steps, with no row set aside to measure it by."]


def _evaluations(state: RunState) -> list[str]:
    if not state.evaluations:
        return []
    counted = any(one.right is not None for one in state.evaluations)
    lines = ["| step | validation loss |" + (" right |" if counted else ""), "|---|---|" + "---|" * counted]
    if state.base_loss is not None:
        right = f" {state.base_right} |" if counted else ""
        lines.append(f"| 0 (the base) | {state.base_loss:.3f} |{right}")
    for one in state.evaluations:
        right = f" {one.right} of {one.answered} |" if counted else ""
        lines.append(f"| {one.step:,} | {one.loss:.3f} |{right}")
    return lines


def answers(run: Run, measured: Evaluation) -> list[str]:
    """The first rows of each set, as they were asked and answered."""
    lines = []
    for row in (row for _, _, rows in recipe_figures.by_set(run, measured) for row in rows[:SHOWN]):
        before = sum(turn["role"] == "user" for turn in row["question"]) - 1
        asked = f"asked, turn {before + 1}" if before else "asked"
        said = [(asked, evals.question(row)), ("reference", row["reference"])]
        for name in measured.columns:
            first = [step["text"] for step in row[name].get("steps", ())[:-1]]  # of a chain
            said += [(f"{name}, at first", text) for text in first]
            said.append((name, row[name].get("text", "")))
        lines.append("~~~text")
        for who, text in said:
            whole = text.strip().replace("~~~", "~ ~ ~")
            cut = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} ..."
            begin, *others = cut.splitlines() or [""]
            if len(others) >= LINES and who != asked:
                others = [*others[: LINES - 1], "..."]
            lines.append(f"{who + ':':17}{begin}".rstrip())
            lines += [f"{'':17}{line}".rstrip() for line in others]
        lines += ["~~~", ""]
    return lines


def why_lora() -> list[str]:
    """What the forecast says of training an adapter and all weights, by size of the model."""
    lines = [
        f"What `ift-tui memory` forecasts on a GPU for one row of {LENGTH:,} tokens at a time, with gradient",
        "checkpointing and AdamW, and what the result takes on the disk. An adapter is trained beside",
        "weights that stand still, in 4 or in 16 bits; all weights are trained in 32 bits, and for each",
        "there are a gradient and two numbers of the optimizer.",
        "",
        "| | LoRA, 4 bits | LoRA, 16 bits | all weights | an adapter | a model |",
        "|---|---|---|---|---|---|",
    ]
    gpu = Device("cuda", presets.MEMORY[-1] * presets.GB)
    ways = [Plan(LENGTH, 1), Plan(LENGTH, 1, four_bit=False), Plan(LENGTH, 1, four_bit=False, full=True)]
    for size in SIZES:
        model = presets.MODELS[size]
        known = fit.shapes_of(recipe.parse({"model": {"id": model}, "data": {"sources": [{"path": "rows"}]}}))
        assert isinstance(known, Shapes), known
        cells = [f"{memory.forecast(way, known, gpu).total / presets.GB:.1f} GB" for way in ways]
        cells += [f"{memory.disk(way, known).result / presets.GB:.2f} GB" for way in ways[1:]]
        lines.append(f"| {size} ({model.partition('/')[2]}) | {' | '.join(cells)} |")
    return lines


def footer(run: Run, measured: Evaluation) -> list[str]:
    facts = measured.summary
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("torch", "unsloth", "peft"))
    model = facts["model"] + (" in 4 bits" if facts["four_bit"] else "")
    result = "weights" if run.recipe().train.method == "full" else "adapter"
    return [
        f"Written by `make recipes` from the run's files: {model}, {result} {facts['digest'][:12]},"
        f" seed {run.recipe().train.seed}, {versions}."
    ]
