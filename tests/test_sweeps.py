"""What a sweep's events say: trials, curves, the best with its interval, and when it is enough."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from recorded import whole
from test_space import swept

from engine import interval, objective, recipe, runs, sweeps
from engine.errors import UserError
from engine.events import EventLog
from engine.runs import Run
from engine.schema import Recipe
from engine.state import fold
from engine.sweeps import Sweep, SweepState, Trial

Event = dict[str, Any]

NOON = datetime(2030, 1, 2, 12, 0, 0)


def trial(number: int, values: Iterable[float] = (), state: str = "complete", **ended: Any) -> list[Event]:
    """The events of one trial; without a state it has not ended."""
    values = list(values)
    name = f"20300102-1200{number:02}-a-{number:02}"
    setting = {"lora.rank": 8 * number, "train.learning_rate": 1e-4 * number}
    found: list[Event] = [
        {"kind": "trial", "number": number, "draw": setting, "setting": setting},
        {"kind": "run", "number": number, "seed": 0, "run": name},
        {"kind": "evaluated", "number": number, "seed": 0, "step": 0, "total": 0, "loss": 4.0},
        {"kind": "evaluated", "number": number, "seed": 0, "step": 50, "total": 100, "loss": 2.0 + number},
    ]
    if state:
        value = sum(values) / len(values) if values and state == "complete" else None
        found.append(
            {"kind": "ended", "number": number, "state": state, "value": value, "values": values,
             "rows": None, "seconds": 60.0, "reason": "", **ended}
        )  # fmt: skip
    return found


def recorded(*trials: list[Event]) -> list[Event]:
    return [{"kind": "started", "time": 1.8e9, "pid": 1}, *(event for one in trials for event in one)]


def made(events: Iterable[Event], plan: Recipe | None = None) -> Sweep:
    """A sweep's folder with these events in it."""
    found = sweeps.create(plan or swept(), NOON)
    log = EventLog(found.events, clock=iter(range(1_000_000, 2_000_000)).__next__)
    for event in events:
        log.write(event["kind"], **{key: fact for key, fact in event.items() if key not in ("kind", "time")})
    log.close()
    return found


def test_events_fold_to_trials_and_the_best() -> None:
    state = sweeps.fold(
        recorded(trial(1, [3.0]), trial(2, [2.5]), trial(3, state="pruned"), trial(4, state=""))
    )
    assert [one.state for one in state.trials] == ["complete", "complete", "pruned", "running"]
    assert state.trials[1].curves == [{0: 4.0, 50: 4.0}] and state.trials[1].totals == [100]
    assert (state.runs, state.seconds) == (4, 180.0)
    lowest, highest = sweeps.best(state, "validation loss"), sweeps.best(state, "right")
    assert lowest and highest and (lowest.number, highest.number) == (2, 1)
    assert sweeps.best(SweepState(), "right") is None


def test_an_old_viewer_reads_what_it_does_not_know() -> None:
    events = [*recorded(trial(1, [3.0])), {"kind": "new"}, {"kind": "new", "number": 1},
              {"kind": "ended", "number": 9, "state": "complete"}]  # fmt: skip
    assert sweeps.fold(events).trials[0].value == 3.0


def test_two_seeds_have_an_interval_and_one_loss_has_none() -> None:
    one, two = Trial(1, value=0.8, values=[0.8], rows=100), Trial(2, value=2.1, values=[2.0, 2.2])
    assert sweeps.interval(one, "validation loss") is None
    assert sweeps.interval(one, "ROUGE-L") is None
    assert sweeps.interval(one, "right") == pytest.approx((0.7112, 0.8666), abs=1e-4)  # Wilson, 80 of 100
    low, high = sweeps.interval(two, "validation loss") or (0.0, 0.0)
    assert (low, high) == pytest.approx((2.1 - 12.706 * 0.1, 2.1 + 12.706 * 0.1))


def test_quantiles_of_student() -> None:
    # Table of Student's t, two-sided 95%.
    for freedom, quantile in ((1, 12.706), (4, 2.776), (11, 2.201), (19, 2.093), (120, 1.980)):
        assert interval.student(freedom) == pytest.approx(quantile, abs=0.003)


def test_losses_are_compared_at_tenths_of_the_way() -> None:
    assert sweeps.tenths({0: 4.0, 50: 2.0}, 100) == pytest.approx({1: 3.6, 2: 3.2, 3: 2.8, 4: 2.4, 5: 2.0})
    assert sweeps.tenths({3: 2.0}, 3) == {10: 2.0}
    assert sweeps.tenths({0: 4.0}, 0) == {} and sweeps.tenths({}, 10) == {}


