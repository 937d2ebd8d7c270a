"""Nothing of a stranger is run: pickles, code beside a model, code beside a tokenizer, switches in a file."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
import tui
from engine import models, recipe, render, runs, sources
from engine.errors import UserError
from engine.runs import Run
from engine.schema import Source
from engine.workers import adapters
from tui import __main__ as front

TINY = models.MODELS / "tiny"
CODE = "import pathlib; pathlib.Path({mark!r}).touch()\n"


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The bundled model in a folder of its own."""
    return shutil.copytree(TINY, tmp_path / "model")


def change(file: Path, **facts: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **facts}), "utf-8")


def refused(model: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On every path one sentence that says why."""
    for ask in (models.describe, models.tokenizer_folder):
        with pytest.raises(UserError, match=words):
            ask(str(model))
    (listed,) = [info for info in models.list_models([model]) if info.origin == "folder"]
    assert re.search(words, listed.problem)
    plan = model.parent / "plan.toml"
    plan.write_text(
        f'[model]\nid = {json.dumps(str(model))}\n[data]\n[[data.sources]]\npath = "builtin:reviews"\n'
    )
    for command in ("train", "preview"):  # a forecast reads config.json and nothing else
        assert front.main([command, str(plan)]) in (1, 2)
        told = capsys.readouterr()
        assert re.search(words, told.out + told.err), command
        assert not (runs.home() / "runs").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth", "model.pkl"])
def test_pickled_weights_are_refused(
    model: Path, mark: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps(Evil(mark)))
    refused(model, "only as pickle .*convert them to safetensors", capsys)
    assert not mark.exists()


def test_an_index_that_names_pickles_is_refused(
    model: Path, mark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "model.safetensors").unlink()
    (model / "evil.bin").write_bytes(pickle.dumps(Evil(mark)))
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "evil.bin"}}))
    refused(model, "evil.bin, which is no safetensors", capsys)
    assert not mark.exists()


def test_a_model_that_needs_its_own_code_is_refused(
    model: Path, mark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "modeling_evil.py").write_text(CODE.format(mark=str(mark)))
    own = {"AutoConfig": "modeling_evil.Config", "AutoModelForCausalLM": "modeling_evil.Model"}
    change(model / "config.json", auto_map=own, model_type="evil", architectures=["EvilForCausalLM"])
    refused(model, "needs the Python code .*never run", capsys)
    assert not mark.exists()


def test_code_beside_a_model_of_a_known_kind_is_not_run(model: Path, mark: Path) -> None:
    from transformers import AutoModelForCausalLM

    (model / "modeling_evil.py").write_text(CODE.format(mark=str(mark)))
    change(model / "config.json", auto_map={"AutoModelForCausalLM": "modeling_evil.Model"})
    assert models.describe(str(model)).parameters
    loaded = AutoModelForCausalLM.from_pretrained(model, trust_remote_code=False, use_safetensors=True)
    assert type(loaded).__name__ == "LlamaForCausalLM" and not mark.exists()


def test_code_of_a_tokenizer_is_not_run(model: Path, mark: Path) -> None:
    (model / "tokenization_evil.py").write_text(CODE.format(mark=str(mark)))
    own = {"AutoTokenizer": ["tokenization_evil.Evil", "tokenization_evil.Evil"]}
    change(model / "tokenizer_config.json", auto_map=own, tokenizer_class="Evil")
    assert render.load(model).tokenizer.get_vocab_size()
    assert not mark.exists()


def test_a_pickled_adapter_is_refused(home: Path, mark: Path) -> None:
    run = runs.create(recipe.load("first-steps"))
    run.adapter.mkdir()
    (run.adapter / "adapter_model.bin").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(UserError, match=r"its adapter is a pickle .*convert it"):
        adapters.saved(Run(run.path))
    assert not mark.exists()


@pytest.mark.parametrize(
    "line",
    [
        'trust_remote_code = true\n[data]\n[[data.sources]]\npath = "hf:a/b"',
        '[model]\ntrust_remote_code = true\n[data]\n[[data.sources]]\npath = "hf:a/b"',
        '[train]\ntrust_remote_code = true\n[data]\n[[data.sources]]\npath = "hf:a/b"',
        '[data]\n[[data.sources]]\npath = "hf:a/b"\ntrust_remote_code = true',
    ],
)
def test_no_key_of_a_recipe_turns_code_on(tmp_path: Path, line: str) -> None:
    (tmp_path / "plan.toml").write_text(line)
    with pytest.raises(UserError, match="trust_remote_code"):
        recipe.load(tmp_path / "plan.toml")


@pytest.mark.parametrize(
    "name", ["rows.pkl", "rows.pt", "rows.npy", "rows.arrow", "rows.jsonl", "rows.csv", "rows"]
)
def test_a_pickle_is_no_source_whatever_its_name(tmp_path: Path, mark: Path, name: str) -> None:
    file = tmp_path / name
    if name == "rows.npy":
        np.save(file, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(pickle.dumps([Evil(mark)] * 9))
    source = Source(path=str(file))
    with pytest.raises(UserError) as told:
        for one in sources.files(source).files:
            list(sources.read(one, source))
    assert "\n" not in str(told.value) and not mark.exists()


def test_a_set_with_a_script_is_not_run(tmp_path: Path, mark: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "rows.py").write_text(CODE.format(mark=str(mark)))
    (folder / "train.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    source = Source(path=str(folder))
    for one in sources.files(source).files:
        list(sources.read(one, source))
    assert not mark.exists()


FORBIDDEN = re.compile(
    r"\b(?:import|from) (?:pickle|cPickle|dill|joblib|shelve|marshal)\b|torch\.load\(|allow_pickle=True"
    r"|trust_remote_code=(?!False)|trust_remote_code\"?\] *=|weights_only=False|\beval\(|\bexec\("
)


def test_our_source_loads_no_pickle_and_trusts_no_code() -> None:
    found = [
        f"{path}: {line.strip()}"
        for package in (engine, tui)
        for path in Path(str(package.__file__)).parent.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if FORBIDDEN.search(line) and "model.eval()" not in line and "peft.eval()" not in line
    ]
    assert not found
    assert FORBIDDEN.search("x = torch.load(path)") and FORBIDDEN.search("trust_remote_code=True")
