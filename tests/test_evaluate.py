"""Evaluation from end to end: what training taught, with how much certainty, and what it cost."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import evals, recipe
from engine.decoding import Settings
from engine.errors import RunFailed, UserError
from engine.runs import Run
from engine.workers import evaluate
from tui.feed import Child

pytestmark = pytest.mark.slow

TUNED_AT_LEAST = 0.85
BASE_AT_MOST = 0.10
ROWS_A_SET = 40


class Said:
    """A channel that remembers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def say(self, kind: str, **facts: Any) -> None:
        self.messages.append({"kind": kind, **facts})

    @property
    def phases(self) -> list[str]:
        return [message["phase"] for message in self.messages if message["kind"] == "phase"]


@pytest.fixture(scope="session")
def evaluated(trained: Run) -> dict[str, Any]:
    """The trained run, evaluated by the real worker; its last message."""

    async def last() -> dict[str, Any]:
        child = Child("evaluate", str(trained.path), "--rows", str(ROWS_A_SET))
        await child.start()
        found = [message async for message in child.messages()][-1]
        await child.close()
        return found

    said = asyncio.run(last())
    assert said["kind"] == "evaluated", said
    return said


def test_the_default_recipe_teaches_what_the_base_cannot_do(evaluated: dict[str, Any]) -> None:
    assert [one["source"] for one in evaluated["sets"]] == ["builtin:products", "builtin:reviews"]
    for one in evaluated["sets"]:
        assert one["rows"] == ROWS_A_SET
        assert one["tuned"] / one["rows"] >= TUNED_AT_LEAST, one
        assert one["base"] / one["rows"] <= BASE_AT_MOST, one
        gain = one["differences"]["tuned"]["right"]
        assert gain["low"] <= gain["difference"] <= gain["high"] and gain["sure"]
        assert gain["difference"] == pytest.approx((one["tuned"] - one["base"]) / one["rows"])
        assert one["differences"]["tuned"]["loss"]["high"] < 0
        assert one["better"]["tuned"] - one["worse"]["tuned"] == one["tuned"] - one["base"]
    products = evaluated["sets"][0]["columns"]
    assert products["tuned"]["rougeL"] > 0.8 > products["base"]["rougeL"]
    assert products["tuned"]["chrf"] > 80 > products["base"]["chrf"]


def test_the_rows_say_what_the_figures_count(trained: Run, evaluated: dict[str, Any]) -> None:
    found = evals.read(trained, "test")
    assert {key: found.summary[key] for key in ("digest", "sets")} == {
        key: evaluated[key] for key in ("digest", "sets")
    }
    assert len(found.rows) == 2 * ROWS_A_SET
    for name in ("base", "tuned"):
        assert sum(row[name]["right"] for row in found.rows) == sum(one[name] for one in evaluated["sets"])
        tokens = sum(row[name]["tokens"] for row in found.rows)
        loss = sum(row[name]["loss"] * row[name]["tokens"] for row in found.rows) / tokens
        assert found.summary["all"][name]["loss"] == pytest.approx(loss, abs=1e-4)
    gains = [found.rows[i]["gain"]["tuned"] for i in found.summary["order"]]
    assert gains == sorted(gains, reverse=True)
    assert (
        found.summary["versions"]["peft"] and found.summary["columns"][1]["digest"] == found.summary["digest"]
    )


def test_forgetting_is_measured_on_what_no_set_holds(evaluated: dict[str, Any]) -> None:
    general = evaluated["general"]
    assert general["rows"] == 50 and len(general["answers"]) == 30
    for name in ("base", "tuned"):
        assert all(general["columns"][name][kind]["loss"] > 0 for kind in ("instructions", "texts"))
    change = general["differences"]["tuned"]["texts"]
    before, after = (general["columns"][name]["texts"]["loss"] for name in ("base", "tuned"))
    assert change["difference"] == pytest.approx(after - before, abs=1e-4)
    said = general["answers"][0]
    assert set(said["said"]) == {"base", "tuned"} and said["question"] == "What is the capital of France?"


def test_reports_hold_the_figures_and_no_foreign_markup(trained: Run, evaluated: dict[str, Any]) -> None:
    found = evals.read(trained, "test")
    report = evals.exported(found, "md")
    assert "| right |" in report and "Forgetting" in report and "Where tuned gained most" in report
    rows = list(csv.DictReader(io.StringIO(evals.exported(found, "csv"))))
    assert len(rows) == len(found.rows)
    assert [row["tuned right"] for row in rows] == [str(row["tuned"]["right"]) for row in found.rows]
    whole = json.loads(evals.exported(found, "json"))
    assert len(whole["rows"]) == len(found.rows) and whole["sets"] == found.summary["sets"]
    evil = {
        **found.rows[0],
        "question": [{"role": "user", "content": "a | b\n# <b> =1+1"}],
        "reference": "=1+1",
    }
    found.rows[found.summary["order"][0]].update(evil)
    assert "a \\| b \\# \\<b\\> =1+1" in evals.exported(found, "md")
    assert "'=1+1" in evals.exported(found, "csv")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Run]:
    """Makes a run on the embedded model with a random adapter and data of its own."""
    from benchmarks.compare import random_run

    folder = tmp_path_factory.mktemp("untrained")
    made = random_run("builtin:tiny", folder, std=0.2)

    def with_data(data: dict[str, Any]) -> Run:
        plan = recipe.changed(recipe.load("first-steps"), data=data, evaluate={"max_new_tokens": 8})
        (made.path / "recipe.toml").write_text(recipe.dumps(plan), "utf-8")
        return made

    return with_data


