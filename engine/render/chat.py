"""A model's tokenizer and chat template: conversations to text, and where the answers stand in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import RECIPES
from engine.errors import UserError
from engine.formats import Message, Unusable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLAIN_TEMPLATE = RECIPES / "chat_templates" / "plain.jinja"
MARK = "\ue000"  # from the private use area: no text of people's holds it
OWN_MARKS = re.compile(r"\{%[-+]?\s*generation\b")
# What a template's own mistakes raise, besides Jinja's errors.
FOREIGN = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)

Span = tuple[int, int]
Tools = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ChatFormat:
    """A model's tokenizer and chat template, as its folder holds them. No torch in here."""

    tokenizer: Tokenizer
    template: str
    origin: str  # "the model's own" or "plain"
    special_tokens: dict[str, str]  # bos_token, eos_token, ... as templates name them
    add_bos: bool = False  # the model's settings ask for a begin token before raw text

    @cached_property
    def ends(self) -> re.Pattern[str]:
        """Matches white space and one special token: what closes an answer."""
        names = {*self.special, *(v for k, v in self.special_tokens.items() if k == "eos_token")}
        return re.compile(r"\s*(?:" + "|".join(map(re.escape, sorted(names, reverse=True))) + ")")

    @cached_property
    def special(self) -> frozenset[str]:
        """The texts of the tokenizer's control tokens."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        return frozenset(token.content for token in added if token.special)

    @cached_property
    def controls(self) -> re.Pattern[str]:
        """Matches a control token in people's text. Some tokenizers have thousands: they are grouped."""
        grouped = [
            re.escape(start) + "(?:" + "|".join(re.escape(name[3:]) for name in names) + ")"
            for start, names in groupby(sorted(self.special, reverse=True), key=lambda name: name[:3])
        ]
        return re.compile("|".join(grouped) or "(?!)")

    @cached_property
    def begin(self) -> str:
        """The begin token that raw text gets, by the tokenizer's own rule or the model's settings; or ""."""
        bos = self.special_tokens.get("bos_token", "")
        number = self.tokenizer.token_to_id(bos) if bos else None
        ids = self.tokenizer.encode("a", add_special_tokens=True).ids
        return bos if number is not None and (self.add_bos or ids[:1] == [number]) else ""

    @cached_property
    def end(self) -> str:
        """The end token that closes raw text; "" where the vocabulary has none."""
        eos = self.special_tokens.get("eos_token", "")
        return eos if eos and self.tokenizer.token_to_id(eos) is not None else ""

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

    def prompt(self, messages: Sequence[Message], tools: Tools = ()) -> str:
        """The text after which the model answers: exactly what stands before an answer in training.

        Templates' own generation prompt may differ from that (Qwen3's leaves out the empty think
        block that its training text has), so an answer is rendered and cut off.
        """
        text, _ = self._render([*messages, Message(role="assistant", content=_mark(0))], tools)
        before, found, _ = text.partition(_mark(0))
        if not found:
            raise Unusable("mask not certain", "the chat template leaves an answer out")
        return before

    def apply(self, messages: Sequence[Message], tools: Tools = ()) -> tuple[str, list[Span]]:
        """The whole conversation as text, and for each answer its characters with its end token.

        Raises Unusable where the template refuses, or where the answers cannot be found for certain.
        """
        text, marked = self._render(messages, tools)
        answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        if marked:
            if len(marked) != len(answers):
                said = f"the chat template marks {len(marked)} answers of {len(answers)}"
                raise Unusable("mask not certain", said)
            return text, marked
        parsed = [i for i in answers if self._parses(messages[i])]
        spans = self._plain_answers(messages, tools, text, [i for i in answers if i not in parsed])
        for i in parsed:
            spans[i] = self._parsed_answer(messages, tools, text, i)
        found = [spans[i] for i in answers]
        if any(before[1] > after[0] for before, after in pairwise(found)):
            raise Unusable("mask not certain", "the answers overlap in the chat template's text")
        return text, found

    def thought(self, message: Message) -> tuple[str, str]:
        """An answer's reasoning and the rest of it, as the template takes it apart."""
        content = message["content"]
        if "</think>" in content and "</think>" in self.template and "reasoning_content" not in message:
            before, _, rest = content.rpartition("</think>")
            return before.rpartition("<think>")[2].strip(), rest.strip()
        return message.get("reasoning_content", "").strip(), content.strip()

    def _parses(self, message: Message) -> bool:
        """Whether the template makes more of this answer than its text: calls, or a thought."""
        if "tool_calls" in message:
            return True
        if "reasoning_content" in message and "reasoning_content" in self.template:
            return True
        return "</think>" in message["content"] and "</think>" in self.template

    def _render(
        self, messages: Sequence[Message], tools: Tools, asking: bool = False
    ) -> tuple[str, list[Span]]:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            texts, marks = render_jinja_template(
                conversations=[list(messages)],
                tools=list(tools) or None,
                chat_template=self.template,
                return_assistant_tokens_mask=bool(OWN_MARKS.search(self.template)),
                add_generation_prompt=asking,
                **self.special_tokens,
            )
        except (TemplateError, *FOREIGN) as error:
            called = any(m["role"] == "tool" or "tool_calls" in m for m in messages)
            raise Unusable("tools" if called else "refused by the chat template", str(error)) from None
        return texts[0], [(start, end) for start, end in marks[0]] if marks else []

    def _plain_answers(
        self, messages: Sequence[Message], tools: Tools, text: str, answers: Sequence[int]
    ) -> dict[int, Span]:
        """Find answers by rendering again with a mark in place of each.

        The length of the rendered prompt is no measure: for many templates the prompt is not a
        prefix of the whole. If putting the answers back does not give the same text, the template
        looks into answers, and the row is refused rather than guessed.
        """
        if not answers:
            return {}
        if any(MARK in message["content"] for message in messages):
            raise Unusable("mask not certain", "the text holds a character that is used as a mark")
        marked = list(messages)
        for i in answers:
            marked[i] = {**messages[i], "content": _mark(i)}
        rest, _ = self._render(marked, tools)
        rebuilt: list[str] = []
        position, spans = 0, {}
        for i in answers:
            before, found, rest = rest.partition(_mark(i))
            if not found:
                raise Unusable("mask not certain", "the chat template leaves an answer out")
            start = position + len(before)
            content = messages[i]["content"]
            if not text.startswith(content, start):
                content = content.strip()  # many templates trim
            rebuilt += before, content
            position = start + len(content)
            spans[i] = start, self._closed(text, position)
        if "".join(rebuilt) + rest != text:
            raise Unusable("mask not certain", "the chat template changes with what an answer says")
        return spans

    def _parsed_answer(self, messages: Sequence[Message], tools: Tools, text: str, i: int) -> Span:
        """Find an answer that the template takes apart: from the prompt before it to its end as the last.

        Templates that drop the thoughts of earlier turns (Qwen3) are known by the rest of the answer, which
        must follow the prompt. Anything else that does not agree is refused.
        """
        asking, _ = self._render(messages[:i], tools, asking=True)
        # The longer one: an empty think block that training text has belongs to the prompt.
        prompts = asking, self.prompt(messages[:i], tools)
        start = max((len(prompt) for prompt in prompts if text.startswith(prompt)), default=-1)
        whole, _ = self._render(messages[: i + 1], tools)
        if start < 0 or not whole.startswith(text[:start]):
            raise Unusable("mask not certain", f"no prompt of the chat template leads to turn {i + 1}")
        answer = whole[start:].rstrip()
        if not text.startswith(answer, start):
            answer = THOUGHT.sub("", answer, count=1)
            if not answer or not text.startswith(answer, start):
                raise Unusable("mask not certain", f"turn {i + 1} ends in a way that cannot be found")
        return start, start + len(answer)

    def _closed(self, text: str, end: int) -> int:
        closing = self.ends.match(text, end)
        return closing.end() if closing else end


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
    known = {key: value for key, value in names.items() if value is not None}
    return ChatFormat(tokenizer, template, origin, known, config.get("add_bos_token") is True)


def _mark(number: int) -> str:
    return f"{MARK}{number}{MARK}"


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
