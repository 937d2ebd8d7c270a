"""The commands: what they print, what they refuse in one sentence, and how they end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import events, recipe, runs
from engine.events import EventLog
from engine.runs import Run
from tui import __main__ as front
from tui.commands import _follow, _print

LONGEST_WAIT = 60
"""Seconds; a follower needs less than one, unless the machine is busy."""

PROGRAM = [sys.executable, "-P", "-m", "tui"]

STEP = {"total": 3, "loss": 1.2344, "lr": 0.002, "tokens_per_s": 812.4, "eta": 42.0}

# A train worker without what trains: holds the lock, says its first word, and steps until SIGTERM.
SCRIPTED = """
import fcntl, os, signal, sys, time
from engine import runs
from engine.events import EventLog
run = runs.Run(runs.Path(sys.argv[1]))
lock = runs.hold_lock(run)
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
log = EventLog(run.events)
log.write("started", name=run.name, model="builtin:tiny")
step = 0
while not (asked and step):
    step += 1
    log.write("step", step=step, total=1000, loss=1.0)
    if step == 1:
        print("ready", flush=True)
    time.sleep(0.02)
log.write("stopped", step=step, path="adapter")
"""


@pytest.fixture
def ran() -> Run:
    """A run whose worker said these words and is gone."""
    run = runs.create(recipe.load("first-steps"))
    log = EventLog(run.events, clock=iter(range(1_000_000, 2_000_000)).__next__)
    log.write("started", name=run.name, model="builtin:tiny")
    log.write("phase", phase="render")
    log.write("rendered", count=2400, tokens=161_789, trained_tokens=34_311, left_out=2)
    log.write("loaded", parameters=2_200_000, trainable=230_000, four_bit=True, device="cpu")
    log.write("evaluated", step=0, loss=4.184, rows=100, adapter=False)
    for step in (1, 2, 3):
        log.write("step", step=step, **STEP)
    log.write("warned", text="odd \x1b]0;title\x07 rows", mend="look at them")
    log.write("evaluated", step=3, loss=2.19, rows=100, adapter=True)
    log.write("finished", step=3, path=str(run.adapter))
    return run


@pytest.fixture
def running() -> Iterator[Run]:
    """A run with a living worker."""
    run = runs.create(recipe.load("first-steps"))
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPTED, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    yield run
    worker.kill()
    worker.wait()
    worker.stdout.close()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which a command refuses; nothing is printed and no run is made."""
    before = runs.list_runs()
    assert front.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ift-tui: ") and err.count("\n") == 1
    assert runs.list_runs() == before
    return err


# The front door


def test_every_file_is_a_command_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    names = front.names()
    assert {
        "models",
        "data",
        "preview",
        "train",
        "runs",
        "attach",
        "stop",
        "resume",
        "queue",
        "checkpoint",
        "set",
    } <= set(names)
    assert {"eval", "compare", "doctor"} <= set(names)
    for name in names:
        with pytest.raises(SystemExit) as ended:
            front.main([name, "--help"])
        assert ended.value.code == 0
        assert f"ift-tui {name}" in capsys.readouterr().out


