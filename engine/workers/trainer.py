"""TRL's SFTTrainer on our own ids and labels, telling each step as an event. Imported after unsloth."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, TrainerCallback
from trl import SFTConfig, SFTTrainer

from engine import render
from engine.dataset import Sample
from engine.events import EventLog
from engine.recipe import Train
from engine.workers.io import StopFlag

STEPS_FOR_RATE = 20
Row = dict[str, list[int]]


class Trainer(SFTTrainer):  # type: ignore[misc]
    """Counts the tokens of each step and measures loss on the validation rows."""

    tokens = 0
    trained_tokens = 0
    validation: Sequence[Row] = ()

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        self.tokens += int(inputs["attention_mask"].sum())
        self.trained_tokens += int((inputs["labels"] != render.IGNORED).sum())
        return super().training_step(model, inputs, *rest, **named)

    def validation_loss(self) -> float:
        """Mean negative log-likelihood a trained token, in nats, over the validation rows."""
        total, count = 0.0, 0
        size = self.args.per_device_train_batch_size
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(self.validation), size):
                rows = [
                    dict(row) for row in self.validation[start : start + size]
                ]  # the collator pads in place
                batch = {
                    name: value.to(self.model.device) for name, value in self.data_collator(rows).items()
                }
                # The model predicts from the token before, so a row's first label counts for nothing.
                tokens = int((batch["labels"][:, 1:] != render.IGNORED).sum())
                total += float(self.model(**batch).loss) * tokens
                count += tokens
        self.model.train()
        return total / count


class Teller(TrainerCallback):  # type: ignore[misc]
    """Writes a step event after each step, evaluates and saves on time, and passes a wish to stop on."""

    def __init__(self, plan: Train, log: EventLog, stop: StopFlag, save: Callable[[int], None]) -> None:
        self.trainer: Trainer  # set once it is made: it wants its callbacks first
        self._plan, self._log, self._stop, self._save = plan, log, stop, save
        self._recent: deque[tuple[float, int]] = deque(maxlen=STEPS_FOR_RATE)  # (seconds, tokens)
        self._told = (0, 0)
        self.evaluated_at = -1

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._took = time.perf_counter() - self._began
        control.should_training_stop |= self._stop.wanted

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs:
            return
        step, plan = state.global_step, self._plan
        self._tell(state, logs)
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(f"the loss is {logs['loss']} at step {step}")
        if plan.eval_every and step % plan.eval_every == 0:
            self.evaluate(step)
        if plan.save_every and step % plan.save_every == 0:
            self._save(step)

    def evaluate(self, step: int, adapter: bool = True) -> None:
        """Tell the validation loss, with the adapter as it stands or with it switched off."""
        if not self.trainer.validation or self.evaluated_at == step:
            return
        if adapter:
            loss = self.trainer.validation_loss()
            self.evaluated_at = step
        else:
            with self.trainer.model.disable_adapter():
                loss = self.trainer.validation_loss()
        self._log.write("evaluated", step=step, loss=loss, rows=len(self.trainer.validation), adapter=adapter)

    def _tell(self, state: Any, logs: dict[str, Any]) -> None:
        tokens, trained = self.trainer.tokens - self._told[0], self.trainer.trained_tokens - self._told[1]
        self._told = (self.trainer.tokens, self.trainer.trained_tokens)
        self._recent.append((self._took, tokens))
        seconds = [took for took, _ in self._recent]
        self._log.write(
            "step",
            step=state.global_step,
            total=state.max_steps,
            loss=float(logs["loss"]),
            lr=float(logs["learning_rate"]),
            grad_norm=float(logs.get("grad_norm", 0.0)),
            tokens=tokens,
            trained_tokens=trained,
            tokens_per_s=round(sum(tokens for _, tokens in self._recent) / sum(seconds), 1),
            memory=memory(),
            epoch=round(float(state.epoch or 0.0), 4),
            eta=round((state.max_steps - state.global_step) * statistics.median(seconds), 1),
        )


def build(
    plan: Train,
    model: Any,
    tokenizer: Any,
    training: Path,
    digest: str,
    validation: Sequence[Sample],
    teller: Teller,
    folder: str,
) -> Trainer:
    """The trainer for a model with its adapter on, over a file of rows and its digest.

    Raises RuntimeError if TRL would change the rows.
    """
    rows = Dataset.from_file(str(training))
    cuda = torch.cuda.is_available()
    settings = SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation,
        max_steps=plan.total_steps(len(rows)),
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
    trainer = Trainer(
        model=model,
        processing_class=tokenizer,
        args=settings,
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=render.IGNORED),
        callbacks=[teller],
    )
    trainer.validation = _columns(validation)
    teller.trainer = trainer
    # What will be read must be what was rendered: libraries drop and cut rows in silence.
    if render.digest((row["input_ids"], row["labels"]) for row in trainer.train_dataset) != digest:
        raise RuntimeError("the trainer changed the rows it was given; this version of TRL is not supported")
    # TRL turns the adapter of a 4-bit model to bfloat16, whose 8 bits of mantissa lose small updates.
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def memory() -> dict[str, int]:
    """Bytes: of this process in host memory, and torch's share of the GPU where there is one."""
    used = {"rss": psutil.Process().memory_info().rss}
    if torch.cuda.is_available():
        used["allocated"] = torch.cuda.memory_allocated()
        used["reserved"] = torch.cuda.memory_reserved()
        used["peak"] = torch.cuda.max_memory_reserved()
    return used


def _columns(samples: Sequence[Sample]) -> list[Row]:
    return [{"input_ids": sample.rendered.ids, "labels": sample.rendered.labels} for sample in samples]
