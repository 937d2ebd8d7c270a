"""TRL's SFTTrainer on our own ids and labels, order, schedule and checkpoints. Imported after unsloth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from trl import SFTConfig, SFTTrainer

from engine import render
from engine.dataset import Sample
from engine.schema import Settled
from engine.workers import faults, noise, pace, snapshot
from engine.workers.batches import Collator, Row, Size, kept_apart
from engine.workers.course import Course
from engine.workers.order import Order, of_step
from engine.workers.probing import PROBE
from engine.workers.teller import Teller

ENDLESS = 10**9
"""Steps that transformers is told to train: how many it shall be can change on the way (teller.py)."""


class Tried(NamedTuple):
    """A batch that went into the model: when, its rows, and tokens a row with padding."""

    when: str
    rows: int
    length: int


class Trainer(SFTTrainer):  # type: ignore[misc]
    """Counts the tokens of each step, measures loss on the validation rows, and is resumed exactly.

    `before` is called once, when model and optimizer are as in a step; the optimizer is still without state.

    Resumed from what transformers and TRL save, a 4-bit run gives other losses from its first step on: TRL
    turns the adapter to bfloat16 when it makes a trainer, and PEFT turns it to float32 when it loads a
    checkpoint. The weights are equal then, but every update is rounded in another way. Here the adapter is
    float32 in every life of a run (`build`), and is loaded into the live weights without a change of type.
    """

    plan: Settled
    plus_ratio = 1.0
    """Times the learning rate of LoRA's A that its B has."""
    shrunk = False
    course: Course
    order: Order
    validation: Sequence[Row] = ()
    before: Callable[[], None]
    tried = Tried("the first step", 0, 0)
    """The latest batch, for what is said when memory runs out."""
    size: Size
    """Of the micro-batch under way."""
    waited = 0.0
    """Seconds that the step under way has waited for its rows."""
    losses: Sequence[torch.Tensor] = ()
    """Of the micro-batches of the step under way."""
    norm = 0.0
    lr_scheduler: Any
    current_gradient_accumulation_steps = 1
    """Micro-batches of the step under way, by which TRL weighs the loss of a mixture's router. transformers
    sets it once its loop has begun, and the probe comes before.
    """

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        self.course.tokens += inputs["size"].tokens
        self.course.trained_tokens += inputs["size"].trained
        loss = self.uncounted_step(self.state.global_step + 1, model, inputs, *rest, **named)
        self.losses = [*self.losses, loss]
        return loss

    def uncounted_step(
        self, step: int | None, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any
    ) -> Any:
        """Forward and backward of a micro-batch that the run's course does not count; None: in the probe."""
        self.size = inputs.pop("size")
        self.tried = Tried(f"step {step}" if step else PROBE, self.size.rows, self.size.length)
        faults.memory(step or "probe", shrunk=self.shrunk)
        return super().training_step(model, inputs, *rest, **named)

    def get_batch_samples(self, *arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        found = super().get_batch_samples(*arguments, **named)
        self.waited = time.perf_counter() - began
        return found

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, checkpoint: str | None) -> Any:
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        if self.plan.packing:
            kept_apart(self.model_wrapped)
        if self.plan.neftune:
            noise.add(self.model, self.plan.neftune, lambda: self.size)
        self.before()
        if checkpoint is not None:
            snapshot.load_optimizer(Path(checkpoint), self)
        return prepared

    def compute_loss(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        loss = super().compute_loss(model, {**inputs, **self.size.keys}, *rest, **named)
        if faults.any_wanted():
            size, place = self.plan.batch_size, len(self.losses) * self.plan.batch_size
            rows = self.rows_of_step()[place : place + size]
            loss = faults.spoiled(loss, self.state.global_step + 1, rows)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.norm = float(norm)
        return norm

    def unsound(self) -> str:
        """What of the step under way is no number: "loss", "gradient" or ""."""
        if not all(math.isfinite(float(loss)) for loss in self.losses):
            return "loss"
        # With 16-bit floats gradients may overflow: the scaler sees to it, and passes such a step over.
        return "" if math.isfinite(self.norm) or self.accelerator.scaler is not None else "gradient"

    def rows_of_step(self) -> list[int]:
        """Numbers of all rows of the step under way, in training order."""
        rows, size = len(self.order), self.plan.rows_a_step
        return of_step(rows, size, self.plan.seed, self.state.global_step + 1, self.order.left_out)

    def forget_loss(self) -> None:
        """Take a loss that is no number out of transformers' running sum, where it would stay for ever."""
        self._tr_loss.zero_()

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Order:
        return self.order

    def create_optimizer(self, *arguments: Any, **named: Any) -> Any:
        """Groups of parameters, each with a highest rate of its own; the first one's is the recipe's."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(*arguments, **named)
        if fresh and self.plus_ratio != 1:
            of_b = {id(weight) for name, weight in self.model.named_parameters() if ".lora_B." in name}
            for group in list(optimizer.param_groups):
                apart = [weight for weight in group["params"] if id(weight) in of_b]
                group["params"] = [weight for weight in group["params"] if id(weight) not in of_b]
                rate = group["lr"] * self.plus_ratio
                optimizer.add_param_group({**group, "params": apart, "lr": rate})
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self.rate)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def rate(self, step: int) -> float:
        """The learning rate after that many steps, as a share of the recipe's."""
        return pace.rate(self.plan, self.course.planned, self.course.changes, step)

    def set_rate(self, step: int) -> None:
        """Have the rate that belongs to a step now: it may have been told since the one before ended."""
        rates = [base * self.rate(step) for base in self.lr_scheduler.base_lrs]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.lr_scheduler._last_lr = rates  # what transformers reports

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        snapshot.load_weights(Path(resume_from_checkpoint), self.model)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        # Called when the batches that come before are passed over: their order draws random numbers too.
        if checkpoint is not None:
            snapshot.load_random(Path(checkpoint))

    def validation_loss(self, when: str, rows: Sequence[Row] = ()) -> float:
        """Mean negative log-likelihood a trained token, in nats, over rows, or over all validation rows.

        when: in words, for what is said if memory runs out in it.
        """
        total, count = 0.0, 0
        rows, size = rows or self.validation, self.args.per_device_train_batch_size
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(rows), size):
                batch = self.data_collator(rows[start : start + size])
                measured = batch.pop("size")
                self.tried = Tried(when, measured.rows, measured.length)
                # The model predicts from the token before, so a row's first label counts for nothing.
                tokens = int((batch["labels"][:, 1:] != render.IGNORED).sum())
                batch = {name: value.to(self.model.device) for name, value in batch.items()}
                total += float(self.model(**batch, **measured.keys).loss) * tokens
                count += tokens
        self.model.train()
        return total / count


