"""A model's tokenizer and chat template: conversations to text, and the tokens that control the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.formats import Message, Unusable
from engine.schema import TrainOn

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from engine.render.controls import Twin
    from engine.render.layout import Draft

MARK = "\ue000"  # from the private use area: no text of people's holds it

# What a template's own mistakes raise, besides Jinja's errors.
FOREIGN = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)

Span = tuple[int, int]
Tools = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ChatFormat:
    """A model's tokenizer and chat template, and what is trained of a row. No torch in here.

    reasoning: the training rows think before they answer, so a prompt leaves the thought to the model.
    tool_template: what transformers takes in the template's place for conversations with tools, or "".
    """

    tokenizer: Tokenizer
    template: str
    origin: str  # "the model's own", the name of a layout, or a file
    special_tokens: dict[str, str]  # bos_token, eos_token, ... as templates name them
    add_bos: bool = False  # the model's settings ask for a begin token before raw text
    train_on: TrainOn = "answers"
    reasoning: bool = False
    tool_template: str = ""

    def taking(self, tools: Tools) -> ChatFormat:
        """The format for a conversation with these tools."""
        return self._for_tools if tools and self.tool_template else self

    @cached_property
    def _for_tools(self) -> ChatFormat:
        return replace(self, template=self.tool_template, tool_template="")

    @cached_property
    def special(self) -> frozenset[str]:
        """The texts of the tokens that control the model: the tokenizer's special ones, and the end token."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        end = self.special_tokens.get("eos_token", "")
        return frozenset(token.content for token in added if token.special or token.content == end)

    @cached_property
    def controls(self) -> re.Pattern[str]:
        """Matches a control token. Some tokenizers have thousands: they are grouped."""
        return re.compile(_any_of(self.special))

    @cached_property
    def names(self) -> list[str]:
        """The control tokens in a fixed order."""
        return sorted(self.special)

    @cached_property
    def twin(self) -> Twin:
        """The tokenizer for text in which people wrote control tokens; made when the first one is met."""
        from engine.render.controls import twin

        return twin(self)

    @cached_property
    def begin(self) -> str:
        """The begin token that raw text gets, by the tokenizer's own rule or the model's settings; or ""."""
        bos = self.special_tokens.get("bos_token", "")
        number = self.tokenizer.token_to_id(bos) if bos else None
        ids = self.tokenizer.encode("a", add_special_tokens=True).ids
        return bos if number is not None and (self.add_bos or ids[:1] == [number]) else ""

    @cached_property
    def begin_id(self) -> int | None:
        """The id of the begin token that templates write."""
        number: int | None = self.tokenizer.token_to_id(self.special_tokens.get("bos_token", ""))
        return number

    @cached_property
    def end(self) -> str:
        """The end token that closes raw text; "" where the vocabulary has none."""
        eos = self.special_tokens.get("eos_token", "")
        return eos if eos and self.tokenizer.token_to_id(eos) is not None else ""

    @cached_property
    def last_closer(self) -> str:
        """The control tokens that the template writes right behind the last answer."""
        try:
            after = self._behind_answers()[1]
        except Unusable:
            return ""
        closing = re.compile(rf"\s*({self.controls.pattern}+)").match(after)
        return closing[1] if closing else ""

    @cached_property
    def closers(self) -> tuple[str, ...]:
        """What closes an answer: behind an earlier one it may be another token than behind the last.

        A token that opens the next turn is none: something else than a control token follows it.
        """
        closing = re.compile(rf"\s*({self.controls.pattern})\s*(?={self.controls.pattern})")
        try:
            earlier = closing.match(self._behind_answers()[0])
        except Unusable:
            earlier = None
        found = {self.end, self.last_closer, earlier[1] if earlier else ""}
        return tuple(sorted(found - {""}, key=lambda closer: (-len(closer), closer)))

    @cached_property
    def ends(self) -> re.Pattern[str]:
        """Matches white space and what closes an answer."""
        return re.compile(rf"\s*(?:{_any_of(self.closers)})")

    @cached_property
    def stop_ids(self) -> list[int]:
        """Ids that end an answer: the end token, and whatever the template closes the last answer with."""
        ids = (
            self.tokenizer.token_to_id(stop)
            for stop in (self.end, *self.controls.findall(self.last_closer)[-1:])
        )
        return sorted({id for id in ids if id is not None})

    @cached_property
    def drafts(self) -> dict[tuple[str, ...], Draft | None]:
        """What the template writes around turns of these roles; kept, because most rows are of few kinds."""
        return {}

    def prompt(self, messages: Sequence[Message], tools: Tools = ()) -> str:
        """The text after which the model answers: exactly what stands before an answer in training.

        Templates' own generation prompt may differ from that (Qwen3's leaves out the empty think block that
        its training text has), so an answer is rendered and cut off. Where the training rows think, what
        stands before the thought is the prompt. Raises Unusable.
        """
        if (other := self.taking(tools)) is not self:
            return other.prompt(messages, tools)
        answer = Message(role="assistant", content=MARK)
        if self.reasoning and "reasoning_content" in self.template:
            answer["reasoning_content"] = MARK
        elif self.reasoning:
            return self.written(messages, tools, asking=True)[0]
        text, _ = self.written([*messages, answer], tools)
        before, found, _ = text.partition(MARK)
        if not found:
            raise Unusable("mask not certain", "the chat template leaves an answer out")
        if self.reasoning:
            # What training rows are asked with, if the template's own prompt leads there: the thought's own
            # opening is then the model's to say.
            asking, _ = self.written(messages, tools, asking=True)
            return asking if before.startswith(asking) else before
        return before

    def prompt_ids(self, messages: Sequence[Message], tools: Tools = ()) -> list[int]:
        """The prompt's ids; control tokens in what people say stay text. Raises Unusable."""
        from engine.render import controls

        if (other := self.taking(tools)) is not self:
            return other.prompt_ids(messages, tools)
        text = self.prompt(messages, tools)
        if not any(map(self.controls.search, controls.peoples(messages, tools))):
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
            return ids
        return controls.encoded(self, controls.hidden(self, messages, tools, text, asking=True))[1]

    def written(
        self, messages: Sequence[Message], tools: Tools = (), asking: bool = False
    ) -> tuple[str, list[Span]]:
        """The conversation as transformers' apply_chat_template writes it, and what the template itself marks
        as generated. Raises Unusable with the template's words.
        """
        from jinja2 import TemplateError

        from engine.render import chat_templates

        try:
            return chat_templates.written(self.template, self.variables(messages, tools, asking))
        except (TemplateError, *FOREIGN) as error:
            called = any(m["role"] == "tool" or "tool_calls" in m for m in messages)
            raise Unusable("tools" if called else "refused by the chat template", str(error)) from None

    def variables(
        self, messages: Sequence[Message], tools: Tools = (), asking: bool = False
    ) -> dict[str, Any]:
        """What the template is given, as transformers does it."""
        return {
            **self.special_tokens,
            "messages": messages,
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": asking,
        }

    def _behind_answers(self) -> tuple[str, str]:
        """What stands behind an earlier answer, and behind the last one. Raises Unusable."""
        first, last = f"{MARK}1{MARK}", f"{MARK}2{MARK}"
        talk: list[Message] = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": first},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": last},
        ]
        text, _ = self.written(talk)
        return text.partition(first)[2], text.partition(last)[2]


def _any_of(names: Iterable[str]) -> str:
    """A pattern of all names, the longest first; names that begin alike are asked for together."""
    grouped = [
        re.escape(start) + "(?:" + "|".join(re.escape(name[3:]) for name in alike) + ")"
        for start, alike in groupby(sorted(names, reverse=True), key=lambda name: name[:3])
    ]
    return "(?:" + ("|".join(grouped) or "(?!)") + ")"
