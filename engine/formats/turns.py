"""Lists of turns to conversations: roles, contents, tool calls, weights, and turns in a usual order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from engine.formats import tools
from engine.formats.examples import Conversation, Message, Unusable, settle
from engine.formats.shapes import TURN_KEYS, WEIGHTS
from engine.formats.texts import kind, look, parsed, plain
from engine.ledger import Action, Note
from engine.schema import Format

Actions = Mapping[str, Action]

CALL = "call"  # a turn that is the JSON of a tool call; not a role of chat templates
KNOWN = {
    "messages": {role: role for role in ("system", "user", "assistant", "tool")},
    "sharegpt": {
        "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system",
        "tool": "tool", "observation": "tool",
    },
}  # fmt: skip
ALIASES = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "bot", "model", "ai", "chatgpt", "chatbot"),
    "tool": ("tool", "function", "observation", "ipython", "tool_response", "tool_result", "tool_results"),
    CALL: ("function_call", "tool_call", "function-call", "tool-call"),
}  # fmt: skip
ROLES = {alias: role for role, aliases in ALIASES.items() for alias in aliases}
MEDIA = frozenset(["image", "images", "image_url", "image_urls", "audio", "audios", "video", "videos"])
REASONING = ("reasoning_content", "reasoning", "thinking")

# The usual order by first letters: system, then user, assistant, tool results and assistant again.
USUAL = re.compile("s?(?:ua(?:t+a)*)+")


class Turn(NamedTuple):
    """A turn under its number in the row, which counts from 1, and whether it is learnt."""

    number: int
    message: Message
    learnt: bool = True


def conversation(
    value: Any, format: Format, where: str, actions: Actions, notes: list[Note], system: str = ""
) -> Conversation:
    """A list of turns, or the JSON string of one. Raises Unusable."""
    listed = parsed(value)
    if not isinstance(listed, list) or not listed:
        raise Unusable("no turns", f"{where} is {'empty' if listed == [] else kind(listed)}")
    messages = _plain(listed, format)
    if messages and not system:
        return Conversation(messages)
    turns = [_turn(number, turn, format, actions, notes) for number, turn in enumerate(listed, start=1)]
    if system and turns[0].message != {"role": "system", "content": system}:
        look(system, "system", actions, notes)
        turns.insert(0, Turn(0, {"role": "system", "content": system}))
    if not USUAL.fullmatch("".join([turn.message["role"][0] for turn in turns])):
        turns = _arranged(turns, actions, notes)
    return _whole(turns)


def _plain(listed: list[Any], format: Format) -> list[Message] | None:
    """Turns as they are, where each is a role and its text and there is nothing to say about any."""
    known, (role_key, text_key) = KNOWN[format], TURN_KEYS[format]
    messages: list[Message] = []
    try:
        for turn in listed:
            role, text = known[turn[role_key]], turn[text_key]
            if len(turn) != 2 or not text or text.isspace():
                return None
            messages.append({"role": role, "content": text})
        usual = USUAL.fullmatch("".join([message["role"][0] for message in messages]))
        return messages if usual and plain("\n".join([message["content"] for message in messages])) else None
    except (KeyError, TypeError, AttributeError):
        return None


def _whole(turns: list[Turn]) -> Conversation:
    messages = [turn.message for turn in turns]
    untrained = frozenset([i for i, turn in enumerate(turns) if not turn.learnt])
    answers = sum(message["role"] == "assistant" for message in messages)
    if len(untrained) == answers:
        raise Unusable("nothing to train on", "every answer has the weight 0")
    return Conversation(messages, untrained=untrained)


def _check(turn: Turn, actions: Actions, notes: list[Note]) -> None:
    message = turn.message
    text = message["content"]
    if (not text or text.isspace()) and message["role"] != "tool" and "tool_calls" not in message:
        reason = "empty answer" if message["role"] == "assistant" else "empty turn"
        raise Unusable(reason, f"turn {turn.number}")
    look(text, f"turn {turn.number}", actions, notes)


def _turn(number: int, turn: Any, format: Format, actions: Actions, notes: list[Note]) -> Turn:
    """One turn, whatever it holds. Raises Unusable."""
    where = f"turn {number}"
    if not isinstance(turn, dict):
        raise Unusable("malformed turn", f"{where} is {kind(turn)}")
    role_key, text_key = TURN_KEYS[format]
    role = _role(turn.get(role_key), where, format, actions, notes)
    if media := next((key for key in turn if key in MEDIA and turn[key]), None):
        raise Unusable("image or audio", f"{where}: {media}")
    content = turn.get(text_key)
    called = turn.get("tool_calls") or turn.get("function_call")
    if role == CALL:
        content, called = None, content
    if text_key not in turn and not called:
        raise Unusable("malformed turn", f"{where} has no {text_key}")
    if content is None and not called:
        raise Unusable("empty answer" if role == "assistant" else "empty turn", f"{where} is null")
    message: Message = {"role": "assistant" if role == CALL else role, "content": ""}
    text, reasoning = _content(content, where)
    message["content"] = text
    if thought := _reasoning(turn, where) or reasoning:
        look(thought, f"the reasoning of {where}", actions, notes)
        message["reasoning_content"] = thought
    if called or role == CALL:
        message["tool_calls"] = tools.calls(called, where)
    for key in ("name", "tool_call_id"):
        if isinstance(turn.get(key), str):
            message[key] = turn[key]
    read = Turn(number, message, _learnt(turn, message["role"], where, actions, notes))
    _check(read, actions, notes)
    return read


def _role(value: Any, where: str, format: Format, actions: Actions, notes: list[Note]) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unusable("malformed turn", f"{where} has no role")
    if role := KNOWN[format].get(value):
        return role
    role = ROLES.get(value.strip().lower())
    if role is None:
        raise Unusable("unknown role", f"{where}: {value!r:.40}")
    if not (role == CALL and format == "sharegpt"):
        settle("role renamed", f"{value} -> {'assistant' if role == CALL else role}", actions, notes)
    return role


def _content(value: Any, where: str) -> tuple[str, str]:
    """Text and reasoning of a content, which may be a list of parts. Raises Unusable."""
    if value is None:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise Unusable("not text", f"{where} is {kind(value)}")
    texts: dict[str, list[str]] = {"text": [], "reasoning": []}
    for part in value:
        said, text = _part(part, where)
        texts[said].append(text)
    return "".join(texts["text"]), "".join(texts["reasoning"])


def _part(part: dict[str, Any], where: str) -> tuple[str, str]:
    name = part.get("type", "text")
    if not isinstance(name, str):
        raise Unusable("malformed turn", f"{where}: a part whose type is {kind(name)}")
    if any(word in name for word in ("image", "audio", "video")):
        raise Unusable("image or audio", f"{where}: {name}")
    said = "reasoning" if name in REASONING else "text"
    if said == "text" and name not in ("text", "input_text", "output_text"):
        raise Unusable("not text", f"{where}: a part of the type {name!r:.40}")
    text = next((part[key] for key in ("text", "value", name) if part.get(key) is not None), None)
    if not isinstance(text, str):
        raise Unusable("not text", f"{where}: a part that is {kind(text)}")
    return said, text


def _reasoning(turn: dict[str, Any], where: str) -> str:
    value = next((turn[key] for key in REASONING if turn.get(key)), "")
    if not isinstance(value, str):
        raise Unusable("not text", f"the reasoning of {where} is {kind(value)}")
    return value


def _learnt(turn: dict[str, Any], role: str, where: str, actions: Actions, notes: list[Note]) -> bool:
    """Whether the turn's flags let it be learnt; of other turns than answers a wish to be is noted."""
    flag = next((key for key in WEIGHTS if turn.get(key) is not None), None)
    if flag is None:
        return True
    weight = turn[flag]
    none = isinstance(weight, bool | int | float) and not weight
    whole = weight is True or (isinstance(weight, int | float) and weight == 1)
    if role != "assistant":
        if not none and flag != "weight":
            settle("weight ignored", f"{where}, {flag} {weight}: only answers are trained", actions, notes)
        return True
    if none:
        settle("untrained turn", f"{where}, {flag} {weight}", actions, notes)
    elif not whole:
        settle("weight ignored", f"{where}, {flag} {weight!r:.40}", actions, notes)
    return not none


