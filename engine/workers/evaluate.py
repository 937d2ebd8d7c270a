"""Child of the front end: base against tuned on held-out rows, answered greedily, counted by set."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine import dataset, metrics, sources, usable
from engine.dataset import Sample
from engine.errors import RunFailed, UserError
from engine.recipe import Recipe
from engine.runs import Run
from engine.sources import Part
from engine.workers.io import Channel

ROWS_A_BATCH = 16


def main() -> int:
    """Score a run and write evals/PART.jsonl (each row's answers) and evals/PART.json (the counts)."""
    channel = Channel()
    os.umask(0o077)
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", choices=sources.PARTS, default="test")
    parser.add_argument("--rows", type=int, help="at most that many rows a set")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    try:
        recipe = run.recipe()
        samples = held_out(recipe, arguments.part, arguments.rows or recipe.evaluate.rows)
        channel.say("phase", phase="load")
        _evaluate(run, recipe, arguments.part, samples, channel)
    except (UserError, RunFailed, OSError, ValueError, RuntimeError) as error:
        channel.error(error)
        return 1
    return 0


def held_out(recipe: Recipe, part: Part, rows: int) -> list[Sample]:
    """At most `rows` samples of each set, the same ones for the same recipe. Raises UserError."""
    chat = dataset.chat_format(recipe)
    data = dataset.opened(recipe, chat)
    few = [usable.Few(rows, recipe.data.seed) for _ in data.sets]
    with TemporaryDirectory() as folder:
        counted = usable.surveyed(data, Path(folder))
        for _, sample in usable.samples(data, counted, (part,)):
            if sample.messages:  # a piece of text asks nothing
                few[sample.one.number].offer(sample)
    chosen = [sample for own in few for sample in own.samples]
    if not chosen:
        raise UserError(
            f"the recipe has no {part} rows; name a file in data.sources.{part}, or take another part"
        )
    return chosen


def _evaluate(run: Run, recipe: Recipe, part: Part, samples: list[Sample], channel: Channel) -> None:
    from engine.workers import pair as pairs

    pair = pairs.load(run)
    channel.say("phase", phase="answer")
    began = time.perf_counter()
    asked = [pair.chat.prompt_ids(sample.question) for sample in samples]
    # Rows of like length together: less padding.
    order = sorted(range(len(samples)), key=lambda i: len(asked[i]))
    rows: list[dict[str, Any]] = [{} for _ in samples]
    for start in range(0, len(order), ROWS_A_BATCH):
        channel.say("progress", done=start, total=len(order))
        batch = order[start : start + ROWS_A_BATCH]
        both = [(column, asked[i]) for column in pairs.COLUMNS for i in batch]
        answers = pairs.generate(pair, both, recipe.evaluate.max_new_tokens)
        for (column, _), i, answer in zip(both, batch * len(pairs.COLUMNS), answers, strict=True):
            right = metrics.right(
                samples[i].source.metric,
                samples[i].row.data,
                samples[i].reference,
                answer.text,
                answer.ended,
            )
            rows[i][column] = {"text": answer.text, "ended": answer.ended, "right": right}
    counts = [_count(source.path, source.metric, samples, rows) for source in recipe.data.sources]
    folder = run.path / "evals"
    folder.mkdir(exist_ok=True)
    facts = {
        "part": part,
        "seconds": round(time.perf_counter() - began, 2),
        "digest": pair.digest,
        "sets": counts,
    }
    with (folder / f"{part}.jsonl").open("w", encoding="utf-8") as file:
        for sample, row in zip(samples, rows, strict=True):
            place = {"set": sample.source.path, "line": sample.row.line}
            said = {"question": sample.question, "reference": sample.reference}
            file.write(json.dumps({**place, **said, **row}, ensure_ascii=False) + "\n")
    (folder / f"{part}.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    channel.say("evaluated", file=str(folder / f"{part}.jsonl"), **facts)


def _count(path: str, metric: str, samples: list[Sample], rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for sample, row in zip(samples, rows, strict=True) if sample.source.path == path]
    right = {column: sum(row[column]["right"] for row in own) for column in ("base", "tuned")}
    return {"source": path, "metric": metric, "rows": len(own), **right}


if __name__ == "__main__":
    sys.exit(main())
