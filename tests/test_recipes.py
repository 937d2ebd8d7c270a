"""The recipes that ship with the program: each loads, shows its first rows and trains."""

from __future__ import annotations

import importlib
import re
import tomllib
from itertools import islice
from pathlib import Path

import pytest
from conftest import wait_for_end
from tui_stage import Stage, until

from engine import RECIPES, dataset, recipe, runs, schema
from engine.errors import UserError
from engine.events import EventLog, Tail
from engine.formats import Conversation
from engine.render import IGNORED
from engine.sources import Row
from tui.screens.choose import PickScreen
from tui.screens.home import HomeScreen
from tui.screens.model import ModelScreen

ROOT = RECIPES.parent
GENERATORS = (
    "shop_reviews", "problems", "conversations", "tasks", "chinese_reviews", "product_pages", "outlines",
    "codebase",
)  # fmt: skip

LARGEST_SET = 320_000

every = pytest.mark.parametrize("file", recipe.bundled(), ids=lambda file: file.stem)


@every
def test_the_first_rows_of_each_set_are_rendered_with_an_answer_to_learn(file: Path) -> None:
    assert recipe.load(file).name == file.stem
    for plan in recipe.links(recipe.load(file)):
        dataset.check(plan)
        data = dataset.opened(plan)
        for one in data.sets:
            first = (islice(data.records(one, number), 5) for number in range(min(3, len(one.found.files))))
            rows = [row for records in first for row in records if isinstance(row, Row)]
            samples = [sample for row in rows for sample in dataset.of_row(data, one, row, row.line)]
            assert len(samples) >= 3
            for sample in samples:
                ids = sample.rendered.ids
                learnt = [label for label in sample.rendered.labels if label != IGNORED]
                if isinstance(sample.example, Conversation):
                    assert sample.reference.strip() and 0 < len(learnt) < len(ids) <= plan.data.max_length
                else:
                    assert one.source.format == "text" and 0 < len(learnt) == len(ids) <= plan.data.max_length


@every
def test_its_head_says_what_for_and_how_and_what_a_real_model_takes(file: Path) -> None:
    head = file.read_text("utf-8").split("\nname = ")[0]
    assert f"ift-tui train {file.stem}" in head and "1-8B model on one GPU" in head
    assert recipe.purpose(file) != file.stem
    for line in file.read_text("utf-8").splitlines():
        assert len(line) <= 120, line


def test_the_sets_are_what_their_generators_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    for name in GENERATORS:
        module = importlib.import_module(f"scripts.{name}")
        place = module.FILE if hasattr(module, "FILE") else module.FOLDER
        made = tmp_path / name / place.name
        monkeypatch.setattr("sys.argv", [name, "--out", str(made)])
        module.main()
        for file in [made] if made.is_file() else sorted(path for path in made.rglob("*") if path.is_file()):
            shipped = ROOT / place / file.relative_to(made)
            assert file.read_bytes() == shipped.read_bytes(), f"run python -m scripts.{name}"
            assert shipped.stat().st_size <= LARGEST_SET


def test_the_unseen_task_is_in_no_training_row() -> None:
    plan = recipe.load("task-mixture")
    (unseen,) = (source for source in plan.data.sources if source.held_out)
    asked = re.findall(r'"instruction": "([^"]+)"', Path(unseen.path).read_text("utf-8"))
    for source in plan.data.sources:
        if source is not unseen:
            assert not set(asked) & set(
                re.findall(r'"instruction": "([^"]+)"', Path(source.path).read_text("utf-8"))
            )


def test_what_reports_measure_names_recipes_and_keys_that_there_are() -> None:
    from tui.commands.train import changed

    plans = tomllib.loads((ROOT / "scripts" / "recipe_reports.toml").read_text("utf-8"))
    assert set(plans) == {file.stem for file in recipe.bundled()} - {"first-steps"}
    for name, plan in plans.items():
        if "measured" in plan:
            assert plan["measured"] in [link.name for link in recipe.links(recipe.load(name))]
        for label, variant in plan.get("variants", {}).items():
            if of := variant.get("of"):
                assert label in plans or label in plans[of]["variants"]
                continue
            settings = [each.replace("{root}", str(ROOT)) for each in variant["set"]]
            other = changed(recipe.load(name), settings)
            assert other != recipe.load(name)
            dataset.check(other)


def test_the_page_that_names_the_others_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    report = importlib.import_module("scripts.recipe_report")
    assert (report.PAGES / "README.md").read_text("utf-8") == report.index(), "run `make recipes`"
    for page in report.PAGES.glob("*.md"):
        assert page.stem == "README" or recipe.load(page.stem).name == page.stem


def test_what_a_page_says_of_each_run_of_a_chain_and_of_its_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    report = importlib.import_module("scripts.recipe_report")
    assert report.links("two-phase") == ["two-phase", "answers"]
    plan = {"measured": "answers", "eval": ["--rows", "5"], "set": ["train.steps=2"]}
    assert report.commands("two-phase", "two-phase", plan, "/here") == (
        ["train", "two-phase", "--set", "train.steps=2"], ["eval", "answers", "--rows", "5"],
    )  # fmt: skip
    other = {"measured": "other", "set": ["data.sources.0.path={root}/rows.jsonl"]}
    assert report.commands("two-phase", "other", other, "/here") == (
        ["train", "two-phase", "--set", "name=other", "--set", "data.sources.0.path=/here/rows.jsonl"],
        ["eval", "other"],
    )  # fmt: skip


