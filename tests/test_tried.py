"""What is tried of a key, as a line that is typed: read, written, refused; what is suggested, and counted."""

from __future__ import annotations

from typing import Any

import pytest
from test_space import swept

from engine import recipe, space, steering, tried
from engine.errors import UserError
from engine.sweep_plan import Over


@pytest.mark.parametrize(
    ("key", "line", "table", "again"),
    [
        ("lora.rank", "8, 16  32", {"values": [8, 16, 32]}, "8, 16, 32"),
        ("train.schedule", "cosine,linear", {"values": ["cosine", "linear"]}, "cosine, linear"),
        ("train.packing", "true, false", {"values": [True, False]}, "true, false"),
        ("train.learning_rate", "1e-5 .. 1e-3 log", {"low": 1e-5, "high": 1e-3, "log": True},
         "1e-05 .. 0.001 log"),
        ("lora.rank", "4..64 log points 5", {"low": 4, "high": 64, "log": True, "points": 5},
         "4 .. 64 log points 5"),
        ("lora.dropout", "0 .. 0.2", {"low": 0, "high": 0.2}, "0 .. 0.2"),
        ("lora.alpha", "1x, 2x", {"values": [1, 2], "factor_of": "lora.rank"}, "1x, 2x"),
        ("train.save_every", "0.5x 1x of train.eval_every",
         {"values": [0.5, 1], "factor_of": "train.eval_every"}, "0.5x, 1x of train.eval_every"),
        ("model.id", "a/6x, b/7x", {"values": ["a/6x", "b/7x"]}, "a/6x, b/7x"),
    ],
)  # fmt: skip
def test_a_line_is_read_and_written_as_it_was_meant(
    key: str, line: str, table: dict[str, Any], again: str
) -> None:
    assert tried.read(key, line) == table
    over = Over.model_validate({key: tuple(v) if isinstance(v, list) else v for key, v in table.items()})
    assert tried.written(key, over) == again
    assert tried.read(key, again) == table


@pytest.mark.parametrize(
    ("key", "line", "words"),
    [
        ("lora.rank", " , ", "nothing to try"),
        ("lora.rank", "8 .. 16 .. 32 x", "is no range; write"),
        ("lora.rank", "8 ..", "is no range; write"),
        ("lora.rank", "8, 16x", "behind each of the factors"),
        ("lora.dropout", "1x, 2x", "say of what"),
        ("lora.rank", "8, 16 of lora.alpha", "write an x behind each"),
    ],
)
def test_a_line_that_says_nothing_sensible_is_one_sentence(key: str, line: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        tried.read(key, line)
    assert str(caught.value).startswith(f"sweep.over.{key}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [path.stem for path in recipe.bundled()])
def test_what_is_suggested_can_be_tried_with_every_recipe(name: str) -> None:
    plan = recipe.load(name)
    over = tried.suggested(plan)
    assert over["train.learning_rate"]["low"] < plan.train.learning_rate < over["train.learning_rate"]["high"]
    assert ("lora.rank" in over) == (plan.train.method == "lora" and not plan.model.adapter)
    if not plan.then:
        document = plan.model_dump(mode="json", exclude={"sweep"}, exclude_none=True)
        space.check(recipe.parse({**document, "sweep": {"runs": 12, "over": over}}))


def test_a_suggested_rate_is_never_one_that_is_refused() -> None:
    plan = recipe.changed(recipe.load("first-steps"), train={"learning_rate": 0.04})
    assert tried.suggested(plan)["train.learning_rate"]["high"] == 0.05


def test_settings_are_counted_where_they_have_an_end() -> None:
    lists = {"lora.rank": [8, 16, 32], "train.seed": {"low": 1, "high": 4}}
    for method, over, count, most in (
        ("tpe", lists, 12, 100),
        ("grid", lists, 9, 9),  # three points of the range
        ("random", {**lists, "lora.dropout": {"low": 0.0, "high": 0.2}}, None, 100),
    ):
        plan = swept(over, method=method, runs=100)
        assert plan.sweep is not None
        assert (space.count(plan.sweep), steering.most_runs(plan)) == (count, most)


def test_a_sweep_is_said_in_a_line() -> None:
    assert tried.said(swept()) == "rank 8, 16 · alpha 1x, 2x · learning_rate 1e-05 .. 0.001 log"
    assert tried.said(recipe.load("first-steps")) == ""
