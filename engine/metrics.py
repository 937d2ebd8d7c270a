"""Is an answer right? One function a metric, on plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.recipe import Metric


def right(metric: Metric, row: Mapping[str, Any], reference: str, answer: str, ended: bool) -> bool:
    """Whether an answer counts. It must have ended by itself: a model that runs on is not right.

    exact:  the answer is the reference, white space at the ends aside.
    fields: every value of the row's `fields` stands in the answer as it is written there.
    """
    if not ended:
        return False
    if metric == "exact":
        return answer.strip() == reference.strip()
    fields = row.get("fields")
    values = fields.values() if isinstance(fields, Mapping) else ()
    return bool(values) and all(str(value) in answer for value in values)
