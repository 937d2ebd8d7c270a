"""The probe of a recipe, by a child worker that lives for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from engine.schema import Recipe
from tui.feed.child import Child, Dialogue, Message


async def probe(plan: Recipe, child: Callable[..., Child] = Child) -> AsyncGenerator[Message]:
    """`phase` messages, then `probed`. Raises RunFailed. Leaving early ends the worker."""
    dialogue = Dialogue(child("probe"))
    await dialogue.start()
    try:
        async for message in dialogue.ask("probe", recipe=plan.model_dump(mode="json")):
            yield message
    finally:
        await dialogue.close()