def _arranged(turns: list[Turn], actions: Actions, notes: list[Note]) -> list[Turn]:
    """Turns in an unusual order, as the policy wants them. Raises Unusable."""
    roles = [turn.message["role"] for turn in turns]
    if "user" not in roles:
        raise Unusable("no question", "no turn is the user's")
    if "assistant" not in roles:
        raise Unusable("no answer", "no turn is the assistant's")
    for before, turn in pairwise(turns):
        if turn.message["role"] == "system" != before.message["role"]:
            settle("system in the middle", f"turn {turn.number}", actions, notes)
    turns = _without_first(turns, actions, notes)
    turns = _without_last(turns, actions, notes)
    return _joined(turns, actions, notes)


def _without_first(turns: list[Turn], actions: Actions, notes: list[Note]) -> list[Turn]:
    first = next(i for i, turn in enumerate(turns) if turn.message["role"] == "user")
    leading = [turn for turn in turns[:first] if turn.message["role"] != "system"]
    if not leading or settle("assistant first", f"turn {leading[0].number}", actions, notes) == "keep":
        return turns
    return [turn for turn in turns if turn not in leading]


def _without_last(turns: list[Turn], actions: Actions, notes: list[Note]) -> list[Turn]:
    last = max((i for i, turn in enumerate(turns) if turn.message["role"] == "assistant"), default=-1)
    if last < 0:
        raise Unusable("no answer", "no answer follows a question")
    if last < len(turns) - 1:
        after = turns[last + 1]
        said = f"turn {after.number}" + (", a tool's" if after.message["role"] == "tool" else "")
        settle("question last", said, actions, notes)
    return turns[: last + 1]


def _joined(turns: list[Turn], actions: Actions, notes: list[Note]) -> list[Turn]:
    joined = turns[:1]
    for turn in turns[1:]:
        before, message = joined[-1].message, turn.message
        twice = message["role"] == before["role"] != "tool"
        if not twice or settle("same role twice", f"turn {turn.number}", actions, notes) == "keep":
            joined.append(turn)
        elif len(message) > 2 or len(before) > 2 or turn.learnt != joined[-1].learnt:
            raise Unusable("same role twice", f"turn {turn.number} is not of the kind that can be joined")
        else:
            text = f"{before['content']}\n\n{message['content']}"
            joined[-1] = joined[-1]._replace(message={"role": before["role"], "content": text})
    return joined
