"""Evaluations that were written: read again, and as Markdown, CSV or JSON for people and programs elsewhere.

engine/workers/evaluate.py makes them and says what is in them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs import Run
from engine.sources import Part

CLOSING = "end"
"""The name of the short evaluation at a run's end (engine/workers/closing.py)."""

KINDS = ("md", "csv", "json")
SHOWN = 10
"""Rows that gained and lost most in a report for people."""


@dataclass(frozen=True)
class Evaluation:
    """A summary and its rows, as the worker wrote them."""

    summary: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def columns(self) -> list[str]:
        return [one["column"] for one in self.summary["columns"]]


HELD_OUT: dict[str, tuple[Part, ...]] = {
    "held-out": ("test", "validation"), "test": ("test",), "validation": ("validation",), "train": ("train",)
}  # fmt: skip
"""What can be asked for, and the parts of the data that serve, the first that has rows."""


def saved_part(run: Run, asked: str) -> Part:
    """The part of which an evaluation was written, else the one that would be asked first."""
    there = (part for part in HELD_OUT[asked] if (run.path / "evals" / f"{part}.json").is_file())
    return next(there, HELD_OUT[asked][0])


def read(run: Run, name: str) -> Evaluation:
    """One that was written under this name. Raises UserError where there is none, or it is torn."""
    summary, rows = run.path / "evals" / f"{name}.json", run.path / "evals" / f"{name}.jsonl"
    try:
        lines = rows.read_text("utf-8").splitlines()
        return Evaluation(json.loads(summary.read_text("utf-8")), [json.loads(line) for line in lines])
    except FileNotFoundError:
        raise UserError(f"{run.name} has no evaluation {name}; `ift-tui eval {run.name}` makes one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{summary}: cannot be read ({error}); evaluate again") from None


