"""A recipe is checked whole, and each mistake is one sentence that names the key and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import recipe, schema
from engine.errors import UserError

MINIMAL = '[[data.sources]]\npath = "rows.jsonl"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINIMAL + "[train]\nlearning_rate = 20", ["train.learning_rate", "20", "too high", "2e-4"]),
        (MINIMAL + "[train]\nlearnin_rate = 1e-3", ["train.learnin_rate", "unknown key", "learning_rate?"]),
        (MINIMAL + "[train]\nbatch_size = '8'", ["train.batch_size", "integer", "'8'"]),
        (MINIMAL + "[train]\nbatch_size = 0", ["train.batch_size", "0"]),
        (MINIMAL + "[train]\nepochs = 1\nsteps = 5", ["train", "epochs and steps contradict"]),
        (MINIMAL + "[train]\nsteps = true", ["train.steps", "True"]),
        (MINIMAL + "[lora]\nrnak = 8", ["lora.rnak", "did you mean rank?"]),
        (MINIMAL + "[tain]\nsteps = 1", ["tain", "did you mean train?"]),
        (MINIMAL + "fromat = 'alpaca'", ["data.sources.0.fromat", "did you mean format?"]),
        ("[data]\nsources = []", ["data.sources", "at least 1"]),
        ("", ["data", "needed"]),
        ("name = 'a b'\n" + MINIMAL, ["name", "pattern"]),
        ("= 3", ["not valid TOML", "line 1"]),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        recipe.load(written(tmp_path, text))
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(tmp_path))
    for word in words:
        assert word in said


def test_parts_must_leave_rows_to_train_on() -> None:
    with pytest.raises(UserError, match=r"data: validation and test together must leave rows"):
        recipe.parse({"data": {"sources": [{"path": "x"}], "validation": 0.6, "test": 0.4}})


def test_a_missing_recipe_names_the_bundled_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such recipe file; bundled recipes: .*first-steps"):
        recipe.load(tmp_path / "nowhere.toml")


def test_a_recipe_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_bytes("name = 'café'".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        recipe.load(file)


def test_relative_paths_belong_to_the_recipe_not_to_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    text = "[model]\nid = 'model'\n" + MINIMAL + "test = '../held.jsonl'\n"
    loaded = recipe.load(written(tmp_path, text))
    assert loaded.model.id == str(tmp_path / "model")
    assert loaded.data.sources[0].path == str(tmp_path / "rows.jsonl")
    assert loaded.data.sources[0].test == str(tmp_path.parent / "held.jsonl")


def test_a_hub_id_stays_an_id(tmp_path: Path) -> None:
    text = "[model]\nid = 'some/model'\n" + MINIMAL
    assert recipe.load(written(tmp_path, text)).model.id == "some/model"


@pytest.mark.parametrize("file", recipe.bundled(), ids=lambda file: file.stem)
def test_what_is_written_out_reads_back_equal(tmp_path: Path, file: Path) -> None:
    shipped = recipe.load(file)
    assert recipe.load(written(tmp_path, recipe.dumps(shipped))) == shipped


@pytest.mark.parametrize(
    ("train", "rows", "steps"),
    [
        ({"steps": 7}, 1000, 7),
        ({"batch_size": 4, "gradient_accumulation": 2}, 100, 13),  # 25 batches, 13 steps
        ({"epochs": 2.0, "batch_size": 10, "gradient_accumulation": 1}, 95, 20),
        ({"epochs": 0.001, "batch_size": 8}, 8, 1),
    ],
)
def test_steps_follow_from_rows(train: dict[str, float], rows: int, steps: int) -> None:
    assert schema.Settled.model_validate(train).total_steps(rows) == steps


def test_a_change_is_checked_like_a_recipe() -> None:
    plan = recipe.load("first-steps")
    assert recipe.changed(plan, train={"steps": 3}).train.steps == 3
    with pytest.raises(UserError, match=r"lora\.rank"):
        recipe.changed(plan, lora={"rank": 0})
