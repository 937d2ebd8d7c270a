"""One model in memory for all columns: each is what it says, the same luck, cancel, refusals, the context."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine import dataset, models, recipe, window
from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from engine.formats import Message
from engine.runs import Run
from tui.feed import Child, Dialogue

if TYPE_CHECKING:
    from engine.workers.conversing import Session
    from engine.workers.pair import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair")]

QUESTIONS = (
    "Is this review positive, negative or mixed?\n\nI love this lamp.",
    "How many stars?",
    "Name the colours of the keyboard.",
    "What do people say in the town of Stinvreth about the old kettle that nobody wants?",
)


def user(text: str) -> Message:
    return Message(role="user", content=text)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs on the embedded model with random adapters: two of other ranks, one that is all zero."""
    from benchmarks.compare import random_run

    folder = tmp_path_factory.mktemp("adapters")
    kinds: dict[str, dict[str, Any]] = {
        "one": {"std": 0.2},
        "other": {"rank": 4, "std": 0.4},
        "zero": {"std": 0.0},
    }
    return {
        name: random_run("builtin:tiny", folder, name, four_bit=True, **kind) for name, kind in kinds.items()
    }


@pytest.fixture(scope="module")
def loaded(adapters: dict[str, Run]) -> Session:
    from engine.workers import conversing

    return conversing.opened(adapters["one"])


@pytest.fixture
def session(loaded: Session) -> Iterator[Session]:
    """The loaded model, with base and tuned alone on it again after each test."""
    yield loaded
    for name in [name for name in loaded.columns if name not in ("base", "tuned")]:
        loaded.unload(name)
    loaded.alike.clear()


def prompts(pair: Pair) -> list[list[int]]:
    return [pair.chat.prompt_ids([user(text)]) for text in QUESTIONS]


def test_weights_that_were_unpacked_are_those_that_answer(session: Session) -> None:
    from peft.tuners.lora import LoraLayer

    from engine.workers.dequantised import Kept

    layers = [layer for layer in session.pair.model.modules() if isinstance(layer, LoraLayer)]
    assert layers and all(layer.forward.base is layer.get_base_layer() for layer in layers)
    assert all(isinstance(layer.get_base_layer(), Kept) for layer in layers)


def test_each_column_is_what_it_says(session: Session, adapters: dict[str, Run]) -> None:
    """Rows of one batch equal transformers on the bare model, and PEFT on each adapter alone."""
    from benchmarks.compare import generated, stock_base, stock_pair
    from engine.workers import decode
    from engine.workers.decode import Question

    session.load("other", str(adapters["other"].path), None)
    pair = session.pair
    alone = {"base": stock_base(adapters["one"])}
    alone |= {"tuned": stock_pair(adapters["one"]), "other": stock_pair(adapters["other"])}
    for ids in prompts(pair)[::3]:
        questions = [Question(ids, session.columns[name]) for name in alone]
        said = decode.answers(pair, questions, Settings(16))
        for model, answer in zip(alone.values(), said, strict=True):
            expected = generated(model, [ids], pair.stop_ids, 16)[0]
            assert answer.ids == [token for token in expected if token not in pair.stop_ids]
        assert len({tuple(answer.ids) for answer in said}) == 3


def test_rows_laid_end_to_end_keep_their_adapters_and_others_are_refused(session: Session) -> None:
    """As in mixtures of experts: (rows x tokens, width) in place of (rows, tokens, width)."""
    import torch
    from peft.tuners.lora import LoraLayer

    rows = session.pair.rows
    layer = next(one for one in session.pair.peft.modules() if isinstance(one, LoraLayer))
    x = torch.randn(2, 5, layer.in_features)
    rows.wear(["__base__", session.pair.first.name])
    rows.positions = 5
    with torch.inference_mode():
        apart = layer(x)
        assert torch.allclose(layer(x.reshape(10, -1)).reshape(apart.shape), apart, atol=1e-5)
        assert torch.allclose(apart[0], layer.base_layer(x[0]), atol=1e-5)
        assert not torch.allclose(apart[1], layer.base_layer(x[1]), atol=1e-2)
        with pytest.raises(RunFailed, match="apart from their rows"):
            layer(x.reshape(10, -1)[:7])


def test_prompts_of_other_lengths_answer_as_they_do_alone(session: Session) -> None:
    from engine.workers import decode
    from engine.workers.decode import Question

    pair, who = session.pair, list(session.columns.values())
    asked = [Question(ids, who[i % 2]) for i, ids in enumerate(prompts(pair) * 2)]
    together = decode.answers(pair, asked, Settings(24))
    apart = [decode.answers(pair, [one], Settings(24))[0] for one in asked]
    assert [answer.ids for answer in together] == [answer.ids for answer in apart]


