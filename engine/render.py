"""A conversation to text, token ids, labels and spans: ONE function for what is shown and what is trained."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import RECIPES
from engine.errors import UserError
from engine.formats import Message, Unusable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IGNORED = -100
"""The label that no loss is computed on (PyTorch's cross entropy ignores it)."""

PLAIN_TEMPLATE = RECIPES / "chat_templates" / "plain.jinja"
MARK = "\ue000"  # from the private use area: no text of people's holds it
Span = tuple[int, int]


@dataclass(frozen=True)
class ChatFormat:
    """A model's tokenizer and chat template, as its folder holds them. No torch in here."""

    tokenizer: Tokenizer
    template: str
    origin: str  # "the model's own" or "plain"
    special_tokens: dict[str, str]  # bos_token, eos_token, ... as templates name them

    @cached_property
    def ends(self) -> re.Pattern[str]:
        """Matches white space and one special token: what closes an answer."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        names = {token.content for token in added if token.special}
        names |= {value for key, value in self.special_tokens.items() if key == "eos_token"}
        return re.compile(r"\s*(?:" + "|".join(map(re.escape, sorted(names, reverse=True))) + ")")

    @cached_property
    def stop_ids(self) -> list[int]:
        """Ids that end an answer: the end token, and whatever the template closes answers with."""
        stops = {self.special_tokens.get("eos_token", "")}
        asked: list[Message] = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
        ]
        text, spans = self.apply(asked)
        for start, end in spans:
            stops.add(text[start:end].removeprefix("Hi").strip())
        ids = (self.tokenizer.token_to_id(stop) for stop in stops if stop)
        return sorted({id for id in ids if id is not None})

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text after which the model answers: exactly what stands before an answer in training.

        Templates' own generation prompt may differ from that (Qwen3's leaves out the empty think
        block that its training text has), so an answer is rendered and cut off.
        """
        text, _ = self._render([*messages, Message(role="assistant", content=_mark(0))])
        before, found, _ = text.partition(_mark(0))
        if not found:
            raise Unusable("mask not certain", "the chat template leaves an answer out")
        return before

    def apply(self, messages: Sequence[Message]) -> tuple[str, list[Span]]:
        """The whole conversation as text, and the characters in it that are answers with their end tokens.

        Raises Unusable where the template refuses, or where the answers cannot be found for certain.
        """
        text, marked = self._render(messages)
        return text, marked or self._answers(messages, text)

    def _render(self, messages: Sequence[Message]) -> tuple[str, list[Span]]:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            texts, marks = render_jinja_template(
                conversations=[list(messages)],
                chat_template=self.template,
                return_assistant_tokens_mask="{% generation" in self.template,
                add_generation_prompt=False,
                **self.special_tokens,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise Unusable("refused by the chat template", str(error)) from None
        return texts[0], [(start, end) for start, end in marks[0]] if marks else []

    def _answers(self, messages: Sequence[Message], text: str) -> list[Span]:
        """Find the answers by rendering again with a mark in place of each.

        The length of the rendered prompt is no measure: for many templates the prompt is not a
        prefix of the whole. If putting the answers back does not give the same text, the template
        looks into answers, and the row is refused rather than guessed.
        """
        answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        marks = {i: _mark(i) for i in answers}
        if any(MARK in message["content"] for message in messages):
            raise Unusable("mask not certain", "the text holds a character that is used as a mark")
        marked = [
            Message(role=message["role"], content=marks.get(i, message["content"]))
            for i, message in enumerate(messages)
        ]
        rest, _ = self._render(marked)
        rebuilt, spans = "", []
        for i, mark in marks.items():
            before, found, rest = rest.partition(mark)
            if not found:
                raise Unusable("mask not certain", "the chat template leaves an answer out")
            rebuilt += before
            content = messages[i]["content"]
            if not text.startswith(content, len(rebuilt)):
                content = content.strip()  # many templates trim
            spans.append((len(rebuilt), len(rebuilt) + len(content)))
            rebuilt += content
        if rebuilt + rest != text:
            raise Unusable("mask not certain", "the chat template changes with what an answer says")
        return [(start, self._closed(text, end)) for start, end in spans]

    def _closed(self, text: str, end: int) -> int:
        closing = self.ends.match(text, end)
        return closing.end() if closing else end


@dataclass(frozen=True)
class Rendered:
    """One row as the model gets it. `labels` has the length of `ids`; spans are characters of `text`."""

    text: str
    ids: list[int]
    labels: list[int]
    spans: list[Span]
    lost: tuple[str, ...]  # roles whose text the template left out without an error

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return sum(label != IGNORED for label in self.labels)


def load(folder: Path) -> ChatFormat:
    """Read tokenizer and chat template from a model's folder. Raises UserError."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise UserError(f"{folder}: no tokenizer.json; save the model's fast tokenizer there")
    try:
        tokenizer = Tokenizer.from_file(str(file))
        config = _json(folder / "tokenizer_config.json")
    except Exception as error:  # the library raises bare Exception for a file it cannot read
        raise UserError(f"{folder}: its tokenizer cannot be read: {error}") from None
    special = {**_json(folder / "special_tokens_map.json"), **config}
    names = {key: _content(value) for key, value in special.items() if key.endswith("_token")}
    template, origin = _template(folder, config)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return ChatFormat(tokenizer, template, origin, {k: v for k, v in names.items() if v is not None})


def render(
    chat: ChatFormat, messages: Sequence[Message], max_length: int, too_long: str = "drop"
) -> Rendered:
    """Text, ids, labels and spans of one conversation; only answers and their end tokens are trained.

    max_length is in tokens; a longer row is cut at its end (too_long="fix") or refused. Raises
    Unusable with the reason.
    """
    text, spans = chat.apply(messages)
    encoding = chat.tokenizer.encode(text, add_special_tokens=False)
    ids: list[int] = encoding.ids
    labels = [
        token if _overlaps(offsets, spans) else IGNORED
        for token, offsets in zip(ids, encoding.offsets, strict=True)
    ]
    if len(ids) > max_length:
        if too_long == "drop":
            raise Unusable("too long", f"{len(ids)} tokens, max_length is {max_length}")
        ids, labels = ids[:max_length], labels[:max_length]
    if all(label == IGNORED for label in labels):
        raise Unusable("nothing to train on", f"the answer begins behind max_length {max_length}")
    lost = tuple(m["role"] for m in messages if m["content"].strip() not in text)
    return Rendered(text, ids, labels, spans, lost)


def digest(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> str:
    """sha256 over ids and labels of all rows in order: equal digests mean equal training data."""
    total = hashlib.sha256()
    for ids, labels in rows:
        total.update(json.dumps([list(ids), list(labels)]).encode())
    return total.hexdigest()


def _mark(number: int) -> str:
    return f"{MARK}{number}{MARK}"


def _overlaps(offsets: Span, spans: Sequence[Span]) -> bool:
    # A token that straddles the seam belongs to the answer: without it the answer's start is never learnt.
    start, end = offsets
    return any(start < stop and end > begin for begin, stop in spans)


def _template(folder: Path, config: dict[str, Any]) -> tuple[str, str]:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8"), "the model's own"
    own = config.get("chat_template")
    if isinstance(own, list):  # several named templates
        own = next((entry["template"] for entry in own if entry.get("name") == "default"), None)
    if own:
        return own, "the model's own"
    return PLAIN_TEMPLATE.read_text("utf-8"), "plain"


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token if isinstance(token, str) else None
