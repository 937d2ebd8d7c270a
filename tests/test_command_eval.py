"""`eval` and `compare` without a model: what they refuse, and a saved evaluation told and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import evals, recipe, runs
from engine.runs import Run
from engine.workers import summary
from tui import __main__ as front
from tui.widgets import evaluation


def row(i: int, base: str, tuned: str) -> dict[str, Any]:
    """A line of an evaluation's rows: the reference is always "good"."""

    def said(text: str, loss: float) -> dict[str, Any]:
        right = text == "good"
        facts = {
            "text": text,
            "ended": True,
            "right": right,
            "exact": right,
            "normalised": right,
            "valid": None,
        }
        return {
            "loss": loss,
            "tokens": 2,
            **facts,
            "said": text,
            "likeliest": text,
            "likeliest_by_token": text,
        }

    found = {
        "set": "moods.csv", "line": i, "metric": "choice", "cut": 0,
        "question": [{"role": "user", "content": f"Mood {i}?"}], "reference": "good", "choice": "good",
        "base": said(base, 2.0), "tuned": said(tuned, 1.0),
    }  # fmt: skip
    return {**found, "gain": summary.judged(found, ["base", "tuned"])}


@pytest.fixture
def saved() -> Run:
    """A run with an evaluation: tuned is better on two rows, worse on one, and as good on one."""
    run = runs.create(recipe.load("first-steps"))
    rows = [row(1, "bad", "good"), row(2, "bad", "good"), row(3, "good", "bad"), row(4, "good", "good")]
    columns = ["base", "tuned"]
    facts = {
        "run": run.name, "part": "test", "model": "builtin:tiny", "four_bit": True, "digest": "ab" * 32,
        "made": "2026-01-01T00:00:00", "seconds": 1.0, "columns": [{"column": name} for name in columns],
        "settings": {"max_new_tokens": 8, "resamples": 10_000, "share": 0.95, "seed": 0},
        "sets": [summary.of_set("moods.csv", "choice", ["good", "bad"], rows, dict.fromkeys(columns, ()))],
        "all": {}, "differences": {}, "order": summary.order(rows, columns), "general": None,
    }  # fmt: skip
    (run.path / "evals").mkdir()
    (run.path / "evals" / "test.json").write_text(json.dumps(facts), "utf-8")
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    (run.path / "evals" / "test.jsonl").write_text(lines, "utf-8")
    return run


def test_a_saved_evaluation_is_told(saved: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    assert front.main(["eval", saved.name, "--saved", "--to", str(report)]) == 0
    told = capsys.readouterr().out
    assert "tuned: better on 2 rows, worse on 1" in told
    assert "right +25.0% [-50.0%, +100.0%], may be chance" in told
    assert "gained: Mood 1?" in told and "lost: Mood 3?" in told
    text = report.read_text("utf-8")
    # Three of four are good, one is bad; all references are good.
    assert "| tuned: reference | said good | said bad | none |" in text and "| good | 3 | 1 | 0 |" in text
    assert "| choice said: macro-F1 | 0.333 | 0.429 |" in text  # F1 of good 2*2/(4+2), 2*3/(4+3), of bad 0


def test_a_base_with_examples_stands_beside_and_forgets_nothing(
    saved: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    file, lines = saved.path / "evals" / "test.json", saved.path / "evals" / "test.jsonl"
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    columns = ["base", "tuned", "base-1-shot"]
    for one in rows:
        one["base-1-shot"] = {key: one["tuned"][key] for key in ("text", "ended", "right", "said")}
        one["base-1-shot"]["loss"] = None
        one["gain"] = summary.judged(one, columns)
    lost = {kind: {"loss": 1.0} for kind in ("instructions", "texts")}
    facts = json.loads(file.read_text("utf-8")) | {
        "sets": [summary.of_set("moods.csv", "choice", ["good", "bad"], rows, dict.fromkeys(columns, ()))],
        "columns": [{"column": name} for name in columns],
        "general": {"rows": 2, "columns": {"base": lost, "tuned": lost}, "differences": {"tuned": {}}},
    }
    file.write_text(json.dumps(facts), "utf-8")
    lines.write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    assert front.main(["eval", saved.name, "--saved"]) == 0
    told = capsys.readouterr().out
    assert "base-1-shot: better on 2 rows, worse on 1" in told and "forgetting" in told
    assert "base-1-shot is better on 2" in evaluation.page(evals.read(saved, "test"), 100).plain


def test_rows_with_the_largest_gain_come_first(saved: Run) -> None:
    facts = json.loads((saved.path / "evals" / "test.json").read_text("utf-8"))
    assert facts["order"] == [0, 1, 3, 2]
    assert facts["sets"][0]["differences"]["tuned"]["loss"] == {
        "difference": -1.0, "low": -1.0, "high": -1.0, "sure": True,
    }  # fmt: skip


def test_an_average_is_held_against_each_of_its_members() -> None:
    """On rows 1 and 2 it is right where the one is not, on row 3 where the other is not."""
    rows = [
        {**row(1, "bad", "good"), "average": row(1, "bad", "good")["tuned"]},
        {**row(2, "bad", "good"), "average": row(2, "bad", "good")["tuned"]},
        {**row(3, "good", "bad"), "average": row(3, "bad", "good")["tuned"]},
    ]
    columns: dict[str, tuple[str, ...]] = {"base": (), "tuned": (), "average": ("tuned",)}
    found = summary.of_set("moods.csv", "choice", ["good", "bad"], rows, columns)
    assert list(found["against"]) == ["average"] and list(found["against"]["average"]) == ["tuned"]
    told = found["against"]["average"]["tuned"]["right"]
    assert told["difference"] == pytest.approx(1 / 3) and told["low"] == 0.0 and not told["sure"]
    assert found["differences"]["average"]["right"]["difference"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["eval", "last", "--to", "report.pdf"], "report.pdf: a report is .md, .csv or .json"),
        (["eval", "last", "--average"], "name --with or --checkpoint too"),
        (["eval", "last", "--with", "last@x"], "last@x: behind @ stands the step of a checkpoint"),
        (["eval", "last", "--examples", "0"], "must be from 1 to 32"),
        (["eval", "last", "--saved", "--part", "validation"], "has no evaluation validation"),
        (["eval", "last", "--saved", "--to", "/nowhere/r.md"], "the evaluation itself is kept"),
        (["compare", "last", "--prompt", "x", "--temperature", "-1"], "temperature: must be from 0 to 10"),
        (["compare", "last", "--prompt", "x", "--average"], "name --with too"),
    ],
)
def test_mistakes_are_named(
    saved: Run, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert front.main(words) == 2
    assert sentence in capsys.readouterr().err
