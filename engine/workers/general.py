"""What training cost besides: instructions and plain texts of no data set, before and after.

recipes/datasets/general.jsonl holds them. A loss that rises here while it falls on the recipe's own rows is
what is called forgetting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine import RECIPES, render
from engine.formats import Conversation, Message, Text, Unusable
from engine.schema import Evaluate
from engine.workers import measure, summary
from engine.workers.held import Phase
from engine.workers.pair import Pair

FILE = RECIPES / "datasets" / "general.jsonl"

MOST_TOKENS = 128
"""An answer to a general instruction is short; a base model that runs on need not be heard out."""


def measured(
    pair: Pair, columns: measure.Columns, plan: Evaluate, phase: Phase, cancelled: Callable[[], bool]
) -> dict[str, Any] | None:
    """A GENERAL of engine/workers/evaluate.py; None where it was cancelled."""
    rows, texts = [], []
    for line in FILE.read_text("utf-8").splitlines():
        row = json.loads(line)
        try:
            made = render.render(pair.chat, _example(row), pair.context, measure.UNCUT)[0]
        except Unusable:
            continue
        rows.append({"kind": "texts" if "text" in row else "instructions", **row})
        texts.append((made.ids, made.labels))
    losses = measure.losses(pair, columns, texts, phase("general"), cancelled)
    asked = [row for row in rows if row["kind"] == "instructions"]
    prompts = [pair.chat.prompt_ids([_question(row)]) for row in asked]
    said = measure.answers(pair, columns, prompts, min(plan.max_new_tokens, MOST_TOKENS), cancelled=cancelled)
    if cancelled() or not rows:
        return None
    for i, row in enumerate(rows):
        for name in columns:
            score = losses[name][i]
            assert score is not None  # nothing was cancelled
            row[name] = {"loss": -score.mean, "tokens": score.tokens}
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("instructions", "texts")}
    return {
        "rows": len(rows),
        "columns": {name: {kind: summary.loss(own, name) for kind, own in kinds.items()} for name in columns},
        "differences": {
            name: {kind: summary.differences(own, name).get("loss") for kind, own in kinds.items()}
            for name in columns
            if name != "base"
        },
        "answers": [
            {
                "question": row["instruction"],
                "reference": row["output"],
                "said": {name: answer.text for name in columns if (answer := said[name][i])},
                "loss": {name: round(row[name]["loss"], 5) for name in columns},
            }
            for i, row in enumerate(asked)
        ],
    }


def _question(row: dict[str, Any]) -> Message:
    return Message(role="user", content=row["instruction"])


def _example(row: dict[str, Any]) -> Conversation | Text:
    if "text" in row:
        return Text(row["text"])
    return Conversation([_question(row), Message(role="assistant", content=row["output"])])
