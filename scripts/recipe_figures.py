"""The figures of a recipe's page: each set by column, and a recipe against its variants, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine import bootstrap, evals
from engine.evals import Evaluation
from engine.runs import Run

Rows = Sequence[dict[str, Any]]


def by_set(run: Run, measured: Evaluation) -> Iterator[tuple[str, dict[str, Any], Rows]]:
    """Each set's name, with its templates where another has the same file, its figures and its rows."""
    sources, begin = list(run.recipe().data.sources), 0
    several = Counter(source.path for source in sources)
    for one in measured.summary["sets"]:
        name = Path(one["source"]).name  # of a chain, its sub-tasks with it
        if source := next((source for source in sources if source.path == one["source"]), None):
            sources.remove(source)
            name = Path(source.test or source.path).name
            if several[source.path] > 1:
                name += f" ({', '.join(Path(each).stem for each in source.templates)})"
        yield name, one, measured.rows[begin : begin + one["rows"]]  # rows stand in the order of their sets
        begin += one["rows"]


def figures(run: Run, measured: Evaluation) -> list[str]:
    """Every set's figures by column, and the tuned column against each other one."""
    lines: list[str] = []
    for label, one, own in by_set(run, measured):
        by_column = {name: evals.figures(one, name) for name in measured.columns}
        names = dict.fromkeys(figure for said in by_column.values() for figure in said)
        lines += [f"{label}, {one['rows']:,} rows, judged by {one['metric']}:", ""]
        lines += ["| | " + " | ".join(measured.columns) + " |", "|---" * (len(measured.columns) + 1) + "|"]
        averages = {"tuned", *one.get("against", {})}  # these are held against their members
        for figure in names:
            cells = " | ".join(by_column[name].get(figure, "-") for name in measured.columns)
            lines.append(f"| {figure} | {cells} |")
        lines += ["", *(_against(own, name, "tuned") for name in measured.columns if name not in averages)]
        for name, members in one.get("against", {}).items():
            lines += [f"- {name} less {member}: {_told(facts)}" for member, facts in members.items()]
        lines += [""]
    return lines[:-1]


def _told(facts: dict[str, Any]) -> str:
    """Differences by figure, those that there are: members that answer alike may differ in their loss."""
    named = [figure for figure in ("right", "rougeL", "loss") if figure in facts]
    return "; ".join(f"{figure} {evals.difference(facts[figure], figure)}" for figure in named)


def forgetting(measured: Evaluation) -> list[str]:
    """The loss on general instructions and plain texts that no training saw."""
    general = measured.summary.get("general")
    if not general:
        return []
    lines = ["", f"Forgetting: {general['rows']} general instructions and texts that no training saw.", ""]
    lines += ["| of | column | loss | change |", "|---|---|---|---|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in evals.general_rows(general, measured.columns))]


def _against(rows: Rows, before: str, after: str) -> str:
    for figure in ("right", "rougeL", "loss"):
        first, second = ([row[name].get(figure) for row in rows] for name in (before, after))
        if rows and all(value is not None for value in (*first, *second)):
            return f"- {after} less {before}: {figure} {_difference(first, second, figure)}"
    return f"- {after} less {before}: nothing that both have"


def _difference(before: Sequence[Any], after: Sequence[Any], figure: str) -> str:
    gained = bootstrap.paired([float(one) for one in before], [float(one) for one in after])
    facts = {"difference": gained.difference, "low": gained.low, "high": gained.high, "sure": gained.sure}
    return evals.difference(facts, figure)


def differences(
    have: tuple[Run, Evaluation], variants: dict[str, Any], there: dict[str, tuple[Run, Evaluation]]
) -> list[str]:
    """The recipe against each variant, tuned column against tuned column, row by row."""
    own = _by_place(have[1])
    figure = "right" if next(iter(own.values()))["tuned"].get("right") is not None else "rougeL"
    name = {"right": "right", "rougeL": "ROUGE-L"}[figure]
    lines = [f"| | {name} | loss | {name}: the recipe less this | loss: the recipe less this |"]
    lines += ["|---|---|---|---|---|", f"| as it stands | {_means(list(own.values()), figure)} | | |"]
    for variant, (_, other) in there.items():
        theirs = _by_place(other)
        both = [place for place in own if place in theirs]
        assert 2 * len(both) > len(own), f"{variant} was measured on other rows; see data.sources.group"
        before, after = [theirs[place] for place in both], [own[place] for place in both]
        gained = [
            _difference([row["tuned"][one] for row in before], [row["tuned"][one] for row in after], one)
            for one in (figure, "loss")
        ]
        if [row["tuned"]["tokens"] for row in before] != [row["tuned"]["tokens"] for row in after]:
            gained[1] = "of other tokens"  # another loss: its two means say nothing about each other
        says = variants[variant]["says"]
        lines.append(f"| {variant}: {says} | {_means(before, figure)} | {' | '.join(gained)} |")
    left = [name for name in variants if name not in there]
    if left:
        lines += ["", f"Not measured yet: {', '.join(left)}."]
    said = "Intervals hold 95% of 10,000 paired resamples of the rows; loss is the mean of their losses."
    return [*lines, "", said]


def _means(rows: Rows, figure: str) -> str:
    """Two cells: the mean of a figure, and of the loss."""
    mean, loss = (sum(float(row["tuned"][one]) for row in rows) / len(rows) for one in (figure, "loss"))
    return f"{f'{mean:.1%}' if figure == 'right' else f'{mean:.3f}'} | {loss:.4f}"


def _by_place(measured: Evaluation) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Rows by set, line and, of several wordings of a line, which one it is."""
    count: Counter[tuple[str, int]] = Counter()
    found = {}
    for row in measured.rows:
        place = (Path(row["set"]).name, row["line"])
        found[*place, count[place]] = row
        count[place] += 1
    return found
