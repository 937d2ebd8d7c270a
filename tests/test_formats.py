"""Shapes are found by columns and cells; a row says what it says, or why it says nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import formats, ledger
from engine.errors import UserError
from engine.formats import Conversation, Said, Shape, Text, Tokens, Unusable
from engine.ledger import Action
from engine.schema import Source
from engine.sources import Row

ACTIONS = ledger.actions({})
ASKED = [("user", "Q"), ("assistant", "A")]
TALK = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
GPT = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]


def row(**data: Any) -> Row:
    return Row("rows.jsonl", 1, data)


def detected(*rows: Row, **source: Any) -> Shape:
    shape = formats.detect(rows, Source(path="rows.jsonl", **source))
    assert shape is not None
    return shape


def read(record: Row, shape: Shape | None = None, **policy: Action) -> Said:
    return formats.read(record, shape or detected(record), {**ACTIONS, **_named(policy)})


def _named(policy: dict[str, Action]) -> dict[str, Action]:
    return {name.replace("_", " "): action for name, action in policy.items()}


def turns(said: Said) -> list[tuple[str, str]]:
    (example,) = said.examples
    assert isinstance(example, Conversation)
    return [(message["role"], message["content"]) for message in example.messages]


def refused(record: Row, shape: Shape | None = None, **policy: Action) -> Unusable:
    with pytest.raises(Unusable) as caught:
        read(record, shape, **policy)
    assert caught.value.reason in ledger.REASONS
    return caught.value


def noted(said: Said) -> list[tuple[str, str, str]]:
    return [(note.reason, note.detail, note.done) for note in said.notes]


ALPACA = {"instruction": "Q", "output": "A"}


@pytest.mark.parametrize(
    ("data", "format", "mapping", "said"),
    [
        (ALPACA, "alpaca", "instruction -> output", ASKED),
        (
            {"instruction": "Q", "input": "I", "output": "A"},
            "alpaca",
            "instruction + input -> output",
            [("user", "Q\n\nI"), ASKED[1]],
        ),
        (
            {**ALPACA, "input": "", "system": "S"},
            "alpaca",
            "system + instruction + input -> output",
            [("system", "S"), *ASKED],
        ),
        (
            {**ALPACA, "history": [["q", "a"]]},
            "alpaca",
            "history + instruction -> output",
            [("user", "q"), ("assistant", "a"), *ASKED],
        ),
        (
            {"instruction": "Q", "input": "I", "response": "A"},
            "alpaca",
            "instruction + input -> response",
            [("user", "Q\n\nI"), ASKED[1]],
        ),
        ({"messages": TALK}, "messages", "messages: role, content", ASKED),
        ({"dialogue": TALK}, "messages", "dialogue: role, content", ASKED),
        ({"conversations": TALK}, "messages", "conversations: role, content", ASKED),
        ({"conversations": GPT}, "sharegpt", "conversations: from, value", ASKED),
        ({"messages": GPT}, "sharegpt", "messages: from, value", ASKED),
        (
            {"conversations": GPT, "system": "S"},
            "sharegpt",
            "system + conversations: from, value",
            [("system", "S"), *ASKED],
        ),
        (
            {"messages": '[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]'},
            "messages",
            "messages: role, content",
            ASKED,
        ),
        ({"prompt": "Q", "completion": "A"}, "pairs", "prompt -> completion", ASKED),
        ({"prompt": TALK[:1], "completion": TALK[1:]}, "pairs", "prompt -> completion", ASKED),
        ({"question": "Q", "answer": "A", "extra": 3}, "pairs", "question -> answer", ASKED),
        (
            {"system_prompt": "S", "question": "Q", "response": "A"},
            "pairs",
            "system_prompt + question -> response",
            [("system", "S"), *ASKED],
        ),
        ({"problem": "Q", "solution": "A", "answer": "3"}, "pairs", "problem -> solution", ASKED),
        (
            {"instruction": "Q", "instances": [{"input": "I", "output": "A"}]},
            "instances",
            "instruction + instances: input -> output",
            [("user", "Q\n\nI"), ASKED[1]],
        ),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "preference", "prompt -> chosen", ASKED),
        ({"prompt": "Q", "chosen": TALK, "rejected": TALK}, "preference", "prompt -> chosen", ASKED),
        ({"chosen": TALK, "rejected": TALK}, "preference", "chosen", ASKED),
        (
            {"conversations": GPT[:1], "chosen": GPT[1], "rejected": GPT[1]},
            "preference",
            "conversations -> chosen",
            ASKED,
        ),
    ],
)
def test_shapes(data: dict[str, Any], format: str, mapping: str, said: list[tuple[str, str]]) -> None:
    shape = detected(row(**data))
    assert (shape.format, shape.mapping) == (format, mapping)
    assert turns(read(row(**data))) == said
    assert set(shape.columns.values()) <= set(data)


@pytest.mark.parametrize(
    "data",
    [
        {"text": "good", "label": "1"},
        {"text": "good", "label": 1},
        {"review": "good", "stars": "5"},
        {"a": 1},
        {"instruction": "Q", "input": "I"},
        {"messages_count": 3},
    ],
)
def test_an_unknown_table_stays_unknown(data: dict[str, Any]) -> None:
    assert formats.detect([row(**data)], Source(path="rows.jsonl")) is None


def test_no_rows_are_no_shape() -> None:
    assert formats.detect([], Source(path="rows.jsonl")) is None


def test_most_rows_decide_and_the_others_are_read_as_they_are() -> None:
    rows = [row(**ALPACA), row(**ALPACA, input="I"), row(prompt="Q", completion="A")]
    shape = detected(*rows)
    assert shape.mapping == "instruction + input -> output"
    said = read(rows[2], shape)
    assert turns(said) == ASKED
    assert noted(said) == [("another shape", "prompt -> completion", "changed")]
    assert refused(rows[2], shape, another_shape="drop").reason == "another shape"
    assert turns(read(rows[0], shape)) == ASKED


def test_turns_in_the_other_spelling_are_read_so() -> None:
    shape = detected(row(messages=TALK))
    said = read(row(messages=GPT), shape)
    assert turns(said) == ASKED
    assert said.notes[0].reason == "another shape"


def test_columns_and_format_are_obeyed() -> None:
    record = row(Frage="Q", Antwort="A", input="x", output="y")
    for columns in ({"question": "Frage", "answer": "Antwort"}, {"prompt": "Frage", "completion": "Antwort"}):
        shape = detected(record, columns=columns)
        assert shape.columns == {"prompt": "Frage", "completion": "Antwort"}
        assert turns(read(record, shape)) == ASKED
    shape = detected(record, columns={"instruction": "Frage", "output": "Antwort"})
    assert turns(read(record, shape)) == [("user", "Q\n\nx"), ASKED[1]]
    assert detected(row(text="T", label="1"), format="text").format == "text"
    assert detected(row(body="T", n="1"), columns={"text": "body"}).mapping == "body: raw text"
    assert detected(row(prompt="Q", chosen="A", rejected="B"), format="pairs", columns={"answer": "chosen"})


def test_what_is_asked_for_and_not_there_is_named() -> None:
    record = row(review="good", stars="5")
    with pytest.raises(UserError, match="no column Frage; columns found: review, stars"):
        formats.detect([record], Source(path="x", columns={"prompt": "Frage"}))
    with pytest.raises(UserError, match="cannot be read as messages; columns found: review, stars"):
        formats.detect([record], Source(path="x", format="messages"))
    with pytest.raises(UserError, match="cannot be read with these columns"):
        formats.detect([record], Source(path="x", columns={"prompt": "review"}))
    with pytest.raises(UserError, match="needs the names of prompt templates"):
        formats.detect([record], Source(path="x", format="template"))


def test_what_is_not_obvious_is_said() -> None:
    shape = detected(row(question="Q", context=["d"], answer="A", id=0))
    assert shape.notes[0].startswith("context is not used; a prompt template can")
    assert shape.notes[1] == "not used: id"
    assert detected(row(input_ids=[1])).notes == ("no labels: all tokens are trained",)
    wide = row(question="Q", answer="A", **{f"c{i}": i for i in range(5000)})
    assert detected(wide).notes[0].endswith("and 4,992 more")
    weighted = [{**TALK[0]}, {**TALK[1], "weight": 0}]
    assert "weights of turns are honoured" in detected(row(messages=weighted)).notes[0]


def test_preference_data_asks_first() -> None:
    record = row(prompt="Q", chosen="A", rejected="B")
    assert "The rejected ones are never trained" in detected(record).question
    agreed = detected(record, format="preference")
    assert agreed.question == "" and "never" in agreed.notes[0]
    assert turns(read(record, agreed)) == ASKED
    assert refused(row(chosen="A", rejected="B")).reason == "no question"


def test_answers_that_are_json_are_text() -> None:
    for answer in ('{"role": "x"}', '["a"]', "5", "[1"):
        assert turns(read(row(prompt="Q", completion=answer)))[1] == ("assistant", answer)
        assert turns(read(row(prompt="Q", chosen=answer, rejected="B")))[1] == ("assistant", answer)
    assert refused(row(question="Q", answer=["a", "b"])).detail == "answer is a list"
    talk = json.dumps(TALK)
    assert turns(read(row(chosen=talk, rejected=talk))) == ASKED


@pytest.mark.parametrize("data", [{"text": "T"}, {"content": "T", "path": "a.py"}, {"text": "T", "url": "u"}])
def test_raw_text(data: dict[str, Any]) -> None:
    assert detected(row(**data)).format == "text"
    assert read(row(**data)).examples == [Text("T")]


@pytest.mark.parametrize(
    ("text", "name", "marker"),
    [
        ("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n", "ChatML", "<|im_start|>"),
        ("<s>[INST] q [/INST] a </s>", "Llama 2", "[INST]"),
        (
            "<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\na<|eot_id|>",
            "Llama 3",
            "<|start_header_id|>",
        ),
        ("<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\na", "Gemma", "<start_of_turn>"),
        ("<|user|>\nq<|end|>\n<|assistant|>\na<|end|>", "Phi", "<|assistant|>"),
        ("<|user|>\nq</s>\n<|assistant|>\na</s>", "Zephyr", "<|assistant|>"),
    ],
)
def test_text_with_chat_markers_is_known(text: str, name: str, marker: str) -> None:
    said = read(row(text=text))
    assert said.examples == [Text(text, name)]
    assert noted(said) == [("already templated", marker, "kept")]
    assert refused(row(text=text), already_templated="drop").reason == "already templated"
    start, end = formats.markers.answers(text, name)[-1]
    assert text[start:end].startswith("a")


def test_a_marker_that_is_only_talked_about_is_text() -> None:
    assert read(row(text="ChatML opens a turn with <|im_start|>.")).examples == [
        Text("ChatML opens a turn with <|im_start|>.")
    ]


def test_tokens() -> None:
    record = row(input_ids=[1, 2], labels=[-100, 2], attention_mask=[1, 1])
    assert read(record).examples == [Tokens([1, 2], [-100, 2])]
    assert detected(record).notes == ()
    assert read(row(input_ids="[1, 2]")).examples == [Tokens([1, 2], [1, 2])]
    assert refused(row(input_ids=[1], labels=None), detected(record)).reason == "bad tokens"
    for ids in ("no", [1.5], [True], 3, [None]):
        assert refused(row(input_ids=ids)).reason == "bad tokens"


def test_instances_are_conversations_of_their_own() -> None:
    record = row(instruction="Q", instances=[{"input": "", "output": "A"}, {"input": "I", "output": "B"}])
    assert [
        [message["content"] for message in example.messages]
        for example in read(record).examples
        if isinstance(example, Conversation)
    ] == [["Q", "A"], ["Q\n\nI", "B"]]
    shape = detected(record)
    assert refused(row(instruction="Q", instances=[]), shape).reason == "missing field"
    gone = refused(row(instruction="Q", instances=[{"input": "I"}]), shape)
    assert (gone.reason, gone.detail) == ("missing field", "output of instances 1")


def test_braces_in_data_are_text() -> None:
    assert turns(read(row(prompt="{{name}}", completion="{% if %}")))[0][1] == "{{name}}"


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        ({"instruction": "Q"}, "missing field", "output"),
        ({**ALPACA, "output": ""}, "empty answer", "output"),
        ({**ALPACA, "output": " \n"}, "empty answer", "output"),
        ({**ALPACA, "output": None}, "empty answer", "output"),
        ({**ALPACA, "instruction": ""}, "empty turn", "instruction"),
        ({**ALPACA, "output": ["A"]}, "not text", "output is a list"),
        ({**ALPACA, "output": {"a": 1}}, "not text", "output is an object"),
        ({**ALPACA, "output": True}, "not text", "output is a truth value"),
        ({**ALPACA, "output": float("nan")}, "not text", "output is nan"),
        ({**ALPACA, "output": float("-inf")}, "not text", "output is -inf"),
        ({**ALPACA, "output": "\ud800"}, "surrogate", "output"),
        ({**ALPACA, "image": "cat.png"}, "image or audio", "image"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(data: dict[str, Any], reason: str, detail: str) -> None:
    shape = detected(row(**ALPACA))
    error = refused(row(**data), shape)
    assert (error.reason, error.detail) == (reason, detail)
    if "stop" in ledger.REASONS[reason].actions:
        assert refused(row(**data), shape, **{reason.replace(" ", "_"): "stop"}).reason == reason


def test_a_malformed_history_is_refused() -> None:
    assert refused(row(**ALPACA, history=["x"])).detail == "history is no list of [question, answer]"
    assert refused(row(**ALPACA, history=[["q", ""]])).detail == "history 1"


@pytest.mark.parametrize(("value", "written"), [(5, "5"), (1.5, "1.5"), (1.0, "1.0"), (-3, "-3")])
def test_numbers_are_written_out(value: float, written: str) -> None:
    record = row(question="Q", answer=value)
    said = read(record)
    assert turns(said) == [ASKED[0], ("assistant", written)]
    assert noted(said) == [("number as text", f"answer: {written}", "changed")]
    assert refused(record, number_as_text="drop").reason == "number as text"


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("\x1b[31mred", "control characters", "ESC in output"),
        ("bell\x07", "control characters", "BEL in output"),
        ("\u009b31m", "control characters", "CSI in output"),
        ("a\x0bb", "control characters", "U+000B in output"),
        ("龍\x1b", "control characters", "ESC in output"),
        ("user \u202etxt.exe", "bidi controls", "U+202E in output"),
        ("\u2066x\u2069", "bidi controls", "U+2066 in output"),
    ],
)
def test_what_cannot_be_seen_is_noted_and_kept(text: str, reason: str, detail: str) -> None:
    record = row(instruction="Q", output=text)
    said = read(record)
    assert turns(said)[1] == ("assistant", text)
    assert noted(said) == [(reason, detail, "kept")]
    assert refused(record, **{reason.replace(" ", "_"): "drop"}).detail == detail


def test_honest_text_is_not_noted() -> None:
    said = read(row(instruction="tab\t, line\r\n", output="مرحبا שלום 龍 🙂 \u200d\u2028"))
    assert said.notes == []


TEMPLATE = """
name = "stars"
task = "rating"
language = "en"
metric = "exact"
description = "A review and its stars."
choices = ["bad", "good"]
label = "label"
[columns]
review = "what was written"
label = "0 or 1"
[[wordings]]
prompt = "Judge: {{ review }}"
answer = "{{ choice }}"
[[wordings]]
prompt = "Is this good? {{ review }}"
answer = "{{ choice }}"
"""


def test_templates_take_their_wordings_in_turns(tmp_path: Path) -> None:
    path = tmp_path / "stars.toml"
    path.write_text(TEMPLATE, "utf-8")
    record = row(text="{{ 7*7 }}", label=1, id=3)
    shape = detected(record, templates=(str(path),), columns={"review": "text"})
    assert shape.format == "template"
    assert shape.columns == {"review": "text", "label": "label"}
    assert (shape.mapping, shape.notes) == ("text, label in stars", ("not used: id",))
    said = [turns(formats.read(record, shape, ACTIONS, number)) for number in range(3)]
    assert said[0] == [("user", "Judge: {{ 7*7 }}"), ("assistant", "good")]
    assert said[1][0] == ("user", "Is this good? {{ 7*7 }}")
    assert said[2] == said[0]
    assert refused(row(label=1), shape).detail == "text"
    assert refused(row(text="fine", label=7), shape).reason == "template failed"
    with pytest.raises(UserError, match="the template reads review, and there are: text, label"):
        detected(row(text="x", label=1), templates=(str(path),))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "from", "value", "tool_calls", "weight", "type", "text", "name",
                         "function", "arguments", "input", "output", "reasoning_content", "x"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
SHAPES = [
    row(**ALPACA, system="S", history=[], tools=[]),
    row(messages=TALK, tools=[], system=""),
    row(conversations=GPT, tools="[]"),
    row(prompt="Q", completion="A"),
    row(instruction="Q", instances=[{"input": "", "output": "A"}]),
    row(prompt="Q", chosen="A", rejected="B"),
    row(text="T"),
    row(input_ids=[1], labels=[1]),
]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("known", SHAPES, ids=lambda known: next(iter(known.data)))
def test_any_json_is_read_or_refused(known: Row, data: st.DataObject) -> None:
    shape = detected(known)
    cells = {column: data.draw(JSON | st.just(value)) for column, value in known.data.items()}
    try:
        said = formats.read(row(**cells), shape, ACTIONS)
    except Unusable as error:
        assert error.reason in ledger.REASONS
    else:
        assert said.examples
    formats.detect([row(**cells)], Source(path="x"))
