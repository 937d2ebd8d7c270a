"""The detached training process of one run: `python -P -m engine.workers.train RUN_DIRECTORY`.

Reads top to bottom: import Unsloth, render the rows, load the model in 4-bit, put the adapter on, measure
the base model on the validation rows, train on our own ids and labels, save. Facts go to events.jsonl; all
that libraries print goes to worker.log. SIGTERM saves what was learnt so far and ends.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import sys
import time
import traceback
from collections import deque
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import dataset, models, render, runs
from engine.dataset import Sample
from engine.errors import UserError
from engine.events import EventLog
from engine.recipe import Recipe
from engine.render import ChatFormat
from engine.runs import Run
from engine.sources import LeftOut
from engine.workers.io import StopFlag

PACKAGES = (
    "ift-tui", "torch", "transformers", "unsloth", "unsloth_zoo", "trl", "peft", "bitsandbytes",
    "accelerate", "datasets", "tokenizers",
)  # fmt: skip
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
)
STEPS_FOR_RATE = 20


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
        log.write(
            "stopped",
            step=0,
            path=None,
            reason="stopped before the first step; nothing was trained",
        )
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
    samples, validation = _render(run, recipe, chat, log)

    _enter("load", log, stop)
    model, tokenizer = _load(recipe, log)
    trainer = _trainer(run, recipe, model, tokenizer, samples, validation, log, stop)

    if validation:
        _enter("baseline", log, stop)
        trainer.measure_base()

    _enter("train", log, stop)
    trainer.train()

    if validation and not stop.wanted and not trainer.measured_last_step:
        _enter("evaluate", log, stop)
        trainer.measure()

    log.write("phase", phase="save")
    save_adapter(run.adapter, model, recipe, chat)
    step = trainer.state.global_step
    log.write("saved", step=step, path=str(run.adapter))
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


def _render(run: Run, recipe: Recipe, chat: ChatFormat, log: EventLog) -> tuple[list[Sample], list[Sample]]:
    """Training and validation rows as ids and labels; each row not used gets its line in the ledger."""
    left_out = 0
    with run.ledger.open("w", encoding="utf-8") as ledger:

        def note(entry: LeftOut) -> None:
            nonlocal left_out
            left_out += 1
            ledger.write(json.dumps(asdict(entry), ensure_ascii=True) + "\n")

        training = list(dataset.samples(recipe, "train", chat, note))
        validation = list(dataset.samples(recipe, "validation", chat, note))
    if not training:
        raise UserError(f"no row to train on: {left_out} rows were left out; ledger.jsonl says why")
    digest = render.digest((s.rendered.ids, s.rendered.labels) for s in training)
    if recipe.data.digest not in (None, digest):
        raise UserError("the rows are not those that were previewed; look at the data again, then start anew")
    # A fixed choice of rows, so that validation losses of one recipe can be compared.
    chosen = random.Random(recipe.data.seed).sample(validation, min(len(validation), recipe.evaluate.rows))
    log.write(
        "rendered",
        count=len(training),
        tokens=sum(len(s.rendered.ids) for s in training),
        trained_tokens=sum(s.rendered.trained for s in training),
        digest=digest,
        validation=len(chosen),
        left_out=left_out,
        template=chat.origin,
    )
    lost = sum(bool(s.rendered.lost) for s in training)
    if lost:
        log.write(
            "warned",
            text=f"the chat template leaves text out of {lost} rows",
            mend="see the preview",
        )
    return training, chosen


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


def _trainer(
    run: Run,
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    samples: list[Sample],
    validation: list[Sample],
    log: EventLog,
    stop: StopFlag,
) -> Any:
    """TRL's SFTTrainer on our ids and labels, telling each step as an event."""
    import psutil
    import torch
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    cuda = torch.cuda.is_available()
    plan = recipe.train
    settings = SFTConfig(
        output_dir=str(run.path / "trainer"),
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation,
        max_steps=plan.total_steps(len(samples)),
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.schedule,
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        optim="adamw_8bit" if plan.optimizer == "adamw_8bit" and cuda else "adamw_torch",
        bf16=cuda and torch.cuda.is_bf16_supported(),
        fp16=cuda and not torch.cuda.is_bf16_supported(),
        seed=plan.seed,
        data_seed=plan.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would hide a NaN behind a running mean
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        max_length=None,  # rows have been cut or listed already, by the recipe's rule
        packing=False,
    )

    class Trainer(SFTTrainer):  # type: ignore[misc]
        """Counts the tokens of each step and measures loss on the validation rows."""

        tokens = 0
        trained_tokens = 0
        measured_last_step = False

        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            self.tokens += int(inputs["attention_mask"].sum())
            self.trained_tokens += int((inputs["labels"] != render.IGNORED).sum())
            return super().training_step(model, inputs, *rest, **named)

        def measure(self) -> None:
            """Loss with the adapter, as it stands."""
            loss = self._validation_loss()
            log.write(
                "evaluated",
                step=self.state.global_step,
                loss=loss,
                rows=len(validation),
                adapter=True,
            )

        def measure_base(self) -> None:
            """Loss of the base model on the same rows: the adapter is switched off."""
            with self.model.disable_adapter():
                loss = self._validation_loss()
            log.write("evaluated", step=0, loss=loss, rows=len(validation), adapter=False)

        def _validation_loss(self) -> float:
            """Mean negative log-likelihood a trained token, in nats."""
            total, count = 0.0, 0
            self.model.eval()
            with torch.no_grad():
                for start in range(0, len(validation), plan.batch_size):
                    rows = columns(validation[start : start + plan.batch_size])
                    batch = {k: v.to(self.model.device) for k, v in self.data_collator(rows).items()}
                    tokens = int((batch["labels"][:, 1:] != render.IGNORED).sum())
                    total += float(self.model(**batch).loss) * tokens
                    count += tokens
            self.model.train()
            return total / count

    class Teller(TrainerCallback):  # type: ignore[misc]
        """Writes a step event after each step, evaluates and saves on time, and passes the stop on."""

        def __init__(self) -> None:
            self.trainer: Any = None
            self.recent: deque[tuple[float, int]] = deque(maxlen=STEPS_FOR_RATE)  # (seconds, tokens)
            self.told = (0, 0)

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.took = time.perf_counter() - self.began
            control.should_training_stop |= stop.wanted

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            if "loss" not in logs:
                return
            self._tell(state, logs)
            if plan.eval_every and state.global_step % plan.eval_every == 0 and validation:
                self.trainer.measure()
                self.trainer.measured_last_step = state.global_step == state.max_steps
            if plan.save_every and state.global_step % plan.save_every == 0:
                path = run.path / "checkpoints" / f"step-{state.global_step}"
                save_adapter(path, model, recipe, dataset.chat_format(recipe))
                log.write("saved", step=state.global_step, path=str(path))

        def _tell(self, state: Any, logs: dict[str, Any]) -> None:
            loss = float(logs["loss"])
            tokens, trained = self.trainer.tokens, self.trainer.trained_tokens
            new_tokens, new_trained = tokens - self.told[0], trained - self.told[1]
            self.told = (tokens, trained)
            self.recent.append((self.took, new_tokens))
            seconds, recent_tokens = map(sum, zip(*self.recent, strict=True))
            log.write(
                "step",
                step=state.global_step,
                total=state.max_steps,
                loss=loss,
                lr=float(logs["learning_rate"]),
                grad_norm=float(logs.get("grad_norm", 0.0)),
                tokens=new_tokens,
                trained_tokens=new_trained,
                tokens_per_s=round(recent_tokens / seconds, 1),
                memory=memory(),
                epoch=round(float(state.epoch or 0.0), 4),
                eta=round(
                    (state.max_steps - state.global_step) * statistics.median(s for s, _ in self.recent), 1
                ),
            )
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise FloatingPointError(f"the loss is {loss} at step {state.global_step}")

    def memory() -> dict[str, int]:
        """Bytes: of this process in host memory, and torch's share of the GPU where there is one."""
        used = {"rss": psutil.Process().memory_info().rss}
        if cuda:
            used["allocated"] = torch.cuda.memory_allocated()
            used["reserved"] = torch.cuda.memory_reserved()
            used["peak"] = torch.cuda.max_memory_reserved()
        return used

    def columns(rows: list[Sample]) -> list[dict[str, list[int]]]:
        return [{"input_ids": s.rendered.ids, "labels": s.rendered.labels} for s in rows]

    teller = Teller()
    trainer = Trainer(
        model=model,
        processing_class=tokenizer,
        args=settings,
        train_dataset=Dataset.from_list(columns(samples)),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=render.IGNORED),
        callbacks=[teller],
    )
    teller.trainer = trainer
    _check_rows(trainer.train_dataset, samples)
    # TRL turns the adapter of a 4-bit model to bfloat16, whose 8 bits of mantissa lose small updates.
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    _write_environment(run, recipe, model)
    return trainer


def _check_rows(prepared: Any, samples: list[Sample]) -> None:
    """What the trainer will read must be what was rendered: libraries drop and cut rows in silence."""
    kept = render.digest((row["input_ids"], row["labels"]) for row in prepared)
    ours = render.digest((s.rendered.ids, s.rendered.labels) for s in samples)
    if kept != ours:
        raise RuntimeError("the trainer changed the rows it was given; this version of TRL is not supported")


def _write_environment(run: Run, recipe: Recipe, model: Any) -> None:
    """What the run was made with; `quantization` is how the comparison loads the same weights."""
    quantization = getattr(model.config, "quantization_config", None)
    facts = {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": sys.version.split()[0],
        "seed": recipe.train.seed,
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": quantization.to_dict() if quantization is not None else None,
    }
    (run.path / "environment.json").write_text(json.dumps(facts, indent=2, default=str) + "\n", "utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def save_adapter(path: Path, model: Any, recipe: Recipe, chat: ChatFormat) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
