"""What of a conversation fits into a model's context: the oldest turns are left out first, and it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UserError
from engine.formats import Message
from engine.render import ChatFormat

LEFT_FOR_ANSWER = 4
"""Of the context, this part (a quarter) is left for the answer, or what was asked for if that is less."""


@dataclass(frozen=True)
class Fitted:
    """The prompt's ids, and how many messages and tokens of it were left out."""

    ids: list[int]
    turns: int = 0
    tokens: int = 0


def fitted(chat: ChatFormat, messages: Sequence[Message], context: int, max_new_tokens: int) -> Fitted:
    """The prompt within `context` tokens, with room for an answer. Raises UserError, and Unusable.

    Left out is the oldest question with all that was said to it, then the next; never the system prompt,
    never the last question.
    """
    ids = chat.prompt_ids(messages)
    room = context - min(max_new_tokens, max(1, context // LEFT_FOR_ANSWER))
    if len(ids) <= room:
        return Fitted(ids)
    system = list(messages[:1]) if messages and messages[0]["role"] == "system" else []
    questions = [i for i, message in enumerate(messages) if message["role"] == "user" and i >= len(system)]
    for start in questions[1:]:
        left = chat.prompt_ids([*system, *messages[start:]])
        if len(left) <= room:
            return Fitted(left, turns=start - len(system), tokens=len(ids) - len(left))
    shortest = chat.prompt_ids([*system, *messages[questions[-1] :]]) if questions else ids
    if len(shortest) < context and questions:
        # The answer has less room than was asked for; that is said by its being cut.
        return Fitted(shortest, turns=questions[-1] - len(system), tokens=len(ids) - len(shortest))
    raise UserError(
        f"the system prompt and the last question have {len(shortest):,} tokens, the model's context is"
        f" {context:,}; shorten them"
    )
