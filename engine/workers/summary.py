"""Rows that every column answered, summed up: figures of each column, and how sure the differences are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine import bootstrap, classes, overlap
from engine.workers import corpus

Row = Mapping[str, Any]
"""A line of the rows' file; engine/workers/evaluate.py says what is in it."""

FREE = ("text", "fields")
"""Metrics of answers that may say the same in other words."""

COUNTED = ("right", "exact", "normalised", "ended", "valid")


def judged(row: Row, columns: Sequence[str]) -> dict[str, float]:
    """Each column's gain over the base on one row: of being right, of overlap for free text, else of loss."""
    base = row["base"]
    gains = {}
    for name in columns:
        if name == "base":
            continue
        for figure, sign in (("right", 1), ("rougeL", 1), ("loss", -1)):
            if base.get(figure) is not None and row[name].get(figure) is not None:
                gains[name] = round(sign * (float(row[name][figure]) - float(base[figure])), 6)
                break
    return gains


def of_set(
    source: str,
    metric: str,
    choices: Sequence[str],
    rows: Sequence[Row],
    columns: Mapping[str, Sequence[str]],
) -> Any:
    """A SET of the protocol. The base's figures stand beside the others'; differences are theirs less its.

    columns: each with those that it averages, against which it is held too.
    """
    figures = {name: _figures(metric, choices, rows, name) for name in columns}
    others = [name for name in columns if name != "base"]
    return {
        "source": source,
        "metric": metric,
        "choices": list(choices),
        "rows": len(rows),
        **{name: figures[name].get("right") for name in columns},
        "columns": figures,
        "differences": {name: differences(rows, name) for name in others},
        "against": {
            name: {member: differences(rows, name, member) for member in members}
            for name, members in columns.items()
            if members
        },
        "better": {name: sum(row["gain"].get(name, 0) > 0 for row in rows) for name in others},
        "worse": {name: sum(row["gain"].get(name, 0) < 0 for row in rows) for name in others},
    }


def order(rows: Sequence[Row], columns: Sequence[str]) -> list[int]:
    """Numbers of rows, from the greatest gain of the first column after base to its greatest loss."""
    name = next(name for name in columns if name != "base")

    def gain(i: int) -> tuple[float, float]:
        row = rows[i]
        nearer = (row["base"].get("loss") or 0.0) - (row[name].get("loss") or 0.0)
        return row["gain"].get(name, 0.0), nearer

    return sorted(range(len(rows)), key=gain, reverse=True)


def loss(rows: Sequence[Row], column: str) -> dict[str, Any]:
    """The mean loss of a token over all rows, and its exponential."""
    known = [row[column] for row in rows if row[column].get("loss") is not None]
    tokens = sum(one["tokens"] for one in known)
    if not tokens:
        return {"loss": None, "perplexity": None, "tokens": 0}
    mean = sum(one["loss"] * one["tokens"] for one in known) / tokens
    perplexity = math.exp(mean) if mean < 700 else math.inf
    return {"loss": round(mean, 5), "perplexity": round(perplexity, 4), "tokens": tokens}


def differences(rows: Sequence[Row], column: str, other: str = "base") -> dict[str, dict[str, Any]]:
    """Figures in which every row has a value for both: the column less the other, with its interval."""
    found = {}
    for figure in ("loss", "right", "exact", "normalised", "valid", "rougeL"):
        pairs = [
            (row[other], row[column])
            for row in rows
            if row[other].get(figure) is not None and row[column].get(figure) is not None
        ]
        if not pairs:
            continue
        weights = [one["tokens"] for one, _ in pairs] if figure == "loss" else [1] * len(pairs)
        before, after = (
            [float(pair[side][figure]) * weight for pair, weight in zip(pairs, weights, strict=True)]
            for side in (0, 1)
        )
        interval = bootstrap.paired(before, after, weights)
        found[figure] = {
            "difference": round(interval.difference, 6),
            "low": round(interval.low, 6),
            "high": round(interval.high, 6),
            "sure": interval.sure,
        }
    return found


def _figures(metric: str, choices: Sequence[str], rows: Sequence[Row], column: str) -> dict[str, Any]:
    figures = loss(rows, column)
    said = [row for row in rows if row[column].get("text") is not None]
    for key in COUNTED:
        values = [row[column][key] for row in said if row[column].get(key) is not None]
        figures[key] = sum(values) if values else None
    if said and metric in FREE:
        references, texts = [row["reference"] for row in said], [row[column]["text"] for row in said]
        for key in ("rouge1", "rouge2", "rougeL"):
            figures[key] = round(sum(row[column][key] for row in said) / len(said), 5)
        figures |= {
            "bleu": round(corpus.bleu(references, texts), 3),
            "chrf": round(corpus.chrf(references, texts), 3),
        }
    if said and choices:
        for key in ("said", "likeliest", "likeliest_by_token"):
            known = [row for row in said if key in row[column] and row["choice"] is not None]
            if known:
                table = classes.confusion(
                    choices, [row["choice"] for row in known], [row[column][key] for row in known]
                )
                figures[key] = {
                    "rows": table.rows,
                    "accuracy": round(table.accuracy, 5),
                    "macro_f1": round(table.macro_f1, 5),
                    "confusion": [list(counts) for counts in table.counts],
                }
    return figures


def overlapping(reference: str, answer: str) -> dict[str, float]:
    """ROUGE of one answer, rounded for the file."""
    return {name: round(value, 5) for name, value in overlap.rouge(reference, answer).items()}
