"""What no batch has room for answers in passes of its own: token by token as alone, and it is said."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.decoding import Settings
from engine.errors import UserError
from engine.formats import Message
from engine.runs import Run

if TYPE_CHECKING:
    from engine.workers.conversing import Session

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair")]

QUESTIONS = ("How many stars?", "Name the colours of the keyboard, from the top row down.", "I love it.")

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dora": {"use_dora": True},
    "head": {"modules_to_save": ["lm_head"]},
    "tokens": {"trainable_token_indices": [5, 6, 7, 8]},
    "embedded": {"target_modules": ["embed_tokens", "q_proj"]},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    from benchmarks.compare import random_run

    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: random_run("builtin:tiny", folder, name, rank=4, std=0.2, **kind)
        for name, kind in KINDS.items()
    }


def opened(made: dict[str, Run], *names: str) -> Session:
    from engine.workers import conversing

    session = conversing.opened(made["plain"])
    for name in names:
        session.load(name, str(made[name].path), None)
    return session


@pytest.fixture(scope="module")
def loaded(made: dict[str, Run]) -> Session:
    return opened(made, "dora", "head", "embedded")


@pytest.fixture
def session(loaded: Session) -> Iterator[Session]:
    worn = dict(loaded.pair.worn)
    yield loaded
    loaded.pair.worn.update(worn)


def prompts(session: Session) -> list[list[int]]:
    chat = session.pair.chat
    return [chat.prompt_ids([Message(role="user", content=text)]) for text in QUESTIONS]


def said(session: Session, *names: str) -> list[list[int]]:
    """What each column answers to each question, all in one call."""
    from engine.workers import decode
    from engine.workers.decode import Question

    asked = [Question(ids, session.columns[name]) for name in names for ids in prompts(session)]
    return [answer.ids for answer in decode.answers(session.pair, asked, Settings(16))]


def alone(session: Session, run: Run, with_adapter: bool = True) -> list[list[int]]:
    """What transformers and PEFT have this run answer, nothing else in memory."""
    from benchmarks.compare import generated, stock_base, stock_pair

    model, stops = stock_pair(run) if with_adapter else stock_base(run), session.pair.stop_ids
    told = [generated(model, [ids], stops, 16)[0] for ids in prompts(session)]
    return [[token for token in ids if token not in stops] for ids in told]


def test_each_answers_as_it_does_alone(session: Session, made: dict[str, Run]) -> None:
    """Four adapters on one base, only the plain one of which shares a pass with it."""
    names = ["base", *session.columns.keys() - {"base"}]
    found = said(session, *names)
    for place, name in enumerate(names):
        own = found[place * len(QUESTIONS) : (place + 1) * len(QUESTIONS)]
        run = made["plain" if name in ("base", "tuned") else name]
        assert own == alone(session, run, name != "base"), name
    apart = {name: session.described(name)["apart"] for name in names}
    assert apart["base"] == apart["tuned"] == "" and apart["dora"].startswith(
        "DoRA cannot share the base's pass"
    )
    assert apart["embedded"].startswith("LoRA on embeddings cannot") and "whole layers" in apart["head"]


def test_token_embeddings_of_its_own_leave_the_base_as_it_is(made: dict[str, Run]) -> None:
    session = opened(made, "tokens")
    assert said(session, "base") == alone(session, made["plain"], with_adapter=False)
    assert said(session, "tokens") == alone(session, made["tokens"])


def test_a_plain_adapter_that_must_switch_answers_as_it_does_mixed(session: Session) -> None:
    pair = session.pair
    mixed = said(session, "base", "tuned")
    (name,) = session.columns["tuned"]
    pair.worn[name] = replace(pair.worn[name], apart="forced")
    assert [len(rows) for rows in pair.passes(["__base__", name, name])] == [1, 2]
    assert said(session, "base", "tuned") == mixed


def test_likelihoods_and_averages_go_through_the_same_passes(session: Session) -> None:
    """One column after the other, and all at once; an average of two is neither, and lies between."""
    from engine.workers import scoring
    from engine.workers.scoring import Text

    session.average("both", ["tuned", "dora"])
    texts = [(ids, [-100] * (len(ids) - 4) + ids[-4:]) for ids in prompts(session)]
    names = list(session.columns)
    together = [Text(*text, session.columns[name]) for name in names for text in texts]
    found = [score.total for score in scoring.scores(session.pair, together)]
    apart = [scoring.scores(session.pair, [text])[0].total for text in together]
    assert found == pytest.approx(apart, abs=1e-4)
    assert len(set(found)) == len(found)
    session.unload("both")


@pytest.fixture(scope="module")
def full(made: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that says it trained all weights: a model of its own, every weight of it moved a little."""
    import torch

    from benchmarks.compare import stock_base

    folder = tmp_path_factory.mktemp("full") / "full"
    shutil.copytree(made["plain"].path, folder)
    run = Run(folder)
    run.adapter.rename(run.model)
    for file in run.model.glob("adapter_*"):
        file.unlink()
    model = stock_base(made["plain"])
    torch.manual_seed(1)
    for weight in model.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    model.save_pretrained(run.model)
    return run


