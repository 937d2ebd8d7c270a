"""Rows of columns to examples: one function a format, each reads the columns that the shape names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import templates
from engine.formats import tools, turns
from engine.formats.examples import Conversation, Example, Message, Shape, Text, Tokens, Unusable, settle
from engine.formats.markers import find
from engine.formats.shapes import TURN_KEYS, is_turns
from engine.formats.texts import cell, kind, look, parsed, plain
from engine.formats.turns import Actions
from engine.ledger import Note
from engine.schema import Format

Data = Mapping[str, Any]

ONE_GAP = "\n\n"


def alpaca(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """instruction, input, output, and before them system and history."""
    columns = shape.columns
    said = _texts(data, shape, actions, notes)
    asked = said["instruction"]
    if more := said.get("input"):
        asked = f"{asked}{ONE_GAP}{more}" if asked else more
    messages = [_question(asked, columns["instruction"]), _answer(said["output"], columns["output"])]
    if "history" in columns:
        messages[:0] = _history(data.get(columns["history"]), columns["history"], actions, notes)
    return [_conversation(data, shape, said.get("system"), messages)]


def pairs(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """A question's and an answer's column; each may hold turns as well."""
    columns = shape.columns
    prompt, completion = columns["prompt"], columns["completion"]
    if _turns(data.get(prompt)) or _turns(data.get(completion)):
        return [_of_turns(data, columns, prompt, completion, actions, notes)]
    said = _texts(data, shape, actions, notes)
    messages = [_question(said["prompt"], prompt), _answer(said["completion"], completion)]
    return [_conversation(data, shape, said.get("system"), messages)]


def messages(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """A list of turns, in either of the two ways to write them."""
    columns = shape.columns
    column = columns["messages"]
    value = parsed(data.get(column))
    system = (
        cell(data.get(columns["system"]), columns["system"], actions, notes) if "system" in columns else ""
    )
    format = _spelling(value, shape.format, actions, notes)
    said = turns.conversation(value, format, column, actions, notes, system)
    if "tools" not in columns or not (functions := _tools(data, columns)):
        return [said]
    return [Conversation(said.messages, functions, said.untrained)]


def instances(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """One instruction and a list of {input, output}, each an example of its own."""
    columns = shape.columns
    column = columns["instances"]
    listed = parsed(data.get(column))
    if not isinstance(listed, list) or not listed:
        raise Unusable("missing field", f"{column} is {'empty' if listed == [] else kind(listed)}")
    instruction = _text(data, columns["instruction"], actions, notes)
    system = _system(data, columns, actions, notes)
    examples: list[Example] = []
    for number, instance in enumerate(listed, start=1):
        if not isinstance(instance, dict) or "output" not in instance:
            raise Unusable("missing field", f"output of {column} {number}")
        asked, answer = (
            _seen(instance.get(part), f"{part} of {column} {number}", actions, notes)
            for part in ("input", "output")
        )
        question = ONE_GAP.join(filter(None, (instruction, asked)))
        examples.append(
            Conversation(
                [
                    *system,
                    _question(question, columns["instruction"]),
                    _answer(answer, f"output of {column} {number}"),
                ]
            )
        )
    return examples


def preference(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """The chosen answer to a prompt; chosen may hold the whole conversation."""
    columns = shape.columns
    prompt, chosen = columns.get("prompt", ""), columns["chosen"]
    if _turns(data.get(prompt)) or _turns(data.get(chosen)):
        return [_of_turns(data, columns, prompt, chosen, actions, notes)]
    said = _system(data, columns, actions, notes)
    asked = [_text(data, columns[part], actions, notes) for part in ("prompt", "input") if part in columns]
    if not asked:
        raise Unusable("no question", f"{chosen} is text, and there is no column of prompts")
    said.append(_question(ONE_GAP.join(filter(None, asked)), prompt))
    said.append(_answer(_text(data, chosen, actions, notes), chosen))
    return [Conversation(said)]


def text(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """Raw text, which may hold chat markers already."""
    column = shape.columns["text"]
    said = _answer(_text(data, column, actions, notes), column)["content"]
    markers = find(said)
    if markers is None:
        return [Text(said)]
    settle("already templated", markers.marker, actions, notes)
    return [Text(said, markers.name)]


def tokens(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> list[Example]:
    """Token ids and, where there are such, labels."""
    columns = shape.columns
    ids = _numbers(data.get(columns["input_ids"]), columns["input_ids"])
    if "labels" not in columns:
        return [Tokens(ids, list(ids))]
    return [Tokens(ids, _numbers(data.get(columns["labels"]), columns["labels"]))]


def templated(data: Data, shape: Shape, actions: Actions, notes: list[Note], number: int) -> list[Example]:
    """What the shape's templates make of a row; all their wordings are taken in turns, by the number."""
    wording = number % sum(len(template.wordings) for template in shape.templates)
    for template in shape.templates:
        if wording < len(template.wordings):
            break
        wording -= len(template.wordings)
    columns = {name: shape.columns.get(name, name) for name in template.columns}
    try:
        filled = templates.fill(template, data, columns, wording)
    except templates.TemplateFailed as error:
        raise Unusable("template failed", str(error)) from None
    for said in filled.notes:
        settle("empty column", said, actions, notes)
    messages: list[Message] = [{"role": "system", "content": filled.system}] if filled.system else []
    for content in (filled.system, filled.prompt, filled.answer):
        look(content, f"the text of {template.name}", actions, notes)
    where = f"the template {template.name}"
    return [Conversation([*messages, _question(filled.prompt, where), _answer(filled.answer, where)])]


