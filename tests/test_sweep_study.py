"""What Optuna is told and asked: the same whether the sweep was killed or not; nothing is tried twice."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from test_space import OVER, swept

from engine import space, sweeps
from engine.schema import Recipe
from engine.sweeps import Sweep, SweepState, Trial
from engine.workers.study import TRIALS_FOR_IMPORTANCE, Study


def loss(trial: Trial, share: float) -> float:
    """Falls on a line to what its setting deserves: 2e-4 is best, and a low rank."""
    last = abs(math.log(trial.setting["train.learning_rate"] / 2e-4)) + trial.setting["lora.rank"] / 100
    return 4 - (4 - last) * share


def conducted(plan: Recipe, trials: int, killed_at: tuple[int, ...] = ()) -> tuple[SweepState, Sweep]:
    """A sweep of runs that are made up; where it is killed its study is made anew, as at a start."""
    assert plan.sweep is not None
    sweep, state = sweeps.create(plan), SweepState()
    study = Study(sweep, plan.sweep, state)
    for number in range(1, trials + 1):
        draw = study.draw(state)
        if draw is None:
            break
        setting = space.setting(plan, draw)
        state.fold({"kind": "trial", "number": number, "draw": draw, "setting": setting})
        one = state.trials[-1]
        if number in killed_at:
            study = Study(sweep, plan.sweep, state)  # between the event and the study
        else:
            study.begin(one)
        state.fold({"kind": "run", "number": number, "seed": 0, "run": f"a-{number}"})
        how = "complete"
        for step in (0, 25, 50, 75, 100):
            facts: dict[str, Any] = {"step": step, "total": 100, "loss": loss(one, step / 100)}
            state.fold({"kind": "evaluated", "number": number, "seed": 0, **facts})
            study.report(one)
            if number in killed_at and step == 50:
                study = Study(sweep, plan.sweep, state)  # in mid run
            if plan.sweep.prune and study.hopeless(one):
                how = "pruned"
                break
        value = loss(one, 1.0) if how == "complete" else None
        state.fold({"kind": "ended", "number": number, "state": how, "value": value, "values": [value]})
        study.end(one)
        if number in killed_at:
            study = Study(sweep, plan.sweep, state)  # between two trials
    return state, sweep


def test_a_sweep_that_was_killed_tries_what_it_would_have_tried() -> None:
    plan = swept()
    whole, _ = conducted(plan, 8)
    killed, sweep = conducted(plan, 8, killed_at=(2, 6, 8))
    assert killed == whole
    assert {one.state for one in whole.trials} == {"complete", "pruned"}
    # Optuna's own tools read the journal: each trial once, with its setting.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(sweep.journal)))
    read = optuna.load_study(study_name=sweep.name, storage=storage).get_trials()
    assert [one.user_attrs["setting"] for one in read] == [one.setting for one in whole.trials]
    assert [one.state.name.lower() for one in read] == [one.state for one in whole.trials]


def test_another_seed_tries_other_settings() -> None:
    first, second = (conducted(swept(method="random", seed=seed), 2)[0] for seed in (0, 1))
    assert first.trials[0].draw != second.trials[0].draw


def test_what_is_hopeless_lies_above_the_median_of_those_before() -> None:
    rates = [2e-4, 3e-4, 1e-4, 4e-4, 2.1e-4, 1e-2]
    over = {"train.learning_rate": rates, "lora.rank": [8]}
    state, _ = conducted(swept(over, method="grid"), 6)
    assert [one.state for one in state.trials] == [
        "complete", "complete", "complete", "pruned", "complete", "pruned"
    ]  # fmt: skip
    assert max(state.trials[-1].curves[0]) == 25  # at its first evaluation behind two tenths
    state, _ = conducted(swept(over, method="grid", prune=False), 6)
    assert {one.state for one in state.trials} == {"complete"}


def test_a_grid_ends_where_all_is_tried_and_nothing_is_tried_twice() -> None:
    over = {"lora.rank": [8, 16], "train.learning_rate": OVER["train.learning_rate"]}
    plan = swept(over, method="grid", prune=False)
    state, _ = conducted(plan, 100, killed_at=(5,))
    assert plan.sweep is not None
    assert [one.draw for one in state.trials] == list(space.combinations(plan.sweep))


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_drawing_from_lists_ends_too(method: str) -> None:
    over = {"lora.rank": [8, 16], "train.learning_rate": [1e-4, 2e-4]}
    state, _ = conducted(swept(over, method=method, prune=False), 100)
    assert len({str(one.draw) for one in state.trials}) == len(state.trials) == 2 * 2


def test_the_rate_matters_where_only_the_rate_does() -> None:
    over = {"lora.rank": {"low": 4, "high": 16}, "train.learning_rate": OVER["train.learning_rate"]}
    plan = swept(over, method="random", prune=False, runs=20)
    assert plan.sweep is not None
    few, sweep = conducted(plan, TRIALS_FOR_IMPORTANCE - 1)
    assert Study(sweep, plan.sweep, few).importance()[0] == {}
    state, sweep = conducted(plan, 20)
    shares, of = Study(sweep, plan.sweep, state).importance()
    assert of == 20 and list(shares) == ["train.learning_rate", "lora.rank"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3) and shares["train.learning_rate"] > 0.6


def test_a_figure_is_best_high_and_losses_are_still_best_low() -> None:
    plan = swept(objective="right", method="grid")
    assert plan.sweep is not None
    state = SweepState()
    study = Study(sweeps.create(plan), plan.sweep, state)
    for number, (at_half, right) in enumerate([(1.0, 0.9), (1.1, 0.8), (1.2, 0.7), (3.0, None)], start=1):
        draw = study.draw(state)
        assert draw is not None
        state.fold({"kind": "trial", "number": number, "draw": draw, "setting": draw})
        study.begin(state.trials[-1])
        state.fold({"kind": "run", "number": number, "seed": 0, "run": "a"})
        for step, value in ((0, 4.0), (50, at_half)):
            facts = {"step": step, "total": 100, "loss": value}
            state.fold({"kind": "evaluated", "number": number, "seed": 0, **facts})
        study.report(state.trials[-1])
        assert study.hopeless(state.trials[-1]) == (right is None)
        ended = {"state": "complete" if right else "pruned", "value": right}
        state.fold({"kind": "ended", "number": number, **ended})
        study.end(state.trials[-1])
