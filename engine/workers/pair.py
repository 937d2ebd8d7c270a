"""One model in memory that answers as the base and as every adapter that is put on it, in the same batch.

Unsloth is not imported here: its fast kernels do not look at which rows wear which adapter, so that "base"
would silently be answered by the tuned model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig

from engine import fit, models
from engine.errors import RunFailed, UserError
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import adapters, mixed
from engine.workers.adapters import Saved
from engine.workers.mixed import Rows

SMALL_PASS = 2**22
"""Multiplications of its largest layer below which a pass runs on one thread of a processor: to hand work
this small to others takes longer than to do it, much longer while another process wants the same cores.
"""


@dataclass(frozen=True)
class Worn:
    """An adapter in memory. zero: all its B matrices are zero, so that it changes nothing."""

    saved: Saved
    name: str  # PEFT's for it
    zero: bool


@dataclass
class Pair:
    """The loaded base with its adapters, by PEFT's names, and how to speak with it."""

    model: Any
    peft: Any
    chat: ChatFormat
    stop_ids: list[int]
    context: int  # tokens
    four_bit: bool
    rows: Rows
    keeps: bool  # whether it can compute the logits of the last positions alone
    threads: int  # of the processor; 1 where that has nothing to compute
    widest: int  # weights of the largest layer that LoRA is on
    fixed: bool = False  # whether it decodes in steps of one shape: static_cache.py
    worn: dict[str, Worn] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def first(self) -> Worn:
        """The adapter that the rest must fit beside."""
        return next(iter(self.worn.values()))

    def forward(self, last: int = 0, **inputs: Any) -> torch.Tensor:
        """Logits (rows, positions, vocabulary) of the last `last` positions, or of all."""
        if last and self.keeps:
            inputs["logits_to_keep"] = last
        self.rows.positions = inputs["input_ids"].shape[1]
        if self.threads > 1:
            small = inputs["input_ids"].numel() * self.widest < SMALL_PASS
            torch.set_num_threads(1 if small else self.threads)
        logits: torch.Tensor = self.model(**inputs).logits
        return logits[:, -last:] if last else logits


def load(run: Run, step: int | None = None) -> Pair:
    """The run's base, quantised as in training, with its adapter or a checkpoint's. Raises UserError."""
    one = adapters.saved(run, step)
    chat = adapters.chat_format(one)
    base = _base(one)
    name = "adapter1"
    peft = PeftModel.from_pretrained(base, str(one.folder), adapter_name=name, autocast_adapter_dtype=False)
    peft.eval()
    if one.made_with.get("quantization"):
        from engine.workers import dequantised

        dequantised.keep_if_room(peft, fit.device().free)
    pair = Pair(
        model=peft.base_model.model,
        peft=peft,
        chat=chat,
        stop_ids=chat.stop_ids,
        context=int(getattr(base.config, "max_position_embeddings", 0) or 2**31),
        four_bit=one.made_with.get("quantization") is not None,
        rows=Rows(),
        keeps=peft.base_model.model._supports_logits_to_keep(),
        threads=1 if torch.cuda.is_available() else torch.get_num_threads(),
        widest=max(layer.in_features * layer.out_features for layer in _layers(peft)),
    )
    next(pair.numbers)
    _dress(pair)
    pair.worn[name] = Worn(one, name, _is_zero(peft, name))
    return pair


def put_on(pair: Pair, run: Run, step: int | None = None) -> Worn:
    """One more adapter for the base in memory. Raises UserError with the reason where it does not fit."""
    one = adapters.saved(run, step)
    adapters.check_beside(pair.first.saved, pair.chat, one, adapters.chat_format(one))
    name = f"adapter{next(pair.numbers)}"
    try:
        pair.peft.load_adapter(str(one.folder), adapter_name=name, autocast_adapter_dtype=False)
        pair.peft.eval()
        _dress(pair)
    except (ValueError, RuntimeError, KeyError) as error:
        take_off(pair, name)
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{run.name}: its adapter does not fit on the base in memory ({said}); open a comparison"
            " of its own"
        ) from None
    pair.worn[name] = Worn(one, name, _is_zero(pair.peft, name))
    return pair.worn[name]


def take_off(pair: Pair, name: str) -> None:
    """Free an adapter's memory. The last one stays, as what fits beside it. Raises RunFailed."""
    if list(pair.worn) == [name]:
        raise RunFailed("the last adapter cannot be taken off; close the comparison instead")
    pair.worn.pop(name, None)
    if name in pair.peft.peft_config:
        if pair.peft.active_adapter == name:
            pair.peft.set_adapter(next(iter(pair.worn)))
        pair.peft.delete_adapter(name)
    _dress(pair)


def _base(one: Saved) -> Any:
    model_id, made_with = one.run.recipe().model.id, one.made_with
    quantization = made_with.get("quantization")
    base = AutoModelForCausalLM.from_pretrained(
        str(models.locate(model_id) or model_id),
        dtype=getattr(torch, made_with["dtype"]),
        quantization_config=BitsAndBytesConfig.from_dict(quantization) if quantization else None,
        device_map={"": 0} if torch.cuda.is_available() else "cpu",
        trust_remote_code=False,
        use_safetensors=True,  # a hub's model may have pickles too
    )
    for module in base.modules():
        # bitsandbytes repacks CPU weights for a bfloat16 kernel where the processor has one: other numbers
        # than in training, and an error for shapes it cannot block. Unsloth trains with the plain layout.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    # The model's own defaults (Qwen's repetition penalty, say) would colour what is compared.
    base.generation_config = GenerationConfig()
    return base


def _dress(pair: Pair) -> None:
    try:
        mixed.dress(pair.model, pair.rows)
    except ValueError as error:
        raise UserError(f"{error}; merge the adapter and ask that") from None


def _is_zero(peft: Any, name: str) -> bool:
    own = (layer.lora_B[name].weight for layer in _layers(peft) if name in layer.lora_B)
    return not any(bool(weight.any()) for weight in own)


def _layers(peft: Any) -> list[Any]:
    return [layer for layer in peft.modules() if isinstance(layer, LoraLayer)]
