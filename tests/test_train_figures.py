"""The figures beside the curve: each is the events' own, reckoned here by another way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from recorded import Event, resumed, whole
from textual.content import Content
from tui_stage import GB, GPU, HOST, NOW

from engine.hardware import Gpu
from engine.state import fold
from tui.feed import Snapshot
from tui.widgets.memory import memory_lines
from tui.widgets.panels import progress_lines

MINE = replace(GPU, uuid="GPU-mine", holders=((4242, 3_000_000_000), (1, 38 * GB)))
OTHER = Gpu(1, "NVIDIA H200 two", 150 * GB, 2 * GB, 148 * GB, 12, 40, 90.0, "580.95", "GPU-other")


def snapshot_of(events: list[Event], **facts: Any) -> Snapshot:
    began = NOW - 300
    state = fold([{"time": began + number, **event} for number, event in enumerate(events, 1)])
    return Snapshot(state, **{"alive": True, "batch": 16, "host": HOST, **facts})


def pairs(lines: list[Content]) -> dict[str, str]:
    """Name and figure of each line that has both."""
    found = (re.match(r"(?:[╎┃] )?(\S.*?) {2,}(\S.*)$", line.plain) for line in lines)
    return {match[1]: match[2] for match in found if match}


# --- progress ---


@pytest.mark.parametrize("steps", [1, 149, 150, 151, 230])
def test_progress_says_what_the_events_add_up_to(steps: int) -> None:
    events = whole(steps, end=None)
    own = [event for event in events if event["kind"] == "step"]
    shown = pairs(progress_lines(snapshot_of(events), NOW, 60))
    dealt = [min(16, 2400 - at) for _ in range(3) for at in range(0, 2400, 16)]
    assert shown["Step"] == f"{len(own)} / 400"
    assert shown["Loss"] == f"{own[-1]['loss']:.4f}"
    assert shown["Epoch"] == f"{own[-1]['epoch']:.2f}"
    assert shown["Rows seen"] == f"{sum(dealt[:steps]):,}"
    assert shown["Tokens"] == f"{sum(event['tokens'] for event in own):,}"
    assert shown["of them trained"] == f"{sum(event['trained_tokens'] for event in own):,}"
    assert shown["Base model"] == "4.1800" and shown["Tokens/s"] == "6,900"
    assert shown["Learning rate"] == "4.00e-03" and shown["Gradient norm"] == "0.800"
    assert shown["Running for"] == "4 min 59 s"
    validation = [event["loss"] for event in events if event["kind"] == "evaluated" and event["step"]]
    assert shown["Validation"] == (f"{validation[-1]:.4f}" if validation else "–")


def test_the_time_is_shared_out_as_the_events_measured_it() -> None:
    shown = pairs(progress_lines(snapshot_of(whole(230, end=None)), NOW, 60))
    spent = {"data": 230 * 0.01, "steps": 230 * 0.15, "evaluation": 2.0 + 4 * 3.0, "saving": 2 * 0.5}
    for name, seconds in spent.items():
        share = f"{seconds / sum(spent.values()):.0%}"
        assert shown[f"Time in {name}"].split() == [*f"{round(seconds)} s".split(), share]


def test_what_was_trained_twice_counts_once_and_its_time_twice() -> None:
    state = snapshot_of(resumed(to=100, until=150)).state
    assert state.tokens == 230 * 1078 and state.trained_tokens == 230 * 228 and state.resumed_at == [100]
    assert state.spent["steps"] == pytest.approx((150 + 130) * 0.15)
    assert [one.step for one in state.prompts[0].answers] == [50, 100, 150, 200]
    assert state.pid == 4343


def test_rows_are_counted_right_after_memory_has_shrunk_the_batch() -> None:
    shrunk = {"kind": "shrunk", "batch_size": 2, "gradient_accumulation": 8}
    shown = pairs(progress_lines(snapshot_of([*whole(10, end=None), shrunk], batch=0), NOW, 60))
    assert shown["Rows seen"] == "160"


def test_before_the_first_step_the_probe_says_how_long_it_will_take() -> None:
    shown = pairs(progress_lines(snapshot_of(whole(0, end=None)), NOW, 60))
    assert shown["Time left"] == "1 min 10 s" and shown["Tokens/s"] == "6,700"
    assert shown["Loss"] == shown["Step"] == shown["Rows seen"] == "–"
    killed = pairs(progress_lines(snapshot_of(whole(30, end=None), alive=False), NOW, 60))
    assert "Time left" not in killed and "Ran for" in killed


# --- memory ---


def bar(lines: list[Content]) -> list[tuple[str, str]]:
    """The cells of the bar with their styles."""
    line = next(line for line in lines if "━" in line.plain or "─" in line.plain)
    styles = [""] * len(line.plain)
    for span in line.spans:
        styles[span.start : span.end] = [str(span.style)] * (span.end - span.start)
    return [cell for cell in zip(line.plain, styles, strict=True) if cell[0] in "━╍─╎┃"]


def test_memory_of_a_gpu_is_shared_out_among_its_holders() -> None:
    lines = memory_lines(snapshot_of(whole(230, end=None, gpu="GPU-mine"), gpus=(MINE,)), 60)
    shown = pairs(lines)
    assert shown["This run"] == "3.0 GB" and shown["Others"] == "38.0 GB" and shown["Free"] == "109 GB"
    assert shown["Peak so far"] == "3.0 GB" and shown["Forecast"] == "3.1 GB"
    assert shown["Used by torch"] == "2.1 GB" and shown["Held by torch"] == "2.6 GB"
    plain = "\n".join(line.plain for line in lines)
    assert "97% busy · 61 °C · 512 W" in plain
    assert "forecast 3.1 GB, measured 3.0 GB at the longest batch" in plain.replace("\n", " ")
    cells = bar(lines)
    assert sum(style == "$primary" for _, style in cells) <= round(3 / 150 * len(cells)) + 1
    used = sum(char != "─" for char, _ in cells)
    assert abs(used / len(cells) - 41 / 150) <= 1 / len(cells)
    assert [char for char, _ in cells].index("┃") == round(3.1 / 150 * len(cells))


def test_a_process_that_the_driver_does_not_know_is_counted_by_torch() -> None:
    events = whole(230, end=None, gpu="GPU-mine")
    shown = pairs(memory_lines(snapshot_of(events, gpus=(replace(MINE, holders=()),)), 60))
    assert shown["This run"] == "2.6 GB" and shown["Others"] == "38.4 GB"


def test_a_gpu_that_is_held_back_says_why() -> None:
    events, slowed = whole(10, end=None, gpu="GPU-mine"), replace(MINE, slowed=("heat", "its power limit"))
    plain = [line.plain for line in memory_lines(snapshot_of(events, gpus=(slowed,)), 26)]
    assert "! slowed: heat" in plain and "! slowed: its power limit" in plain
    assert not any("slowed" in line.plain for line in memory_lines(snapshot_of(events, gpus=(MINE,)), 26))


def test_of_two_gpus_the_runs_own_is_shown_and_the_other_on_a_line() -> None:
    events = whole(230, end=None, gpu="GPU-other")
    for gpus in ((MINE, OTHER), (OTHER, MINE)):
        lines = memory_lines(snapshot_of(events, gpus=gpus), 60)
        assert lines[0].plain == "1: NVIDIA H200 two"
        (short,) = [line.plain for line in lines if line.plain.startswith("0: ")]
        assert short.split()[-5:] == ["41.0", "/", "150", "GB", "97%"]
    chosen = memory_lines(snapshot_of(events, gpus=(MINE, OTHER)), 60, 0)
    assert chosen[0].plain == "0: NVIDIA H200" and "This run" not in pairs(chosen)


def test_without_a_gpu_the_host_takes_its_place() -> None:
    shown = pairs(memory_lines(snapshot_of(whole(230, end=None)), 60))
    assert shown["This run"] == "766 MB" and shown["Others"] == "7.2 GB" and shown["Free"] == "24.0 GB"
    assert shown["Processor"] == "50% of 2 cores" and shown["Disk free"] == "100 GB"
    assert memory_lines(Snapshot(), 60)[0].plain == "not known"


def test_a_run_that_is_over_holds_nothing() -> None:
    events = [*whole(30), {"kind": "forecast", "total": 900_000_000}]
    for gpus in ((), (MINE,)):
        live, over = (
            memory_lines(snapshot_of(events, alive=alive, gpus=gpus), 60) for alive in (True, False)
        )
        assert "This run" in pairs(live) and "Others" in pairs(live)
        assert not [name for name in pairs(over) if name.startswith("This run") or name == "Others"]
        assert pairs(over)["Forecast"] == pairs(live)["Forecast"] == "900 MB"
        assert "Free" in pairs(over) and "Peak so far" not in pairs(over)


def test_the_highest_peak_stays_and_a_probe_of_nothing_is_left_out() -> None:
    events = [event for event in whole(30, end=None) if event["kind"] != "probed"]
    for event, held in zip((e for e in events if e["kind"] == "step"), (5, 9, 7), strict=False):
        event["memory"] = {"rss": held * GB}
    snapshot = snapshot_of(events)
    assert pairs(memory_lines(snapshot, 60))["Peak so far"] == "9.0 GB"
    unknown = {"kind": "forecast", "reason": "its config.json is not here"}
    probed = {"kind": "probed", "train": {"rows": 4, "length": 9, "peak": 10 * GB}, "evaluation": None}
    lines = memory_lines(snapshot_of([*events, unknown, probed]), 60)
    assert pairs(lines)["Peak so far"] == "10.0 GB" and "Forecast" not in pairs(lines)