def names(run: Run) -> list[str]:
    """Names of the evaluations of a run, the newest first."""
    found = [path for path in (run.path / "evals").glob("*.json") if path.with_suffix(".jsonl").is_file()]
    return [path.stem for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def kind_of(file: Path) -> str:
    """md, csv or json, by the name's end. Raises UserError."""
    kind = file.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise UserError(f"{file}: a report is .md, .csv or .json")
    return kind


def exported(found: Evaluation, kind: str) -> str:
    """The evaluation in one of KINDS: csv holds the rows, md the figures, json all of it."""
    match kind:
        case "csv":
            return _csv(found)
        case "json":
            return json.dumps({**found.summary, "rows": found.rows}, indent=1) + "\n"
    return markdown(found)


def markdown(found: Evaluation) -> str:
    """Figures by set with their intervals, forgetting, and the rows that gained and lost most."""
    facts = found.summary
    lines = [
        f"# {facts['run']}: base and tuned on {facts['part']} rows",
        "",
        f"{facts['model']}{' in 4 bits' if facts['four_bit'] else ''}, adapter {facts['digest'][:12]}, made "
        f"{facts['made']}. Greedy answers of up to {facts['settings']['max_new_tokens']} tokens. Differences "
        f"are the column less the base, with the {facts['settings']['share']:.0%} interval of "
        f"{facts['settings']['resamples']:,} paired resamples of the rows.",
    ]
    for one in facts["sets"]:
        lines += ["", f"## {_cell(one['source'])} ({one['metric']}, {one['rows']:,} rows)", ""]
        lines += _table(["figure", *found.columns], _figure_rows(one, found.columns))
        lines += ["", *(_difference_lines(one, found.columns))]
        lines += _confusions(one, found.columns)
    if general := facts.get("general"):
        lines += ["", f"## Forgetting: {general['rows']} general instructions and texts", ""]
        lines += _table(["of", "column", "loss", "change"], general_rows(general, found.columns))
    if len(found.columns) > 1:
        lines += _extremes(found)
    return "\n".join(lines) + "\n"


def figures(one: dict[str, Any], column: str) -> dict[str, str]:
    """The figures of one column of a set, in words, those that the set has."""
    facts, rows = one["columns"][column], one["rows"]
    said: dict[str, str] = {}
    if facts["loss"] is not None:
        said |= {
            "loss": f"{facts['loss']:.4f}",
            "perplexity": f"{facts['perplexity']:,.{1 if facts['perplexity'] > 100 else 3}f}",
        }
    for key in ("right", "exact", "normalised", "valid", "ended"):
        if facts.get(key) is not None:
            said[key] = f"{facts[key]:,} ({facts[key] / rows:.1%})"
    for key, name in (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeL", "ROUGE-L")):
        if key in facts:
            said[name] = f"{facts[key]:.3f}"
    for key, name in (("bleu", "BLEU"), ("chrf", "chrF")):
        if key in facts:
            said[name] = f"{facts[key]:.1f}"
    for key, name in CHOICES.items():
        if key in facts:
            said[f"{name}: accuracy"] = f"{facts[key]['accuracy']:.1%}"
            said[f"{name}: macro-F1"] = f"{facts[key]['macro_f1']:.3f}"
    return said


CHOICES = {
    "said": "choice said",
    "likeliest": "choice likeliest",
    "likeliest_by_token": "choice likeliest by token",
}


def difference(facts: dict[str, Any], figure: str) -> str:
    """A difference with its interval: -1.20 [-1.31, -1.09], or +4.0% [+1.0%, +7.0%] of a share."""
    form = "{:+.4f}" if figure in ("loss", "rougeL") else "{:+.1%}"
    middle, low, high = (form.format(facts[key]) for key in ("difference", "low", "high"))
    return f"{middle} [{low}, {high}]{'' if facts['sure'] else ', may be chance'}"


def general_rows(general: dict[str, Any], columns: Sequence[str]) -> list[list[str]]:
    """Instructions or texts, column, its loss on these, and the change with its interval."""
    rows = []
    there = [name for name in columns if name in general["columns"]]  # a base with examples is not
    for kind in ("instructions", "texts"):
        for name in there:
            loss = general["columns"][name][kind]["loss"]
            change = general["differences"].get(name, {}).get(kind)
            told = difference(change, "loss") if change else ""
            rows.append([kind, name, "-" if loss is None else f"{loss:.4f}", told])
    return rows


def extremes(found: Evaluation, most: int = SHOWN) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows on which the first column after base gained most, and those on which it lost most."""
    name = found.columns[1]
    ordered = [found.rows[i] for i in found.summary["order"]]
    gained = [row for row in ordered if row["gain"].get(name, 0) > 0]
    lost = [row for row in reversed(ordered) if row["gain"].get(name, 0) < 0]
    return gained[:most], lost[:most]


def question(row: dict[str, Any]) -> str:
    """What was asked last in a row; "" of a piece of text."""
    said = [message["content"] for message in row["question"] if message["role"] == "user"]
    return said[-1] if said else ""


def _figure_rows(one: dict[str, Any], columns: Sequence[str]) -> list[list[str]]:
    by_column = {name: figures(one, name) for name in columns}
    names = dict.fromkeys(figure for said in by_column.values() for figure in said)
    return [[figure, *(by_column[name].get(figure, "-") for name in columns)] for figure in names]


def _difference_lines(one: dict[str, Any], columns: Sequence[str]) -> list[str]:
    lines = []
    for name in columns[1:]:
        told = ", ".join(
            f"{figure} {difference(facts, figure)}" for figure, facts in one["differences"][name].items()
        )
        lines.append(
            f"- {name}: better on {one['better'][name]:,} rows, worse on {one['worse'][name]:,}; {told}"
        )
        for member, against in one.get("against", {}).get(name, {}).items():
            told = ", ".join(f"{figure} {difference(facts, figure)}" for figure, facts in against.items())
            lines.append(f"- {name} less {member}: {told}")
    return lines


def _confusions(one: dict[str, Any], columns: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for name in columns:
        if "said" in one["columns"][name]:
            counts = one["columns"][name]["said"]["confusion"]
            head = [f"{name}: reference", *(f"said {choice}" for choice in one["choices"]), "none"]
            rows = [[label, *map(str, row)] for label, row in zip(one["choices"], counts, strict=True)]
            lines += ["", *_table(head, rows)]
    return lines


def _extremes(found: Evaluation) -> list[str]:
    name = found.columns[1]
    gained, lost = extremes(found)
    lines: list[str] = []
    for title, rows in ((f"Where {name} gained most", gained), (f"Where {name} lost most", lost)):
        if rows:
            cells = [
                [question(row), row["reference"], row["base"].get("text", ""), row[name].get("text", "")]
                for row in rows
            ]
            lines += ["", f"## {title}", "", *_table(["question", "reference", "base", name], cells)]
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]


def _cell(text: str) -> str:
    """Foreign text within a table of Markdown: on its line, and no markup of its own."""
    for char in "\\`*_[]<>|#":
        text = text.replace(char, "\\" + char)
    return " ".join(text.split()) if not text.startswith("---") else text


def _csv(found: Evaluation) -> str:
    keys = dict.fromkeys(key for row in found.rows for name in found.columns for key in row[name])
    out = io.StringIO()
    writer = csv.writer(out)
    head = ["set", "line", "metric", "question", "reference"]
    head += [f"gain {name}" for name in found.columns[1:]]
    head += [f"{name} {key}" for name in found.columns for key in keys]
    writer.writerow(head)
    for row in found.rows:
        cells = [row["set"], row["line"], row["metric"], question(row), row["reference"]]
        cells += [row["gain"].get(name) for name in found.columns[1:]]
        cells += [row[name].get(key) for name in found.columns for key in keys]
        writer.writerow([_literal(cell) for cell in cells])
    return out.getvalue()


def _literal(cell: Any) -> Any:
    """A cell that spreadsheets would run as a formula stays text."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell
