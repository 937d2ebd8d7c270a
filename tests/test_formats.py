"""Shapes are found by their columns; a row that cannot be used says why."""

from __future__ import annotations

from typing import Any

import pytest

from engine import formats
from engine.errors import UserError
from engine.formats import Unusable
from engine.sources import Row


def row(**data: Any) -> Row:
    return Row("rows.jsonl", 1, data)


def said(record: Row) -> list[tuple[str, str]]:
    shape = formats.detect([record])
    return [(m["role"], m["content"]) for m in formats.conversation(record, shape)]


ASKED = [("user", "Q"), ("assistant", "A")]


@pytest.mark.parametrize(
    ("data", "shape", "turns"),
    [
        ({"instruction": "Q", "output": "A"}, "alpaca", ASKED),
        ({"instruction": "Q", "input": "I", "output": "A"}, "alpaca", [("user", "Q\n\nI"), ASKED[1]]),
        (
            {"instruction": "Q", "input": "", "output": "A", "system": "S"},
            "alpaca",
            [("system", "S"), *ASKED],
        ),
        (
            {"instruction": "Q", "output": "A", "history": [["q", "a"]]},
            "alpaca",
            [("user", "q"), ("assistant", "a"), *ASKED],
        ),
        (
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
            "messages",
            ASKED,
        ),
        (
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
            "sharegpt",
            ASKED,
        ),
        ({"prompt": "Q", "completion": "A"}, "pairs", ASKED),
        ({"question": "Q", "answer": "A", "extra": 3}, "pairs", ASKED),
    ],
)
def test_shapes(data: dict[str, Any], shape: str, turns: list[tuple[str, str]]) -> None:
    assert formats.detect([row(**data)]).format == shape
    assert said(row(**data)) == turns


def test_braces_in_data_are_text() -> None:
    assert said(row(prompt="{{name}}", completion="{% if %}"))[0][1] == "{{name}}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"instruction": "Q", "output": ""}, "empty answer"),
        ({"instruction": "Q", "output": " \n"}, "empty answer"),
        ({"instruction": "Q", "output": None}, "empty answer"),
        ({"instruction": "", "output": "A"}, "empty turn"),
        ({"instruction": "Q", "output": 3}, "not text"),
        ({"instruction": "Q", "output": "\ud800"}, "not Unicode"),
        ({"instruction": "Q", "output": "A", "history": ["x"]}, "malformed history"),
        ({"messages": []}, "no turns"),
        ({"messages": ["hello"]}, "malformed turn"),
        ({"messages": [{"role": "user", "content": "Q"}]}, "no answer"),
        ({"messages": [{"role": "assistant", "content": "A"}]}, "no question"),
        ({"messages": [{"role": "narrator", "content": "Q"}]}, "unknown role"),
        (
            {"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": "A"}]},
            "not text",
        ),
    ],
)
def test_a_row_that_cannot_be_used_says_why(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        formats.conversation(row(**data), formats.detect([row(**data)]))
    assert caught.value.reason == reason


def test_a_set_of_no_known_shape_names_its_columns() -> None:
    with pytest.raises(UserError, match="columns found: review, stars"):
        formats.detect([row(review="good", stars="5")])
    with pytest.raises(UserError, match="as messages"):
        formats.detect([row(prompt="Q", completion="A")], "messages")