def evaluation(run: Run, *words: str, cancelled: Callable[[], bool] = lambda: False) -> Said:
    from engine.workers import evaluate

    said = Said()
    asked = evaluate.arguments([str(run.path), "--no-general", *words])
    evaluate.evaluate(run, asked, said, cancelled)  # type: ignore[arg-type]
    return said


def test_choices_are_counted_by_answer_and_by_likelihood(
    untrained: Callable[[dict[str, Any]], Run], tmp_path: Path
) -> None:
    import torch

    from engine.workers import conversing

    rows = [("I love it", "good"), ("I hate it", "bad"), ("It is a lamp", "mixed"), ("It broke", "bad")]
    text = "said,label\n" + "".join(f"{said},{label}\n" for said, label in rows)
    (tmp_path / "moods.csv").write_text(text, "utf-8")
    source = {
        "path": str(tmp_path / "moods.csv"), "format": "pairs", "held_out": True, "metric": "choice",
        "columns": {"prompt": "said", "completion": "label"}, "choices": ("good", "bad", "mixed"),
        "valid": "good|bad|mixed",
    }  # fmt: skip
    run = untrained({"sources": (source,), "validation": 0.0})
    said = evaluation(run).messages[-1]
    (one,) = said["sets"]
    assert one["metric"] == "choice" and one["choices"] == ["good", "bad", "mixed"] and one["rows"] == 4
    for name in ("base", "tuned"):
        figures = one["columns"][name]
        assert [sum(row) for row in figures["said"]["confusion"]] == [1, 2, 1]
        assert figures["likeliest"]["rows"] == 4 and figures["valid"] is not None
    # The likeliest choice, from the plain probabilities of one row at a time.
    session = conversing.opened(run)
    pair = session.pair
    for row in evals.read(run, "test").rows:
        for name in ("base", "tuned"):
            totals = {}
            for choice in one["choices"]:
                prompt = pair.chat.prompt_ids(row["question"])
                answer = pair.chat.tokenizer.encode(choice, add_special_tokens=False).ids + pair.stop_ids[:1]
                pair.rows.wear(session.columns[name])
                with torch.inference_mode():
                    logits = pair.model(input_ids=torch.tensor([prompt + answer])).logits[0]
                told = torch.log_softmax(logits[len(prompt) - 1 : -1], -1)[range(len(answer)), answer]
                totals[choice] = (float(told.sum()), float(told.mean()))
            assert row[name]["likeliest"] == max(totals, key=lambda choice: totals[choice][0])
            assert row[name]["likeliest_by_token"] == max(totals, key=lambda choice: totals[choice][1])


def test_a_chain_is_asked_on_its_own_answers(
    untrained: Callable[[dict[str, Any]], Run], tmp_path: Path
) -> None:
    """Topic, outline, text: each column's second question holds what that column said to the first."""
    from engine.workers import conversing, decode
    from engine.workers.decode import Question

    lines = [f"lamp {i},colour; price,A lamp of colour {i}." for i in range(3)]
    (tmp_path / "texts.csv").write_text("topic,outline,text\n" + "\n".join(lines) + "\n", "utf-8")
    source = {
        "path": str(tmp_path / "texts.csv"), "templates": ("topic-outline", "outline-text"), "chain": True,
        "wordings": 2, "held_out": True,
    }  # fmt: skip
    run = untrained({"sources": (source,), "validation": 0.0})
    said = evaluation(run).messages[-1]
    plain, chained = said["sets"]
    assert chained["source"].endswith("(topic-outline → outline-text)") and chained["rows"] == 3
    assert (
        plain["rows"] == 6 and plain["columns"]["base"]["loss"] and chained["columns"]["base"]["loss"] is None
    )
    rows = [row for row in evals.read(run, "test").rows if "steps" in row["base"]]
    session = conversing.opened(run)
    for row in rows:
        assert (
            row["reference"].startswith("A lamp of colour")
            and "outline for a text" in row["question"][0]["content"]
        )
        for name in ("base", "tuned"):
            first, last = row[name]["steps"]
            assert row[name]["text"] == last["text"]
            assert first["text"].strip() in last["question"] and "colour; price" not in last["question"]
            ids = session.pair.chat.prompt_ids([{"role": "user", "content": last["question"]}])
            asked = [Question(ids, session.columns[name])]
            told = decode.answers(session.pair, asked, Settings(8))[0]
            assert told.text == last["text"]
    assert any(row["base"]["steps"] != row["tuned"]["steps"] for row in rows)
    assert "steps" not in evals.exported(evals.read(run, "test"), "md")


