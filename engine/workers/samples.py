"""A few held-out questions, answered greedily by the model under way. Imported after unsloth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from peft import PeftModel
from transformers import GenerationConfig

from engine.dataset import Sample
from engine.formats import Conversation, Unusable
from engine.render import ChatFormat
from engine.schema import Recipe
from engine.workers import padding


class Asked(NamedTuple):
    """A prompt as ids, up to where the model answers; in words its last question, and what should be said."""

    ids: list[int]
    question: str
    reference: str


@dataclass(frozen=True)
class Samples:
    """Prompts and how long an answer may be, in tokens: there is room for it within data.max_length."""

    asked: Sequence[Asked]
    chat: ChatFormat
    most: int

    def none(self) -> Samples:
        """The same without a prompt."""
        return replace(self, asked=())


def chosen(recipe: Recipe, validation: Sequence[Sample], chat: ChatFormat) -> Samples:
    """The first validation rows that ask something and leave room: the same for the same rows and seed."""
    plan, found = recipe.evaluate, list[Asked]()
    for sample in validation:
        if len(found) == plan.samples:
            break
        one = asked(sample, chat)
        if one and len(one.ids) + plan.sample_tokens <= recipe.data.max_length:
            found.append(one)
    return Samples(found, chat, plan.sample_tokens)


def asked(sample: Sample, chat: ChatFormat) -> Asked | None:
    """What is asked of a row; None of running text."""
    said = [message["content"] for message in sample.question if message["role"] == "user"]
    if not said or not isinstance(sample.example, Conversation):
        return None  # running text asks nothing
    try:
        ids = chat.prompt_ids(sample.question, sample.example.tools)
    except Unusable:
        return None
    return Asked(ids, said[-1] or "", sample.reference or "")


def answered(model: Any, samples: Samples) -> list[tuple[str, bool]]:
    """The answer to each prompt, and whether it ended by itself, of the model as it is, adapter on or off.

    Raises what torch does where memory runs out.
    """
    if not samples.asked:
        return []
    stops = samples.chat.stop_ids
    ids, mask = padding.left([one.ids for one in samples.asked], stops)
    model.eval()
    try:
        with _plain_settings(model):
            # On a GPU Unsloth has put its own generate here, which goes back to training by itself. The cache
            # is asked for by name: in the model's own settings training has switched it off.
            made = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=GenerationConfig(
                    max_new_tokens=samples.most,
                    do_sample=False,
                    use_cache=True,
                    eos_token_id=stops or None,
                    pad_token_id=stops[0] if stops else 0,
                ),
            )
    finally:
        model.train()
    return [_read(samples.chat, row) for row in made[:, ids.shape[1] :].tolist()]


def _read(chat: ChatFormat, ids: Sequence[int]) -> tuple[str, bool]:
    """What was said before the first end token; other special tokens are shown: they must be seen to."""
    stops = set(chat.stop_ids)
    end = next((place for place, one in enumerate(ids) if one in stops), None)
    return chat.tokenizer.decode(ids[:end], skip_special_tokens=False), end is not None


@contextmanager
def _plain_settings(model: Any) -> Iterator[None]:
    """The model's own defaults (Qwen's repetition penalty, say) would colour what is compared."""
    models = (model, model.get_base_model()) if isinstance(model, PeftModel) else (model,)
    owners = [owner for owner in models if "generation_config" in vars(owner)]
    kept = [owner.generation_config for owner in owners]
    for owner in owners:
        owner.generation_config = GenerationConfig()
    try:
        yield
    finally:
        for owner, settings in zip(owners, kept, strict=True):
            owner.generation_config = settings
