"""One model in memory that answers as the base and as every adapter that is put on it, in the same batch
where they can share one.

Unsloth is not imported here: its fast kernels do not look at which rows wear which adapter, so that "base"
would silently be answered by the tuned model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig
from transformers.pytorch_utils import Conv1D

from engine import fit, models
from engine.errors import RunFailed, UserError
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import adapters, mixed, switching
from engine.workers.adapters import Saved
from engine.workers.mixed import BASE, Rows
from engine.workers.switching import Biases

SMALL_PASS = 2**22
"""Multiplications of its largest layer below which a pass runs on one thread of a processor: to hand work
this small to others takes longer than to do it, much longer while another process wants the same cores.
"""


@dataclass(frozen=True)
class Worn:
    """An adapter in memory, or a model of its own. zero: its B matrices are all zero, its weights all the
    base's, so that it changes nothing; apart: what of it has no room in a batch beside others, or "" where it
    shares one.
    """

    saved: Saved
    name: str  # PEFT's for it
    zero: bool
    apart: str = ""
    biases: Biases = field(default_factory=list)
    model: Any = None  # of a run that trained all weights: its own, beside the base


@dataclass
class Pair:
    """The loaded base with its adapters, by PEFT's names, and how to speak with it."""

    model: Any
    chat: ChatFormat
    stop_ids: list[int]
    context: int  # tokens
    four_bit: bool
    keeps: bool  # whether it can compute the logits of the last positions alone
    threads: int  # of the processor; 1 where that has nothing to compute
    widest: int  # weights of its largest linear layer, the one before the logits apart
    rows: Rows = field(default_factory=Rows)
    peft: Any = None  # the same model as PEFT sees it, from the first adapter on
    fixed: bool = False  # whether it decodes in steps of one shape: static_cache.py
    worn: dict[str, Worn] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def first(self) -> Worn:
        """The adapter that the rest must fit beside."""
        return next(iter(self.worn.values()))

    def passes(self, adapters: Sequence[str]) -> list[list[int]]:
        """Rows by the passes that they share: the base and most adapters one, each other one its own."""
        shared: dict[str, list[int]] = {}
        for row, name in enumerate(adapters):
            apart = name != BASE and self.worn[name].apart
            shared.setdefault(name if apart else "", []).append(row)
        return list(shared.values())

    def forward(self, adapters: Sequence[str], last: int = 0, **inputs: Any) -> torch.Tensor:
        """Logits (rows, positions, vocabulary) of the last `last` positions, or of all.

        adapters: of the rows of one of `passes`; rows of the same adapter stand side by side.
        """
        model = self._turn(adapters[0])
        self.rows.wear(adapters)
        if last and self.keeps:
            inputs["logits_to_keep"] = last
        self.rows.positions = inputs["input_ids"].shape[1]
        if self.threads > 1:
            small = inputs["input_ids"].numel() * self.widest < SMALL_PASS
            torch.set_num_threads(1 if small else self.threads)
        logits: torch.Tensor = model(**inputs).logits
        return logits[:, -last:] if last else logits

    def _turn(self, name: str) -> Any:
        """The model of the next pass: of this adapter alone, or what the others share."""
        worn = self.worn.get(name)
        if worn and worn.model is not None:
            return worn.model
        if self.peft is None:
            return self.model
        alone = worn.name if worn and worn.apart else ""
        for one in self.worn.values():
            for bias, base, own in one.biases:
                bias.data = own if one.name == alone else base
        switching.turn(self.peft, self.rows, alone)
        return self.model


def load(run: Run, step: int | None = None) -> Pair:
    """The run's base, quantised as in training, with its adapter or a checkpoint's. Raises UserError."""
    one = adapters.saved(run, step)
    chat = adapters.chat_format(one)
    if one.whole:
        _check_room(one, models=2)
    base = _base(one)
    pair = Pair(
        model=base,
        chat=chat,
        stop_ids=chat.stop_ids,
        context=int(getattr(base.config, "max_position_embeddings", 0) or 2**31),
        four_bit=one.made_with.get("quantization") is not None,
        keeps=base._supports_logits_to_keep(),
        threads=1 if torch.cuda.is_available() else torch.get_num_threads(),
        widest=_widest(base),
    )
    _wear(pair, one, _name(pair))
    if pair.four_bit:
        from engine.workers import dequantised

        # With the adapter on: PEFT's layers for 4-bit weights are those that answered in training.
        if dequantised.keep_if_room(base, fit.device().free):
            mixed.dress(base, pair.rows)  # they hold their base layers
    return pair


