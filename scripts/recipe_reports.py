"""Trains the bundled recipes and writes what came of each: docs/recipes/NAME.md.

    make recipes    (or: python scripts/recipe_reports.py [NAME ...] [--home FOLDER] [--written])

Every figure is read from the files of a run; the words are the recipe's own head. Runs stand in a home of
their own, and one that is there already under its name is not trained again: what was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine import RECIPES, asking, bootstrap, evals, recipe, runs
from engine.errors import UserError
from engine.evals import Evaluation
from engine.events import Tail
from engine.runs import Run

ROOT = RECIPES.parent
PLAN = Path(__file__).with_suffix(".toml")
PAGES = ROOT / "docs" / "recipes"
SHOWN = 3
"""Rows whose answers stand in a page."""
LONGEST = 400
"""Characters of an answer that are shown: a base model runs on."""

Plan = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; all of them by default")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "recipes", help="where the runs stand")
    parser.add_argument("--written", action="store_true", help="train nothing: pages of the runs there are")
    asked = parser.parse_args()
    os.environ["IFT_TUI_HOME"] = str(asked.home.resolve())
    asked.home.mkdir(parents=True, exist_ok=True)
    plans = tomllib.loads(PLAN.read_text("utf-8"))
    for name in asked.names or plans:
        plan = plans[name]
        if not asked.written:
            made(name, name, plan)
            for variant, changes in plan.get("variants", {}).items():
                made(name, variant, {**plan, **changes})
        if found(name) is None:
            print(f"{name}: no run that was trained and measured; left as it is")
            continue
        PAGES.mkdir(exist_ok=True)
        (PAGES / f"{name}.md").write_text(page(name, plan), "utf-8")
        print(PAGES / f"{name}.md")
    if PAGES.is_dir():
        (PAGES / "README.md").write_text(index(), "utf-8")


def index() -> str:
    """The page that names the others, and the recipes that have none yet."""
    lines = ["# Recipes", "", "`ift-tui train NAME`, or N on the first screen, begins from one of these.", ""]
    for file in recipe.bundled():
        there = (PAGES / f"{file.stem}.md").is_file()
        name = f"[{file.stem}]({file.stem}.md)" if there else file.stem
        lines.append(f"- {name}: {recipe.purpose(file)}")
    lines += ["", "A page says what came of a recipe on the embedded model; `make recipes` writes it."]
    return "\n".join(lines) + "\n"


def commands(of: str, name: str, plan: Plan, root: str) -> tuple[list[str], list[str]]:
    """How a run of this name is trained and measured, as words of `ift-tui`."""
    sets = [f"name={name}"] if name != of else []
    sets += [each.replace("{root}", root) for each in plan.get("set", ())]
    train = ["train", of, *(word for each in sets for word in ("--set", each))]
    return train, ["eval", name, *plan.get("eval", ())]


def made(of: str, name: str, plan: Plan) -> None:
    """Train and measure, each where it was not done yet."""
    train, measure = commands(of, name, plan, str(ROOT))
    for words, done in ((train, trained(name)), (measure, found(name))):
        if done is None:
            print("ift-tui", *words, flush=True)
            subprocess.run([sys.executable, "-m", "tui", *words], cwd=ROOT, check=True, stdout=sys.stderr)


def trained(name: str) -> Run | None:
    """The newest run of this name that was trained to its end."""
    for run in runs.list_runs():
        if run.recipe().name == name and run.state().status == "finished":
            return run
    return None


def found(name: str) -> tuple[Run, Evaluation] | None:
    """The run of this name and its evaluation on test rows, where both are there."""
    run = trained(name)
    try:
        return (run, evals.read(run, "test")) if run else None
    except UserError:
        return None


def page(name: str, plan: Plan) -> str:
    """The whole page of a recipe that was trained and measured."""
    have = found(name)
    assert have is not None
    run, measured = have
    lines = [f"# {name}", "", *head(name), "", "## Commands", "", "```sh", *_shell(name, name, plan)]
    variants = {variant: {**plan, **own} for variant, own in plan.get("variants", {}).items()}
    there = {variant: other for variant in variants if (other := found(variant))}
    for variant in there:
        lines += _shell(name, variant, variants[variant])
    lines += ["```", "", "## Rows", "", *rows(run), "", "## While it trained", "", *course(run)]
    lines += ["", "## On test rows", "", *figures(measured)]
    if there:
        lines += ["", "## What the difference is worth", "", *differences(measured, variants, there)]
    lines += ["", "## Some answers", "", *answers(measured), *footer(run, measured)]
    return "\n".join(lines) + "\n"


def head(name: str) -> list[str]:
    """The prose at the head of the recipe, up to its commands, and its paragraph about a real model."""
    said = []
    for line in (RECIPES / f"{name}.toml").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#")
        said.append("" if text.startswith("   ") else text.removeprefix(" "))
    paragraphs = [each for each in "\n".join(said).split("\n\n") if each.strip()]
    return "\n\n".join(each.strip() for each in paragraphs if not each.rstrip().endswith(":")).splitlines()


def _shell(of: str, name: str, plan: Plan) -> Iterator[str]:
    for words in commands(of, name, plan, "$PWD"):
        yield " ".join(["ift-tui", *map(_word, words)])


def _word(word: str) -> str:
    """A word as a shell takes it; $PWD stays to be filled in."""
    if all(char.isalnum() or char in "-_./=" for char in word):
        return word
    return f'"{word}"' if "$" in word else "'" + word + "'"


def rows(run: Run) -> list[str]:
    """How many rows and tokens, and what the ledger says, by reason."""
    told = run.state().rendered
    lines = [
        f"{told['count']:,} rows were trained on, {told['tokens']:,} tokens, of which"
        f" {told['trained_tokens']:,} are answers; {told['validation']:,} rows are for validation.",
    ]
    noted = Counter((entry["reason"], entry["done"]) for entry in ledger(run))
    if noted:
        lines += ["", "| ledger | what was done | rows |", "|---|---|---|"]
        lines += [f"| {reason} | {done} | {count:,} |" for (reason, done), count in sorted(noted.items())]
    return lines


def ledger(run: Run) -> Iterator[dict[str, Any]]:
    for line in (run.path / "ledger.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def course(run: Run) -> list[str]:
    """Validation loss, and right answers where they were counted, at each evaluation."""
    state = run.state()
    counted = any(one.right is not None for one in state.evaluations)
    lines = ["| step | validation loss |" + (" right |" if counted else ""), "|---|---|" + "---|" * counted]
    if state.base_loss is not None:
        right = f" {state.base_right} |" if counted else ""
        lines.append(f"| 0 (the base) | {state.base_loss:.3f} |{right}")
    for one in state.evaluations:
        right = f" {one.right} of {one.answered} |" if counted else ""
        lines.append(f"| {one.step:,} | {one.loss:.3f} |{right}")
    for event in Tail(run.events).read():
        if event["kind"] == "told":
            lines += [
                "",
                f"While it ran it was told: {asking.told(event['step'], event['what'], event.get('value'))}.",
            ]
    return lines


def figures(measured: Evaluation) -> list[str]:
    """Every set's figures by column, and the tuned column against each other one."""
    lines: list[str] = []
    for one in measured.summary["sets"]:
        by_column = {name: evals.figures(one, name) for name in measured.columns}
        names = dict.fromkeys(figure for said in by_column.values() for figure in said)
        lines += [f"{Path(one['source']).name}, {one['rows']:,} rows, judged by {one['metric']}:", ""]
        lines += ["| | " + " | ".join(measured.columns) + " |", "|---" * (len(measured.columns) + 1) + "|"]
        for figure in names:
            cells = " | ".join(by_column[name].get(figure, "-") for name in measured.columns)
            lines.append(f"| {figure} | {cells} |")
        own = [row for row in measured.rows if row["set"] == one["source"]]
        lines += ["", *(_against(own, name, "tuned") for name in measured.columns if name != "tuned"), ""]
    return lines[:-1]