def test_a_chain_puts_what_was_said_in_the_place_of_its_column(tmp_path: Path) -> None:
    from engine import chains, dataset
    from engine.workers import looking
    from engine.workers.session import Session

    (tmp_path / "texts.csv").write_text("topic,outline,text\na lamp,colour,A lamp.\n", "utf-8")
    names = ("topic-outline-text", "outline-text")
    source = {"path": str(tmp_path / "texts.csv"), "templates": names, "chain": True}
    plan = recipe.changed(recipe.load("first-steps"), data={"sources": (source,)})
    (one,) = dataset.opened(plan).sets
    short = {**source, "templates": ("topic-outline", "outline-text")}
    session = Session(plan, dataset.opened(recipe.changed(plan, data={"sources": (short,)})))
    said = {"base": {}, "tuned": {"outline": "{{ price }}"}}
    told = looking.link(session, {"part": "train", "index": 0, "number": 1, "said": said})
    texts = {name: messages[-1]["content"] for name, messages in told["messages"].items()}
    assert "colour" in texts["base"] and "{{ price }}" in texts["tuned"] and told["reference"] == "A lamp."
    with pytest.raises(UserError, match="the answer of topic-outline-text must be a column and no more"):
        chains.links(one)
    with pytest.raises(UserError, match="chain needs two templates or more"):
        recipe.changed(plan, data={"sources": ({**source, "templates": names[:1]},)})


def test_a_base_with_examples_is_one_more_column(
    untrained: Callable[[dict[str, Any]], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import dataset
    from engine.workers import evaluate, measure

    heard: dict[str, list[list[int]]] = {}
    answers = measure.answers

    def listening(pair: Any, columns: Any, prompts: Any, *more: Any) -> Any:
        heard.update({name: [list(ids) for ids in prompts] for name in columns})
        return answers(pair, columns, prompts, *more)

    monkeypatch.setattr(measure, "answers", listening)
    run = untrained({})
    said = evaluation(run, "--rows", "3", "--examples", "2").messages[-1]
    assert [one["column"] for one in said["columns"]] == ["base", "tuned", "base-2-shot"]
    assert said["columns"][2]["on"] is False and said["all"]["base-2-shot"]["loss"] is None
    assert set(said["sets"][0]["differences"]["base-2-shot"]) == {"right", "exact", "normalised", "rougeL"}
    chat = dataset.chat_format(run.recipe())
    _, others = evaluate.drawn(run.recipe(), "test", 3, 2)
    turns = evaluate.shots(others, 2)
    for i, row in enumerate(evals.read(run, "test").rows):
        assert heard["tuned"][i] == heard["base"][i] == chat.prompt_ids(row["question"])
        assert heard["base-2-shot"][i] == chat.prompt_ids([*turns[i // 3], *row["question"]])
        assert row["base-2-shot"]["text"] and row["base-2-shot"]["loss"] is None


def test_running_text_has_a_loss_and_no_answer(
    untrained: Callable[[dict[str, Any]], Run], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(f"The lamp {i} is bright." for i in range(30)), "utf-8")
    source = {"path": str(tmp_path / "a.txt"), "format": "text", "held_out": True}
    said = evaluation(untrained({"sources": (source,), "validation": 0.0})).messages[-1]
    (one,) = said["sets"]
    assert one["base"] is None and one["columns"]["base"]["loss"] > 0
    assert "right" not in one["differences"]["tuned"] and "loss" in one["differences"]["tuned"]


def test_what_was_cancelled_stands_beside_what_is_whole(untrained: Callable[[dict[str, Any]], Run]) -> None:
    run = untrained({})
    evaluation(run, "--rows", "20")
    whole = (run.path / "evals" / "test.json").read_bytes()
    asked = 0

    def in_the_third_batch() -> bool:
        nonlocal asked
        asked += 1
        return asked > 6 + 2 * 9 + 4  # losses, two batches of at most 9 passes, some tokens of the third

    said = evaluation(run, "--rows", "20", cancelled=in_the_third_batch).messages[-1]
    assert said["cancelled"] is True and said["file"].endswith("test-cancelled.jsonl")
    assert 0 < sum(one["rows"] for one in said["sets"]) < 40
    assert (run.path / "evals" / "test.json").read_bytes() == whole
    with pytest.raises(RunFailed, match="nothing was written"):
        evaluation(run, "--rows", "2", cancelled=lambda: True)


def test_without_test_rows_the_validation_rows_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = ({"prompt": f"What is {number}?", "completion": f"It is {number}."} for number in range(40))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def part(**shares: float) -> str:
        plan = recipe.parse({"data": {"sources": [{"path": str(file)}], **shares}})
        found, samples, _ = evaluate.first_drawn(plan, evals.HELD_OUT["held-out"], 5, 0)
        assert samples
        return found

    assert part(test=0.2, validation=0.2) == "test" and part(test=0, validation=0.2) == "validation"
    with pytest.raises(UserError, match="the recipe has no validation rows"):
        part(test=0, validation=0)
