"""The probe and what is reckoned from it: the time that remains, ways out of memory, and what people see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_tui_walk import at_recipe, on, text
from tui_stage import Script, Stage, until

from engine import fit, memory, models, recipe
from engine.fit import Fit
from engine.footprint import Device
from engine.memory import Rows
from engine.schema import Recipe, Settled
from engine.shapes import Unknown
from engine.workers import failures, forecast, rows, watch
from engine.workers.rest import Rest, due
from tui.__main__ import main
from tui.commands import _ask
from tui.screens.forecast import ForecastScreen
from tui.screens.recipe import RecipeScreen

GIB = 1 << 30
MEASURED = {
    "train": {"rows": 16, "length": 96, "peak": 830_000_000},
    "evaluation": {"rows": 16, "length": 94, "peak": 815_000_000},
    "forecast": 783_000_000, "seconds": 0.286, "tokens_per_s": 3643.0, "eta": 71.4,
}  # fmt: skip
FORECAST = {"total": 783_000_000, "free": 24 * 10**9, "verdict": "fits", "terms": {"process": 783_000_000}}
FITS = {"kind": "probed", "fits": True, "reason": "", "mend": "", "forecast": FORECAST, "measured": MEASURED}
RAN_OUT = {
    **FITS, "fits": False, "measured": {},
    "reason": "memory ran out in the probe before the first step, on 16 rows of 96 tokens (1.0 GB are free)",
    "mend": "train.batch_size = 8 with train.gradient_accumulation = 2 learns the same",
}  # fmt: skip


class Probing(Script):
    """A worker whose probe ends as `answer` says."""

    answer: dict[str, Any] = FITS

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["do"] == "probe":
            yield {"kind": "phase", "phase": "load"}
            yield self.answer
        else:
            yield from super().answers(request)


class RanOut(Probing):
    answer = RAN_OUT


class Broken(Probing):
    answer = {"kind": "error", "message": "other-run trains on this device; probe when it is over"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("step", "total", "every", "times"),
    [
        (0, 220, 55, 5),
        (1, 220, 55, 4),
        (55, 220, 55, 4),
        (56, 220, 55, 3),
        (220, 220, 55, 1),
        (0, 10, 4, 4),
        (9, 10, 4, 1),
        (0, 10, 0, 2),
        (3, 10, 0, 1),
    ],
)
def test_what_is_still_to_be_evaluated(step: int, total: int, every: int, times: int) -> None:
    assert due(step, total, every) == times
    at = [one for one in range(step, total + 1) if one in (0, total) or (every and one % every == 0)]
    assert times == len(at)  # the same, counted one by one


def test_the_time_that_remains_has_evaluations_and_checkpoints_in_it() -> None:
    plan = Settled(steps=100, eval_every=50, save_every=25)
    rest = Rest(plan, evaluates=True)
    rest.expected = 3.0
    assert rest.seconds(0, 100, usual=2.0) == 100 * 2.0 + 3 * 3.0
    for _ in range(9):
        rest.stepped(1.0, 500)
    rest.stepped(60.0, 500)  # one that was held up says nothing of the others
    assert rest.seconds(10, 100) == 90 * 1.0 + 2 * 3.0
    assert rest.tokens_per_s == pytest.approx(5000 / 69)
    rest.evaluated(5.0)
    rest.saved(0.5)
    assert rest.seconds(60, 100) == 40 * 1.0 + 1 * 5.0 + 2 * 0.5
    assert Rest(plan, evaluates=False).seconds(0, 100, usual=1.0) == 100.0


def test_a_watch_that_is_resumed_warns_as_if_it_had_seen_all() -> None:
    losses = [4.0 - step / 50 for step in range(60)] + [30.0] * 20
    events = [
        {"kind": "step", "step": step, "loss": loss, "grad_norm": 1.0} for step, loss in enumerate(losses, 1)
    ]
    whole = watch.Watch()
    undisturbed = [whole.see(loss, 1.0) for loss in losses]
    assert any(undisturbed)
    for cut in (1, 30, 59, 62, 70):
        # What a former life trained behind the checkpoint is void, and stands there all the same.
        wild = [{"kind": "step", "step": cut + 1, "loss": 900.0, "grad_norm": 1e9}]
        past = [*events[:cut], *wild, {"kind": "resumed", "step": cut, "from": "x"}]
        resumed = watch.replayed(past, cut)
        assert [resumed.see(loss, 1.0) for loss in losses[cut:]] == undisturbed[cut:]
    fresh = watch.replayed([*events[:30], {"kind": "resumed", "step": 0, "from": None}], 0)
    assert [fresh.see(loss, 1.0) for loss in losses] == undisturbed


def settled(plan: Recipe) -> Settled:
    said = plan.train.model_dump()
    return Settled.model_validate({key: value for key, value in said.items() if value != "auto"})


def test_the_forecast_of_a_run_is_of_its_own_longest_rows(tmp_path: Path) -> None:
    with rows.writer(tmp_path / "train.arrow") as write:
        for length in (*[30] * 1500, 90):
            write(list(range(length)), list(range(length)), "rows.jsonl", 1)
    lengths = forecast.lengths(tmp_path / "train.arrow")
    assert lengths.shape == (1501,) and lengths.max() == 90 and lengths.sum() == 1500 * 30 + 90
    plan = recipe.load("first-steps")
    found = forecast.forecast(plan, settled(plan), forecast.rows(lengths, [40, 12]))
    assert isinstance(found, Fit)
    assert (found.plan.length, found.plan.usual, found.plan.evaluated) == (90, 30, 40)
    facts = forecast.facts(found)
    assert facts["total"] == sum(facts["terms"].values()) == forecast.total(found)
    without = forecast.rows(lengths, [])
    alone = forecast.forecast(plan, settled(plan), without)
    assert isinstance(alone, Fit) and alone.plan.evaluated == 0  # no validation row was left
    absent = recipe.changed(plan, model={"id": "org/absent"})
    assert "config.json" in forecast.facts(forecast.forecast(absent, settled(plan), without))["reason"]


def test_memory_that_ran_out_against_the_forecast_has_ways_out_too() -> None:
    """A forecast that said "fits" was wrong then: what is named must come to less than it."""
    plan = recipe.changed(recipe.load("first-steps"), train={"batch_size": 16}, data={"max_length": 512})
    train, known = settled(plan), forecast.rows(np.array([400] * 40), [])
    found = forecast.forecast(plan, train, known)
    assert isinstance(found, Fit) and found.forecast.verdict == "fits" and not found.remedies
    ways = forecast.ways_out(plan, train, known, found)
    assert ways and all(way.total < 0.95 * found.forecast.total for way in ways)
    said = failures.out_of_memory(plan, train, "step 3", 16, 400, ways)
    assert "train.batch_size = 8 with train.gradient_accumulation = 2 learns the same" in said.mend
    assert "this helps as well: train.gradient_checkpointing = true" in said.mend


def test_every_listed_model_is_weighed_with_the_recipes_settings() -> None:
    plan, listed = recipe.load("first-steps"), models.list_models()
    found = fit.of_models(plan, listed, Device("cuda", 24 * GIB))
    assert set(found) == {model.id for model in listed} and len(found) > 20
    assert not [each for each in found.values() if isinstance(each, Unknown)]  # the catalogue's too
    more = recipe.changed(plan, model={"load_in_4bit": False}, lora={"rank": 64})
    heavier = fit.of_models(more, listed, Device("cuda", 24 * GIB))
    for id, one in found.items():
        other = heavier[id]
        assert isinstance(one, Fit) and isinstance(other, Fit)
        assert one.forecast.total < other.forecast.total
        same = recipe.changed(plan, model={"id": id})
        assert one.forecast == memory.forecast(
            memory.plan(same, one.train, Rows()), one.shapes, Device("cuda", 24 * GIB)
        )


async def test_the_forecast_screen_probes_and_the_recipe_screen_keeps_the_time() -> None:
    stage = Stage(child=Probing)
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_recipe(app, pilot)
        assert "237K tokens" in text(app, "#sums") and "about 1 min" not in text(app, "#sums")
        await pilot.press("f2")
        await until(pilot, on(app, ForecastScreen))
        await pilot.press("p")
        await until(pilot, lambda: "the run about 1 min 11 s" in text(app, "#report-text"))
        shown = text(app, "#report-text")
        assert "two steps" in shown and "830 MB" in shown and "16 x 94 tokens" in shown
        assert stage.children[-1].worker == "probe" and stage.children[-1].closed
        await pilot.press("escape")
        await until(pilot, on(app, RecipeScreen))
        await until(pilot, lambda: "237K tokens, about 1 min 11 s" in text(app, "#sums"))
        app.screen.query_one("#train-steps Input").value = "440"
        await until(pilot, lambda: "about 2 min 23 s" in text(app, "#sums"))
        app.screen.query_one("#train-batch_size Input").value = "8"  # steps of another length: not known
        await until(pilot, lambda: "440 steps of 8 rows" in text(app, "#sums"))
        assert "about 2 min" not in text(app, "#sums")


@pytest.mark.parametrize(
    ("child", "said"),
    [(RanOut, "✗ memory ran out in the probe"), (Broken, "✗ other-run trains on this device")],
)
async def test_a_probe_that_fails_says_why(child: type[Script], said: str) -> None:
    app = Stage(child=child).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_recipe(app, pilot)
        await pilot.press("f2")
        await until(pilot, on(app, ForecastScreen))
        await pilot.press("p")
        await until(pilot, lambda: said in text(app, "#report-text"))
        await pilot.press("escape")
        await until(pilot, on(app, RecipeScreen))


def test_the_command_prints_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ask, "Child", Probing)
    assert main(["memory", "first-steps", "--probe"]) == 0
    said = capsys.readouterr().out
    assert "16 x 96 tokens" in said and "forecast 783.0 MB, 0.94 of what was measured" in said
    assert "about 1:11 for the whole run" in said
    assert main(["memory", "first-steps", "--probe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == MEASURED
    monkeypatch.setattr(_ask, "Child", RanOut)
    assert main(["memory", "first-steps", "--probe"]) == 1
    assert "16 rows of 96 tokens" in (said := capsys.readouterr().out) and "train.batch_size = 8" in said
    monkeypatch.setattr(_ask, "Child", Broken)
    assert main(["memory", "first-steps", "--probe"]) == 1
    assert "trains on this device" in capsys.readouterr().err
