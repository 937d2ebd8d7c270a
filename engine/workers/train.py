"""The detached training process of one run: `python -P -m engine.workers.train RUN_DIRECTORY`.

Reads top to bottom: import Unsloth, render the rows, load the model in 4-bit, put the adapter on, measure
the base model on the validation rows, train on our own ids and labels, save. Facts go to events.jsonl; all
that libraries print goes to worker.log. SIGTERM saves what was learnt so far and ends.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import dataset, models, render, runs, survey, usable
from engine.dataset import Sample
from engine.errors import UserError
from engine.events import EventLog
from engine.ledger import Entry
from engine.recipe import Recipe
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import fetch, rows
from engine.workers.io import StopFlag

PACKAGES = (
    "ift-tui", "torch", "transformers", "unsloth", "unsloth_zoo", "trl", "peft", "bitsandbytes",
    "accelerate", "datasets", "tokenizers",
)  # fmt: skip
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")


class Stopped(Exception):
    """The run was asked to stop before there was anything to save."""


def main() -> int:
    """Run the worker. Exit code 0 for finished or stopped, 1 for failed."""
    os.umask(0o077)
    run = Run(Path(sys.argv[1]))
    lock = runs.hold_lock(run)  # noqa: F841  (held until this process ends)
    stop = StopFlag()
    log = EventLog(run.events)
    try:
        train(run, log, stop)
    except Stopped:
        log.write("stopped", step=0, path=None, reason="stopped before the first step; nothing was trained")
    except UserError as error:
        log.write("failed", reason=str(error), mend="", step=0)
        return 1
    except Exception as error:
        traceback.print_exc()
        reason, mend = explain(error)
        log.write("failed", reason=reason, mend=mend)
        return 1
    return 0


def train(run: Run, log: EventLog, stop: StopFlag) -> None:
    """The whole run. Raises what went wrong; `main` turns it into the last word."""
    recipe = run.recipe()
    log.write("started", name=run.name, model=recipe.model.id)

    _enter("import", log, stop)
    _private_settings()
    import unsloth  # noqa: F401  (before transformers, trl and peft: it patches them)

    _enter("render", log, stop)
    chat = dataset.chat_format(recipe)
    training, digest, validation, reasoning = _render(run, recipe, chat, log)

    _enter("load", log, stop)
    model, tokenizer = _load(recipe, log)
    _write_environment(run, recipe, model, reasoning)
    from engine.workers.trainer import Teller, build

    def save(step: int) -> None:
        _save(run.path / "checkpoints" / f"step-{step}", step, model, recipe, chat, log)

    teller = Teller(recipe.train, log, stop, save)
    trainer = build(
        recipe.train, model, tokenizer, training, digest, validation, teller, str(run.path / "trainer")
    )

    if validation:
        _enter("baseline", log, stop)
        teller.evaluate(0, adapter=False)

    _enter("train", log, stop)
    trainer.train()
    step = trainer.state.global_step

    if validation and not stop.wanted:
        log.write("phase", phase="evaluate")
        teller.evaluate(step)

    log.write("phase", phase="save")
    _save(run.adapter, step, model, recipe, chat, log)
    log.write("stopped" if stop.wanted else "finished", step=step, path=str(run.adapter))


def explain(error: Exception) -> tuple[str, str]:
    """One sentence for what went wrong, one for what to do; the traceback is in worker.log."""
    name = type(error).__name__
    if name == "OutOfMemoryError":
        return (
            "the GPU's memory ran out",
            "halve train.batch_size and double train.gradient_accumulation, or lower data.max_length",
        )
    if isinstance(error, FloatingPointError):
        return str(error), "lower train.learning_rate, or look at the rows of that batch"
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed", "`ift-tui doctor` says what to install"
    text = str(error).strip().splitlines()
    return f"{name}: {text[0] if text else 'no message'}", "worker.log has the details"


def _enter(phase: str, log: EventLog, stop: StopFlag) -> None:
    if stop.wanted:
        raise Stopped
    log.write("phase", phase=phase)


def _private_settings() -> None:
    """What libraries read from the environment: compiled code to a private folder, no calls home."""
    compiled = runs.home() / "compiled"
    compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["UNSLOTH_COMPILE_LOCATION"] = str(compiled)
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _render(
    run: Run, recipe: Recipe, chat: ChatFormat, log: EventLog
) -> tuple[Path, str, list[Sample], bool]:
    """Training rows as ids and labels in a file, their digest, the validation rows, and whether most of the
    training rows think before they answer.

    Each row that is not used as it stands gets its line in the ledger.
    """
    fetch.fetch(recipe)
    data = dataset.opened(recipe, chat)
    counted = usable.surveyed(data, run.rows)
    totals = counted.totals()
    shutil.move(counted.entries, run.ledger)
    held = usable.Few(recipe.evaluate.rows, recipe.data.seed)
    facts: Counter[str] = Counter()
    with run.ledger.open("a", encoding="ascii") as ledger, rows.writer(run.rows / "train.arrow") as write:

        def note(entry: Entry) -> None:
            ledger.write(entry.dumps() + "\n")
            if entry.reason not in survey.COMPARED:
                totals.add(entry)

        def training() -> Iterator[tuple[list[int], list[int]]]:
            for part, sample in usable.samples(data, counted, ("train", "validation"), note):
                rendered = sample.rendered
                if part == "validation":
                    held.offer(sample)
                    continue
                thinks = render.thinks(chat, sample.messages)
                facts.update(
                    count=1, tokens=len(rendered.ids), trained_tokens=rendered.trained, thinks=thinks
                )
                write(rendered.ids, rendered.labels)
                yield rendered.ids, rendered.labels

        digest = render.digest(training())
    left_out = totals.left_out()
    if not facts["count"]:
        raise UserError(f"no row to train on: {sum(left_out.values())} were left out; ledger.jsonl says why")
    if recipe.data.digest not in (None, digest):
        raise UserError("the rows are not those that were previewed; look at the data again, then start anew")
    log.write(
        "rendered",
        count=facts["count"],
        tokens=facts["tokens"],
        trained_tokens=facts["trained_tokens"],
        digest=digest,
        validation=len(held.samples),
        left_out=sum(left_out.values()),
        template=chat.origin,
    )
    if lost := totals.rows["lost text", "kept"]:
        log.write(
            "warned",
            text=f"the chat template leaves text out of {lost} row{'s' * (lost > 1)}",
            mend="see the ledger",
        )
    return run.rows / "train.arrow", digest, held.samples, 2 * facts["thinks"] > facts["count"]


def _load(recipe: Recipe, log: EventLog) -> tuple[Any, Any]:
    """The base model, quantised as asked where that works, with a new adapter on it."""
    import torch
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(models.locate(recipe.model.id) or recipe.model.id),
        max_seq_length=recipe.data.max_length,
        load_in_4bit=recipe.model.load_in_4bit,
        # Without this Unsloth may load another repository's ready-made 4-bit weights in its place.
        use_exact_model_name=True,
        trust_remote_code=False,
    )
    four_bit = bool(getattr(model, "is_loaded_in_4bit", False))
    if recipe.model.load_in_4bit and not four_bit:
        log.write(
            "warned",
            text="this model's layers cannot be quantised to 4 bits here; it is trained unquantised",
            mend="",
        )
    model = FastLanguageModel.get_peft_model(
        model,
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=list(recipe.lora.target_modules) or "all-linear",
        bias="none",
        use_gradient_checkpointing="unsloth" if recipe.train.gradient_checkpointing else False,
        random_state=recipe.train.seed,
        max_seq_length=recipe.data.max_length,
    )
    trainable, total = model.get_nb_trainable_parameters()
    info = models.describe(recipe.model.id)
    log.write(
        "loaded",
        parameters=info.parameters or total - trainable,  # 4-bit tensors hold two weights an element
        trainable=trainable,
        four_bit=four_bit,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        dtype=str(model.dtype).removeprefix("torch."),
    )
    return model, tokenizer


def _write_environment(run: Run, recipe: Recipe, model: Any, reasoning: bool) -> None:
    """What the run was made with: `quantization` is how the comparison loads the same weights, `reasoning`
    whether it leaves room for a thought.
    """
    quantization = getattr(model.config, "quantization_config", None)
    facts = {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": sys.version.split()[0],
        "seed": recipe.train.seed,
        "base": models.fingerprint(recipe.model.id),
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": quantization.to_dict() if quantization is not None else None,
        "reasoning": reasoning,
    }
    (run.path / "environment.json").write_text(json.dumps(facts, indent=2, default=str) + "\n", "utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _save(path: Path, step: int, model: Any, recipe: Recipe, chat: ChatFormat, log: EventLog) -> None:
    """The adapter with its tokenizer and template, complete or absent: written beside, synced, renamed."""
    beside = path.with_name(path.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    model.save_pretrained(str(beside))
    # The base model's own files: what a library saves of a tokenizer may differ from what it read.
    base = models.tokenizer_folder(recipe.model.id)
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, beside / name)
    (beside / "chat_template.jinja").write_text(chat.template, "utf-8")
    for file in (*beside.iterdir(), beside):
        fd = os.open(file, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    shutil.rmtree(path, ignore_errors=True)
    beside.rename(path)
    log.write("saved", step=step, path=str(path))


if __name__ == "__main__":
    sys.exit(main())