def build(
    plan: Settled,
    plus_ratio: float,
    model: Any,
    tokenizer: Any,
    rows: Dataset,
    digest: str,
    validation: Sequence[Sample],
    course: Course,
    teller: Teller,
    before: Callable[[], None],
    folder: str,
    shrunk: bool,
) -> Trainer:
    """The trainer for a model as `load` gives it, over rows and their digest.

    Raises RuntimeError if TRL would change the rows.
    """
    cuda = torch.cuda.is_available()
    settings = SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation,
        max_steps=ENDLESS,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        gradient_checkpointing=plan.gradient_checkpointing,  # TRL's own default is yes
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
        dataloader_num_workers=plan.loader_workers,
        dataloader_pin_memory=cuda,
        # A copy that is waited for would wait for all that the GPU has still to do.
        accelerator_config={"non_blocking": cuda},
        max_length=None,  # rows have been cut or listed already, by the recipe's rule
        packing=False,
    )
    trainer = Trainer(
        model=model,
        processing_class=tokenizer,
        args=settings,
        train_dataset=rows,
        # With a collator of one's own Unsloth lets the rows alone; else it packs them as it sees fit.
        data_collator=Collator(tokenizer.pad_token_id or 0, plan.packing),
        callbacks=[teller],
    )
    teller.trainer = trainer
    trainer.plan, trainer.course, trainer.before, trainer.shrunk = plan, course, before, shrunk
    trainer.plus_ratio = plus_ratio
    size = plan.rows_a_step
    trainer.order = Order(len(rows), size, plan.seed, course.left_out)
    trainer.validation = _columns(validation)
    # What will be read must be what was rendered: libraries drop and cut rows in silence.
    if render.digest((row["input_ids"], row["labels"]) for row in trainer.train_dataset) != digest:
        raise RuntimeError("the trainer changed the rows it was given; this version of TRL is not supported")
    # TRL turns the adapter of a 4-bit model to bfloat16, whose 8 bits of mantissa lose small updates; where
    # all weights are trained, a model may have come in it.
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def _columns(samples: Sequence[Sample]) -> list[Row]:
    return [{"input_ids": sample.rendered.ids, "labels": sample.rendered.labels} for sample in samples]