READERS = {
    "alpaca": alpaca, "pairs": pairs, "messages": messages, "sharegpt": messages, "instances": instances,
    "preference": preference, "text": text, "tokens": tokens,
}  # fmt: skip


def _texts(data: Data, shape: Shape, actions: Actions, notes: list[Note]) -> dict[str, str]:
    """The texts of a row by the parts that they play; looked at together while there is nothing to say."""
    values = [data.get(column) for column in shape.texts.values()]
    try:
        clean = plain("\n".join(values))  # type: ignore[arg-type]
    except TypeError:  # a cell that is no text
        clean = False
    if not clean:
        values = [_text(data, column, actions, notes) for column in shape.texts.values()]
    return dict(zip(shape.texts, values, strict=True))  # type: ignore[arg-type]


def _conversation(data: Data, shape: Shape, system: str | None, messages: list[Message]) -> Conversation:
    if system and not system.isspace():
        messages.insert(0, {"role": "system", "content": system})
    if "tools" not in shape.columns:
        return Conversation(messages)
    return Conversation(messages, _tools(data, shape.columns))


def _text(data: Data, column: str, actions: Actions, notes: list[Note]) -> str:
    return _seen(data.get(column), column, actions, notes)


def _seen(value: Any, where: str, actions: Actions, notes: list[Note]) -> str:
    said = cell(value, where, actions, notes)
    look(said, where, actions, notes)
    return said


def _question(said: str, where: str) -> Message:
    if not said or said.isspace():
        raise Unusable("empty turn", where)
    return {"role": "user", "content": said}


def _answer(said: str, where: str) -> Message:
    if not said or said.isspace():
        raise Unusable("empty answer", where)
    return {"role": "assistant", "content": said}


def _system(data: Data, columns: Mapping[str, str], actions: Actions, notes: list[Note]) -> list[Message]:
    if "system" not in columns:
        return []
    said = _text(data, columns["system"], actions, notes)
    return [{"role": "system", "content": said}] if said and not said.isspace() else []


def _tools(data: Data, columns: Mapping[str, str]) -> list[tools.Call]:
    return tools.tools(data.get(columns["tools"]), columns["tools"]) if "tools" in columns else []


def _history(value: Any, column: str, actions: Actions, notes: list[Note]) -> list[Message]:
    listed = parsed(value) or []
    pairs_only = isinstance(listed, list) and all(isinstance(p, list | tuple) and len(p) == 2 for p in listed)
    if not pairs_only:
        raise Unusable("malformed turn", f"{column} is no list of [question, answer]")
    said: list[Message] = []
    for number, (question, answer) in enumerate(listed, start=1):
        where = f"{column} {number}"
        said.append(_question(_seen(question, where, actions, notes), where))
        said.append(_answer(_seen(answer, where, actions, notes), where))
    return said


def _turns(value: Any) -> list[Any]:
    """The turns in a cell: a list of them, its JSON, or one turn alone; empty where it is something else."""
    if type(value) is str and not value.startswith("["):
        return []
    listed = parsed(value)
    listed = [listed] if isinstance(listed, dict) else listed
    return listed if any(is_turns(listed, format) for format in TURN_KEYS) else []


def _of_turns(
    data: Data, columns: Mapping[str, str], prompt: str, answer: str, actions: Actions, notes: list[Note]
) -> Conversation:
    """A prompt and an answer of which one at least is a list of turns."""
    before, after = _turns(data.get(prompt)), _turns(data.get(answer))
    format: Format = "sharegpt" if is_turns(before or after, "sharegpt") else "messages"
    role, content = TURN_KEYS[format]
    if any(turn.get(role) in ("user", "human") for turn in after if isinstance(turn, dict)):
        before = []
    elif not before and data.get(prompt) is not None:
        before = [{role: "user", content: data[prompt]}]
    after = after or [{role: "assistant", content: data.get(answer)}]
    system = _system(data, columns, actions, notes)
    said = system[0]["content"] if system else ""
    conversation = turns.conversation([*before, *after], format, answer, actions, notes, said)
    return Conversation(conversation.messages, _tools(data, columns), conversation.untrained)


def _spelling(value: Any, format: Format, actions: Actions, notes: list[Note]) -> Format:
    """The way in which these turns are written, where it is not the set's."""
    first = value[0] if isinstance(value, list) and value else None
    if type(first) is not dict or TURN_KEYS[format][0] in first:
        return format
    other: Format = "sharegpt" if format == "messages" else "messages"
    if TURN_KEYS[other][0] not in first:
        return format
    settle("another shape", f"turns of {', '.join(TURN_KEYS[other])}", actions, notes)
    return other


def _numbers(value: Any, column: str) -> list[int]:
    listed = parsed(value)
    if not isinstance(listed, list) or not all(type(number) is int for number in listed):
        raise Unusable("bad tokens", f"{column} is no list of whole numbers")
    return listed