def test_all_columns_have_the_same_luck(session: Session) -> None:
    """Two columns of the same adapter draw the same tokens; the seed alone changes what is drawn."""
    from engine.workers import decode
    from engine.workers.decode import Question

    ids = prompts(session.pair)[0]
    asked = [Question(ids, session.columns[name]) for name in ("tuned", "base", "tuned")]
    drawn = [
        [one.ids for one in decode.answers(session.pair, asked, Settings(20, 1.5, 0.95, seed=seed))]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] == drawn[0][2] != drawn[0][1]


def test_the_draw_follows_the_probabilities() -> None:
    import torch

    from engine.workers import drawing

    shares = torch.tensor([0.1, 0.6, 0.3])
    logits = shares.log()[None]
    # By falling probability: 0.6, 0.3, 0.1.
    points = {0.0: 1, 0.59: 1, 0.61: 2, 0.89: 2, 0.91: 0, 0.999: 0}
    for draw, token in points.items():
        assert drawing.choose(logits, [[]], Settings(temperature=1), draw) == [token]
    assert drawing.choose(logits, [[]], Settings(temperature=1, top_k=2), 0.999) == [2]
    assert drawing.choose(logits, [[]], Settings(temperature=1, top_p=0.5), 0.999) == [1]
    # A token that was said loses: 0.6 to the power of 4 is below 0.3.
    assert drawing.choose(logits, [[1]], Settings(repetition_penalty=4), 0) == [2]
    luck = drawing.draws(Settings(seed=3), 5)
    assert torch.equal(luck, drawing.draws(Settings(seed=3), 9)[:5])  # a longer answer begins the same


def test_a_cancel_takes_effect_before_the_next_token(session: Session) -> None:
    from engine.workers import decode
    from engine.workers.decode import Question

    pair, heard = session.pair, []
    asked = [Question(prompts(pair)[0], who) for who in session.columns.values()]
    whole = decode.answers(pair, asked, Settings(30))
    said = decode.answers(
        pair, asked, Settings(30), lambda column, text: heard.append(column), lambda: len(heard) >= 7
    )
    longest = max(len(answer.ids) for answer in said)
    assert 4 <= longest <= 7
    assert [answer.ids for answer in said] == [
        full.ids[: len(part.ids)] for full, part in zip(whole, said, strict=True)
    ]


def test_an_average_lies_between_its_members(session: Session, adapters: dict[str, Run]) -> None:
    """Of one adapter twice it is that adapter; of two it is neither."""
    import torch

    from engine.workers import decode
    from engine.workers.decode import Question

    session.load("other", str(adapters["other"].path), None)
    session.average("both", ["tuned", "other"])
    ids = prompts(session.pair)[1]
    said = {
        name: decode.answers(session.pair, [Question(ids, session.columns[name])], Settings(4))[
            0
        ].first_logits
        for name in ("tuned", "other", "both")
    }
    middle = (said["tuned"] + said["other"]) / 2
    assert torch.allclose(said["both"], middle, atol=1e-4)
    assert not torch.allclose(said["both"], said["tuned"], atol=1e-2)


def test_an_adapter_that_does_nothing_is_seen(session: Session, adapters: dict[str, Run]) -> None:
    facts = session.load("zero", str(adapters["zero"].path), None)
    assert facts["zero"] is True and "all its B matrices are zero" in facts["warning"]
    asked = {name: [user(QUESTIONS[0])] for name in ("base", "tuned", "zero")}
    request = {"messages": asked, "settings": {"max_new_tokens": 6}}
    for _ in range(3):
        told = session.ask(request, lambda column, text: None, lambda: False)
    assert told["columns"]["zero"]["text"] == told["columns"]["base"]["text"]
    assert told["warnings"] == [
        "zero: all its B matrices are zero: it answers exactly as the base does",
        "zero: the last 3 answers are the base's word for word",
    ]


def test_a_reference_is_as_likely_as_the_model_says(session: Session) -> None:
    """Each column's mean log-probability, against a plain forward pass of the bare model's numbers."""
    import torch

    said = {"base": [user(QUESTIONS[0])], "tuned": [user(QUESTIONS[0])]}
    request = {"messages": said, "settings": {"max_new_tokens": 2}, "reference": "4 stars"}
    told = session.ask(request, lambda column, text: None, lambda: False)["columns"]
    pair = session.pair
    prompt = pair.chat.prompt_ids(said["base"])
    answer = [*pair.chat.tokenizer.encode("4 stars", add_special_tokens=False).ids, pair.stop_ids[0]]
    pair.rows.wear(["__base__"])
    with torch.inference_mode():
        logits = pair.model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    expected = torch.log_softmax(logits.float(), -1)[range(len(answer)), answer].mean()
    assert told["base"]["reference"] == pytest.approx(float(expected), abs=2e-4)
    assert told["tuned"]["reference"] != told["base"]["reference"]


