"""What a sweep tries of one key, as a line that a person types, and as the table that stands in the recipe.

8, 16, 32               these values; texts and true or false as well: cosine, linear
1e-5 .. 1e-3 log        a range; log: as often in each decade
0 .. 0.2 points 5       of which a grid takes five numbers
1x, 2x of lora.rank     once and twice what stands at that key
"""

from __future__ import annotations

import json
import re
from typing import Any

from engine import auto, fit, keys
from engine.errors import UserError
from engine.schema import HIGHEST_LEARNING_RATE, Recipe
from engine.sweep_plan import Over
from engine.sweeps import short

FACTORS_OF = {"lora.alpha": "lora.rank"}
"""Of what the factors of a key are where a line does not say it."""

RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+?)(\s+log)?(?:\s+points\s+(\d+))?")

TIMES = 4
"""How far the suggested learning rates reach above and below that of the recipe."""
HIGHEST_SUGGESTED = 64
"""A rank above which none is suggested; the recipe's own stays."""


def read(key: str, line: str) -> dict[str, Any]:
    """The table of a key in [sweep.over]. Raises UserError where the line is none of those above.

    Whether these values suit the key is for the recipe's own check.
    """
    if ".." in line:
        return _range(key, line.strip())
    listed, _, of = line.strip().partition(" of ")
    words = re.findall(r"[^,\s]+", listed)
    if not words:
        raise UserError(f"sweep.over.{key}: there is nothing to try; write 8, 16, 32, say")
    factors = [factor for word in words if (factor := _factor(word)) is not None]
    if not factors and not of:
        return {"values": [_value(word) for word in words]}
    if len(factors) < len(words):
        raise UserError(f"sweep.over.{key}: write an x behind each of the factors (1x, 2x), or behind none")
    of = of.strip() or FACTORS_OF.get(key, "")
    if not of:
        raise UserError(f"sweep.over.{key}: say of what these are factors: {line.strip()} of lora.rank")
    return {"values": factors, "factor_of": of}


def _range(key: str, line: str) -> dict[str, Any]:
    said = RANGE.fullmatch(line)
    if said is None:
        raise UserError(f"sweep.over.{key}: {line!r:.60} is no range; write 1e-5 .. 1e-3 log, say")
    low, high, log, points = said.groups()
    ends = {"low": _value(low), "high": _value(high)}
    return ends | ({"log": True} if log else {}) | ({"points": int(points)} if points else {})


def written(key: str, over: Over) -> str:
    """The line that `read` makes the same of."""
    if over.factor_of:
        factors = ", ".join(f"{_said(value)}x" for value in over.values)
        return factors if FACTORS_OF.get(key) == over.factor_of else f"{factors} of {over.factor_of}"
    if over.values:
        return ", ".join(map(_said, over.values))
    points = f" points {over.points}" if over.points != Over.model_fields["points"].default else ""
    return f"{_said(over.low)} .. {_said(over.high)}{' log' if over.log else ''}{points}"


def suggested(plan: Recipe) -> dict[str, dict[str, Any]]:
    """What is worth trying first: the learning rate, and for an adapter its rank and what alpha is of it."""
    rate = plan.train.learning_rate
    if rate == "auto":
        rate = auto.learning_rate(plan.train.method, fit.shapes_of(plan))
    most = HIGHEST_LEARNING_RATE[plan.train.method]
    low, high = float(f"{rate / TIMES:.2g}"), min(most, float(f"{rate * TIMES:.2g}"))
    found: dict[str, dict[str, Any]] = {"train.learning_rate": {"low": low, "high": high, "log": True}}
    if plan.train.method == "lora" and not plan.model.adapter:
        rank = plan.lora.rank
        ranks = [max(1, rank // 2), rank, min(2 * rank, max(rank, HIGHEST_SUGGESTED))]
        found["lora.rank"] = {"values": list(dict.fromkeys(ranks))}
        found["lora.alpha"] = {"values": [1, 2], "factor_of": "lora.rank"}
    return found


def stands(plan: Recipe, key: str) -> str:
    """What the recipe has at that key now, as it would be typed; "" where it says nothing."""
    value = keys.found(plan.model_dump(), key)
    return "" if value is None else _said(value)


def said(plan: Recipe) -> str:
    """What its sweep tries, in a line: rank 8, 16, 32 · learning_rate 1e-5 .. 1e-3 log; "" without one."""
    if plan.sweep is None:
        return ""
    over = plan.sweep.over
    named = zip(short(list(over)), over.items(), strict=True)
    return " · ".join(f"{name} {written(key, one)}" for name, (key, one) in named)


def _factor(word: str) -> float | None:
    """The number before an x; None of any other word."""
    number = _value(word.removesuffix("x"))
    return number if word.endswith("x") and type(number) in (int, float) else None


def _value(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)
