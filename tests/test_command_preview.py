"""`ift-tui preview`: a row in four forms, the rows that something was found in, all rows; how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_command_data import Data
from test_commands import refused
from test_tui_inspect import LOST, TOKENS, Inspected
from tui_stage import total

from engine.ledger import REASONS
from tui import __main__ as front
from tui.commands import _ask
from tui.draft import LISTED


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the real worker once; what it answered is said again to whoever asks after that."""
    answers: list[Any] = []
    real = _ask.talk

    def talk(*arguments: str, what: Any) -> Any:
        if not answers:
            answers.append(real(*arguments, what=what))
        return answers[0]

    monkeypatch.setattr(_ask, "talk", talk)


class Worker(Data, Inspected):
    """The data worker of the inspector's tests, of whose answers some are changed."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[Worker]:
    monkeypatch.setattr(_ask, "Child", Worker)
    monkeypatch.setattr(Data, "changed", {})
    monkeypatch.setattr(Data, "asked_of_all", [])
    return Worker


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert front.main(["preview", "first-steps", *arguments]) == code
    return capsys.readouterr().out


def test_the_forms_of_a_row(worker: type[Worker], capsys: pytest.CaptureFixture[str]) -> None:
    assert "⟦positive, 5 stars<|im_end|>⟧" in printed(capsys)
    out = printed(capsys, "--source")
    assert "instruction: Is this [good]? The LAMP.\nmeta: {" in out and "⟦" not in out
    assert "[user]\nIs this [good]? Row 1.\n[assistant]\npositive" in printed(capsys, "--conversation")
    lines = printed(capsys, "--tokens").splitlines()
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["AT", "ID", "TEXT", "TRAINED", "SPECIAL"] and len(table) == len(TOKENS) + 1
    assert [line.split()[2:] for line in table[1:]] == [
        ["<|im_start|>", "yes"], ["user⏎"], ["Ã"], ["é"], ["␣pos", "yes"], ["<|im_end|>", "yes", "yes"],
    ]  # fmt: skip
    assert json.loads(printed(capsys, "--tokens", "--json"))["token_list"] == TOKENS


def test_the_forms_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        front.main(["preview", "first-steps", "--tokens", "--source"])
    assert "not allowed with" in capsys.readouterr().err


def test_the_first_row_with_a_finding_or_a_text(
    worker: type[Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, "--finding", "lost_text").startswith(f"train row {LOST[0] + 1} of")
    assert printed(capsys, "--finding", "Lost text", "--row", "6").startswith(f"train row {LOST[1] + 1} of")
    assert printed(capsys, "--finding", "any", code=1).startswith("train row 2 of")
    assert printed(capsys, "--search", "lamp", "--row", "9").startswith("train row 2,001 of")
    assert json.loads(printed(capsys, "--search", "lamp", "--json"))["row"] == 8
    asked = ["preview", "first-steps"]
    assert "did you mean lost text?" in refused(capsys, *asked, "--finding", "lost texts")
    assert "one of: any, malformed" in refused(capsys, *asked, "--finding", "zebra")
    assert "--search is empty" in refused(capsys, *asked, "--search", "")
    sentence = refused(capsys, *asked, "--search", "nope", "--finding", "any", "--row", "5")
    assert "no row of train from row 5 on with a finding and that holds 'nope'" in sentence


def test_other_renderings_go_into_the_recipe(
    worker: type[Worker], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    other = ["--train-on", "all turns", "--chat-template", "mine.jinja", "--max-length", "64"]
    for kind in ([], ["--all"]):
        worker.asked_of_all.clear()
        front.main(["preview", "first-steps", *other, *kind])
        data = worker.asked_of_all[0]["recipe"]["data"]
        assert (data["train_on"], data["max_length"]) == ("all turns", 64)
        assert data["chat_template"] == str(tmp_path / "mine.jinja")
    capsys.readouterr()
    assert "data.max_length" in refused(capsys, "preview", "first-steps", "--max-length", "3")


def test_what_would_spoil_the_training_is_exit_code_1(
    worker: type[Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "missing end token: [never]" in printed(capsys, "--row", "2", code=1)
    out = printed(capsys, "--all", code=1)
    assert "spoils    3 rows lose text: the [model]" in out
    assert "no row    too long, answer cut, nothing to train on, missing end token, doubled BOS, dupl" in out
    assert json.loads(printed(capsys, "--all", "--json", code=1))["spoiling"]
    worker.changed["scanned"] = {"spoiling": [], "ledger": [total("role renamed", 2, "changed")]}
    assert "lost text" in printed(capsys, "--all").partition("no row    ")[2]
    worker.changed["scanned"] = {"spoiling": [], "rows": 0}
    printed(capsys, "--all", code=1)
    worker.changed["row"] = {"refused": "no answer", "text": "", "token_list": []}
    assert "not trained on: no answer" in printed(capsys, "--tokens", code=1)


def test_a_row_that_was_cut_says_so(worker: type[Worker], capsys: pytest.CaptureFixture[str]) -> None:
    worker.changed["row"] = {"length": 2310, "max_length": 2048, "tokens": 2048}
    assert "cut: 2,310 tokens, max_length 2,048\n2,048 tokens, 7 trained" in printed(capsys)
    worker.changed["row"] |= {"refused": "too long: 2,310 tokens"}
    assert "2,048 tokens, 7 would be trained" in printed(capsys, code=1)


def test_what_is_always_listed_is_a_reason_of_the_ledger() -> None:
    assert set(LISTED) <= set(REASONS)


def test_preview_shows_notes_pieces_and_variants(
    worker: type[Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    note = {"reason": "role renamed", "detail": "bot -> assistant", "done": "changed", "spoils": False}
    worker.changed["row"] = {"variants": 3, "notes": [note], "piece": "piece 2 of 5, lines 10-40"}
    assert front.main(["preview", "first-steps", "--variant", "2"]) == 0
    out = capsys.readouterr().out
    assert "variant 2 of 3\npiece 2 of 5, lines 10-40\n  changed: role renamed: bot -> assistant\n" in out
    worker.changed["row"] = {"variants": 3, "variant": 0}
    assert "--variant 9: this row has variants 1 to 3" in refused(
        capsys, "preview", "first-steps", "--variant", "9"
    )
    worker.changed["row"] = {"count": None, "index": 6}
    assert "--row 9: the train part has rows 1 to 7" in refused(
        capsys, "preview", "first-steps", "--row", "9"
    )


def test_preview_marks_what_is_trained(capsys: pytest.CaptureFixture[str], once: None) -> None:
    assert front.main(["preview", "first-steps", "--row", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("train row 2 of ") and out.count("⟦") == out.count("⟧") == 1
    assert front.main(["preview", "first-steps", "--row", "2", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    ((start, end),) = row["spans"]
    assert out[out.index("⟦") + 1 : out.index("⟧")] == row["text"][start:end]
    # The worker answers a row that is not there with the nearest one.
    assert "--row 9999: the train part has rows 1 to" in refused(
        capsys, "preview", "first-steps", "--row", "9999"
    )


def test_preview_of_rows_none_of_which_can_be_trained_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[data]\nmax_length = 16\nvalidation = 0.0\n[[data.sources]]\npath = "long.jsonl"\n')
    long = {"instruction": "Say red " * 50, "output": "red"}
    (tmp_path / "long.jsonl").write_text(json.dumps(long) + "\n")
    assert front.main(["preview", str(plan), "--all"]) == 1
    out, err = capsys.readouterr()
    assert "rows      0\n" in out and "left out  1\n          1 row left out: too long" in out
    assert err == "ift-tui: no row can be trained; the reasons are above\n"
