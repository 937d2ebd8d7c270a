"""Text of strangers on random screens, of random sizes, with random keys: nothing obeyed, nothing hidden.

    python -m scripts.fuzz_terminal --seconds 60 --seed 1

Each round is a scene of tests/payload_scenes.py with payloads of its own: mixes of those of tests/payloads.py
and of any characters. Checked after every step is what tests/payload_stage.py says. A failure prints the
command that repeats it; exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from payload_scenes import BESIDES, SCENES, Set
from payload_stage import check, hostile, unlike
from payloads import PAYLOADS, Dose

KEYS = (
    "up", "down", "left", "right", "tab", "shift+tab", "enter", "escape", "space", "pageup", "pagedown",
    "home", "end", "f1", "f2", "f7", "f8", "ctrl+p", "question_mark", *"123456789lnvwhtgp[]",
)  # fmt: skip
MOST_KEYS = 6
SIZES = ((80, 24), (120, 40), (200, 60), (60, 15), (61, 17), (100, 30))
"""None where a sentence stands in place of the screen: no key but quit is obeyed there."""


def payloads(draw: random.Random) -> list[str]:
    """Some dozens: as they stand, in pieces, and of any characters."""
    known = list(PAYLOADS.values())
    found = draw.sample(known, 12)
    for _ in range(24):
        pieces = [draw.choice(known) for _ in range(draw.randint(1, 3))]
        pieces += ["".join(chr(draw.randrange(0x110000)) for _ in range(draw.randint(0, 6)))]
        text = "".join(draw.sample(pieces, len(pieces)))
        start = draw.randrange(len(text) + 1) if draw.random() < 0.3 else 0
        found.append(text[start : start + draw.choice((5, 20, 80, 500))] or "\x1b")
    return found


async def one_round(name: str, draw: random.Random, home: Path) -> None:
    """A scene, then keys that come as they like. Raises AssertionError, or what the app died of."""
    dose = Dose(payloads=payloads(draw))
    stage, app = hostile(dose)
    async with app.run_test(headless=False, size=draw.choice(SIZES)) as pilot:
        on = Set(app, pilot, stage, dose, home, foreign=True)
        await {**SCENES, **BESIDES}[name](on)
        for _ in range(draw.randint(0, MOST_KEYS)):
            await pilot.press(draw.choice(KEYS))
            for _ in range(40):
                await pilot.pause(0.02)
                if not unlike(app):
                    break
            check(app, foreign=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--screen", choices=sorted({**SCENES, **BESIDES}), help="this one alone")
    asked = parser.parse_args()
    names = [asked.screen] if asked.screen else sorted({**SCENES, **BESIDES})
    began, seed, failed = time.monotonic(), asked.seed, 0
    while time.monotonic() - began < asked.seconds:
        draw = random.Random(seed)
        name = draw.choice(names) if asked.screen is None else asked.screen
        with tempfile.TemporaryDirectory() as folder:
            os.environ.update(IFT_TUI_HOME=folder, HF_HOME=folder, HF_HUB_OFFLINE="1")
            try:
                asyncio.run(one_round(name, draw, Path(folder)))
            except (Exception, ExceptionGroup) as error:
                failed += 1
                print(f"{name}: {type(error).__name__}: {ascii(str(error))[:600]}")
                print(f"    python -m scripts.fuzz_terminal --seconds 0.1 --seed {seed}", flush=True)
        seed += 1
    print(f"{seed - asked.seed} rounds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
