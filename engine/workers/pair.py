"""Base and tuned from ONE model in memory: both answer in the same forward passes.

Unsloth is not imported here: its fast kernels do not look at `adapter_names`, so that "base" would
silently be answered by the tuned model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from peft import PeftModel
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig
from transformers.generation import BaseStreamer, StoppingCriteria, StoppingCriteriaList

from engine import models, render
from engine.errors import RunFailed, UserError
from engine.render import ChatFormat
from engine.runs import Run

Column = Literal["base", "tuned"]
COLUMNS: tuple[Column, ...] = ("base", "tuned")

# PEFT's names: "__base__" is the model without any adapter, "default" the one that was loaded.
ADAPTER_OF: dict[Column, str] = {"base": "__base__", "tuned": "default"}

Told = Callable[[int, str], None]


@dataclass(frozen=True)
class Pair:
    """The loaded model with its adapter, and how to speak with it."""

    model: Any
    chat: ChatFormat
    stop_ids: list[int]
    context: int
    four_bit: bool
    digest: str  # sha256 of the adapter's weights


@dataclass
class Answer:
    """What one row has said so far. `ended`: it stopped by itself."""

    ids: list[int] = field(default_factory=list)
    text: str = ""
    ended: bool = False


def load(run: Run) -> Pair:
    """Load the run's base model as it was quantised in training, with its adapter. Raises UserError."""
    weights = run.adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise UserError(f"{run.name} has no adapter yet; wait until it has saved, or train it to its end")
    recipe = run.recipe()
    made_with = json.loads((run.path / "environment.json").read_text("utf-8"))
    quantization = made_with["quantization"]
    if made_with.get("base") != models.fingerprint(recipe.model.id):
        raise UserError(
            f"{recipe.model.id} is not the model that {run.name} was trained on: its files have changed;"
            " put the former ones back, or train again"
        )
    base = AutoModelForCausalLM.from_pretrained(
        str(models.locate(recipe.model.id) or recipe.model.id),
        dtype=getattr(torch, made_with["dtype"]),
        quantization_config=BitsAndBytesConfig.from_dict(quantization) if quantization else None,
        device_map={"": 0} if torch.cuda.is_available() else "cpu",
        trust_remote_code=False,
    )
    for module in base.modules():
        # bitsandbytes repacks CPU weights for a bfloat16 kernel where the processor has one: other numbers
        # than in training, and an error for shapes it cannot block. Unsloth trains with the plain layout.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    model = PeftModel.from_pretrained(base, str(run.adapter), autocast_adapter_dtype=False)
    model.eval()
    # The model's own defaults (Qwen's repetition penalty, say) would colour what is compared.
    # The template that was trained with lies beside the adapter, whichever it was.
    chat = replace(render.load(run.adapter), reasoning=made_with.get("reasoning", False))
    model.generation_config = base.generation_config = GenerationConfig()
    return Pair(
        model=model,
        chat=chat,
        stop_ids=chat.stop_ids,
        context=int(getattr(base.config, "max_position_embeddings", 0) or 2**31),
        four_bit=quantization is not None,
        digest=hashlib.sha256(weights.read_bytes()).hexdigest(),
    )


def generate(
    pair: Pair,
    asked: Sequence[tuple[Column, Sequence[int]]],
    max_new_tokens: int,
    told: Told = lambda row, text: None,
    cancelled: Callable[[], bool] = lambda: False,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Answer]:
    """Answer prompts' ids, one row each, all rows in the same passes; greedy at temperature 0.

    told(row, text) is called with each new piece of text. Raises RunFailed for a prompt that leaves
    no room for an answer in the model's context.
    """
    prompts = [ids for _, ids in asked]
    longest = max(map(len, prompts))
    room = min(max_new_tokens, pair.context - longest)
    if room < 1:
        raise RunFailed(f"the prompt has {longest} tokens, the model's context is {pair.context}; shorten it")
    ids, mask = _left_padded(prompts, pair.stop_ids[0] if pair.stop_ids else 0)
    speaker = _Speaker(pair, len(asked), told)
    torch.manual_seed(seed)
    with torch.inference_mode():
        pair.model.generate(
            input_ids=ids.to(pair.model.device),
            attention_mask=mask.to(pair.model.device),
            adapter_names=[ADAPTER_OF[column] for column, _ in asked],
            generation_config=GenerationConfig(
                max_new_tokens=room,
                do_sample=temperature > 0,
                **({"temperature": temperature, "top_k": 0} if temperature > 0 else {}),
                eos_token_id=pair.stop_ids or None,
                pad_token_id=pair.stop_ids[0] if pair.stop_ids else 0,
            ),
            streamer=speaker,
            stopping_criteria=StoppingCriteriaList([_Cancelled(cancelled)]),
        )
    speaker.finish()
    return speaker.answers


def _left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of shape (rows, longest), prompts at the right so that answers begin together."""
    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)


class _Speaker(BaseStreamer):  # type: ignore[misc]
    """Gets a (rows,) tensor a step and tells each row's new text."""

    def __init__(self, pair: Pair, rows: int, told: Told) -> None:
        self.answers = [Answer() for _ in range(rows)]
        self._tokenizer = pair.chat.tokenizer
        self._stops = set(pair.stop_ids)
        # Special tokens are shown: a base model that babbles them must be seen to.
        self._streams = [DecodeStream(skip_special_tokens=False) for _ in range(rows)]
        self._told = told
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt_seen:
            self._prompt_seen = True  # generate() hands over the prompt first
            return
        for row, token in enumerate(value.tolist()):
            answer = self.answers[row]
            if answer.ended:
                continue  # padding, until the other rows have ended
            if token in self._stops:
                answer.ended = True
                continue
            answer.ids.append(token)
            if piece := self._streams[row].step(self._tokenizer, token):
                self._told(row, piece)

    def end(self) -> None:
        pass

    def finish(self) -> None:
        for answer in self.answers:
            answer.text = self._tokenizer.decode(answer.ids, skip_special_tokens=False)


class _Cancelled(StoppingCriteria):  # type: ignore[misc]
    """Stops all rows at the next token."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._cancelled(), device=input_ids.device)