def put_on(pair: Pair, run: Run, step: int | None = None) -> Worn:
    """One more adapter for the base in memory. Raises UserError with the reason where it does not fit."""
    one = adapters.saved(run, step)
    adapters.check_beside(pair.first.saved, pair.chat, one, adapters.chat_format(one))
    name = _name(pair)
    try:
        return _wear(pair, one, name)
    except (ValueError, RuntimeError, KeyError) as error:
        take_off(pair, name)
        if pair.peft is None and not one.whole:
            # PEFT has put its layers into the base by then, and gives none of it back.
            pair.model = _base(pair.first.saved)
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{run.name}: its adapter does not fit on the base in memory ({said}); open a comparison"
            " of its own"
        ) from None


def take_off(pair: Pair, name: str) -> None:
    """Free an adapter's memory. The last one stays, as what fits beside it. Raises RunFailed."""
    if list(pair.worn) == [name]:
        raise RunFailed("the last adapter cannot be taken off; close the comparison instead")
    pair._turn(BASE)
    pair.worn.pop(name, None)
    if pair.peft is not None and name in pair.peft.peft_config:
        others = [other for other in pair.peft.peft_config if other != name]
        if not others:
            pair.peft, pair.model = None, pair.peft.unload()
            return
        if pair.peft.active_adapter == name:
            pair.peft.set_adapter(others[0])
        pair.peft.delete_adapter(name)
        mixed.dress(pair.model, pair.rows)


def _name(pair: Pair) -> str:
    return f"adapter{next(pair.numbers)}"


def _wear(pair: Pair, one: Saved, name: str) -> Worn:
    """Load an adapter onto the model, and find out whether it can share a batch; or a model beside it."""
    if one.whole:
        # Of the first one the base is in memory by now.
        _check_room(one)
        own = _loaded(one.folder, one)
        pair.worn[name] = Worn(one, name, _same(own, pair.model), one.apart, model=own)
        return pair.worn[name]
    if pair.peft is not None:
        pair._turn(BASE)
    # PEFT loads an adapter's biases over the base's own.
    before = switching.copied(pair.model) if one.biased else []
    folder, plain = str(one.folder), {"autocast_adapter_dtype": False}
    if pair.peft is None:
        pair.peft = PeftModel.from_pretrained(pair.model, folder, adapter_name=name, **plain)
    else:
        pair.peft.load_adapter(folder, adapter_name=name, **plain)
    pair.peft.eval()
    mixed.dress(pair.model, pair.rows)
    apart = one.apart or switching.reason(pair.peft, name)
    zero = not apart and _is_zero(pair.peft, name)
    pair.worn[name] = Worn(one, name, zero, apart, switching.changed(before))
    # From PEFT's hands the model comes with this adapter switched on wherever it is no LoRA layer.
    pair.rows.alone = name
    pair._turn(BASE)
    if not apart and _mingled(pair, name):
        pair.worn[name] = replace(pair.worn[name], apart="an adapter on a mixture of experts")
    return pair.worn[name]


def _mingled(pair: Pair, name: str) -> bool:
    """Whether the model sends the tokens of a batch on without saying whose they are."""
    two = torch.zeros(2, 2, dtype=torch.long, device=pair.model.device)
    try:
        with torch.inference_mode():
            pair.forward([BASE, name], input_ids=two, use_cache=False)
    except mixed.Apart:
        return True
    return False


def _check_room(one: Saved, models: int = 1) -> None:
    """Raise UserError where so many models of the size of this one have no room."""
    own, free = adapters.own_bytes(one.folder), fit.device().free
    if own * models > free:
        raise UserError(
            f"{one.run.name} trained all weights: base and tuned are two models of {own / 1e9:,.1f} GB, and"
            f" {free / 1e9:,.1f} GB are free; end what else uses the memory, or ask on a larger machine"
        )


def _base(one: Saved) -> Any:
    model_id = one.run.recipe().model.id
    return _loaded(models.locate(model_id) or model_id, one)


def _loaded(place: Path | str, one: Saved) -> Any:
    """A model as this run was trained on it: in its number type, quantised as it was."""
    made_with = one.made_with
    quantization = made_with.get("quantization")
    base = AutoModelForCausalLM.from_pretrained(
        str(place),
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


def _is_zero(peft: Any, name: str) -> bool:
    layers = (layer for layer in peft.modules() if isinstance(layer, LoraLayer))
    return not any(bool(layer.lora_B[name].weight.any()) for layer in layers if name in layer.lora_B)


def _same(one: Any, other: Any) -> bool:
    """Whether two models of the same shape have the same weights."""
    theirs = dict(other.named_parameters())
    return all(
        name in theirs and weight.shape == theirs[name].shape and torch.equal(weight, theirs[name])
        for name, weight in one.named_parameters()
    )


def _widest(model: Any) -> int:
    head = model.get_output_embeddings()
    sizes = [1]
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            sizes.append(module.in_features * module.out_features)
        elif isinstance(module, Conv1D):
            sizes.append(module.weight.numel())
    return max(sizes)
