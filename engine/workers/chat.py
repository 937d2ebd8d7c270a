"""Child of the front end: answers a prompt as base and as tuned at once, token by token."""

from __future__ import annotations

import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine.errors import RunFailed, UserError
from engine.formats import Unusable
from engine.runs import Run
from engine.workers.io import Channel, Request


def main() -> int:
    """Load, say `ready`, then answer requests until stdin closes. Exit code 1 if nothing can be loaded."""
    channel = Channel()
    run = Run(Path(sys.argv[1]))
    began = time.perf_counter()
    try:
        channel.say("phase", phase="import")
        from engine.workers import pair as pairs

        channel.say("phase", phase="load")
        pair = pairs.load(run)
    except (UserError, OSError, ValueError, RuntimeError) as error:
        channel.error(error)
        return 1
    state = run.state()
    channel.say(
        "ready",
        model=run.recipe().model.id,
        four_bit=pair.four_bit,
        step=state.step,
        digest=pair.digest,
        seconds=round(time.perf_counter() - began, 2),
    )
    asked: queue.Queue[Request | None] = queue.Queue()
    cancel = threading.Event()
    threading.Thread(target=_listen, args=(channel, asked, cancel), daemon=True).start()
    while (request := asked.get()) is not None:
        cancel.clear()
        try:
            _answer(pair, request, channel, cancel)
        except (RunFailed, Unusable, RuntimeError) as error:
            channel.error(error, id=request.get("id"))
    return 0


def _listen(channel: Channel, asked: queue.Queue[Request | None], cancel: threading.Event) -> None:
    """Hear requests while an answer is under way: a cancel must not wait for its end."""
    for request in channel.requests():
        if request["do"] == "cancel":
            cancel.set()
        else:
            asked.put(request)
    cancel.set()
    asked.put(None)


def _answer(pair: Any, request: Request, channel: Channel, cancel: threading.Event) -> None:
    from engine.workers import pair as pairs

    settings = request.get("settings", {})
    columns = [column for column in pairs.COLUMNS if column in request["messages"]]
    asked = [(column, pair.chat.prompt_ids(request["messages"][column])) for column in columns]
    began = time.perf_counter()
    answers = pairs.generate(
        pair,
        asked,
        max_new_tokens=settings.get("max_new_tokens", 256),
        told=lambda row, text: channel.say("token", id=request["id"], column=columns[row], text=text),
        cancelled=cancel.is_set,
        temperature=settings.get("temperature", 0.0),
        seed=settings.get("seed", 0),
    )
    channel.say(
        "answered",
        id=request["id"],
        cancelled=cancel.is_set(),
        seconds=round(time.perf_counter() - began, 3),
        columns={
            column: {"text": answer.text, "tokens": len(answer.ids), "ended": answer.ended}
            for column, answer in zip(columns, answers, strict=True)
        },
    )


if __name__ == "__main__":
    sys.exit(main())
