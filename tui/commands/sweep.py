"""Start a sweep over settings, look at one, go on, enlarge it, stop it, train its best on all data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine import doctor, recipe, runs, steering, sweeps, tried, turns
from engine.errors import RunFailed, UserError
from engine.schema import Recipe
from engine.sweeps import Sweep
from tui.commands import _follow, _print, _sweep

summary = "try settings of a recipe, run by run, and say which is best"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="RECIPE|SWEEP", help="a recipe with [sweep] to start; else a sweep")
    parser.add_argument("--detach", action="store_true", help="start it and return; it outlives the terminal")
    parser.add_argument(
        "--runs", type=int, metavar="N", help="how many runs in all; more than before enlarges it"
    )
    parser.add_argument("--hours", type=float, metavar="H", help="how many hours of training in all")
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help='what is tried of a key, e.g. "lora.rank=8, 16" or "train.learning_rate=1e-4 .. 1e-3 log"',
    )
    deed = parser.add_mutually_exclusive_group()
    deed.add_argument("--resume", action="store_true", help="go on where it was stopped or killed")
    deed.add_argument(
        "--stop", action="store_true", help="begin no further run; asks about the one under way"
    )
    deed.add_argument("--train-best", action="store_true", help="train the best setting on all data")
    parser.add_argument(
        "--stop-run", action="store_true", help="with --stop: save and stop the run under way too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; followed, one an event")


def run(arguments: argparse.Namespace) -> int:
    if arguments.stop_run and not arguments.stop:
        raise UserError("--stop-run goes with --stop; `ift-tui stop RUN` stops a single run")
    if arguments.over and not _is_recipe(arguments.what):
        raise UserError("--over goes with a recipe: what a sweep tries is settled when it is started")
    named = not (arguments.resume or arguments.stop or arguments.train_best)
    if named and _is_recipe(arguments.what):
        return _start(arguments)
    sweep = sweeps.find(arguments.what)
    if arguments.stop:
        return _stop(sweep, arguments)
    if arguments.train_best:
        return _train_best(sweep, arguments)
    if budget := _budget(arguments):
        sweeps.enlarge(sweep, **budget)
    alive = runs.is_alive(sweep)
    if arguments.resume and alive:
        raise UserError(f"{sweep.name} goes on already; look at it: ift-tui sweep {sweep.name}")
    if not alive and (arguments.resume or budget):
        return _launch(sweep, arguments)
    _sweep.show(sweep, arguments.json)
    return 0


def _is_recipe(what: str) -> bool:
    return Path(what).expanduser().is_file() or what in {path.stem for path in recipe.bundled()}


def _budget(arguments: argparse.Namespace) -> dict[str, float]:
    given = {"runs": arguments.runs, "hours": arguments.hours}
    return {key: value for key, value in given.items() if value is not None}


def _start(arguments: argparse.Namespace) -> int:
    plan = recipe.load(arguments.what)
    budget = _budget(arguments)
    if arguments.over:
        plan = _with(plan, arguments.over, budget)
    elif plan.sweep and budget:
        plan = recipe.changed(plan, sweep=budget)
    return _launched(steering.start(plan), arguments)


def _with(plan: Recipe, over: list[str], budget: dict[str, float]) -> Recipe:
    """The recipe with more keys to try, or others. Raises UserError."""
    document = plan.model_dump(mode="json", exclude_none=True)
    sweep = document.setdefault("sweep", {"over": {}})
    for one in over:
        key, equals, line = one.partition("=")
        if not equals:
            raise UserError(f'--over {one}: write KEY=VALUES, e.g. --over "lora.rank=8, 16"')
        sweep["over"][key.strip()] = tried.read(key.strip(), line)
    return recipe.parse({**document, "sweep": {**sweep, **budget}}, "--over")


def _launch(sweep: Sweep, arguments: argparse.Namespace) -> int:
    """Start its process, and follow it or return."""
    seen = sweep.events.stat().st_size if sweep.events.exists() else 0
    steering.go_on(sweep)
    return _launched(sweep, arguments, seen)


def _launched(sweep: Sweep, arguments: argparse.Namespace, seen: int = 0) -> int:
    if arguments.detach:
        if arguments.json:
            _print.say_json({"sweep": sweep.name, "path": str(sweep.path)})
        else:
            _print.say(f"{sweep.name}\nlook at it: ift-tui sweep {sweep.name}")
        return 0
    if not arguments.json:
        _print.say(f"sweep {sweep.name} (Ctrl-C leaves it; it goes on)")
    return _sweep.follow(sweep, arguments.json, seen)


def _stop(sweep: Sweep, arguments: argparse.Namespace) -> int:
    if not runs.is_alive(sweep):
        raise UserError(f"{sweep.name} is not running ({sweep.state().status}); there is nothing to stop")
    under_way = sweeps.under_way(sweep.state())
    too = arguments.stop_run or (under_way is not None and _asked(under_way.name))
    under_way = steering.stop(sweep, too)
    if arguments.json:
        facts = {"sweep": sweep.name, "status": sweep.state().status, "run": under_way and under_way.name}
        _print.say_json({**facts, "run_stopped": bool(too and under_way)})
        return 0
    _print.say(f"{sweep.name} stopped; go on: ift-tui sweep {sweep.name} --resume")
    if under_way:
        _print.say(f"{under_way.name} {'saves and stops' if too else 'goes on to its end'}")
    return 0


def _asked(run: str) -> bool:
    """Whether the run under way is to be stopped too; not where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    _print.warn(f"Stop {run} too? It is saved, and taken up again with the sweep. [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _train_best(sweep: Sweep, arguments: argparse.Namespace) -> int:
    plan: Recipe = sweeps.best_on_all_data(sweep)
    if problem := doctor.training_problem():
        raise UserError(problem)
    started = runs.create(plan)
    try:
        turns.start(started)  # where another run trains it waits for its turn
    except OSError as error:
        runs.discard(started)
        raise RunFailed(
            f"{started.name}: the worker could not be started ({error}); no run was made"
        ) from None
    if arguments.detach:
        return _follow.detached(started, arguments.json)
    if not arguments.json:
        _print.say(f"run {started.name}")
    return _follow.follow(started, arguments.json, stop_on_interrupt=True)
