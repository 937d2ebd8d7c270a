"""Child of the front end: does a recipe's run fit here? The train worker itself says so, up to its probe."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from engine import recipe, turns
from engine.errors import RunFailed, UserError
from engine.events import EventLog
from engine.runs import Run
from engine.schema import Recipe
from engine.workers import train
from engine.workers.failures import OutOfMemory, explain
from engine.workers.io import Channel, StopFlag


def main() -> int:
    """Probe one recipe: its libraries and weights would be in the figures of a second. 1: it could not."""
    os.umask(0o077)
    channel = Channel()
    request = next(channel.requests(), None)
    if request is None:
        return 0
    stop = StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing here is worth waiting for
    try:
        plan = recipe.parse(request["recipe"])
        answer = probed(plan, stop, lambda phase: channel.say("phase", id=request["id"], phase=phase))
    except UserError as error:
        channel.error(error, id=request["id"])
        return 1
    except Exception as error:
        traceback.print_exc()
        channel.error(RunFailed("; ".join(filter(None, explain(error)))), id=request["id"])
        return 1
    channel.say("probed", id=request["id"], **answer)
    return 0


def probed(plan: Recipe, stop: StopFlag, phase: Callable[[str], None]) -> dict[str, Any]:
    """The facts of the `probed` message. Raises UserError, and what else may go wrong before the probe.

    It is a run in a folder of its own, which is gone afterwards.
    """
    if ahead := turns.ahead():
        raise UserError(f"{ahead[0].name} trains on this device; probe when it is over, or stop it")
    plan = recipe.changed(plan, train={"probe": True, "on_oom": "stop"})
    folder = Path(mkdtemp(prefix="ift-tui-probe-"))
    try:
        (folder / "recipe.toml").write_text(recipe.dumps(plan), "utf-8")
        log = _Heard(folder / "events.jsonl", phase)
        try:
            train.train(Run(folder), log, stop, probe_only=True)
        except OutOfMemory as error:
            return {"fits": False, "reason": str(error), "mend": error.mend, **log.heard}
        except train.Probed:
            pass
        return {"fits": True, "reason": "", "mend": "", **log.heard}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Heard(EventLog):
    """Keeps what the forecast and the probe said, and tells each phase."""

    def __init__(self, path: Path, phase: Callable[[str], None]) -> None:
        super().__init__(path)
        self.heard: dict[str, Any] = {"forecast": {}, "measured": {}}
        self._phase = phase

    def write(self, kind: str, **facts: Any) -> None:
        super().write(kind, **facts)
        match kind:
            case "phase":
                self._phase(facts["phase"])
            case "forecast":
                self.heard["forecast"] = facts
            case "probed":
                self.heard["measured"] = facts


if __name__ == "__main__":
    sys.exit(main())