def test_without_a_terminal_there_is_help_and_no_app() -> None:
    done = subprocess.run(PROGRAM, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout.startswith("usage: ift-tui")
    assert done.stderr.startswith("ift-tui: the app needs a terminal")


def test_a_dumb_terminal_and_a_pipe_for_keys_are_none() -> None:
    for kind, keys in (("dumb", None), ("xterm-256color", subprocess.DEVNULL)):
        screen, end = pty.openpty()
        environment = {**os.environ, "TERM": kind}
        done = subprocess.run(
            PROGRAM, stdin=end if keys is None else keys, stdout=end, stderr=subprocess.PIPE,
            text=True, env=environment, timeout=60,
        )  # fmt: skip
        os.close(end)
        os.close(screen)
        assert done.returncode == 2 and done.stderr.startswith("ift-tui: the app needs a terminal")


def test_an_unknown_command_is_exit_code_2() -> None:
    done = subprocess.run([*PROGRAM, "trian"], capture_output=True, text=True)
    assert done.returncode == 2 and "'trian'" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -P -m tui models | true", shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_a_mistake_of_ours_is_one_sentence_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[Run]:
        raise ZeroDivisionError("by \x1b[31m zero")

    monkeypatch.setattr(runs, "list_runs", broken)
    assert front.main(["runs"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ift-tui: unexpected ZeroDivisionError: by ␛[31m zero; ") and err.count("\n") == 1
    kept = Path(err.split()[-1])
    assert "in broken" in kept.read_text()
    kept.unlink()
    assert front.main(["runs", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err


# Refusals


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.learning_rate=20", ("train.learning_rate", "20 is too high", "try 2e-4")),
        ("train.stepz=20", ("train.stepz", "unknown key", "did you mean steps?")),
        ("train.steps=twenty", ("train.steps", "integer")),
        ("train.epochs=2", ("epochs and steps", "keep one")),
        ("data.sources=", ("data.sources", "needed")),
        ("data.sources.9.path=x", ("data.sources.9.path", "2 entries")),
        ("name", ("KEY=VALUE",)),
        ("model.id=builtin:huge", ("builtin:huge", "builtin:tiny")),
        ("model.id=./nowhere", ("nowhere", "no such model folder")),
        ("data.sources.0.path=./nowhere.jsonl", ("nowhere.jsonl", "no such file")),
    ],
)
def test_train_refuses_before_anything_is_made(
    setting: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(capsys, "train", "first-steps", "--set", setting)
    assert all(word in sentence for word in words), sentence


def test_train_refuses_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "first-steps" in refused(capsys, "train", "no-such-recipe")
    torn = tmp_path / "torn.toml"
    torn.write_text("[data")
    assert str(torn) in refused(capsys, "train", str(torn))
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert str(empty) in refused(capsys, "train", "first-steps", "--set", f"data.sources.0.path={empty}")
    folder = tmp_path / "no-config"
    folder.mkdir()
    assert "no config.json" in refused(capsys, "train", "first-steps", "--set", f"model.id={folder}")


def test_without_the_training_stack_there_is_a_command_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ran: Run
) -> None:
    monkeypatch.setattr("engine.doctor.TRAINING", ("no_such_package",))
    asked = [("train", "first-steps"), ("eval", ran.name), ("compare", ran.name, "--prompt", "hi")]
    for arguments in asked:
        sentence = refused(capsys, *arguments)
        assert "no_such_package (not installed): run `" in sentence


def test_runs_that_cannot_be_asked_say_why(capsys: pytest.CaptureFixture[str], ran: Run) -> None:
    for arguments in (["eval", "nope"], ["stop", "nope"], ["attach", "nope"]):
        assert "`ift-tui runs` lists them" in refused(capsys, *arguments)
    assert "no adapter yet (finished)" in refused(capsys, "eval", "last")
    assert "--prompt is empty" in refused(capsys, "compare", "last", "--prompt", " ")
    assert "must be 1 or more" in refused(capsys, "compare", "last", "--prompt", "x", "--max-new-tokens", "0")
    assert "not running (finished)" in refused(capsys, "stop", "last")


def test_settings_change_the_recipe_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.commands.train import changed

    monkeypatch.chdir(tmp_path)
    plan = recipe.load("first-steps")
    settings = ["train.steps=", "train.epochs=0.5", "name=again", "lora.dropout=0.1", "model.id=./mine"]
    other = changed(plan, settings)
    assert (other.train.steps, other.train.epochs, other.name) == (None, 0.5, "again")
    assert other.model.id == str(tmp_path / "mine")
    back = recipe.changed(
        other,
        train={"steps": plan.train.steps, "epochs": None},
        lora={"dropout": 0.0},
        model={"id": plan.model.id},
    )
    assert back.model_copy(update={"name": plan.name}) == plan
    assert changed(plan, []) is plan


# Listing


def test_runs_are_listed_with_their_state(capsys: pytest.CaptureFixture[str], ran: Run) -> None:
    assert front.main(["runs"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["RUN", "MODEL", "STATUS", "STEP", "LOSS", "RIGHT", "STARTED"]
    assert line.split()[:5] == [ran.name, "builtin:tiny", "finished", "3/3", "1.234"]
    assert head.index("MODEL") == line.index("builtin:tiny")
    assert front.main(["runs", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["status"], facts["step"]) == (ran.name, "finished", 3)
    assert "48% below the base model's" in facts["reading"]


def test_no_runs_is_one_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["runs"]) == 0
    assert capsys.readouterr().out == "No runs yet. Start one: ift-tui train first-steps\n"


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("builtin:tiny")
    assert front.main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "builtin:tiny"


# Following


def test_attach_replays_a_run_and_cleans_what_it_says(capsys: pytest.CaptureFixture[str], ran: Run) -> None:
    assert front.main(["attach", ran.name]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"run {ran.name}",
        "model builtin:tiny",
        "rendering the rows",
        "rendered 2,400 rows, 161,789 tokens, 34,311 of them trained; "
        "2 rows left out (ledger.jsonl says why)",
        "loaded: 2.2M parameters, 0.2M trained, 4-bit, cpu",
        "step 0  validation loss of the base model 4.184",
        "step 1/3  loss 1.234  lr 2.0e-03  812 tok/s  eta 0:42",
        "step 2/3  loss 1.234  lr 2.0e-03  812 tok/s  eta 0:42",
        "step 3/3  loss 1.234  lr 2.0e-03  812 tok/s  eta 0:42",
        "warning: odd ␛]0;title␇ rows; look at them",
        "step 3  validation loss 2.190",
        "Too few steps to say more: 3 steps; validation was 48% below the base model's.",
        "finished at step 3 of 3; no adapter (0:10)",
    ]


SAID = [
    ({"kind": "forecast", "total": 3.1e9, "free": 24e9, "verdict": "fits"},
     "memory: about 3.1 GB of 24.0 GB free: fits"),
    ({"kind": "forecast", "reason": "no config.json"}, "memory: no forecast (no config.json)"),
    (
        {
            "kind": "probed", "train": {"rows": 4, "length": 91, "peak": 3e9}, "evaluation": {"peak": 2.4e9},
            "forecast": 3.1e9, "eta": 70.0,
        },
        "memory: forecast 3.1 GB, measured 3.0 GB at the longest batch (4 × 91 tokens), "
        "2.4 GB in evaluation, the run will take about 1:10",
    ),
    (
        {"kind": "probed", "train": {"rows": 4, "length": 91, "peak": 3e9}, "evaluation": None},
        "memory: measured 3.0 GB at the longest batch (4 × 91 tokens)",
    ),
    ({"kind": "sampled", "step": 0, "number": 1, "adapter": False, "answer": "x", "ended": False},
     "step 0  prompt 2, base model: x …"),
    ({"kind": "sampled", "step": 50, "number": 0, "answer": "y"}, "step 50  prompt 1, adapter: y"),
    (
        {
            "kind": "non_finite", "step": 5, "what": "loss", "done": "skipped",
            "places": ["a line 1", "b line 2"],
        },
        "step 5: the loss is no number (a line 1, b line 2); skipped",
    ),
    ({"kind": "evaluated", "step": 9, "loss": 0.5, "right": 41, "answered": 50},
     "step 9  validation loss 0.500, 41 of 50 answers right"),
    ({"kind": "kept_best", "step": 9, "stopped_early": True},
     "what is saved is that of step 9, the best by validation loss; it stopped early"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "line"), SAID, ids=[event["kind"] for event, _ in SAID])
def test_an_event_is_a_line(event: dict[str, Any], line: str) -> None:
    assert _follow.Lines(thin=False).line(event) == line


def test_attach_in_json_is_the_events(capsys: pytest.CaptureFixture[str], ran: Run) -> None:
    assert front.main(["attach", "last", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == list(events.Tail(ran.events).read())


def test_a_crash_shows_the_end_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.create(recipe.load("first-steps"))
    EventLog(run.events).write("started", name=run.name, model="m")
    run.log.write_text("".join(f"line {i}\n" for i in range(100)) + "Killed \x1b[0m\n")
    assert front.main(["attach", run.name]) == 1
    err = capsys.readouterr().err
    assert "  line 99\n  Killed ␛[0m\n" in err and "line 1\n" not in err
    assert f"ift-tui: {run.name} crashed: " in err


def test_a_failed_run_is_exit_code_1_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.create(recipe.load("first-steps"))
    log = EventLog(run.events)
    log.write("started", name=run.name, model="m")
    log.write("failed", reason="the GPU's memory ran out", mend="halve train.batch_size", step=3)
    assert front.main(["attach", run.name]) == 1
    sentence = f"ift-tui: {run.name} failed: the GPU's memory ran out. halve train.batch_size\n"
    sentence += f"go on: ift-tui resume {run.name}\n"
    assert capsys.readouterr().err == sentence


def test_a_terminal_gets_a_step_line_a_second_and_the_last() -> None:
    now = iter([0.0, 0.3, 0.9, 1.1, 1.2, 1.3])
    lines = _follow.Lines(thin=True, clock=lambda: next(now))
    shown = [lines.line({"kind": "step", "step": step, "total": 6, "loss": 1.0}) for step in range(1, 7)]
    assert [bool(line) for line in shown] == [True, False, False, True, False, True]


def test_stop_waits_for_the_last_word(capsys: pytest.CaptureFixture[str], running: Run) -> None:
    assert front.main(["stop", running.name]) == 0
    assert running.state().status == "stopped"
    assert capsys.readouterr().out.startswith(f"{running.name} stopped at step ")


def follower(run: Run, *, stop: bool) -> subprocess.Popen[str]:
    """`_follow.follow` in a process of its own, where Ctrl-C can be pressed."""
    code = (
        "import sys; from engine.runs import Run, Path; from tui.commands._follow import follow; "
        f"sys.exit(follow(Run(Path(sys.argv[1])), False, stop_on_interrupt={stop}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(run.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "model builtin:tiny\n"
    return process


def test_ctrl_c_stops_a_run_that_was_started_here(running: Run) -> None:
    process = follower(running, stop=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST_WAIT)
    assert process.returncode == 0
    assert err.startswith("saving and stopping; what was learned is kept")
    assert out.splitlines()[-2].startswith("stopped at step ")
    assert out.splitlines()[-1] == f"go on: ift-tui resume {running.name}"


def test_ctrl_c_leaves_a_run_that_was_attached_to(running: Run) -> None:
    process = follower(running, stop=False)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST_WAIT)
    assert process.returncode == 130
    assert err == f"left; the run goes on: ift-tui attach {running.name}\n"
    assert runs.is_alive(running)


def test_a_second_ctrl_c_leaves_the_run_alone() -> None:
    run = runs.create(recipe.load("first-steps"))
    lock = runs.hold_lock(run)  # a worker that is deaf: it never stops
    EventLog(run.events).write("started", name=run.name, model="builtin:tiny")
    (run.path / "lock").write_text("")
    process = follower(run, stop=True)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping (Ctrl-C again")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONGEST_WAIT)
    assert process.returncode == 130
    os.close(lock)


# Printing


def test_tables_line_up_with_wide_and_hostile_cells() -> None:
    text = _print.table(("A", "N"), [("日本", "1"), ("a\nb", "22"), ("", "333")], right=("N",))
    assert text.splitlines() == ["A       N", "日本    1", "a␊b    22", "      333"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (_print.size(4_700_000_000), "4.7 GB"),
        (_print.size(999), "999 B"),
        (_print.size(None), "-"),
        (_print.number(12_345), "12,345"),
        (_print.parameters(134_515_008), "135M"),
        (_print.parameters(2_200_000), "2.2M"),
        (_print.parameters(8_030_261_248), "8.0B"),
        (_print.duration(42), "0:42"),
        (_print.duration(3_723.4), "1:02:03"),
    ],
)
def test_numbers_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_marks_move_with_what_was_cleaned() -> None:
    assert _print.marked("\x07a\x00b\u202ec", [(2, 4)]) == "␇a⟦␀b⟧\\u{202e}c"


# With the real stack


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert front.main([*arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.slow
def test_compare_asks_base_and_tuned(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "What is the sentiment of this review? Answer positive, negative or mixed.\n\nI like it."
    answer = asked(capsys, "compare", str(trained.path), "--prompt", prompt, "--max-new-tokens", "16")
    assert answer["tuned"]["ended"] and answer["tuned"]["text"] != answer["base"]["text"]


@pytest.mark.slow
@pytest.mark.long
def test_eval_counts_base_and_tuned(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scores = asked(capsys, "eval", str(trained.path), "--rows", "2", "--no-general")
    assert [each["rows"] for each in scores["sets"]] == [2, 2]
    assert sum(each["tuned"] for each in scores["sets"]) >= sum(each["base"] for each in scores["sets"])