def test_a_run_works_neither_in_the_line_nor_between_its_lives() -> None:
    kinds = [("started", 2), ("queued", 7), ("queued", 50), ("phase", 102), ("rendered", 112),
             ("started", 500), ("rendered", 520)]  # fmt: skip
    state = fold({"kind": kind, "time": at, "phase": "load"} for kind, at in kinds)
    assert state.ran == 5 + 10 + 20 and state.waits_since == 7 and fold([]).ran == 0


def test_enough_is_said_by_runs_or_hours() -> None:
    state = sweeps.fold(recorded(trial(1, [3.0]), trial(2, [2.5])))
    plan = swept(runs=3).sweep
    assert plan is not None and sweeps.enough(plan, state) == ""
    assert "2 runs" in sweeps.enough(plan.model_copy(update={"runs": 2}), state)
    assert "3 runs" in sweeps.enough(plan.model_copy(update={"seeds": 2}), state)  # no room for a pair
    assert "hours" in sweeps.enough(plan.model_copy(update={"hours": 0.03}), state)


def test_a_sweep_is_found_enlarged_and_known_to_be_dead() -> None:
    found = made(recorded(trial(1, [3.0])))
    assert found.name == "20300102-120000-run"
    assert sweeps.find("last") == sweeps.find("20300102") == found and sweeps.list_sweeps() == [found]
    with pytest.raises(UserError, match="no such sweep"):
        sweeps.find("nowhere")
    (name,) = found.state().trials[0].runs
    assert sweeps.of(sweeps.run_of(name)) == found
    assert sweeps.of(sweeps.run_of(name[:-1])) is sweeps.of(sweeps.run_of(found.name)) is None
    state = found.state()
    assert state.status == "crashed" and "--resume" in state.mend
    before = found.recipe()
    sweeps.enlarge(found, runs=24)
    after = found.recipe()
    assert before.sweep and after.sweep and (before.sweep.runs, after.sweep.runs) == (12, 24)
    assert after == recipe.changed(before, sweep={"runs": 24})
    assert not list(found.path.glob("*.part"))
    with pytest.raises(UserError, match="runs"):
        sweeps.enlarge(found, runs=0)


def test_the_best_is_trained_on_all_data() -> None:
    events = recorded(trial(1, [3.0]), trial(2, [2.5]))
    plan = sweeps.best_on_all_data(made(events))
    assert (plan.name, plan.lora.rank, plan.sweep, plan.train.steps) == ("run-best", 16, None, None)
    assert plan.data.model_dump()["all_data"] is True
    early = recipe.changed(swept(), train={"early_stopping": 2, "eval_every": 50})
    plan = sweeps.best_on_all_data(made(events, early))
    assert (plan.train.early_stopping, plan.train.steps) == (0, 50)


def test_without_a_complete_trial_nothing_is_best() -> None:
    with pytest.raises(UserError, match="no complete trial"):
        sweeps.best_on_all_data(made(recorded(trial(1, state="pruned"))))


def test_a_loss_is_that_of_the_adapter_that_was_saved() -> None:
    run = Run(runs.home() / "runs" / "a")
    events = whole(100)
    state = fold(events)
    assert objective.judged(run, state, "validation loss").value == state.evaluations[-1].loss
    kept = [*events[:-1], {"kind": "kept_best", "step": 50, "loss": 1.25, "stopped_early": True}, events[-1]]
    assert objective.judged(run, fold(kept), "validation loss").value == 1.25
    with pytest.raises(UserError, match="no validation loss"):
        objective.judged(run, fold(events[:3]), "validation loss")
    wild = [{**event, "loss": math.nan} if event["kind"] == "evaluated" else event for event in events]
    with pytest.raises(UserError, match="no number"):
        objective.judged(run, fold(wild), "validation loss")


def test_a_figure_of_the_closing_evaluation_weighs_each_row_the_same() -> None:
    run = Run(runs.home() / "runs" / "a")
    (run.path / "evals").mkdir(parents=True)
    tuned = ({"right": 9, "rougeL": None}, {"right": 10, "rougeL": 0.5, "said": {"accuracy": 0.25}})
    sets = [{"rows": rows, "columns": {"tuned": one}} for rows, one in zip((10, 30), tuned, strict=True)]
    (run.path / "evals" / "end.json").write_text(json.dumps({"columns": [], "sets": sets}))
    (run.path / "evals" / "end.jsonl").touch()
    for name, value, rows in (("right", 19 / 40, 40), ("ROUGE-L", 0.5, 30),
                              ("choice said: accuracy", 0.25, 30)):  # fmt: skip
        assert objective.judged(run, fold([]), name) == objective.Judged(pytest.approx(value), rows)
    with pytest.raises(UserError, match="no figure 'BLEU'"):
        objective.judged(run, fold([]), "BLEU")
