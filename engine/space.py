"""What a sweep can try: the values of each key, their combinations, and a recipe with some of them in it.

A draw says for each key what was chosen of its own list or range. A setting is what then stands in the
recipe: a factor is multiplied with the value of the key that it is a factor of.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine import keys, recipe
from engine.errors import UserError
from engine.schema import Recipe, Source
from engine.sweep_plan import Objective, Over, Sweep

Draw = dict[str, Any]
Setting = dict[str, Any]

HELD_OUT = re.compile(
    r"data\.(validation|seed|sources\.\d+\.(path|validation|test|subset|held_out|group|stratify))"
)
"""Keys with which the rows that judge would change from run to run: their figures could not be compared."""

MOST_CHECKED = 2_000
"""Combinations that are checked before the first run; a check takes some 0.1 ms."""


def candidates(over: Over) -> tuple[Any, ...]:
    """What a grid tries of one key: its values, or `points` numbers of its range, evenly apart."""
    if over.values:
        return over.values
    assert over.low is not None and over.high is not None  # the recipe's check
    shares = [number / (over.points - 1) for number in range(over.points)]
    if over.log:
        low, high = math.log(over.low), math.log(over.high)
        found = [math.exp(low + share * (high - low)) for share in shares[1:-1]]
    else:
        found = [over.low + share * (over.high - over.low) for share in shares[1:-1]]
    between = map(round, found) if is_whole(over) else (float(f"{number:.6g}") for number in found)
    return tuple(dict.fromkeys([over.low, *between, over.high]))


def is_whole(over: Over) -> bool:
    """Whether a range holds whole numbers only."""
    return isinstance(over.low, int) and isinstance(over.high, int)


def combinations(plan: Sweep) -> Iterator[Draw]:
    """Every draw of a grid, the last key changing fastest."""
    for values in itertools.product(*map(candidates, plan.over.values())):
        yield dict(zip(plan.over, values, strict=True))


def count(plan: Sweep) -> int | None:
    """How many settings there are to try; None where a range is drawn from, which has no end of them."""
    if plan.method != "grid" and not all(over.values or is_whole(over) for over in plan.over.values()):
        return None
    return math.prod(_count(over, plan.method == "grid") for over in plan.over.values())


def setting(plan: Recipe, draw: Mapping[str, Any]) -> Setting:
    """What stands in the recipe for a draw. Raises UserError where a factor has nothing to be a factor of."""
    over = _sweep(plan).over
    document = plan.model_dump()
    found: Setting = {key: _short(value) for key, value in draw.items() if not over[key].factor_of}
    for key, factor in draw.items():
        if not (of := over[key].factor_of):
            continue
        times = found.get(of, keys.found(document, of))
        if type(times) not in (int, float):
            raise UserError(
                f"sweep.over.{key}: factor_of = {of!r} names no number of this recipe; name lora.rank, say"
            )
        product = factor * times
        found[key] = round(product) if float(product).is_integer() else product
    return {key: found[key] for key in draw}


def applied(plan: Recipe, chosen: Mapping[str, Any], name: str = "") -> Recipe:
    """The recipe of one run: with this setting, checked, and without [sweep]. Raises UserError."""
    document = plan.model_dump(mode="json", exclude={"sweep"}, exclude_none=True)
    for key, value in chosen.items():
        keys.put(document, key, value, "sweep.over")
    said = ", ".join(f"{key} = {value}" for key, value in chosen.items())
    return recipe.parse({**document, "name": name or plan.name}, f"sweep.over ({said})")


def check(plan: Recipe) -> None:
    """Raises UserError where the recipe is none of a sweep, or something that it would try is refused."""
    sweep = _sweep(plan)
    for key in sweep.over:
        if key.partition(".")[0] in ("sweep", "name"):
            raise UserError(f"sweep.over.{key}: this is no setting of a run; name train.learning_rate, say")
        if HELD_OUT.fullmatch(key):
            raise UserError(f"sweep.over.{key}: it changes the validation rows; sweep something else")
        of = sweep.over[key].factor_of
        if of in sweep.over and sweep.over[of].factor_of:
            raise UserError(f"sweep.over.{key}: {of} is a factor itself; name the key behind it")
    for draw in itertools.islice(combinations(sweep), MOST_CHECKED):
        applied(plan, setting(plan, draw))
    own = ("builtin:", "hf:")  # these may bring parts of their own
    if not plan.data.validation and not any(
        one.validation or one.path.startswith(own) for one in plan.data.sources
    ):
        raise UserError("a sweep is judged on validation rows; set data.validation, to 0.05 say")
    if sweep.objective != "validation loss" and not plan.evaluate.at_end:
        raise UserError(
            f"the objective {sweep.objective!r} is measured at a run's end; set evaluate.at_end, to 100 say"
        )
    if sweep.objective != "validation loss" and not any(
        _has(sweep.objective, one) for one in plan.data.sources
    ):
        raise UserError(
            f"no set is judged so that it has the figure {sweep.objective!r}; set metric (or valid) of a"
            " source, or take another objective"
        )


def _count(over: Over, grid: bool) -> int:
    if grid or over.values:
        return len(candidates(over))
    assert over.low is not None and over.high is not None  # the recipe's check
    return int(over.high) - int(over.low) + 1


def _has(objective: Objective, source: Source) -> bool:
    """Whether a set's evaluation has that figure; a prompt template of it may judge in its own way."""
    if objective == "valid":
        return bool(source.valid)
    if source.templates or objective in ("exact", "normalised", "ended"):
        return True
    if objective == "right":
        return source.metric != "text"
    return (
        source.metric == "choice" if objective.startswith("choice") else source.metric in ("text", "fields")
    )


def _short(value: Any) -> Any:
    """A drawn number to four digits: nobody types more, and nothing depends on the fifth."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _sweep(plan: Recipe) -> Sweep:
    if plan.sweep is None:
        raise UserError(
            "nothing is tried: the recipe has no [sweep]; write [sweep.over] with "
            '"train.learning_rate" = [1e-4, 2e-4], say, or give --over "train.learning_rate=1e-4, 2e-4"'
        )
    return plan.sweep
