"""`ift-tui templates`: the list, one template whole, JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import templates
from tui import __main__ as front


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert front.main(["templates", *arguments]) == 0
    return capsys.readouterr().out


def test_the_list_names_each_template_with_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    assert lines[0].split() == ["NAME", "TASK", "LANGUAGE", "COLUMNS"]
    assert len(lines) == 1 + len(templates.names())
    assert "translation-to-english-zh  translation to English" in "\n".join(lines)


def test_one_template_is_shown_with_a_row_filled_in(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "review-stars")
    template = templates.load("review-stars")
    assert "stars: 1 to 5 (or rating, star_rating, score, overall)" in out
    assert all(f"Wording {number}, prompt" in out for number in (1, 2, 3))
    assert "  " + template.sample["review"] in out.split("Filled in with wording 1")[1]


def test_json_is_the_whole_template(capsys: pytest.CaptureFixture[str]) -> None:
    every = json.loads(said(capsys, "--json"))
    one = json.loads(said(capsys, "inference", "--json"))
    assert one in every and one["choices"] == ["entailment", "neutral", "contradiction"]
    assert {entry["name"] for entry in every} == set(templates.names())


def test_a_file_is_shown_and_a_failing_sample_says_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ntask = "t"\nlanguage = "en"\nmetric = "exact"\ndescription = "d"\n'
        'system = "Be brief."\n[columns]\na = "one"\n[[wordings]]\nprompt = "{{ a }}?"\nanswer = "{{ a }}"\n'
        "[sample]\nb = 1\n"
    )
    out = said(capsys, str(path))
    assert "the row has no column `a`" in out and "Be brief." in out


def test_a_broken_own_template_is_named_and_the_rest_listed(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "templates").mkdir(parents=True)
    (home / "templates" / "mine.toml").write_text("name = ")
    assert front.main(["templates"]) == 0
    out, err = capsys.readouterr()
    assert "mine.toml: not valid TOML" in err and "review-sentiment" in out and "mine" not in out


def test_an_unknown_name_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["templates", "review-sentimnet"]) == 2
    assert "did you mean review-sentiment" in capsys.readouterr().err
