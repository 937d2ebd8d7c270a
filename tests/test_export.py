"""Exports of a trained run by the command: loaded as others load them, and sabotaged ones found out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import exports, models
from engine.exports import running
from engine.runs import Run
from tui.__main__ import main

pytestmark = pytest.mark.slow

ROWS = 4


@pytest.fixture(scope="module")
def run(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy of the trained run, to be written into."""
    path = tmp_path_factory.mktemp("exported") / "runs" / trained.name
    shutil.copytree(trained.path, path)
    return Run(path)


@pytest.fixture(scope="module")
def exported(run: Run) -> Iterator[dict[str, Any]]:
    """What the command says of an adapter and a merged model, by kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        words = ["--to", "adapter,merged", "--onto", "4-bit", "--rows", str(ROWS), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "tui", "export", str(run.path), *words], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    yield {one["kind"]: one for one in json.loads(done.stdout)["exports"]}


def test_adapter_and_merged_model_answer_as_the_run(run: Run, exported: dict[str, Any]) -> None:
    adapter, merged = exported["adapter"], exported["merged"]
    assert adapter["status"] == merged["status"] == "passed"
    assert adapter["parity"]["identical"] == adapter["parity"]["rows"] == ROWS
    assert adapter["parity"]["bar"] == 1 and adapter["parity"]["logits"] < 1e-3 < adapter["parity"]["gap"]
    assert merged["parity"]["bar"] == 0.95 and merged["parity"]["part"] == "test"
    assert [one.status for one in exports.listed(run)] == ["passed", "passed"]


def test_a_folder_is_whole_private_and_names_no_path(run: Run, exported: dict[str, Any]) -> None:
    for kind in ("adapter", "merged"):
        folder = exports.place(run, kind)
        assert folder.stat().st_mode & 0o777 == 0o700
        for name, size in exported[kind]["files"].items():
            file = folder / name
            assert file.stat().st_size == size and file.stat().st_mode & 0o777 == 0o600
            if file.suffix != ".safetensors":
                text = file.read_text("utf-8")
                assert str(run.path.parent) not in text and str(models.MODELS) not in text, name
    config = json.loads((exports.place(run, "adapter") / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    config = json.loads((exports.place(run, "merged") / "config.json").read_text())
    assert config["torch_dtype"] == "bfloat16" and "quantization_config" not in config
    settings = json.loads((exports.place(run, "merged") / "generation_config.json").read_text())
    assert settings == {"eos_token_id": 2, "pad_token_id": 3}


def test_the_card_says_what_a_stranger_must_know(run: Run, exported: dict[str, Any]) -> None:
    for kind, library in (("adapter", "peft"), ("merged", "transformers")):
        card = (exports.place(run, kind) / "README.md").read_text("utf-8")
        assert card.startswith('---\nlicense: "cc0-1.0"\n') and f"library_name: {library}\n" in card
        for word in ("| products/train.jsonl | ", "public domain", "![Loss](loss.svg)", "rank 16, alpha 32"):
            assert word in card, word
        assert (exports.place(run, kind) / "loss.svg").read_text().startswith("<svg")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_the_card_and_the_program_run_and_say_the_same(
    kind: str, run: Run, exported: dict[str, Any], tmp_path: Path
) -> None:
    """By a process that knows nothing of this program; the folder may lie anywhere."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(exports.place(run, kind), folder)
    card = (folder / "README.md").read_text("utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    assert code.count("\n") == 4 and ("load_in_4bit=True" in code) == (kind == "adapter")
    base = models.MODELS / "tiny"
    for word, place in (('"FOLDER"', folder), ('"BASE_FOLDER"', base)):
        code = code.replace(word, repr(str(place)))
    said = []
    for words in (["-c", code], [str(folder / running.PROGRAM), running.QUESTION]):
        done = subprocess.run(
            [sys.executable, "-P", *words],
            capture_output=True,
            text=True,
            cwd="/",
            env={**os.environ, "BASE": str(base)},
        )
        assert done.returncode == 0 and done.stdout.strip(), done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def asked(run: Run) -> Any:
    """What the run itself answers, for the sabotage."""
    from engine.workers.exporting import asked

    return asked.answered(run, None, 2, lambda done, total: None, lambda: False)


def answers(asked: Any, folder: Path) -> dict[str, Any]:
    from engine.workers.exporting import check

    how = {"base": None, "dtype": None, "quantization": None}
    return check.compared(asked, folder, how, "bfloat16", 0.95, "", lambda done, total: None, lambda: False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("sabotage", "word"),
    [("template", "template: "), ("stop token", "stop token: "), ("unmerged", "weights not merged: ")],
)
def test_a_sabotaged_export_is_found_out(
    sabotage: str, word: str, run: Run, exported: dict[str, Any], asked: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "merged"
    shutil.copytree(exports.place(run, "merged"), folder)
    match sabotage:
        case "template":
            template = (folder / "chat_template.jinja").read_text()
            (folder / "chat_template.jinja").write_text(template.replace("<|im_end|>", "<|endoftext|>"))
        case "stop token":
            (folder / "generation_config.json").write_text('{"eos_token_id": 0, "pad_token_id": 3}')
        case "unmerged":
            shutil.copy(models.MODELS / "tiny" / "model.safetensors", folder)
    found = answers(asked, folder)
    assert not found["passed"] and found["differs"][0].startswith(word), found


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to", "zip"], "--to zip: no such export"),
        (["--to", "adapter", "--checkpoint", "7"], "--checkpoint 7: no such checkpoint"),
        (["--to", "gguf"], "git clone"),
        (["--to", "hub", "--repo", "nobody"], "--repo: name where it goes, as ORG/NAME"),
        (["--to", "hub", "--repo", "me/mine", "--of", "gguf"], "HF_HUB_OFFLINE forbids"),
        (["--to", "adapter", "--out", "/dev/null"], "/dev/null is a file"),
    ],
)
def test_what_was_asked_wrongly_is_said_in_a_sentence(
    words: list[str],
    sentence: str,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    assert main(["export", str(run.path), *words]) in (1, 2)
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_what_would_go_up_is_said_and_nothing_goes(
    run: Run, exported: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    words = ["export", str(run.path), "--to", "hub", "--repo", "me/mine"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "me/mine (private)" in said and "adapter_model.safetensors" in said
    assert main(words) == 2 and "HF_TOKEN is not set" in capsys.readouterr().err
    assert os.environ.get("HF_TOKEN") is None