def test_a_run_of_all_weights_answers_from_its_own_model(made: dict[str, Run], full: Run) -> None:
    """Beside the base and a LoRA run of the same base, and in an average with it."""
    from transformers import AutoModelForCausalLM

    from benchmarks.compare import generated
    from engine.workers import conversing, decode
    from engine.workers.decode import Question

    session = conversing.opened(full)
    session.load("plain", str(made["plain"].path), None)
    facts = session.described("tuned")
    assert facts["whole"] and facts["on"] and not facts["zero"] and "all weights" in facts["apart"]
    assert facts["digest"] == hashlib.sha256((full.model / "model.safetensors").read_bytes()).hexdigest()
    own, stops = AutoModelForCausalLM.from_pretrained(full.model).eval(), session.pair.stop_ids
    told = [generated(own, [ids], stops, 16)[0] for ids in prompts(session)]
    assert said(session, "tuned") == [[token for token in ids if token not in stops] for ids in told]
    assert said(session, "base") == alone(session, made["plain"], with_adapter=False)
    assert said(session, "plain") == alone(session, made["plain"])
    session.average("both", ["tuned", "plain"])
    ids = prompts(session)[0]
    first = {
        name: decode.answers(session.pair, [Question(ids, who)], Settings(1))[0].first_logits
        for name, who in session.columns.items()
    }
    assert ((first["tuned"] + first["plain"]) / 2).allclose(first["both"], atol=1e-4)
    session.unload("both")
    session.unload("plain")
    assert said(session, "base") == alone(session, made["plain"], with_adapter=False)


def test_an_adapter_that_fails_beside_such_a_run_leaves_the_base_as_it_was(
    made: dict[str, Run], full: Run, tmp_path: Path
) -> None:
    from engine.workers import conversing

    shutil.copytree(made["plain"].path, tmp_path / "torn")
    file = tmp_path / "torn" / "adapter" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "r": 3}), "utf-8")
    session = conversing.opened(full)
    before = said(session, "base", "tuned")
    with pytest.raises(UserError, match="does not fit on the base in memory"):
        session.load("torn", str(tmp_path / "torn"), None)
    assert said(session, "base", "tuned") == before
    session.load("plain", str(made["plain"].path), None)
    assert said(session, "plain") == alone(session, made["plain"])
    assert said(session, "base", "tuned") == before


def test_two_models_that_have_no_room_are_refused_before_one_is_loaded(
    full: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import fit
    from engine.footprint import Device
    from engine.workers import conversing

    needed = conversing.needs(full)["bytes"]
    assert needed == 2 * (full.model / "model.safetensors").stat().st_size
    monkeypatch.setattr(fit, "device", lambda: Device("cpu", needed - 1))
    with pytest.raises(UserError, match="full trained all weights: base and tuned are two models of"):
        conversing.opened(full)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of random weights with biases, and Conv1D in the place of linear layers."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from engine import models
    from engine.workers.model import TOKENIZER_FILES

    folder, tiny = tmp_path_factory.mktemp("models") / "gpt2", models.locate("builtin:tiny")
    assert tiny is not None
    torch.manual_seed(0)
    words = json.loads((tiny / "config.json").read_text("utf-8"))["vocab_size"]
    shape = GPT2Config(
        vocab_size=words, n_positions=128, n_embd=32, n_layer=2, n_head=2, initializer_range=0.4
    )
    model = GPT2LMHeadModel(shape)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(folder)
    for file in TOKENIZER_FILES:
        if (tiny / file).is_file():
            shutil.copyfile(tiny / file, folder / file)
    return str(folder)


def test_biases_of_its_own_are_put_back(gpt2: str, tmp_path: Path) -> None:
    """On GPT-2, whose layers are Conv1D: a plain adapter shares a pass there too."""
    from benchmarks.compare import random_run

    kind: dict[str, Any] = {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}
    made = {"plain": random_run(gpt2, tmp_path, "plain", rank=4, std=0.5, **kind)}
    made["biased"] = random_run(gpt2, tmp_path, "biased", rank=4, std=0.5, bias="all", **kind)
    session = opened(made, "biased")
    assert session.described("tuned")["apart"] == "" and "biases" in session.described("biased")["apart"]
    expected = {
        "base": alone(session, made["plain"], with_adapter=False),
        "tuned": alone(session, made["plain"]),
        "biased": alone(session, made["biased"]),
    }
    assert len({str(ids) for ids in expected.values()}) == 3
    assert said(session, *expected) == [ids for own in expected.values() for ids in own]
    session.unload("biased")
    assert said(session, "base", "tuned") == expected["base"] + expected["tuned"]


def test_what_cannot_stand_beside_its_base_is_refused(made: dict[str, Run], tmp_path: Path) -> None:
    from engine.workers import adapters

    shutil.copytree(made["plain"].path, tmp_path / "more")
    file = tmp_path / "more" / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**config, "layer_replication": [[0, 2]]}), "utf-8")
    with pytest.raises(UserError, match="more: it repeats layers"):
        adapters.saved(Run(tmp_path / "more"))
