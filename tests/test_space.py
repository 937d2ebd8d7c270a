"""What a sweep can try: lists, ranges and factors, their combinations, and what is refused before any run."""

from __future__ import annotations

from typing import Any

import pytest

from engine import recipe, space
from engine.errors import UserError
from engine.schema import Recipe
from engine.sweep_plan import Over

OVER = {
    "lora.rank": [8, 16],
    "lora.alpha": {"factor_of": "lora.rank", "values": [1, 2]},
    "train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
}


def swept(over: dict[str, Any] = OVER, data: dict[str, Any] | None = None, **sweep: Any) -> Recipe:
    """A recipe with this sweep."""
    source = {"sources": [{"path": "builtin:reviews"}], **(data or {})}
    return recipe.parse({"data": source, "sweep": {"runs": 12, "over": over, **sweep}})


@pytest.mark.parametrize(
    ("over", "tried"),
    [
        ({"values": (8, 16)}, (8, 16)),
        ({"low": 1e-5, "high": 1e-3, "log": True}, (1e-5, 1e-4, 1e-3)),
        ({"low": 0.0, "high": 0.3, "points": 4}, (0.0, 0.1, 0.2, 0.3)),
        ({"low": 1, "high": 4, "points": 10}, (1, 2, 3, 4)),
        ({"low": 4, "high": 64, "log": True, "points": 5}, (4, 8, 16, 32, 64)),
    ],
)
def test_a_grid_takes_its_values_or_points_of_its_range(over: dict[str, Any], tried: tuple[Any, ...]) -> None:
    found = space.candidates(Over.model_validate(over))
    assert found == tried and list(map(type, found)) == list(map(type, tried))


def test_every_combination_comes_once_the_last_key_first() -> None:
    plan = swept().sweep
    assert plan is not None
    found = list(space.combinations(plan))
    assert len(found) == len({str(draw) for draw in found}) == 2 * 2 * 3
    assert found[1] == {"lora.rank": 8, "lora.alpha": 1, "train.learning_rate": 1e-4}


def test_a_factor_is_multiplied_and_a_drawn_number_is_short() -> None:
    draw = {"lora.rank": 16, "lora.alpha": 2, "train.learning_rate": 0.00019578897}
    assert space.setting(swept(), draw) == {
        "lora.rank": 16,
        "lora.alpha": 32,
        "train.learning_rate": 0.0001958,
    }
    alone = swept({"lora.alpha": {"factor_of": "lora.rank", "values": [0.5, 2]}})
    assert space.setting(alone, {"lora.alpha": 0.5}) == {"lora.alpha": 8}  # of the recipe's rank


def test_a_setting_makes_a_recipe_of_its_own() -> None:
    plan = swept()
    made = space.applied(plan, {"lora.rank": 8, "data.sources.0.weight": 2.0}, name="a-01")
    assert (made.name, made.lora.rank, made.data.sources[0].weight, made.sweep) == ("a-01", 8, 2.0, None)
    assert made.train == plan.train


def test_the_resolved_recipe_is_read_as_it_was() -> None:
    import tomllib

    plan = swept()
    assert recipe.parse(tomllib.loads(recipe.dumps(plan))) == plan


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"lora.rang": [8]}, r"lora\.rang: unknown key; did you mean rank"),
        ({"lora.rank": [8, 0]}, r"lora\.rank = 0.*greater than or equal to 1"),
        ({"lora.rank": [8.5]}, r"lora\.rank"),
        ({"train.learning_rate": {"low": 1e-5, "high": 1}}, "too high for LoRA"),
        ({"train.steps": [10], "train.epochs": [1]}, "contradict"),
        ({"sweep.seed": [1]}, "no setting of a run"),
        ({"data.seed": [1]}, "changes the validation rows"),
        ({"data.sources.0.path": ["a"]}, "changes the validation rows"),
        ({"data.sources.7.weight": [1.0]}, "no 7 among 1 entries"),
        ({"train.schedule.kind": ["cosine"]}, "schedule"),
        ({"lora.alpha": {"factor_of": "model.id", "values": [1]}}, "names no number"),
        (
            {"lora.alpha": {"factor_of": "lora.rank", "values": [1]},
             "lora.rank": {"factor_of": "lora.alpha", "values": [1]}},
            "is a factor itself",
        ),
    ],
)  # fmt: skip
def test_what_would_fail_is_refused_before_the_first_run(over: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        space.check(swept(over))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"over": {}}, r"sweep\.over"),
        ({"over": {"lora.rank": []}}, "list of values, or low and high"),
        ({"over": {"lora.rank": [8, 8]}}, "twice"),
        ({"over": {"lora.rank": [[8]]}}, "cannot be tried"),
        ({"over": {"lora.rank": {"low": 8}}}, "give both"),
        ({"over": {"lora.rank": {"low": 8, "high": 8}}}, "give both"),
        ({"over": {"lora.rank": {"low": float("nan"), "high": 8}}}, "low: nan is no end"),
        ({"over": {"lora.rank": {"low": "a", "high": True}}}, "low: 'a' is no end"),
        ({"over": {"lora.rank": {"low": 0, "high": 8, "log": True}}}, "low above 0"),
        ({"over": {"lora.rank": {"low": 1, "high": 8, "factor_of": "lora.alpha"}}}, "factors are a list"),
        ({"over": {"lora.rank": {"factor_of": "lora.alpha", "values": ["a"]}}}, "factors are numbers"),
        ({"over": OVER, "runs": None}, "goes on for ever"),
        ({"over": OVER, "runs": 2, "seeds": 3}, "raise runs"),
        ({"over": {"train.seed": [1, 2]}, "seeds": 2}, r"leave train\.seed out"),
        ({"over": OVER, "objective": "loss"}, "validation loss"),
    ],
)
def test_a_sweep_that_says_nothing_sensible_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        swept(**given)


def test_a_sweep_needs_rows_to_be_judged_on() -> None:
    files = {"sources": [{"path": "rows.jsonl"}], "validation": 0.0}
    with pytest.raises(UserError, match="judged on validation rows"):
        space.check(swept(data=files))
    with pytest.raises(UserError, match=r"has no \[sweep\]"):
        space.check(recipe.load("first-steps"))
    plan = swept(objective="right")
    with pytest.raises(UserError, match=r"set evaluate\.at_end"):
        space.check(recipe.changed(plan, evaluate={"at_end": 0}))
    space.check(plan)


@pytest.mark.parametrize(
    ("objective", "source"),
    [
        ("valid", {"valid": "json"}),
        ("right", {"metric": "number"}),
        ("ROUGE-L", {"metric": "text"}),
        ("choice said: accuracy", {"metric": "choice"}),
    ],
)
def test_a_figure_that_no_set_has_is_refused(objective: str, source: dict[str, Any]) -> None:
    path = {"path": "builtin:reviews"}
    space.check(swept(data={"sources": [path, {**path, **source}]}, objective=objective))
    other = {"metric": "text"} if objective == "right" else {"metric": "normalised"}
    with pytest.raises(UserError, match="no set is judged"):
        space.check(swept(data={"sources": [{**path, **other}]}, objective=objective))
