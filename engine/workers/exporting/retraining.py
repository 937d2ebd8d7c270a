"""A run for others to train again: its ids and labels as they were, its settings in their words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from engine import dataset, exports, render, usable
from engine.errors import UserError
from engine.exports import axolotl, llamafactory, script
from engine.runs import Run
from engine.schema import Recipe, Settled
from engine.sources import Part
from engine.workers import amends
from engine.workers.adapters import Saved
from engine.workers.exporting import adapter, first

PARTS: tuple[Part, ...] = ("train",)


@dataclass(frozen=True)
class Trained:
    """A run as it was trained: [train] with all its values, its schedule's steps, and what none says."""

    recipe: Recipe
    plan: Settled
    steps: int
    remarks: list[str]


def trained(one: Saved) -> Trained:
    """Raises UserError for a run whose settings or rows are not there any more."""
    run = one.run
    settled = run.plan()
    if settled is None or not (run.rows / "train.arrow").is_file():
        raise UserError(
            f"{run.name}: its rows are not in its folder any more; it cannot be written as a script"
        )
    made, state = amends.load(run), run.state()
    plan = made.applied(settled)
    steps = plan.total_steps(sum(len(batch) for batch in _batches(run)))
    remarks = []
    if not exports.on_the_hub(one.run):
        remarks.append(
            f"the base {adapter.base_name(one)} has no id on the hub: name its folder, to train.py as BASE"
        )
    if made.left_out:
        remarks.append(f"the run left {sum(len(gone.rows) for gone in made.left_out)} rows out after faults")
    for step, what, value in state.told:
        if what in ("learning rate", "steps"):
            remarks.append(f"the run was told another {what}, {value:g}, at step {step}")
    if plan.packing:
        remarks.append(
            "the run laid the rows of a micro-batch behind one another; here they are padded, and losses may"
            " differ in their last digits"
        )
    if state.kept_best:
        remarks.append(f"the run kept the adapter of step {state.kept_best['step']}, its best evaluation")
    elif one.step < steps and not any(what == "steps" for _, what, _ in state.told):
        remarks.append(f"the run's adapter is that of step {one.step} of {steps}")
    return Trained(run.recipe(), plan, steps, remarks)


def as_script(one: Saved, told: Trained, base: Path, out: Path) -> None:
    """train.py and its rows; base: the folder of the model, as in the others."""
    rows(one, out / script.ROWS)
    start = first.write(one, base, out)
    targets = told.recipe.lora.target_modules
    text = script.text(
        told.recipe,
        told.plan,
        told.steps,
        adapter.base_name(one),
        targets,
        one.made_with["versions"],
        told.remarks,
        start,
    )
    (out / script.NAME).write_text(text, "utf-8")


def as_axolotl(one: Saved, told: Trained, template: str, base: Path, out: Path) -> None:
    """A configuration and its rows."""
    rows(one, out / axolotl.ROWS, with_mask=True)
    start = first.write(one, base, out)
    targets, name = one.config.get("target_modules", ()), adapter.base_name(one)
    text = axolotl.text(told.recipe, told.plan, told.steps, name, template, targets, told.remarks, start)
    (out / axolotl.NAME).write_text(text, "utf-8")


def as_llamafactory(one: Saved, told: Trained, base: Path, out: Path) -> None:
    """A configuration, the rows as a tokenized dataset, and the conversations with their entry."""
    from datasets import Dataset, DatasetDict

    table = Dataset.from_generator(lambda: _lines(one.run, True), cache_dir=str(out / ".cache"))
    DatasetDict({"train": table}).save_to_disk(str(out / llamafactory.TOKENIZED))
    _forget(out / ".cache")
    with (out / llamafactory.CONVERSATIONS).open("w", encoding="utf-8") as file:
        for messages in _conversations(told.recipe):
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    start = first.write(one, base, out)
    targets, name = one.config.get("target_modules", ()), adapter.base_name(one)
    text = llamafactory.text(told.recipe, told.plan, told.steps, name, targets, told.remarks, start)
    (out / llamafactory.NAME).write_text(text, "utf-8")
    (out / llamafactory.INFO).write_text(llamafactory.info(told.recipe), "utf-8")


def rows(one: Saved, file: Path, with_mask: bool = False) -> None:
    """The run's rows as JSON lines, in its order. Raises UserError where they have changed since."""
    digest = render.digest((line["input_ids"], line["labels"]) for line in _lines(one.run))
    if digest != one.made_with["digest"]:
        raise UserError(f"{one.run.name}: the rows in its folder are not those it was trained on")
    with file.open("w", encoding="ascii") as stream:
        for line in _lines(one.run, with_mask):
            stream.write(json.dumps(line, separators=(",", ":")) + "\n")


def _lines(run: Run, with_mask: bool = False) -> Iterator[dict[str, list[int]]]:
    for batch in _batches(run):
        for row in batch.select(["input_ids", "labels"]).to_pylist():
            yield {**row, "attention_mask": [1] * len(row["input_ids"])} if with_mask else row


def _batches(run: Run) -> Iterator[Any]:
    with pa.memory_map(str(run.rows / "train.arrow")) as file, pa.ipc.open_stream(file) as stream:
        yield from stream


def _conversations(plan: Recipe) -> Iterator[list[dict[str, str]]]:
    """What the training rows say, where they are conversations and their files are still there."""
    try:
        data = dataset.opened(plan)
        with TemporaryDirectory() as folder:
            counted = usable.surveyed(data, Path(folder))
            for _, sample in usable.samples(data, counted, PARTS):
                if sample.messages:
                    yield [{"role": one["role"], "content": one["content"]} for one in sample.messages]
    except UserError:
        return  # the tokenized rows are what counts, and they are here


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
