"""What is said of a run: true of runs whose course is known, whatever the noise."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest
from recorded import overfitting, resumed, slow_loss, whole, with_nan, with_spikes

from engine.events import Event
from engine.reading import rows_trained, sentence
from engine.series import Series
from engine.state import Evaluation, RunState, fold


def said(
    course: Callable[[int], float], steps: int = 400, noise: float = 0.2, seed: int = 0, **facts: object
) -> str:
    """The sentence on a run whose loss follows a course, with normal noise."""
    chance = random.Random(seed)
    losses = Series([(step, course(step) + chance.gauss(0, noise)) for step in range(1, steps + 1)])
    return sentence(RunState(status="running", step=steps, losses=losses, **facts))  # type: ignore[arg-type]


def recorded(events: list[Event]) -> str:
    return sentence(fold([{"time": 1.8e9, **event} for event in events]))


def falling(step: int) -> float:
    return 2 - step * 0.002


def test_before_there_is_something_to_say_it_says_so() -> None:
    assert sentence(RunState()) == "Too early to say: no step yet."
    assert sentence(RunState(base_loss=4.18)).endswith("the base model's own loss is 4.18.")
    assert sentence(RunState(status="waiting")) == ""
    assert said(falling, steps=1) == "Too early to say: 1 step."
    assert said(falling, steps=19) == "Too early to say: 19 steps."
    ended = RunState(
        status="stopped", losses=Series([(1, 2.0)]), base_loss=2.0, evaluations=evaluated((1, 1.5))
    )
    assert sentence(ended) == "Too few steps to say more: 1 step; validation was 25% below the base model's."


def test_a_steep_fall_is_told_early() -> None:
    for steps in (20, 30, 100):
        assert "falls from" in said(lambda step: 4 * math.exp(-step / 60), steps, noise=0.1)


@pytest.mark.parametrize(
    ("course", "word", "least"),
    [
        (lambda _: 2.0, "flat from its start", 97),
        (falling, "fall", 97),
        (lambda s: 1 + s * 0.004, "rises", 97),
    ],
)
def test_noise_seldom_hides_or_makes_a_course(course: Callable[[int], float], word: str, least: int) -> None:
    found = Counter(word in said(course, noise=0.3, seed=seed) for seed in range(100))
    assert found[True] >= least, found


def test_a_plateau_is_dated() -> None:
    def course(step: int) -> float:
        return 4 - step * 0.02 if step < 150 else 1.0

    for seed in range(20):
        words = said(course, noise=0.1, seed=seed)
        assert "flat since step" in words
        assert abs(int(words.split("since step ")[1].split(",")[0]) - 150) <= 40  # a tenth of the run


def test_a_loss_that_comes_apart_is_dated() -> None:
    words = said(lambda step: 1.0 if step < 300 else 1 + (step - 300) * 0.05, noise=0.05)
    assert "rises since step" in words
    assert int(words.split("since step ")[1].split(",")[0]) < 320


def test_what_is_no_number_comes_first() -> None:
    state = RunState(
        status="running", step=4, losses=Series([(1, 2.0), (2, 2.0), (3, math.nan), (4, math.nan)])
    )
    assert sentence(state) == "The loss is no number since step 3."
    state.losses.append(5, 2.0)
    assert sentence(state) == "Too early to say: 5 steps."


EVALUATED = [(100, 1.1), (200, 0.6), (300, 0.65), (400, 0.7)]


def evaluated(*pairs: tuple[int, float]) -> list[Evaluation]:
    return [Evaluation(*pair) for pair in pairs]


def test_overfitting_is_told_from_noise_and_from_divergence() -> None:
    words = said(falling, evaluations=evaluated(*EVALUATED))
    assert (
        words.startswith("Validation loss rises since step 200")
        and "overfitting (0.6 there, 0.7 now)" in words
    )
    for harmless in (
        EVALUATED[:3],  # one bad evaluation
        [(100, 1.1), (200, 0.600), (300, 0.604), (400, 0.607)],  # within one hundredth
        [(100, 1.1), (200, 0.6), (300, 0.7), (400, 0.601)],
        [(100, 1.1), (200, 0.6), (300, 0.9), (400, 0.7)],  # on its way back
    ):
        assert "overfitting" not in said(falling, evaluations=evaluated(*harmless))
    both = said(lambda step: 1.0 + max(0, step - 200) * 0.004, evaluations=evaluated(*EVALUATED))
    assert "and so does training loss" in both


@pytest.mark.parametrize(
    ("last", "words"),
    [(0.5, "75% below"), (2.5, "25% above"), (2.001, "as good as"), (math.nan, "no number")],
)
def test_the_base_model_is_beaten_by_so_much(last: float, words: str) -> None:
    assert words in said(falling, evaluations=evaluated((400, last)), base_loss=2.0)


def test_recorded_runs() -> None:
    assert recorded(whole(230, end=None)) == (
        "The loss falls from 3.83 to 0.402; validation is 85% below the base model's."
    )
    assert recorded(overfitting()).startswith("Validation loss rises since step 200")
    assert "85% below" in recorded(with_nan()) and "falls" in recorded(with_nan())
    assert "falls" in recorded(with_spikes())
    assert "overfitting" not in recorded(resumed()), "worse than before, and on its way back"
    ended = recorded(whole(400))
    assert "was flat since step" in ended and "was 87% below" in ended


def test_a_million_steps_are_judged_as_their_course_is() -> None:
    losses = Series([(step, slow_loss(step, 1_000_000)) for step in range(1, 1_000_001)])
    assert "is flat since step" in sentence(RunState(status="running", step=1_000_000, losses=losses))


@pytest.mark.parametrize(("rows", "batch"), [(2400, 16), (10, 4), (3, 8), (7, 7)])
def test_rows_are_counted_as_they_are_dealt_out(rows: int, batch: int) -> None:
    seen, expected = 0, []
    for _ in range(4):  # epochs: the last step of each takes what is left
        for start in range(0, rows, batch):
            seen += len(range(rows)[start : start + batch])
            expected.append(seen)
    assert [rows_trained(step, rows, batch) for step in range(1, len(expected) + 1)] == expected
    assert rows_trained(5, 0, batch) == rows_trained(5, rows, 0) == 0