def _against(rows: Sequence[dict[str, Any]], before: str, after: str) -> str:
    for figure in ("right", "rougeL", "loss"):
        pairs = [(row[before].get(figure), row[after].get(figure)) for row in rows]
        if pairs and all(value is not None for pair in pairs for value in pair):
            return f"- {after} less {before}: {_difference(pairs, figure)}"
    return f"- {after} less {before}: nothing that both have"


def _difference(pairs: Sequence[tuple[Any, Any]], figure: str) -> str:
    gained = bootstrap.paired([float(one) for one, _ in pairs], [float(one) for _, one in pairs])
    facts = {"difference": gained.difference, "low": gained.low, "high": gained.high, "sure": gained.sure}
    return f"{figure} {evals.difference(facts, figure)}"


def differences(
    measured: Evaluation, variants: dict[str, Plan], there: dict[str, tuple[Run, Evaluation]]
) -> list[str]:
    """The recipe against each variant, tuned column against tuned column on the rows that both answered."""
    lines = ["| variant | right, or ROUGE-L | the recipe less the variant |", "|---|---|---|"]
    own = _by_place(measured)
    for name, (_, other) in there.items():
        theirs = _by_place(other)
        both = [place for place in own if place in theirs]
        figure = "right" if own[both[0]]["tuned"].get("right") is not None else "rougeL"
        pairs = [(theirs[place]["tuned"][figure], own[place]["tuned"][figure]) for place in both]
        mean = sum(float(before) for before, _ in pairs) / len(pairs)
        lines.append(f"| {name}: {variants[name]['says']} | {mean:.1%} | {_difference(pairs, figure)} |")
    left = [name for name in variants if name not in there]
    if left:
        lines += ["", f"Not measured yet: {', '.join(left)}."]
    return [*lines, "", "Intervals hold 95% of 10,000 paired resamples of the rows."]


def _by_place(measured: Evaluation) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Rows by set, line and, of several wordings of a line, which one it is."""
    count: Counter[tuple[str, int]] = Counter()
    found = {}
    for row in measured.rows:
        place = (Path(row["set"]).name, row["line"])
        found[*place, count[place]] = row
        count[place] += 1
    return found


def answers(measured: Evaluation) -> list[str]:
    """The first rows, as they were asked and answered."""
    lines = []
    for row in measured.rows[:SHOWN]:
        before = sum(turn["role"] == "user" for turn in row["question"]) - 1
        asked = f"asked, turn {before + 1}" if before else "asked"
        said = [(asked, evals.question(row)), ("reference", row["reference"])]
        said += [(name, row[name].get("text", "")) for name in measured.columns]
        lines.append("~~~text")
        for who, text in said:
            whole = text.strip().replace("~~~", "~ ~ ~")
            shown = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} ..."
            first, *others = shown.splitlines() or [""]
            lines.append(f"{who + ':':17}{first}".rstrip())
            lines += [f"{'':17}{line}".rstrip() for line in others]
        lines += ["~~~", ""]
    return lines


def footer(run: Run, measured: Evaluation) -> list[str]:
    facts = measured.summary
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("torch", "unsloth", "peft"))
    model = facts["model"] + (" in 4 bits" if facts["four_bit"] else "")
    return [
        f"Written by `make recipes` from the run's files: {model}, adapter {facts['digest'][:12]},"
        f" seed {run.recipe().train.seed}, {versions}."
    ]


if __name__ == "__main__":
    main()
