"""The README's figures: train the default recipe, score base and tuned on the held-out test rows.

    make figures            (or: python benchmarks/default_recipe.py [--rows N])

Uses the real detached worker and the real evaluate worker, in a home of its own that is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import tempfile
import time
from typing import Any

from engine import recipe, runs
from engine.events import Tail
from tui.feed import Child


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="test rows a set")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as home:
        os.environ["IFT_TUI_HOME"] = home
        run = runs.create(recipe.load("first-steps"))
        began = time.perf_counter()
        runs.launch(run)
        while runs.is_alive(run):
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        state = run.state()
        if state.status != "finished":
            raise SystemExit(f"the run {state.status}: {state.reason}\n" + "\n".join(runs.log_tail(run)))
        phases = phase_seconds(run)
        print(
            f"start to end       {seconds:6.1f} s   of it "
            + "  ".join(f"{k} {v:.1f}" for k, v in phases.items())
        )
        print(f"steps              {state.total:6d}     {state.tokens / phases['train']:,.0f} tokens/s")
        print(f"validation loss    {state.base_loss:6.3f} base -> {state.evaluations[-1].loss:.3f} tuned")
        for one in asyncio.run(evaluated(run, rows))["sets"]:
            print(
                f"{one['source']:18} {one['rows']:6d} test rows   base right {one['base'] / one['rows']:6.1%}"
                f"   tuned right {one['tuned'] / one['rows']:6.1%}   ({one['metric']})"
            )


def phase_seconds(run: runs.Run) -> dict[str, float]:
    """Seconds spent in each phase, by the events' times."""
    events = list(Tail(run.events).read())
    marks = [(e["phase"], e["time"]) for e in events if e["kind"] == "phase"] + [("end", events[-1]["time"])]
    return {phase: after - at for (phase, at), (_, after) in itertools.pairwise(marks)}


async def evaluated(run: runs.Run, rows: int) -> dict[str, Any]:
    child = Child("evaluate", str(run.path), "--rows", str(rows))
    await child.start()
    last: dict[str, Any] = {}
    async for message in child.messages():
        last = message
    if last.get("kind") != "evaluated":
        raise SystemExit(json.dumps(last))
    return last


if __name__ == "__main__":
    main()
