"""An example to text, token ids, labels and spans: ONE function for what is shown and what is trained."""

from __future__ import annotations

from collections.abc import Mapping

from engine.formats import Conversation, Example, Text
from engine.ledger import Action
from engine.render.chat import ChatFormat, Span, load
from engine.render.documents import document, templated, tokens
from engine.render.rendered import IGNORED, Rendered, digest
from engine.render.talk import conversation

__all__ = ["IGNORED", "ChatFormat", "Rendered", "Span", "digest", "load", "render"]


def render(
    chat: ChatFormat, example: Example, max_length: int, actions: Mapping[str, Action]
) -> list[Rendered]:
    """What the model gets of one example: one piece, or several of a long text. max_length is in tokens.

    Raises Unusable with the reason; "stop" is treated as "drop" here.
    """
    if isinstance(example, Conversation):
        return [conversation(chat, example, max_length, actions)]
    if not isinstance(example, Text):
        return [tokens(chat, example, max_length, actions)]
    if example.markers:
        return [templated(chat, example, max_length, actions)]
    return document(chat, example, max_length, actions)
