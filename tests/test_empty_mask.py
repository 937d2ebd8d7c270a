"""A recipe of which no token would be trained cannot be started, and says why; nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import runs
from tui.__main__ import main


def recipe_at(tmp_path: Path, rows: list[dict[str, Any]], data: str) -> str:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.toml"
    path.write_text(f'[data]\nvalidation = 0\n{data}\n[[data.sources]]\npath = "rows.jsonl"\n')
    return str(path)


def turns(weight: int) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "It is green.", "weight": weight}
    return {"messages": [{"role": "user", "content": "What colour is it? " * 10}, answer]}


CASES = {
    "every answer is marked as not to be learnt": ([turns(0)] * 3, "", "nothing to train on"),
    "every answer lies behind the cut": (
        [turns(1)] * 3,
        'max_length = 16\npolicy = {too_long = "fix"}',
        "the answer begins behind max_length 16",
    ),
    "every row is too long": ([turns(1)] * 3, "max_length = 16", "too long"),
    "a template that never ends an answer, and such rows are dropped": (
        [turns(1)] * 3,
        'chat_template = "endless.jinja"\npolicy = {missing_end_token = "drop"}',
        "missing end token",
    ),
    "a template that leaves the answers out": (
        [turns(1)] * 3,
        'chat_template = "deaf.jinja"',
        "the chat template leaves an answer out",
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_it_cannot_be_started(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, data, said = CASES[case]
    (tmp_path / "endless.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    )
    (tmp_path / "deaf.jinja").write_text(
        "{% for m in messages if m.role == 'user' %}{{ m.content }}<|im_end|>{% endfor %}"
    )
    path = recipe_at(tmp_path, rows, data)
    assert main(["train", path, "--detach"]) == 2
    told = capsys.readouterr().err
    assert "no row to train on; 3 rows left out, 3 for: " in told and said in told
    assert len(told.splitlines()) == 1 and runs.list_runs() == []
    assert main(["preview", path, "--all"]) == 1
