"""Control tokens inside people's text stay text: only those that the chat template writes become control ids.

Stand-ins of the same length, from the private use planes, keep all offsets. To know which control tokens are
people's, the conversation is rendered once more with stand-ins in their place. To encode, the template's own
get stand-ins that a twin of the tokenizer knows as tokens, while it reads its control tokens as mere text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.formats import Message, Unusable
from engine.formats.examples import settle
from engine.ledger import Action, Note
from engine.render.chat import ChatFormat, Tools

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

PEOPLES = 0x100000
TEMPLATES = 0xF0000
RUN = re.compile("([\U00100000-\U0010ffff])\\1*")


@dataclass(frozen=True)
class Twin:
    """A tokenizer that reads control tokens as text, and stand-ins for them as tokens.

    ids: what each stand-in's id is to the model.
    """

    tokenizer: Tokenizer
    ids: Mapping[int, int]


def twin(chat: ChatFormat) -> Twin:
    """The tokenizer's twin; takes about the tokenizer's own memory."""
    from tokenizers import AddedToken, Tokenizer

    document = json.loads(chat.tokenizer.to_str())
    for token in document["added_tokens"]:
        token["special"] = token["special"] or token["content"] in chat.special
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.encode_special_tokens = True
    known = {
        id: AddedToken(
            _stand_in(chat, token.content, TEMPLATES), single_word=token.single_word, lstrip=token.lstrip,
            rstrip=token.rstrip, normalized=token.normalized, special=False,
        )
        for id, token in chat.tokenizer.get_added_tokens_decoder().items()
        if token.content in chat.special
    }  # fmt: skip
    tokenizer.add_tokens(list(known.values()))
    ids = tokenizer.get_vocab(with_added_tokens=True)
    return Twin(tokenizer, {ids[token.content]: id for id, token in known.items()})


def note_controls(
    chat: ChatFormat, texts: Iterable[str], actions: Mapping[str, Action], notes: list[Note]
) -> bool:
    """Note the model's control tokens in people's text; whether they are to stay text. Raises Unusable."""
    search = chat.controls.search
    held = [text for text in texts if search(text)]
    if not held:
        return False
    found = Counter(name for text in held for name in chat.controls.findall(text))
    for name, times in found.items():
        settle("special tokens", f"{name}, {times} time{'s' * (times > 1)}", actions, notes)
    return actions["special tokens"] == "fix"


def peoples(messages: Sequence[Message], tools: Tools) -> Iterator[str]:
    """All that people wrote in a conversation."""
    for message in messages:
        yield message["content"]
        if len(message) > 2:
            yield from _texts([value for key, value in message.items() if key not in ("role", "content")])
    if tools:
        yield from _texts(list(tools))


def hidden(
    chat: ChatFormat, messages: Sequence[Message], tools: Tools, text: str, asking: bool = False
) -> str:
    """The conversation's text with stand-ins for people's control tokens. Raises Unusable.

    asking: the text is the prompt for the next answer.
    """

    def mask(value: str) -> str:
        return chat.controls.sub(lambda found: _stand_in(chat, found[0], PEOPLES), value)

    try:
        masked, masked_tools = _mapped(list(messages), mask), _mapped(list(tools), mask)
        said = chat.prompt(masked, masked_tools) if asking else chat.written(masked, masked_tools)[0]
    except (RecursionError, Unusable):
        said = ""
    if _shown(chat, said) != text:
        raise Unusable("special tokens", "people's cannot be told from those that the chat template writes")
    return said


def encoded(chat: ChatFormat, masked: str) -> tuple[Encoding, list[int]]:
    """Tokens and ids of a text in which stand-ins hide people's control tokens.

    The offsets are those of the text itself.
    """
    asked = chat.controls.sub(lambda found: _stand_in(chat, found[0], TEMPLATES), masked)
    encoding = chat.twin.tokenizer.encode(_shown(chat, asked), add_special_tokens=False)
    ids = chat.twin.ids
    return encoding, [ids.get(id, id) for id in encoding.ids]


def _stand_in(chat: ChatFormat, name: str, plane: int) -> str:
    return chr(plane + chat.names.index(name)) * len(name)


def _shown(chat: ChatFormat, masked: str) -> str:
    """The text with people's control tokens in it again."""

    def name(run: re.Match[str]) -> str:
        known = ord(run[1]) - PEOPLES < len(chat.names)
        hidden = chat.names[ord(run[1]) - PEOPLES] if known else run[0]
        return hidden * (len(run[0]) // len(hidden))

    return RUN.sub(name, masked)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value. Without recursion: it may be nested very deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    return [_mapped(item, change) for item in value] if isinstance(value, list | tuple) else value
