"""Turns as people write them: roles, parts, weights, tools, and the order that chat templates expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import formats
from engine.formats import Conversation
from tests.test_formats import ACTIONS, detected, noted, read, refused, row, turns

USER = {"role": "user", "content": "Q"}
ANSWER = {"role": "assistant", "content": "A"}
SYSTEM = {"role": "system", "content": "S"}
SHAPE = detected(row(messages=[USER, ANSWER]))
GPT = detected(row(conversations=[{"from": "human", "value": "Q"}]))


def talk(*messages: Any) -> Any:
    return row(messages=list(messages))


def only(said: formats.Said) -> Conversation:
    (example,) = said.examples
    assert isinstance(example, Conversation)
    return example


@pytest.mark.parametrize(
    ("messages", "reason", "detail"),
    [
        ([], "no turns", "messages is empty"),
        (None, "no turns", "messages is null"),
        ("hello", "no turns", "messages is text"),
        ([["user", "q"], ["assistant", "a"]], "malformed turn", "turn 1 is a list"),
        (["hello"], "malformed turn", "turn 1 is text"),
        ([{"content": "Q"}, ANSWER], "malformed turn", "turn 1 has no role"),
        ([{"role": 3, "content": "Q"}, ANSWER], "malformed turn", "turn 1 has no role"),
        ([USER, {"role": "assistant"}], "malformed turn", "turn 2 has no content"),
        ([USER, {"role": "narrator", "content": "N"}, ANSWER], "unknown role", "turn 2: 'narrator'"),
        ([USER, {"role": "assistant", "content": None}], "empty answer", "turn 2 is null"),
        ([USER, {"role": "assistant", "content": "  "}], "empty answer", "turn 2"),
        ([{"role": "user", "content": ""}, ANSWER], "empty turn", "turn 1"),
        ([{"role": "user", "content": None}, ANSWER], "empty turn", "turn 1 is null"),
        ([{"role": "user", "content": 5}, ANSWER], "not text", "turn 1 is a number"),
        ([USER, {"role": "assistant", "content": True}], "not text", "turn 2 is a truth value"),
        ([{"role": "user", "content": ["a", "b"]}, ANSWER], "not text", "turn 1 is a list"),
        ([USER, {"role": "assistant", "content": {"x": 1}}], "not text", "turn 2 is an object"),
        ([ANSWER], "no question", "no turn is the user's"),
        ([USER], "no answer", "no turn is the assistant's"),
        ([ANSWER, USER], "no answer", "no answer follows a question"),
    ],
)
def test_turns_that_cannot_be_used_say_why(messages: Any, reason: str, detail: str) -> None:
    error = refused(row(messages=messages), SHAPE)
    assert (error.reason, error.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("role", "becomes"),
    [("User", "user"), ("human", "user"), ("bot", "assistant"), ("MODEL", "assistant"),
     ("developer", "system"), ("gpt", "assistant"), ("Assistant", "assistant")],
)  # fmt: skip
def test_roles_are_renamed_with_a_note(role: str, becomes: str) -> None:
    messages = {"system": [SYSTEM, USER, ANSWER], "user": [USER, ANSWER], "assistant": [USER, ANSWER]}[
        becomes
    ]
    renamed = [{**turn, "role": role} if turn["role"] == becomes else turn for turn in messages]
    said = read(talk(*renamed), SHAPE)
    assert turns(said) == [(turn["role"], turn["content"]) for turn in messages]
    assert noted(said) == [("role renamed", f"{role} -> {becomes}", "changed")]
    assert refused(talk(*renamed), SHAPE, role_renamed="drop").reason == "role renamed"


def test_the_standard_names_of_sharegpt_are_no_news() -> None:
    call = json.dumps({"name": "look", "arguments": {"at": "龍"}})
    listed = [("system", "S"), ("human", "Q"), ("function_call", call), ("observation", "R"), ("gpt", "A")]
    said = read(row(conversations=[{"from": who, "value": what} for who, what in listed]), GPT)
    assert said.notes == []
    assert turns(said) == [
        ("system", "S"),
        ("user", "Q"),
        ("assistant", ""),
        ("tool", "R"),
        ("assistant", "A"),
    ]
    assert only(said).messages[2]["tool_calls"] == [
        {"type": "function", "function": {"name": "look", "arguments": {"at": "龍"}}}
    ]
    renamed = read(row(conversations=[{"from": "Human", "value": "Q"}, {"from": "bot", "value": "A"}]), GPT)
    assert [note.detail for note in renamed.notes] == ["Human -> user", "bot -> assistant"]


@pytest.mark.parametrize("call", ["not json", "{}", '"x"', "[]", '{"name": ""}', '{"arguments": {}}'])
def test_a_call_that_cannot_be_read_is_a_malformed_turn(call: str) -> None:
    listed = [{"from": "human", "value": "Q"}, {"from": "function_call", "value": call}]
    error = refused(row(conversations=listed), GPT)
    assert error.reason == "malformed turn" and error.detail.startswith("turn 2")


def test_contents_in_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "Q"}, {"type": "text", "value": "!"}]
    answer = [{"type": "reasoning", "value": "hm"}, {"type": "text", "text": "A"}]
    said = read(talk({"role": "user", "content": parts}, {"role": "assistant", "content": answer}), SHAPE)
    assert turns(said) == [("user", "Q!"), ("assistant", "A")]
    assert only(said).messages[1]["reasoning_content"] == "hm"


@pytest.mark.parametrize(
    ("part", "reason", "detail"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "image or audio", "turn 1: image_url"),
        ({"type": "input_audio"}, "image or audio", "turn 1: input_audio"),
        ({"type": "video"}, "image or audio", "turn 1: video"),
        ({"type": "file"}, "not text", "turn 1: a part of the type 'file'"),
        ({"type": 3}, "malformed turn", "turn 1: a part whose type is a number"),
        ({"type": "text"}, "not text", "turn 1: a part that is null"),
        ({"type": "text", "text": 3}, "not text", "turn 1: a part that is a number"),
    ],
)
def test_parts_that_are_no_text(part: Any, reason: str, detail: str) -> None:
    error = refused(talk({"role": "user", "content": [part]}, ANSWER), SHAPE)
    assert (error.reason, error.detail) == (reason, detail)


def test_pictures_beside_the_text_are_refused() -> None:
    assert refused(talk({**USER, "images": ["x.png"]}, ANSWER), SHAPE).reason == "image or audio"
    assert refused(row(messages=[USER, ANSWER], images=["x.png"]), SHAPE).detail == "images"
    assert turns(read(row(messages=[USER, ANSWER], images=[]), SHAPE))


@pytest.mark.parametrize("flag", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss_weight": 0}])
def test_a_weight_of_nothing_is_read_and_not_learnt(flag: dict[str, Any]) -> None:
    messages = [USER, {**ANSWER, **flag}, USER, {**ANSWER, "weight": 1}]
    said = read(talk(*messages), SHAPE)
    (key, value), *_ = flag.items()
    assert only(said).untrained == {1}
    assert noted(said) == [("untrained turn", f"turn 2, {key} {value}", "kept")]
    assert refused(talk(*messages), SHAPE, untrained_turn="drop").reason == "untrained turn"
    assert refused(talk(USER, {**ANSWER, **flag}), SHAPE).reason == "nothing to train on"


def test_other_weights_are_noted_where_they_mean_something() -> None:
    half = read(talk(USER, {**ANSWER, "weight": 0.5}), SHAPE)
    assert noted(half) == [("weight ignored", "turn 2, weight 0.5", "kept")]
    usual = [{**USER, "loss_weight": 0.0}, {**ANSWER, "loss_weight": 1.0, "train": None}]
    assert read(talk(*usual), SHAPE).notes == []
    asked = read(talk({**USER, "train": True}, ANSWER), SHAPE)
    assert asked.notes[0].detail == "turn 1, train True: only answers are trained"
    assert refused(talk(USER, {**ANSWER, "weight": 0.5}), SHAPE, weight_ignored="drop")


def test_a_leading_answer() -> None:
    messages = [SYSTEM, {**ANSWER, "content": "Hi", "weight": 0}, USER, ANSWER]
    said = read(talk(*messages), SHAPE)
    assert turns(said) == [("system", "S"), ("user", "Q"), ("assistant", "A")]
    assert ("assistant first", "turn 2", "changed") in noted(said)
    assert only(said).untrained == frozenset()
    kept = read(talk(*messages), SHAPE, assistant_first="keep")
    assert len(turns(kept)) == 4 and only(kept).untrained == {1}
    assert refused(talk(*messages), SHAPE, assistant_first="drop").detail == "turn 2"


def test_a_trailing_question() -> None:
    messages = [USER, ANSWER, {**USER, "content": "thanks"}]
    said = read(talk(*messages), SHAPE)
    assert turns(said) == [("user", "Q"), ("assistant", "A")]
    assert noted(said) == [("question last", "turn 3", "changed")]
    assert refused(talk(*messages), SHAPE, question_last="drop").reason == "question last"


def test_the_same_role_twice() -> None:
    messages = [USER, ANSWER, {**ANSWER, "content": "B"}]
    said = read(talk(*messages), SHAPE)
    assert len(turns(said)) == 3
    assert noted(said) == [("same role twice", "turn 3", "kept")]
    joined = read(talk(*messages), SHAPE, same_role_twice="fix")
    assert turns(joined) == [("user", "Q"), ("assistant", "A\n\nB")]
    assert joined.notes[0].done == "changed"
    assert refused(talk(*messages), SHAPE, same_role_twice="drop")
    apart = [USER, {**ANSWER, "weight": 0}, ANSWER]
    assert refused(talk(*apart), SHAPE, same_role_twice="fix").detail.endswith("that can be joined")


def test_a_system_turn_in_the_middle() -> None:
    messages = [USER, ANSWER, SYSTEM, USER, ANSWER]
    said = read(talk(*messages), SHAPE)
    assert len(turns(said)) == 5
    assert noted(said) == [("system in the middle", "turn 3", "kept")]
    assert refused(talk(*messages), SHAPE, system_in_the_middle="drop").detail == "turn 3"


TOOL = {"name": "look", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    "cell", [[TOOL], json.dumps([TOOL]), [{"type": "function", "function": TOOL}], [json.dumps(TOOL)]]
)
def test_tools_come_in_one_form(cell: Any) -> None:
    said = read(row(messages=[USER, ANSWER], tools=cell))
    assert only(said).tools == [{"type": "function", "function": TOOL}]


def test_tools_that_are_none_or_no_functions() -> None:
    shape = detected(row(messages=[USER, ANSWER], tools=[]))
    for cell in (None, "", "[]", []):
        assert not only(read(row(messages=[USER, ANSWER], tools=cell), shape)).tools
    for bad in ("look", [3], [{"parameters": {}}]):
        assert refused(row(messages=[USER, ANSWER], tools=bad), shape).reason == "malformed turn"


def test_tool_calls_with_null_content() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 3}'}}
    result = {"role": "tool", "content": "", "tool_call_id": "c1", "name": "look"}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    said = read(talk(USER, asked, result, ANSWER), SHAPE)
    _, calling, answered, _ = only(said).messages
    assert said.notes == []
    assert calling["content"] == "" and calling["tool_calls"][0]["function"]["arguments"] == {"at": 3}
    assert (answered["tool_call_id"], answered["name"]) == ("c1", "look")
    text = {"name": "look", "arguments": "at three"}
    kept = read(talk(USER, {**asked, "tool_calls": [{"function": text}]}, result, ANSWER), SHAPE)
    assert only(kept).messages[1]["tool_calls"][0]["function"]["arguments"] == "at three"
    old = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    assert only(read(talk(USER, old, result, ANSWER), SHAPE)).messages[1]["tool_calls"]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept(key: str) -> None:
    said = only(read(talk(USER, {**ANSWER, key: "because"}), SHAPE))
    assert said.messages[1] == {"role": "assistant", "content": "A", "reasoning_content": "because"}
    inline = "<think>\nbecause\n</think>\n\nA"
    assert turns(read(talk(USER, {**ANSWER, "content": inline}), SHAPE))[1][1] == inline
    assert refused(talk(USER, {**ANSWER, key: 3}), SHAPE).reason == "not text"


def test_controls_in_turns_are_noted_by_their_turn() -> None:
    said = read(talk(SYSTEM, USER, {**ANSWER, "content": "\x1b[0m"}), SHAPE)
    assert noted(said) == [("control characters", "ESC in turn 3", "kept")]


def test_a_system_column_and_a_system_turn_are_both_kept() -> None:
    shape = detected(row(messages=[USER, ANSWER], system="S"))
    assert turns(formats.read(row(messages=[USER, ANSWER], system="S"), shape, ACTIONS))[0] == ("system", "S")
    same = read(row(messages=[SYSTEM, USER, ANSWER], system="S"), shape)
    assert len(turns(same)) == 3
    other = read(row(messages=[SYSTEM, USER, ANSWER], system="T"), shape)
    assert [said for _, said in turns(other)] == ["T", "S", "Q", "A"]
    assert other.notes[0].reason == "same role twice"