def test_a_page_takes_no_run_that_another_recipe_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    report = importlib.import_module("scripts.recipe_report")
    as_it_is = recipe.load("review-summary")
    for plan, told in ((recipe.changed(as_it_is, train={"steps": 5}), False), (as_it_is, True)):
        ended(plan, told)
        assert report.trained("review-summary") is None
    run = ended(as_it_is, False)
    assert report.trained("review-summary") == run
    variant = report.expected()["questions-alone"]
    assert [Path(source.path).name for source in variant.data.sources] == ["questions-train.jsonl"]
    second = report.expected()["answers"]
    run = ended(second.model_copy(update={"model": schema.Model(adapter="a-run"), "after": "a-run"}), False)
    assert report.trained("answers") == run


def ended(plan: schema.Recipe, told: bool) -> runs.Run:
    """A run whose events say that it came to its end; told: with another number of steps on the way."""
    run = runs.create(plan)
    log = EventLog(run.events)
    if told:
        log.write("told", step=2, what="steps", value=5)
    log.write("finished", step=5, path=str(run.result))
    return run


def small(tmp_path: Path, rows: int) -> schema.Recipe:
    """Two sets of that many rows, of which the second is held out whole."""
    for name in ("seen", "unseen"):
        lines = [f'{{"question": "Say {name} {i}.", "answer": "{name} {i}"}}\n' for i in range(rows)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    sources = [
        {"path": str(tmp_path / "seen.jsonl"), "weight": 2.0},
        {"path": str(tmp_path / "unseen.jsonl"), "held_out": True},
    ]
    return recipe.parse({"data": {"sources": sources, "validation": 0.0, "test": 4}})


def test_examples_are_rows_that_are_not_asked(tmp_path: Path) -> None:
    from engine.workers import evaluate

    plan = small(tmp_path, 12)
    asked, others = evaluate.drawn(plan, "test", 20, 3)
    assert [sum(one.one.number == number for one in asked) for number in (0, 1)] == [4, 9]
    said = {one.rendered.text for one in asked}
    for number, own in others.items():
        assert len(own) >= 3 and len({one.rendered.text for one in own}) == len(own)
        assert all(one.one.number == number and one.rendered.text not in said for one in own)
    turns = evaluate.shots(others, 2)[1]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert [one.row.line for one in evaluate.held_out(plan, "test", 20)][:4] == [
        one.row.line for one in asked if one.one.number == 0
    ]
    with pytest.raises(UserError, match="take another part"):
        evaluate.drawn(plan, "train", 5, 1)
    with pytest.raises(UserError, match="ask for fewer examples"):
        evaluate.drawn(plan, "test", 20, 9)


async def test_a_run_begins_from_any_of_them() -> None:
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.is_mounted)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"chinese", "enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        assert app._draft is not None and app._draft.recipe == recipe.load("sentiment-zh")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("file", recipe.bundled(), ids=lambda file: file.stem)
def test_it_trains(file: Path) -> None:
    """Each run of it for two steps, one on top of the other where they are a chain."""
    former = ""
    for link in recipe.links(recipe.load(file)):
        plan = recipe.changed(
            link,
            model={"adapter": former if link.model.adapter else ""},
            train={"steps": 2, "eval_every": 0, "save_every": 0, "probe": False, "warmup_steps": 0},
            evaluate={"samples": 0, "at_end": 0, "accuracy_rows": 3, "max_new_tokens": 4},
        )
        former = trained(plan).name


def trained(plan: schema.Recipe) -> runs.Run:
    """A run of a recipe, whose events say what the recipe lets one expect."""
    run = runs.create(plan)
    runs.launch(run)
    wait_for_end(run)
    state = run.state()
    assert state.status == "finished" and state.step == 2, state.reason
    told = [event for event in Tail(run.events).read() if event["kind"] == "evaluated"]
    judged = any(source.metric != "text" and source.format != "text" for source in plan.data.sources)
    for event in told:
        assert ("right" in event) == judged
        most = 3 + len(plan.data.sources) - 1  # each set's share of the three is rounded up
        assert not judged or 0 <= event["right"] <= event["answered"] <= most
    assert [event["adapter"] for event in told] == ([] if plan.data.all_data else [False, True])
    return run


def test_where_all_weights_are_trained_nothing_of_an_adapter_is_asked() -> None:
    from tui.widgets.knob import KNOBS, of_recipe

    assert of_recipe(recipe.load("first-steps")) == list(KNOBS)
    asked = {knob.id for knob in of_recipe(recipe.load("full-fine-tune"))}
    assert {knob.id for knob in KNOBS} - asked == {
        "lora-rank",
        "lora-alpha",
        "lora-dropout",
        "model-load_in_4bit",
    }