def changed(run: Run, to: Path, **facts: Any) -> Run:
    """A copy of a run that says other things of how it was made."""
    shutil.copytree(run.path, to)
    file = to / "environment.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **facts}), "utf-8")
    return Run(to)


def test_what_does_not_fit_is_refused_with_the_reason(
    session: Session, adapters: dict[str, Run], tmp_path: Path
) -> None:
    def refused(run: Run, step: int | None = None) -> str:
        with pytest.raises(UserError) as error:
            session.load("x", str(run.path), step)
        return str(error.value)

    one = adapters["one"]
    assert "its files have changed" in refused(changed(one, tmp_path / "base", base="0" * 64))
    assert "another quantisation" in refused(changed(one, tmp_path / "bits", quantization=None))
    assert "another number type" in refused(changed(one, tmp_path / "type", dtype="bfloat16"))
    template = changed(one, tmp_path / "template")
    file = template.adapter / "chat_template.jinja"
    file.write_text(file.read_text("utf-8").replace("{{", "~{{", 1), "utf-8")
    assert "another chat template" in refused(template)
    torn = changed(one, tmp_path / "torn")
    config = torn.adapter / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text("utf-8")), "r": 3}), "utf-8")
    assert "does not fit on the base in memory" in refused(torn)
    assert "has no checkpoint of step 7; there is none" in refused(one, 7)
    assert list(session.columns) == ["base", "tuned"] and len(session.pair.worn) == 1
    request = {"messages": {"tuned": [user("hi")]}, "settings": {"max_new_tokens": 3}}
    assert session.ask(request, lambda column, text: None, lambda: False)["columns"]["tuned"]["tokens"] <= 3


def test_columns_come_and_go(session: Session, adapters: dict[str, Run]) -> None:
    session.load("other", str(adapters["other"].path), None)
    session.average("both", ["tuned", "other"])
    session.unload("other")
    assert len(session.pair.worn) == 2  # the average still wears it
    session.unload("both")
    assert len(session.pair.worn) == 1
    with pytest.raises(UserError, match="no column that can be closed"):
        session.unload("base")
    with pytest.raises(RunFailed, match="last adapter"):
        session.unload("tuned")
    with pytest.raises(UserError, match="a column of that name"):
        session.load("tuned", str(adapters["other"].path), None)


def test_the_oldest_turns_make_room() -> None:
    chat = dataset.chat_format(recipe.load("first-steps"))
    talk: list[Message] = [Message(role="system", content="Be brief.")]
    for i in range(6):
        talk += [user(f"Question {i}: " + "word " * 30), Message(role="assistant", content="word " * 30)]
    talk.append(user("And the last one?"))
    whole = chat.prompt_ids(talk)
    fitted = window.fitted(chat, talk, 200, 40)
    kept = chat.prompt_ids([talk[0], *talk[1 + fitted.turns :]])
    assert fitted.ids == kept and len(kept) <= 160 and fitted.turns % 2 == 0
    assert fitted.tokens == len(whole) - len(kept)
    earlier = chat.prompt_ids([talk[0], *talk[1 + fitted.turns - 2 :]])
    assert len(earlier) > 160  # no more was left out than needed
    assert window.fitted(chat, talk, 5000, 40) == window.Fitted(whole)
    with pytest.raises(UserError, match="the system prompt and the last question have"):
        window.fitted(chat, [talk[0], user("word " * 300)], 200, 40)


async def test_the_worker_loads_columns_and_cancels_what_waits(adapters: dict[str, Run]) -> None:
    chat = Dialogue(Child("chat", str(adapters["one"].path)))
    await chat.start()
    ready = [message async for message in chat.unasked("ready")][-1]
    assert [one["column"] for one in ready["columns"]] == ["base", "tuned"]
    other = str(adapters["other"].path)
    assert (await chat.answer("load", column="b", run=other, step=None))["rank"] == 4
    asked = {name: [user(QUESTIONS[0])] for name in ("base", "tuned", "b")}
    long = {"messages": asked, "settings": {"max_new_tokens": 400}}
    waiting = [asyncio.create_task(chat.answer("ask", **long)) for _ in range(2)]
    await asyncio.sleep(0)
    await chat.tell("cancel")
    for answered in await asyncio.gather(*waiting):
        assert answered["cancelled"] is True
        assert all(one["tokens"] < 400 for one in answered["columns"].values())
    await chat.answer("unload", column="b")
    with pytest.raises(RunFailed, match="b: no such column; there is base, tuned"):
        await chat.answer("ask", **long)
    await chat.close()


def test_the_fingerprint_is_of_the_files_and_not_of_the_place(tmp_path: Path) -> None:
    shutil.copytree(models.locate("builtin:tiny") or "", tmp_path / "tiny")
    assert models.fingerprint(str(tmp_path / "tiny")) == models.fingerprint("builtin:tiny")
