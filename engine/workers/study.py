"""The trials of a sweep as Optuna knows them: what is tried next, what is hopeless, which settings matter.

The sweep's events are the truth; Optuna's journal is written anew from them at each start, so that no kill
can leave the two at odds, and optuna-dashboard can open it. What is drawn depends on the sweep's seed and the
trials before it alone: a sweep that was killed tries the same settings as one that never was.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from engine import space, sweeps
from engine.space import Draw
from engine.sweep_plan import Over
from engine.sweep_plan import Sweep as Plan
from engine.sweeps import LOSS, Sweep, SweepState, Trial

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

MOST_DRAWS = 10
"""Draws of what was tried already, one after another, before an untried setting is taken in their place."""

TRIALS_BEFORE_PRUNING = 3
"""Complete trials before which nothing is given up."""
TENTHS_BEFORE_PRUNING = 2
"""Tenths of a run before which it is not given up: its warm-up says little."""

TRIALS_FOR_IMPORTANCE = 8
GOOD = 0.25
"""The share of complete trials that importance compares with all: a tenth of a dozen would be one."""


class Study:
    """Optuna's study of one sweep."""

    def __init__(self, sweep: Sweep, plan: Plan, state: SweepState) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._space = {key: distribution(over) for key, over in plan.over.items()}
        self._sign = 1 if plan.objective == LOSS else -1
        for stale in sweep.path.glob(f"{sweep.journal.name}*"):  # with the lock of a worker that was killed
            stale.unlink()
        self._study = optuna.create_study(
            study_name=sweep.name,
            storage=JournalStorage(JournalFileBackend(str(sweep.journal))),
            direction="minimize" if self._sign == 1 else "maximize",
            pruner=MedianPruner(
                TRIALS_BEFORE_PRUNING, TENTHS_BEFORE_PRUNING, n_min_trials=TRIALS_BEFORE_PRUNING
            ),
        )
        self._live: dict[int, optuna.Trial] = {}
        self._told: dict[int, int] = {}  # tenths of the run that a live trial has reported
        self._asked: optuna.Trial | None = None
        for trial in state.trials:
            self._add(trial)

    def draw(self, state: SweepState) -> Draw | None:
        """What is tried next; None where everything has been. Nothing is begun by that."""
        tried = [trial.draw for trial in state.trials]
        for attempt in range(0 if self._plan.method == "grid" else MOST_DRAWS):
            self._study.sampler = self._sampler(len(tried), attempt)
            asked = self._study.ask(self._space)
            draw = {key: asked.params[key] for key in self._plan.over}
            if draw not in tried:
                self._asked = asked
                return draw
            self._study.tell(asked, state=TrialState.FAIL)
        return next((draw for draw in space.combinations(self._plan) if draw not in tried), None)

    def _sampler(self, number: int, attempt: int) -> BaseSampler:
        seed = self._plan.seed + 1_000 * number + attempt
        if self._plan.method == "random":
            return RandomSampler(seed)
        # Of a small budget a third is drawn by chance before the model of TPE is asked.
        trials = (self._plan.runs or 30) // self._plan.seeds
        return TPESampler(n_startup_trials=max(3, min(10, trials // 3)), seed=seed)

    def begin(self, trial: Trial) -> None:
        """Take in a trial that was drawn."""
        if self._asked and self._asked.params == trial.draw:
            for name, fact in _facts(trial).items():
                self._asked.set_user_attr(name, fact)
            self._live[trial.number] = self._asked
        else:
            self._add(trial)
        self._asked = None

    def report(self, trial: Trial) -> None:
        """Tell how far the run of its first seed has come."""
        for tenth, loss in sweeps.tenths(trial.curves[0], trial.totals[0]).items():
            if tenth > self._told.get(trial.number, 0):
                self._live[trial.number].report(self._sign * loss, tenth)
                self._told[trial.number] = tenth

    def hopeless(self, trial: Trial) -> bool:
        """Whether that run lies so far behind the others that it is not worth its end."""
        return 0 < self._told.get(trial.number, 0) < 10 and bool(self._live[trial.number].should_prune())

    def end(self, trial: Trial) -> None:
        """Tell how a trial ended."""
        value = trial.value if trial.state == "complete" else None
        self._study.tell(self._live.pop(trial.number), value, state=STATES[trial.state])

    def importance(self) -> tuple[dict[str, float], int]:
        """How much of what makes a trial good is due to each key, by PED-ANOVA (Watanabe et al. 2023), and of
        how many trials; empty where they are too few to say.
        """
        done = len(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        if done < TRIALS_FOR_IMPORTANCE or len(self._space) < 2:
            return {}, done
        evaluator = PedAnovaImportanceEvaluator(target_quantile=GOOD)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: round(share, 4) for key, share in found.items()}, done

    def _add(self, trial: Trial) -> None:
        losses = sweeps.tenths(trial.curves[0], trial.totals[0]) if trial.curves else {}
        ended = trial.state != "running"
        self._study.add_trial(
            optuna.trial.create_trial(
                state=STATES[trial.state] if ended else TrialState.RUNNING,
                value=trial.value if trial.state == "complete" else None,
                params=trial.draw,
                distributions=self._space,
                user_attrs=_facts(trial),
                intermediate_values={tenth: self._sign * loss for tenth, loss in losses.items()},
            )
        )
        if not ended:
            added = self._study.get_trials(deepcopy=False)[-1]
            self._live[trial.number] = optuna.Trial(self._study, added._trial_id)
            self._told[trial.number] = max(losses, default=0)


def _facts(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.number, "setting": trial.setting}


def distribution(over: Over) -> BaseDistribution:
    """A key's list or range, for Optuna."""
    if over.values:
        return CategoricalDistribution(over.values)
    assert over.low is not None and over.high is not None  # the recipe's check
    if space.is_whole(over):
        return IntDistribution(int(over.low), int(over.high), log=over.log)
    return FloatDistribution(over.low, over.high, log=over.log)
