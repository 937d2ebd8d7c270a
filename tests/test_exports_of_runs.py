"""What each way to train means for a run's exports: lines of the script, keys elsewhere, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml

from engine import initial, models, recipe, runs
from engine.errors import UserError
from engine.exports import axolotl, card, llamafactory, possible, script, sizes
from engine.schema import Settled
from tui.feed.exports import Options, choices

PLAN = Settled(batch_size=2, gradient_accumulation=3, learning_rate=2e-5, schedule="linear", steps=7)

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "DoRA": ({"dora": True, "rank_stabilised": True}, {}, ("use_dora=True", "use_rslora=True")),
    "LoRA+": ({"plus_ratio": 4.0}, {"neftune": 5.0}, ("* 4.0}", "most = torch.tensor([5.0 /")),
    "all weights": ({}, {"method": "full", "attention": "sdpa"}, ("full_finetuning=True", "='sdpa'")),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_train_has_its_lines_in_the_script_and_its_keys_elsewhere(way: str) -> None:
    lora, train, lines = WAYS[way]
    plan = recipe.changed(recipe.load("first-steps"), model={"load_in_4bit": False}, lora=lora, train=train)
    settled = PLAN.model_copy(update=train)
    text = script.text(plan, settled, 7, "org/base", (), {})
    usual = script.text(recipe.load("first-steps"), PLAN, 7, "org/base", (), {})
    compile(text, "train.py", "exec")
    for line in lines:
        assert line in text and line not in usual
    full = way == "all weights"
    assert ("get_peft_model" in text) != full and ("'model'))" in text) == full
    axo = pyyaml.safe_load(axolotl.text(plan, settled, 7, "org/base", "", ["v_proj"], []))
    factory = pyyaml.safe_load(llamafactory.text(plan, settled, 7, "org/base", ["v_proj"], []))
    assert ("adapter" in axo) != full and factory["finetuning_type"] == ("full" if full else "lora")
    assert axo.get("peft_use_dora") == factory.get("use_dora") == lora.get("dora")
    assert axo.get("peft_use_rslora") == factory.get("use_rslora") == lora.get("rank_stabilised")
    assert axo.get("loraplus_lr_ratio") == factory.get("loraplus_lr_ratio") == lora.get("plus_ratio")
    assert axo.get("neftune_noise_alpha") == factory.get("neftune_noise_alpha") == train.get("neftune")
    assert axo.get("attn_implementation") == factory.get("flash_attn") == train.get("attention")


def test_first_weights_that_lie_beside_are_begun_with() -> None:
    plan = recipe.load("first-steps")
    text = script.text(plan, PLAN, 7, "org/base", (), {}, start=True)
    compile(text, "train.py", "exec")
    assert f'{script.START!r}, "adapter_model.safetensors"' in text
    axo = pyyaml.safe_load(axolotl.text(plan, PLAN, 7, "org/base", "", ["v_proj"], [], True))
    factory = llamafactory.text(plan, PLAN, 7, "org/base", ["v_proj"], [], True)
    assert axo["lora_model_dir"] == "./start" and "other random numbers" not in factory
    assert pyyaml.safe_load(factory)["adapter_name_or_path"] == "start"


METHOD = {"method": "full", "learning_rate": 1e-4}


def test_the_adapter_that_a_run_went_on_from_lies_beside_its_script(home: Path, tmp_path: Path) -> None:
    from engine.workers.adapters import Saved
    from engine.workers.exporting import first

    source = tmp_path / "former" / "adapter"
    source.mkdir(parents=True)
    (source / initial.WEIGHTS).write_bytes(b"weights")
    run = runs.create(recipe.changed(recipe.load("first-steps"), model={"adapter": str(source)}))
    made_with = {"adapter": initial.digest(run.recipe())}
    saved = Saved(run, 1, run.adapter, "", {"r": 16}, made_with)
    assert first.write(saved, models.MODELS / "tiny", tmp_path)
    assert (tmp_path / script.START / initial.WEIGHTS).read_bytes() == b"weights"
    assert str(tmp_path) not in (tmp_path / script.START / initial.CONFIG).read_text("utf-8")
    (source / initial.WEIGHTS).write_bytes(b"others")
    with pytest.raises(UserError, match="not there any more as it was"):
        first.write(saved, models.MODELS / "tiny", tmp_path)


def test_loftqs_first_weights_are_those_that_the_run_kept(home: Path, tmp_path: Path) -> None:
    from engine.workers.adapters import Saved
    from engine.workers.exporting import first

    run = runs.create(recipe.changed(recipe.load("first-steps"), lora={"init": "loftq"}))
    kept = run.path / initial.KEPT
    kept.mkdir()
    (kept / initial.WEIGHTS).write_bytes(b"begun")
    assert first.write(Saved(run, 1, run.adapter, "", {"r": 16}, {}), models.MODELS / "tiny", tmp_path)
    assert (tmp_path / script.START / initial.WEIGHTS).read_bytes() == b"begun"


FULL = ({"model": {"load_in_4bit": False}, "train": METHOD}, "all weights")
DORA = ({"lora": {"dora": True}}, "DoRA learns")
LOFTQ = ({"lora": {"init": "loftq"}}, "makes up for")


@pytest.mark.parametrize(
    ("change", "asked", "word"),
    [
        (FULL, {"kind": "adapter"}, FULL[1]),
        (FULL, {"kind": "gguf", "types": ["f16", "lora"]}, FULL[1]),
        (FULL, {"kind": "ollama", "ollama": "adapter"}, FULL[1]),
        (FULL, {"kind": "merged", "onto": "4-bit"}, "not in 4 bits"),
        (DORA, {"kind": "gguf", "types": ["lora"]}, DORA[1]),
        (DORA, {"kind": "ollama", "ollama": "adapter"}, DORA[1]),
        (LOFTQ, {"kind": "merged", "onto": "original"}, LOFTQ[1]),
    ],
)
def test_what_cannot_be_made_of_a_run_is_known_beforehand(
    change: tuple[dict[str, Any], str], asked: dict[str, Any], word: str, home: Path
) -> None:
    run = runs.create(recipe.changed(recipe.load("first-steps"), **change[0]))
    with pytest.raises(UserError, match=word):
        possible.check(run, **asked)
    for kind in ("merged", "script", "axolotl", "hub"):
        possible.check(run, kind)


FOUR_BIT = {"dtype": "float32", "quantization": {"load_in_4bit": True}}
WAYS_TO_MERGE: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[tuple[str, str]]]] = {
    "4 bits, computed in 32": (
        {}, FOUR_BIT, [], [("original", "auto"), ("4-bit", "auto"), ("4-bit", "float16")],
    ),
    "4 bits, computed in 16": (
        {}, {**FOUR_BIT, "dtype": "bfloat16"}, [], [("original", "auto"), ("4-bit", "auto")],
    ),
    "LoftQ": (LOFTQ[0], FOUR_BIT, [], [("4-bit", "auto"), ("4-bit", "float16")]),
    "not in 4 bits": ({}, {"dtype": "float32"}, [], [("auto", "auto")]),
    "in the type that was asked for": (
        {}, FOUR_BIT, ["--dtype", "float32"], [("original", "float32"), ("4-bit", "float32")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WAYS_TO_MERGE)
def test_ways_to_merge_are_tried_until_one_answers_as_the_run(
    case: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.workers import export
    from engine.workers.adapters import Saved
    from engine.workers.exporting import kinds
    from engine.workers.exporting.making import Plan, Work

    change, made_with, words, expected = WAYS_TO_MERGE[case]
    run = runs.create(recipe.changed(recipe.load("first-steps"), **change))
    asked = export.arguments([str(run.path), "--to", "merged", *words])
    saved = Saved(run, 1, run.adapter, "", {}, made_with)
    nothing: Any = None
    work = Work(run, saved, nothing, models.MODELS / "tiny", asked, nothing, lambda: False)
    assert kinds._ways(work, "auto") == expected
    tried = []

    def plan(work: Work, how: Any) -> Plan:
        tried.append((how.onto, str(how.dtype).removeprefix("torch.")))
        return Plan(lambda folder: None, 0, notes=how.notes)

    monkeypatch.setattr(kinds, "_merged_onto", plan)
    made: Plan | None = kinds._onto(work, plan)
    while made is not None and made.otherwise:
        made = made.otherwise({"share": 0.5, "bar": 0.95})
    own = {"auto": "float32" if case == "not in 4 bits" else "bfloat16"}
    assert tried == [(onto.replace("auto", "original"), own.get(kind, kind)) for onto, kind in expected]
    assert made is not None and sum("and was not kept" in note for note in made.notes) == len(expected) - 1
    tried.clear()
    again = kinds._onto(work, plan)
    assert len(tried) == 1 and again.otherwise is None, "the next kind begins where this one came to"


def test_what_goes_up_must_be_one_that_can_be_made(home: Path) -> None:
    run = runs.create(recipe.changed(recipe.load("first-steps"), **FULL[0]))
    known = {one.kind: one.missing for one in choices(run, Options(repo="org/name"))}
    assert known["adapter"] == known["hub"] and FULL[1] in known["hub"] and not known["merged"]
    assert not choices(run, Options(repo="org/name", of="merged"))[-1].missing


def test_first_weights_count_in_the_size_of_a_script(home: Path) -> None:
    for change, more in (({}, 0), (LOFTQ[0], 1_000_000)):
        run = runs.create(recipe.changed(recipe.load("first-steps"), **change))
        run.adapter.mkdir()
        (run.adapter / initial.WEIGHTS).write_bytes(bytes(1_000_000))
        assert sizes.forecast(run, "script") == sizes.BESIDE + more


def test_a_run_that_went_on_names_the_adapter_and_no_folder_of_it() -> None:
    from engine.workers.exporting import about

    plan = recipe.changed(recipe.load("first-steps"), model={"adapter": "/home/me/runs/first/adapter"})
    assert about.portable(plan, "tiny").model.adapter == "first"
    assert card.first_adapter(recipe.load("first-steps")) == ""
