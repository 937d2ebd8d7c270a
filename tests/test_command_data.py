"""The commands about data: what they print of a set and of a row, what they refuse, how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from test_commands import refused
from tui_stage import COUNTS, PREFERENCE, TABLE, Script, entry, found

from engine import runs
from tui import __main__ as front
from tui.commands import _ask


class Data(Script):
    """A data worker of whose answers some are changed."""

    changed: ClassVar[dict[str, dict[str, Any]]] = {}
    asked_of_all: ClassVar[list[dict[str, Any]]] = []

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.asked_of_all.append(request)
        if request["do"] == "ledger" and request["reason"] is None:
            entries = [entry(number, "missing field") for number in (1, 2, 3)]
            yield {"kind": "ledger", "total": 3, "entries": entries}
            return
        for message in super().answers(request):
            yield {**message, **self.changed.get(message["kind"], {})}


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[Data]:
    """The data worker, from a script."""
    monkeypatch.setattr(_ask, "Child", Data)
    monkeypatch.setattr(Data, "changed", {"opened": {"sources": [found("/d/train.jsonl")]}})
    monkeypatch.setattr(Data, "asked_of_all", [])
    return Data


def test_data_shows_format_rows_ledger_and_the_first_rows(
    worker: type[Data], capsys: pytest.CaptureFixture[str]
) -> None:
    note = {"reason": "role renamed", "detail": "bot -> assistant", "done": "changed"}
    messages = [
        {"role": "user", "content": "Say \x1b[31mred"},
        {"role": "assistant", "content": "red\nand more"},
    ]
    worker.changed["row"] = {"messages": messages, "notes": [note]}
    assert front.main(["data", "/d/train.jsonl", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert "format    alpaca\nmapping   instruction + input -> output\n" in out
    assert "rows      train 2,400, validation 200, test 400\n" in out
    assert "ledger    3 rows left out: missing field: output (train.jsonl lines 5, 10, 15)\n" in out
    assert "          120 rows changed: role renamed: developer -> system (118), bot -> assistant (2)" in out
    assert "warnings  58% of the answers are ␛positive" in out
    assert out.endswith(
        "train.jsonl line 1\n  changed: role renamed: bot -> assistant\n"
        "  user       Say ␛[31mred\n  assistant  red\n             and more\n"
    )


def test_data_in_json_is_one_object_with_all_of_it(
    worker: type[Data], capsys: pytest.CaptureFixture[str]
) -> None:
    assert front.main(["data", "/d/train.jsonl", "--json", "--ledger"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {
        "path", "format", "mapping", "roles", "columns", "notes", "question", "files", "rows", "ledger",
        "report", "shown", "entries",
    } <= set(facts)  # fmt: skip
    assert facts["rows"] == {"train": 2400, "validation": 200, "test": 400}
    assert facts["ledger"][0]["reason"] == "missing field" and len(facts["entries"]) == 3
    assert len(facts["shown"]) == 3 and facts["report"]["languages"][0] == ["English", 0.9]


def test_data_prints_each_entry_and_the_report(
    worker: type[Data], capsys: pytest.CaptureFixture[str]
) -> None:
    assert front.main(["data", "/d/train.jsonl", "--rows", "0", "--ledger", "--report"]) == 0
    out = capsys.readouterr().out
    assert "\ntrain.jsonl line 10  left out  missing field: output  " in out and "\x1b" not in out
    for words in ("Rows and tokens", "[odd] reviews.csv", "33 to 64", "Near-empty", "599 tokens"):
        assert words in out
    assert "max_length" not in out


def test_data_of_no_known_shape_says_what_to_do(
    worker: type[Data], capsys: pytest.CaptureFixture[str]
) -> None:
    worker.changed["opened"] = {"sources": [TABLE], "survey": None}
    assert front.main(["data", "/data/reviews.csv"]) == 0
    out = capsys.readouterr().out
    assert "format    not known\ncolumns   text, label, odd name, c0" in out and "and 4,983 more\n" in out
    assert "notes     UTF-16\n" in out and "text: A [fine] lamp." in out
    assert out.endswith(
        "choose columns with --columns or a template with --template; fitting: review-sentiment\n"
    )
    assert [request["do"] for request in worker.asked_of_all] == ["open", "count"]


def test_data_says_aloud_what_has_to_be_agreed_to(
    worker: type[Data], capsys: pytest.CaptureFixture[str]
) -> None:
    worker.changed["opened"] = {"sources": [PREFERENCE], "survey": None}
    assert front.main(["data", "/data/pairs.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "question  This is preference data" in out and "--format preference agrees" in out
    assert "rows      train 2,400" in out


def test_data_asks_for_what_it_was_told(
    worker: type[Data], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = runs.home() / "templates" / "mine.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    monkeypatch.chdir(tmp_path)
    asked = (
        "data folder --columns prompt=Frage completion=Antwort --template mine --template mood"
        " --template a.toml --encoding latin-1 --no-header --delimiter \\t --max-length 64 --model org/name"
    )
    assert front.main(asked.split()) == 0
    capsys.readouterr()
    plan = worker.asked_of_all[0]["recipe"]
    assert plan["model"] == {"id": "org/name"} and plan["data"]["max_length"] == 64
    (source,) = plan["data"]["sources"]
    assert source == {
        "path": str(tmp_path / "folder"), "format": "auto",
        "columns": {"prompt": "Frage", "completion": "Antwort"},
        "templates": [str(own), "mood", str(tmp_path / "a.toml")],
        "encoding": "latin-1", "header": False, "delimiter": "\t",
    }  # fmt: skip
    for kept in ("builtin:reviews", "hf:org/name"):
        assert front.main(["data", kept]) == 0
        assert worker.asked_of_all[-1]["do"] == "row"
        opens = [request for request in worker.asked_of_all if request["do"] == "open"]
        assert opens[-1]["recipe"]["data"]["sources"][0]["path"] == kept
    with pytest.raises(SystemExit) as ended:
        front.main(["data", "x", "--columns", "prompt"])
    assert ended.value.code == 2 and "is not ROLE=COLUMN" in capsys.readouterr().err


@pytest.mark.parametrize("survey", [COUNTS, None])
def test_data_without_a_usable_row_is_exit_code_2(
    worker: type[Data], capsys: pytest.CaptureFixture[str], survey: Any
) -> None:
    none = {**COUNTS, "parts": {"train": 0, "validation": 0, "test": 0}}
    worker.changed |= {
        "opened": {"sources": [found("/d/train.jsonl")], "survey": survey and none},
        "counted": none,
        "scanned": {"rows": 0},
    }
    assert front.main(["data", "/d/train.jsonl"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "ift-tui: /d/train.jsonl: no usable row; 3 rows left out: missing field: output"
        " (train.jsonl lines 5, 10, 15)\n"
    )


def test_data_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.jsonl: no such file" in refused(capsys, "data", str(tmp_path / "nowhere.jsonl"))
    assert "builtin:nothing" in refused(capsys, "data", "builtin:nothing")
