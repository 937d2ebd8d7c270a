"""What a recipe leaves open is chosen so that it fits, is nearly the fastest way, and says why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from test_tui_walk import at_recipe, text
from tui_stage import Stage, until

from engine import auto, memory, recipe, runs, tried
from engine.auto import OPEN, ROOM, Choice
from engine.errors import UserError
from engine.footprint import Device, Plan
from engine.memory import Rows
from engine.schema import Recipe, Settled
from engine.shapes import Unknown
from engine.workers import pace
from tests.conftest import wait_for_end
from tests.test_shapes import CONFIGS, known
from tui.__main__ import main
from tui.screens.home import NEW

GB = 1_000_000_000
OPEN_BY_DEFAULT = [key for key in OPEN if key != "packing"]
LLAMA = known(CONFIGS["Llama-3.1-8B"])
SMALL = known(CONFIGS["SmolLM2-135M"])
SHORT = Rows(longest=900, usual=600, evaluated=900, mean=150.0, count=20_000)
LONG = Rows(longest=4096, usual=4096, evaluated=4096, mean=3500.0, count=20_000)


def open_recipe(**train: Any) -> Recipe:
    source = {"path": "rows.jsonl"}
    return recipe.parse({"data": {"sources": [source], "max_length": 4096}, "train": train})


def total(asked: Recipe, settled: Settled, model: Any, device: Device, rows: Rows) -> int:
    return memory.forecast(memory.plan(asked, settled, rows), model, device).total


def why_of(choices: Iterable[Choice]) -> dict[str, str]:
    return {one.key: one.why for one in choices}


@pytest.mark.parametrize("rows", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("free", [8, 12, 16, 24, 48, 80, 141])
def test_what_is_chosen_fits_where_anything_does(free: int, rows: Rows) -> None:
    device, asked = Device("cuda", free * GB), open_recipe()
    settled, choices = auto.settle(asked, LLAMA, device, rows)
    assert {one.key for one in choices} == set(OPEN) - {"packing"} and settled.rows_a_step == 16
    assert all(one.why for one in choices)
    least = Settled(batch_size=1, gradient_accumulation=16, gradient_checkpointing=True)
    if total(asked, least, LLAMA, device, rows) <= ROOM * device.free:
        assert total(asked, settled, LLAMA, device, rows) <= ROOM * device.free
    else:
        assert (settled.batch_size, settled.gradient_checkpointing) == (1, True)


def test_more_memory_never_makes_it_slower() -> None:
    asked, costs = open_recipe(), []
    for free in range(10, 145, 5):
        device = Device("cuda", free * GB)
        settled, _ = auto.settle(asked, LLAMA, device, SHORT)
        costs.append(auto.cost(memory.plan(asked, settled, SHORT), device, 150.0))
    assert all(later <= earlier * auto.NEAR for earlier, later in pairwise(costs))
    assert costs[-1] < 0.7 * costs[0]


def test_activations_are_kept_where_there_is_room() -> None:
    asked = open_recipe()
    roomy, _ = auto.settle(asked, LLAMA, Device("cuda", 141 * GB), SHORT)
    tight, choices = auto.settle(asked, LLAMA, Device("cuda", 12 * GB), LONG)
    assert not roomy.gradient_checkpointing and tight.gradient_checkpointing
    why = {one.key: one.why for one in choices}
    assert "to keep what the layers compute would take" in why["gradient_checkpointing"]
    assert "12.0 GB that are free" in why["batch_size"]


def test_what_a_recipe_says_stays() -> None:
    given = {"batch_size": 3, "optimizer": "adamw_8bit", "gradient_checkpointing": False}
    settled, choices = auto.settle(open_recipe(**given), LLAMA, Device("cuda", 80 * GB), SHORT)
    assert {key: getattr(settled, key) for key in given} == given
    assert choices[0] == Choice("gradient_accumulation", 5, "3 x 5 are 15 rows a step")
    assert {one.key for one in choices[1:]} == set(OPEN_BY_DEFAULT) - {*given, "gradient_accumulation"}
    given |= {"gradient_accumulation": 2, "attention": "eager", "loader_workers": 3, "keep_dequantised": True}
    given |= {"learning_rate": 1e-4, "warmup_steps": 3, "eval_every": 7}
    settled, choices = auto.settle(open_recipe(**given), LLAMA, Device("cuda", GB), SHORT)
    assert settled.rows_a_step == 6 and choices == ()
    assert {key: getattr(settled, key) for key in given} == given


def test_steps_are_made_of_the_micro_batches_that_the_recipe_asks_for() -> None:
    settled, _ = auto.settle(open_recipe(gradient_accumulation=4), SMALL, Device("cuda", 80 * GB), SHORT)
    assert settled.gradient_accumulation == 4 and settled.batch_size in (1, 2, 4)


@pytest.mark.parametrize(("count", "rows"), [(None, 16), (20_000, 16), (320, 16), (319, 8), (60, 2), (3, 1)])
def test_small_sets_have_small_steps(count: int | None, rows: int) -> None:
    assert auto.rows_a_step(Rows(count=count)) == rows
    settled, choices = auto.settle(open_recipe(), SMALL, Device("cpu", 8 * GB), Rows(count=count))
    assert settled.rows_a_step == rows
    assert ("few because the set has" in choices[1].why) == (rows < 16)


def test_states_are_rounded_only_where_they_matter() -> None:
    wide = recipe.changed(open_recipe(), lora={"rank": 256})
    assert auto.settle(wide, LLAMA, Device("cuda", 24 * GB), SHORT)[0].optimizer == "adamw_8bit"
    assert auto.settle(wide, LLAMA, Device("cpu", 24 * GB), SHORT)[0].optimizer == "adamw"
    assert auto.settle(open_recipe(), LLAMA, Device("cuda", 24 * GB), SHORT)[0].optimizer == "adamw"


def test_rows_share_a_sequence_where_that_is_known_to_help() -> None:
    asked = open_recipe(packing="auto")
    assert auto.settle(asked, LLAMA, Device("cuda", 80 * GB), SHORT)[0].packing
    assert not auto.settle(asked, LLAMA, Device("cpu", 80 * GB), SHORT)[0].packing
    gemma = known(CONFIGS["Gemma-2-2b"])
    settled, choices = auto.settle(asked, gemma, Device("cuda", 80 * GB), SHORT)
    why = {one.key: one.why for one in choices}
    assert not settled.packing and why["packing"] == "not known to help with this model here"
    assert not open_recipe().train.packing  # unless it is asked for


def test_attention_is_flash_where_there_is_one_and_the_model_s_own_where_it_is_not_plain() -> None:
    gemma = known(CONFIGS["Gemma-2-2b"])
    chosen = [
        auto.settle(open_recipe(), model, device, SHORT)[0].attention
        for model in (LLAMA, gemma)
        for device in (
            Device("cuda", 80 * GB, flash=True), Device("cuda", 80 * GB), Device("cpu", 80 * GB),
        )
    ]  # fmt: skip
    assert chosen == ["flash", "sdpa", "sdpa", "model", "model", "model"]


def test_a_process_reads_ahead_only_where_a_gpu_would_wait_for_rows() -> None:
    def workers(model: Any, kind: Any) -> int:
        return auto.settle(open_recipe(), model, Device(kind, 80 * GB), SHORT)[0].loader_workers

    assert [workers(LLAMA, "cuda"), workers(SMALL, "cuda"), workers(SMALL, "cpu")] == [0, 1, 0]


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_weights_are_unpacked_once_where_there_is_room_for_it(kind: Any) -> None:
    kept = []
    for free in range(6, 145, 6):
        device = Device(kind, free * GB)
        settled, choices = auto.settle(open_recipe(), LLAMA, device, SHORT)
        kept.append(settled.keep_dequantised)
        if settled.keep_dequantised:
            assert total(open_recipe(), settled, LLAMA, device, SHORT) <= ROOM * device.free
        else:
            assert f"of the {free}.0 GB that are free" in why_of(choices)["keep_dequantised"]
    assert not kept[0] and kept[-1]
    half = recipe.changed(open_recipe(), model={"load_in_4bit": False})
    settled, choices = auto.settle(half, LLAMA, Device(kind, 141 * GB), SHORT)
    assert (
        not settled.keep_dequantised
        and why_of(choices)["keep_dequantised"] == "the weights are not in 4 bits"
    )


@pytest.mark.parametrize(
    ("method", "width", "rate"),
    [
        ("lora", 4096, 2e-4), ("lora", 2048, 2e-4), ("lora", 8192, 1e-4), ("lora", 576, 7.1e-4),
        ("lora", 192, 2.1e-3), ("full", 4096, 2e-5), ("full", 192, 2.1e-4),
    ],
)  # fmt: skip
def test_the_learning_rate_goes_by_the_width(method: Any, width: int, rate: float) -> None:
    model = replace(LLAMA, hidden=width)
    asked = recipe.changed(open_recipe(), train={"method": method}, model={"load_in_4bit": method == "lora"})
    settled, choices = auto.settle(asked, model, Device("cuda", 141 * GB), SHORT)
    assert settled.learning_rate == rate and f"{width:,} wide" in why_of(choices)["learning_rate"]
    unknown, choices = auto.settle(asked, Unknown("no"), Device("cpu", GB), SHORT)
    assert unknown.learning_rate == auto.LEARNING_RATE[method] and why_of(choices)["learning_rate"]


def test_a_sweep_is_laid_out_around_the_rate_that_would_be_chosen() -> None:
    open_one, settled = (tried.suggested(recipe.load(name)) for name in (NEW, "first-steps"))
    # Four times less and more than 2.1e-3, which would be chosen, and than 4e-3, which stands there.
    assert open_one["train.learning_rate"] == {"low": 5.2e-4, "high": 8.4e-3, "log": True}
    assert settled["train.learning_rate"] == {"low": 1e-3, "high": 1.6e-2, "log": True}


def test_a_rate_made_for_a_tiny_model_is_doubted_on_a_large_one() -> None:
    asked = open_recipe(learning_rate=4e-3)
    settled, _ = auto.settle(asked, LLAMA, Device("cuda", 141 * GB), SHORT)
    assert "20 times" in auto.doubt(settled, LLAMA) and "(0.0002)" in auto.doubt(settled, LLAMA)
    assert not auto.doubt(settled, replace(LLAMA, hidden=192)) and not auto.doubt(settled, Unknown("no"))


@pytest.mark.parametrize(
    ("steps", "early", "warmup", "every"),
    [(1, 0, 0, 0), (8, 0, 0, 0), (8, 2, 0, 1), (39, 0, 3, 0), (40, 0, 4, 5), (1000, 0, 10, 125)],
)
def test_warming_up_and_evaluating_go_by_the_length(steps: int, early: int, warmup: int, every: int) -> None:
    asked = open_recipe(steps=steps, early_stopping=early)
    settled, _ = auto.settle(asked, LLAMA, Device("cuda", 141 * GB), Rows())
    assert (settled.warmup_steps, settled.eval_every) == (warmup, every)
    assert pace.rate(settled, steps, [], warmup) == 1.0  # it gets to its whole rate


def test_before_the_rows_are_counted_no_length_is_known() -> None:
    settled, choices = auto.settle(open_recipe(epochs=2), LLAMA, Device("cuda", 141 * GB), Rows())
    assert settled.warmup_steps == auto.WARMUP and not settled.eval_every
    assert why_of(choices)["eval_every"] == "until the rows are counted"


def test_unpacked_weights_have_their_term() -> None:
    device = Device("cuda", 80 * GB)
    packed, kept = (
        memory.forecast(Plan(length=512, dequantised=dequantised), LLAMA, device)
        for dequantised in (False, True)
    )
    names = [{term.name: term.bytes for term in one.terms} for one in (packed, kept)]
    assert names[1]["weights unpacked"] == 2 * LLAMA.count("linear") and "weights in 4 bits" not in names[1]
    assert names[0]["weights in 4 bits"] < 0.27 * names[1]["weights unpacked"]
    small = Device("cuda", packed.total + 2 * GB)
    (first, *_) = memory.remedies(Plan(length=512, dequantised=True), LLAMA, small)
    assert first.changes == (("train.keep_dequantised", False),) and first.verdict == "fits"


def test_a_run_from_before_a_key_was_open_goes_on_as_it_was() -> None:
    settled = auto.applied(open_recipe().train, (Choice("batch_size", 2, "it fits"),))
    assert settled.batch_size == 2
    assert (settled.attention, settled.loader_workers, settled.keep_dequantised) == ("model", 0, False)


def test_a_model_that_is_not_known_is_treated_with_care() -> None:
    settled, choices = auto.settle(open_recipe(), Unknown("a mamba"), Device("cuda", 80 * GB), SHORT)
    assert (settled.batch_size, settled.gradient_accumulation) == (1, 16)
    assert settled.gradient_checkpointing
    assert "not known: a mamba" in choices[0].why


def test_the_cost_of_a_token_is_passes_and_weights_read() -> None:
    device = Device("cuda", GB)
    plain = Plan(length=100, batch=4, four_bit=False, checkpointing=False)
    assert auto.cost(plain, device, 100.0) == pytest.approx(4 * (1 + 180 / 400))
    again = Plan(length=100, batch=4, four_bit=True, checkpointing=True)
    assert auto.cost(again, device, 100.0) == pytest.approx(6 * (1 + 405 / 400))


def test_wrong_values_are_named_with_what_is_possible() -> None:
    with pytest.raises(UserError, match=r"train\.batch_size: .*, or auto \(found 0\)$"):
        open_recipe(batch_size=0)
    with pytest.raises(UserError, match=r"train\.attention: .*'eager', or auto \(found 'fast'\)$"):
        open_recipe(attention="fast")
    with pytest.raises(UserError, match=r"train\.loader_workers: .*, or auto \(found -1\)$"):
        open_recipe(loader_workers=-1)
    with pytest.raises(UserError, match=r"train\.optimizer: .*'adamw_8bit', or auto \(found 'sgd'\)$"):
        open_recipe(optimizer="sgd")


def test_auto_survives_being_written_down() -> None:
    asked = open_recipe(batch_size="auto")
    assert recipe.parse(recipe.tomllib.loads(recipe.dumps(asked))) == asked


def test_choices_are_read_back(tmp_path: Path) -> None:
    asked = open_recipe()
    assert auto.known(asked.train, tmp_path) is None  # nothing was chosen yet
    given: dict[str, Any] = {"batch_size": 3, "gradient_accumulation": 1, "optimizer": "adamw"}
    given |= {"gradient_checkpointing": True, "learning_rate": 1e-4, "warmup_steps": 3, "eval_every": 7}
    plain = auto.known(open_recipe(**given).train, tmp_path)  # how it is computed is open still
    assert plain is not None and plain.rows_a_step == 3
    settled, choices = auto.settle(asked, SMALL, Device("cpu", 8 * GB), SHORT)
    (tmp_path / auto.FILE).write_text(json.dumps(auto.facts(choices)))
    assert auto.load(tmp_path) == choices and auto.known(asked.train, tmp_path) == settled


async def test_the_recipe_screen_says_what_would_be_chosen() -> None:
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_recipe(app, pilot)
        assert "auto:" not in text(app, "#sums")
        app.screen.query_one("#train-batch_size Input").value = "auto"
        app.screen.query_one("#train-gradient_accumulation Input").value = "auto"
        await until(pilot, lambda: "auto: batch size " in text(app, "#sums"))
        assert "steps of 16 rows" in text(app, "#sums") and "times what is usual" not in text(app, "#sums")
        app.screen.query_one("#train-learning_rate Input").value = "0.05"
        await until(pilot, lambda: "24 times what is usual for a model 192 wide" in text(app, "#sums"))
        app.screen.query_one("#train-learning_rate Input").value = "auto"
        await until(pilot, lambda: "learning rate 0.0021" in text(app, "#sums"))
        await pilot.press("f2")
        await until(pilot, lambda: bool(app.screen.query("#report-text")))
        assert "rows a step" in text(app, "#report-text")


def test_the_memory_command_says_what_would_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "open.toml"
    file.write_text('[[data.sources]]\npath = "builtin:products"\n')
    assert main(["memory", str(file)]) == 0
    said = capsys.readouterr().out
    assert "auto: batch_size = " in said and "times what is usual" not in said
    assert main(["memory", str(file), "--json"]) == 0
    assert [one["key"] for one in json.loads(capsys.readouterr().out)["choices"]] == OPEN_BY_DEFAULT


@pytest.mark.slow
@pytest.mark.long
def test_a_run_writes_down_what_it_chose_and_goes_by_it() -> None:
    plan = recipe.parse(
        {
            "data": {"sources": [{"path": "builtin:reviews", "cap": 40}], "max_length": 128},
            "train": {"steps": 2, "probe": False},
            "evaluate": {"at_end": 0, "samples": 0},
        }
    )
    run = runs.create(plan)
    assert run.plan() is None
    runs.launch(run)
    wait_for_end(run)
    state = run.state()
    assert state.status == "finished", "\n".join(runs.log_tail(run))
    settled = run.plan()
    assert settled is not None and settled.rows_a_step == 2  # 40 rows: twenty steps an epoch
    assert [one["key"] for one in state.chosen] == OPEN_BY_DEFAULT
    assert {one["key"]: one["value"] for one in state.chosen}["batch_size"] == settled.batch_size
    assert recipe.load(run.path / "recipe.toml").train.batch_size == "auto"  # as the person wrote it
