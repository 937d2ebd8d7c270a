"""The choices on the way to a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tui_stage import PREFERENCE, SCANNED, found

from engine import recipe
from tui.draft import Draft, anchored, bundled_sources, source_at


def scanned() -> Draft:
    draft = Draft(recipe.load("first-steps"))
    return replace(draft, opened={"sources": []}, scan={**SCANNED, "digest": "abc", "rows": 10})


def test_another_learning_rate_leaves_the_rows_as_they_were_read() -> None:
    draft = scanned()
    other = draft.with_recipe(recipe.changed(draft.recipe, train={"learning_rate": 1e-4}))
    assert other.scan is draft.scan


def test_another_model_or_length_renders_other_rows() -> None:
    draft = scanned()
    assert draft.with_model("builtin:other").scan is None
    shorter = recipe.changed(draft.recipe, data={"max_length": 64})
    assert draft.with_recipe(shorter).opened is None


def test_a_run_is_bound_to_the_rows_that_were_shown() -> None:
    draft = scanned()
    assert draft.planned.data.digest == "abc"
    assert draft.with_model("builtin:other").planned.data.digest is None


def test_steps_that_were_passed_are_done_unless_they_want_something() -> None:
    draft = scanned().at(4)
    assert draft.steps_done == {2, 3}
    assert replace(draft, problem="no such file").steps_done == {2}


def test_a_set_of_no_known_shape_or_with_a_question_wants_something() -> None:
    draft = replace(scanned().at(4), opened={"sources": [found("a", format=""), found("b"), PREFERENCE]})
    assert (draft.shapeless, draft.questions) == ([0], [2])
    assert draft.steps_wanting == {3}
    assert replace(draft, opened={"sources": [PREFERENCE]}).steps_wanting == {3}
    assert not replace(draft, opened={"sources": [found("b")]}).steps_wanting


def test_one_source_is_read_in_another_way_and_the_others_stay() -> None:
    draft = scanned()
    first, second = draft.recipe.data.sources
    other = draft.with_source(1, second.model_copy(update={"weight": 2.0}))
    assert other.recipe.data.sources == (first, second.model_copy(update={"weight": 2.0}))
    assert other.scan is None


def test_the_ledger_is_that_of_all_rows_once_they_are_rendered() -> None:
    draft = Draft(recipe.load("first-steps"))
    assert draft.ledger is None
    assert replace(draft, survey={"ledger": [1]}).ledger == [1]
    assert replace(draft, survey={"ledger": [1]}, scan={"ledger": [1, 2]}).ledger == [1, 2]


def test_a_set_without_a_trained_row_says_why() -> None:
    draft = scanned()
    assert not draft.untrainable and not replace(draft, scan=None).untrainable
    none = replace(draft, scan={**SCANNED, "rows": 0, "left_out": {"too long": 7, "empty answer": 1}})
    assert none.untrainable.startswith("No row to train on; 8 rows left out, 7 for: too long.")


def test_a_typed_path_becomes_absolute_and_a_bundled_set_stays() -> None:
    assert source_at("rows.jsonl").path.startswith("/")
    assert source_at("builtin:reviews").path == "builtin:reviews"
    assert source_at("hf:org/name").path == "hf:org/name"


def test_a_model_folder_becomes_absolute_and_a_hub_id_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "mine").mkdir(parents=True)
    (tmp_path / "org" / "mine" / "config.json").write_text("{}")
    assert anchored("org/mine") == anchored("./org/mine") == str(tmp_path / "org" / "mine")
    assert anchored("org/other") == "org/other"
    assert anchored("builtin:tiny") == "builtin:tiny"


def test_bundled_sets_are_measured_as_the_bundled_recipe_does() -> None:
    metrics = {source.path: source.metric for source in bundled_sources()}
    assert metrics == {"builtin:products": "fields", "builtin:reviews": "exact"}
