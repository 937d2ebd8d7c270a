"""Child of the front end: base and tuned answer at once, token by token, from one copy of the weights.

Started as `chat RUN [--checkpoint STEP]`. It says `phase` (import, load), then `ready`, then answers
requests until its stdin closes. Of a run that trained all weights `phase` load says "bytes": of the two
models that stand in memory then. Whatever is wrong with a request is answered by {"kind": "error", "id",
"message", "user": whether it is the person's mistake}, and the worker goes on.

ready     {"model", "four_bit", "context": tokens, "columns": [COLUMN, ...], "seconds", and of the first
          adapter "step", "digest"}. There are two columns at first: "base" and "tuned".
COLUMN    {"column": its name, "on": whether an adapter is on, "members": columns that it averages, or [],
          "run": name, "step", "digest": sha256 of the adapter's weights, "rank", "whole": whether it has all
          weights for itself and no adapter, "zero": whether it changes nothing, "apart": why it answers in
          passes of its own, or "" where it shares the base's, "warning": a sentence, or ""}; of the base
          run, step, digest and rank are null.

{"do": "load", "id", "column": a new name, "run": name or path, "step": of a checkpoint, or null: the adapter}
    -> {"kind": "loaded", "id", **COLUMN}
       Refused with the reason: another base, quantisation, chat template or tokenizer than the first run's,
       an adapter that is no LoRA, a name that is taken.
{"do": "average", "id", "column": a new name, "members": [columns with an adapter, ...]}
    -> {"kind": "loaded", "id", **COLUMN}    their logits are averaged, token by token
{"do": "unload", "id", "column"} -> {"kind": "unloaded", "id", "column"}    never "base", nor the last adapter
{"do": "ask", "id", "messages": {column: [{"role", "content"}, ...], ...}, "reference": an answer, optional,
 "settings": {"max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed"}, all optional:
 engine/decoding.py}
       Columns that are named answer, in one batch where they can share one; each has a history of its own,
       so a system prompt or examples may go to one column alone. What does not fit into the context is left
       out from its oldest turn; the system prompt and the last question always stay.
    -> {"kind": "token", "id", "column", "text"} ...
    -> {"kind": "answered", "id", "cancelled": bool, "seconds", "warnings": [sentence, ...],
        "columns": {column: ANSWER, ...}}
ANSWER    {"text", "tokens", "ended": whether it stopped by itself, "prompt_tokens",
          "cut": {"turns": messages left out, "tokens"}, "first_seconds": to its first token, "seconds": to
          its last, "tokens_per_second": from first to last, null for fewer than two, "on", "digest",
          "reference": mean log-probability (natural) of a token of the reference, with its end, or null}
{"do": "cancel"}    ends the answer under way before its next token; what was said comes as `answered`
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RunFailed, UserError
from engine.formats import Unusable
from engine.runs import Run
from engine.workers import eager
from engine.workers.io import Channel, Request

if TYPE_CHECKING:
    from engine.workers.conversing import Session

GIVES_WAY = 5
"""Niceness: without a GPU the model computes on the cores that the screen is drawn with, and who types should
not wait for tokens. Alone it is as fast as ever."""

FOREIGN = (KeyError, TypeError, ValueError, AttributeError)
"""What a request raises whose parts are not what they should be."""


def main() -> int:
    """Load, say `ready`, then answer requests until stdin closes. Exit code 1 if nothing can be loaded."""
    os.nice(GIVES_WAY)
    channel = Channel()
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--checkpoint", type=int)
    arguments = parser.parse_args()
    run = Run(arguments.run)
    began = time.perf_counter()
    try:
        channel.say("phase", phase="import")
        eager.uncompiled()
        from engine.workers import conversing

        channel.say("phase", phase="load", **conversing.needs(run, arguments.checkpoint))
        session = conversing.opened(run, arguments.checkpoint)
    except (UserError, OSError, ValueError, RuntimeError) as error:
        channel.error(error)
        return 1
    channel.say("ready", seconds=round(time.perf_counter() - began, 2), **session.facts())
    asked: queue.Queue[tuple[Request, threading.Event] | None] = queue.Queue()
    threading.Thread(target=_listen, args=(channel, asked), daemon=True).start()
    while (heard := asked.get()) is not None:
        request, cancel = heard
        with _told(channel, request):
            _answer(session, request, channel, cancel)
    return 0


def _answer(session: Session, request: Request, channel: Channel, cancel: threading.Event) -> None:
    id = request.get("id")
    match request:
        case {"do": "ask"}:

            def told(column: str, text: str) -> None:
                channel.say("token", id=id, column=column, text=text)

            answered = session.ask(request, told, cancel.is_set)
            channel.say("answered", id=id, cancelled=cancel.is_set(), **answered)
        case {"do": "load", "column": str(column), "run": str(name)}:
            channel.say("loaded", id=id, **session.load(column, name, request.get("step")))
        case {"do": "average", "column": str(column), "members": [*members]}:
            channel.say("loaded", id=id, **session.average(column, members))
        case {"do": "unload", "column": str(column)}:
            session.unload(column)
            channel.say("unloaded", id=id, column=column)
        case _:
            raise RunFailed(f"{request.get('do')}: no such request, or a part of it is missing")


def _listen(channel: Channel, asked: queue.Queue[tuple[Request, threading.Event] | None]) -> None:
    """Hear requests while an answer is under way: a cancel must not wait for its end.

    A cancel is of all that was asked before it, also of what the worker has not begun yet.
    """
    before: list[threading.Event] = []
    for request in channel.requests():
        if request["do"] == "cancel":
            for cancel in before:
                cancel.set()
            before.clear()
        else:
            before.append(threading.Event())
            asked.put((request, before[-1]))
    for cancel in before:
        cancel.set()
    asked.put(None)


@contextmanager
def _told(channel: Channel, request: Request) -> Iterator[None]:
    """Errors of one request are its answer."""
    try:
        yield
    except Unusable as error:
        channel.error(UserError(f"{error.reason}: {error.detail}"), id=request.get("id"))
    except (RunFailed, UserError, *FOREIGN, OSError, RuntimeError) as error:
        channel.error(error, id=request.get("id"))


if __name__ == "__main__":
    sys.exit(main())
