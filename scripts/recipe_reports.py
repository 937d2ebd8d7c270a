"""Trains the bundled recipes and has a page written of what came of each: docs/recipes/NAME.md.

    make recipes    (or: python -m scripts.recipe_reports [NAME ...] [--home FOLDER] [--written])

Every figure is read from the files of a run; the words are the recipe's own head. Runs stand in a home of
their own, and one that was trained by the same recipe is not trained again: what was broken off goes on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts import recipe_report
from scripts.recipe_report import PAGES, ROOT, Measuring, commands, found, links, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; all of them by default")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "recipes", help="where the runs stand")
    parser.add_argument("--written", action="store_true", help="train nothing: pages of the runs there are")
    asked = parser.parse_args()
    os.environ["IFT_TUI_HOME"] = str(asked.home.resolve())
    asked.home.mkdir(parents=True, exist_ok=True)
    for name in asked.names or recipe_report.plans():
        plan = recipe_report.plans()[name]
        if not asked.written:
            made(name, name, plan)
            for variant, changes in plan.get("variants", {}).items():
                if "of" not in changes:
                    made(name, variant, {**plan, "measured": variant, **changes})
        if found(plan.get("measured", name)) is None:
            print(f"{name}: no run that was trained by this recipe and measured; its page is left as it is")
            continue
        PAGES.mkdir(exist_ok=True)
        (PAGES / f"{name}.md").write_text(recipe_report.page(name, plan), "utf-8")
        print(PAGES / f"{name}.md")
    if PAGES.is_dir():
        (PAGES / "README.md").write_text(recipe_report.index(), "utf-8")


def made(of: str, name: str, plan: Measuring) -> None:
    """Train and measure, each where it was not done yet."""
    train, measure = commands(of, name, plan, str(ROOT))
    if trained(name) is None:
        command(train)
    if name == of:
        for one in links(of)[1:]:  # each waits for the one before it
            if trained(one) is None:
                command(["attach", one])
    run = trained(measure[1])
    if run and found(measure[1]) is None:
        command(["eval", run.name, *measure[2:]])  # its folder: others may have the same name


def command(words: Sequence[str]) -> None:
    """`ift-tui` with these words, to its end."""
    print("ift-tui", *words, flush=True)
    subprocess.run([sys.executable, "-m", "tui", *words], cwd=ROOT, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
