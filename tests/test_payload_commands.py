"""Whatever a stranger has written, whatever command prints it: nothing is obeyed, and JSON is plain ASCII."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from payload_scenes import _measured, run_of, told
from payload_stage import CONTROL
from payloads import PAYLOADS, Dose
from test_space import swept
from test_sweeps import made
from tui_stage import alive, record

from engine import events, runs
from tui import __main__ as front
from tui.commands import _print

OWN = re.compile(r"\x1b\[(?:1;4|0)m|\r")
"""What is trained is bold and underlined; a line of progress goes back to its beginning."""

MARKED = "[b]\x1b]52;c;QQ==\x07\x9b2J\u202e\u200b"
SHOWN = ("␛]52;c;QQ==␇", r"\u{9b}2J", r"\u{202e}\u{200b}")


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal, and keeps what is printed."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def printed(self) -> str:
        return self.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]


class Printed:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def by(self, *arguments: str) -> tuple[int, str]:
        """The exit code of a command and all that it has printed, on both streams."""
        out = Terminal()
        self.patch.setattr(sys, "stdout", out)
        self.patch.setattr(sys, "stderr", out)
        self.patch.setattr(sys, "argv", ["ift-tui", *arguments])
        try:
            code = front.main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            self.patch.undo()
        return code, out.printed


@pytest.fixture
def printed(home: Path) -> Iterator[Printed]:
    with pytest.MonkeyPatch.context() as patch:
        yield Printed(patch)


def sound(text: str) -> None:
    left = OWN.sub("", text).replace("\n", "").replace("\t", "")
    found = [ascii(left[max(0, m.start() - 20) : m.end() + 20]) for m in CONTROL.finditer(left)]
    assert not found, found[:5]


def marked(text: str) -> None:
    sound(text)
    for words in SHOWN:
        assert words in text, (words, text[:2000])


def dose() -> Dose:
    return Dose(payloads=[MARKED])


@pytest.mark.parametrize("command", front.names())
def test_what_was_typed_is_complained_about_in_visible_form(printed: Printed, command: str) -> None:
    given = {"compare": ["--prompt", "x"], "set": ["steps=3"], "export": ["--to", "adapter"], "diff": ["x"]}
    more = given.get(command, [])
    required = [] if command in ("models", "doctor", "queue", "runs", "sweeps", "templates") else [MARKED]
    for arguments in ([*required, f"--{MARKED}"], [*required, MARKED, MARKED, MARKED]):
        code, text = printed.by(command, *arguments, *more)
        assert code in (1, 2)
        sound(text)
    if required:
        code, text = printed.by(command, MARKED, *more)
        assert code in (1, 2)
        marked(text)


def test_an_unknown_command_is_complained_about_in_visible_form(printed: Printed) -> None:
    code, text = printed.by(MARKED)
    assert code == 2
    sound(text)


def test_runs_of_strangers_are_listed(printed: Printed) -> None:
    run_of(dose(), told(dose()))
    record("other", told(dose()))
    code, text = printed.by("runs")
    assert code == 0
    sound(text)
    assert SHOWN[0] in text or "␛]52" in text
    assert len(text.splitlines()) == 3
    code, text = printed.by("runs", "--json")
    assert code == 0 and text.isascii() and len(json.loads(text)) == 2


def test_sweeps_of_strangers_are_shown(printed: Printed) -> None:
    setting = {f"lora.{MARKED}": MARKED}
    ended = {"kind": "ended", "number": 1, "state": "complete", "value": 2.0, "values": [2.0]}
    trial = {"kind": "trial", "number": 1, "draw": setting, "setting": setting}
    shares = {"kind": "importance", "shares": {MARKED: 1.0}}
    made([trial, ended, shares, {"kind": "failed", "reason": MARKED}], swept({f"lora.{MARKED}": [MARKED]}))
    code, text = printed.by("sweep", "last")
    assert code == 0
    marked(text)
    for arguments in (["sweeps"], ["sweep", "last", "--json"], ["sweeps", "--json"]):
        code, text = printed.by(*arguments)
        assert code == 0
        sound(text)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=list(PAYLOADS))
def test_a_run_is_followed_to_its_last_word(printed: Printed, payload: str) -> None:
    run = run_of(Dose(payloads=[payload]), told(Dose(payloads=[payload])))
    code, text = printed.by("attach", str(run.path))
    assert code == 1
    sound(text)
    code, text = printed.by("attach", str(run.path), "--json")
    assert code == 1
    assert text.split("ift-tui: ")[0].isascii()


@pytest.mark.parametrize(
    "arguments",
    [
        ["stop"],
        ["checkpoint"],
        ["set", "--steps", "9"],
        ["resume"],
        ["votes"],
        ["eval", "--saved"],
        ["compare"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_on_a_run_of_a_stranger(printed: Printed, arguments: list[str]) -> None:
    run = _measured(dose()) if arguments[0] == "eval" else run_of(dose(), told(dose()))
    (run.path / "recipe.toml").write_text(f'name = "x"\n[model]\nid = {json.dumps(MARKED)}\n')
    more = ["--prompt", MARKED] if arguments[0] == "compare" else []
    for extra in ([], ["--json"]):
        _, text = printed.by(arguments[0], str(run.path), *arguments[1:], *more, *extra)
        sound(text)


def test_a_live_run_is_told_and_queued(printed: Printed) -> None:
    run = run_of(dose(), told(dose())[:-1])
    with alive(run):
        for arguments in (
            ["queue"],
            ["queue", "--json"],
            ["queue", "--up", run.name],
            ["set", str(run.path)],
        ):
            sound(printed.by(*arguments)[1])


def test_rows_and_columns_and_file_names_of_strangers(printed: Printed, tmp_path: Path) -> None:
    shown(printed, tmp_path)


@pytest.mark.long
def test_rows_of_strangers_in_all_forms(printed: Printed, tmp_path: Path) -> None:
    file, recipe = shown(printed, tmp_path)
    for arguments in (["--encoding", "ascii"], ["--format", "messages"]):
        sound(printed.by("data", str(file), *arguments)[1])
    for arguments in (["--tokens"], ["--source"], ["--conversation"], ["--json"], ["--search", MARKED]):
        text = printed.by("preview", str(recipe), *arguments)[1]
        sound(text)
        assert text.isascii() or "--json" not in arguments


def shown(printed: Printed, tmp_path: Path) -> tuple[Path, Path]:
    """Rows of a stranger, counted and rendered; their file, and a recipe that names it."""
    folder = tmp_path / dose().name("folder")
    folder.mkdir()
    rows = [
        {"instruction": MARKED + str(number), "output": MARKED, MARKED: MARKED, "input": ""}
        for number in range(20)
    ]
    file = folder / f"{dose().name('rows')}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"instruction": MARKED}]))
    for arguments in (["--ledger"], ["--report"], ["--json"]):
        _, text = printed.by("data", str(file), *arguments)
        marked(text) if arguments != ["--json"] else sound(text)
        assert text.isascii() or arguments != ["--json"]
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[model]\nid = "builtin:tiny"\n[data]\n[[data.sources]]\npath = {json.dumps(str(file))}\n'
    )
    marked(printed.by("preview", str(recipe))[1])
    return file, recipe


def test_models_and_recipes_of_strangers(
    printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / dose().name("model")
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"architectures": [MARKED], "model_type": MARKED}))
    (model / "README.md").write_text(f"---\nlicense: {MARKED}\n---\n")
    monkeypatch.chdir(tmp_path)
    sound(printed.by("models")[1])
    assert printed.by("models", "--json")[1].isascii()
    recipe = tmp_path / "recipe.toml"
    for text in (
        f"name = {json.dumps(MARKED)}\n",
        f"{json.dumps(MARKED)} = 1\n",
        f'[model]\nid = {json.dumps(str(model))}\n[[data.sources]]\npath = "builtin:reviews"\n',
        f'[model]\nid = "builtin:tiny"\n[[data.sources]]\npath = {json.dumps("/" + MARKED)}\n',
        MARKED,
    ):
        recipe.write_text(text)
        for command in ("train", "preview", "memory"):
            code, said = printed.by(command, str(recipe))
            assert code in (0, 1, 2)
            sound(said)


def test_an_error_that_nobody_foresaw(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError(MARKED)

    monkeypatch.setattr(runs, "list_runs", fail)
    for arguments in (["runs"], ["runs", "--traceback"]):
        code, text = printed.by(*arguments)
        assert code == 1
        marked(text)
        for kept in re.findall(r"traceback is in (\S+)", text):
            sound(Path(kept).read_text("utf-8"))
            assert Path(kept).stat().st_mode & 0o77 == 0
            Path(kept).unlink()


@pytest.mark.long  # the doctor imports all that trains
def test_the_home_may_have_any_name(printed: Printed, tmp_path: Path) -> None:
    place = tmp_path / dose().name("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IFT_TUI_HOME", str(place))
        sound(printed.by("doctor")[1])


def test_progress_and_tables_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    for payload in PAYLOADS.values():
        _print.say(_print.table(("A", "B"), [(payload, "x")]))
        _print.warn(payload)
    told = capsys.readouterr()
    sound(told.out + told.err)


def test_a_lone_surrogate_does_not_end_a_run(tmp_path: Path) -> None:
    log = events.EventLog(tmp_path / "events.jsonl")
    log.write("sampled", number=0, answer="half \ud83d of it")
    log.close()
    (event,) = events.Tail(tmp_path / "events.jsonl").read()
    assert event["answer"] == "half \ud83d of it"
