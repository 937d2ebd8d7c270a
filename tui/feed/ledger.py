"""The ledger of a run, read from its file: how many rows of each reason, and a page of one."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Any

from engine import ledger
from engine.errors import RunFailed
from engine.runs import Run


class RunLedger:
    """Reads in threads: a ledger may be as long as the set."""

    def __init__(self, run: Run) -> None:
        self._path = run.ledger

    async def totals(self) -> list[dict[str, Any]]:
        """Rows by reason and by what was done, most rows first. Empty where the run has not come so far."""
        return await asyncio.to_thread(self._count)

    async def ledger(self, reason: str, start: int, rows: int) -> dict[str, Any]:
        """Entries of a reason from `start` on, as the data worker's answer has them. Raises RunFailed."""
        try:
            total, entries = await asyncio.to_thread(ledger.page, self._path, reason, start, rows)
        except (OSError, ValueError) as error:
            raise RunFailed(
                f"{self._path.name} cannot be read ({error}); the run itself is not touched by that"
            ) from None
        return {"total": total, "entries": [asdict(entry) for entry in entries]}

    def _count(self) -> list[dict[str, Any]]:
        counts: Counter[tuple[str, str]] = Counter()
        details: dict[str, Counter[str]] = {}
        try:
            for entry in ledger.read(self._path):
                counts[entry.reason, entry.done] += 1
                details.setdefault(entry.reason, Counter())[entry.detail] += 1
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise RunFailed(
                f"{self._path.name} cannot be read ({error}); the run itself is not touched by that"
            ) from None
        return [
            {
                "reason": reason, "done": done, "rows": rows, "action": "",
                "meaning": ledger.REASONS[reason].meaning if reason in ledger.REASONS else "",
                "details": details[reason].most_common(5),
            }
            for (reason, done), rows in counts.most_common()
        ]  # fmt: skip
