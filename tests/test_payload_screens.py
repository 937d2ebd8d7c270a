"""Whatever a stranger has written, on whatever screen: nothing of it is obeyed, all of it can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_scenes import BESIDES, NO_SCREENS, SCENES, Set
from payload_stage import hostile
from payloads import Dose

import tui.screens

ALL = {**SCENES, **BESIDES}


def test_every_screen_has_a_scene() -> None:
    folder = Path(tui.screens.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == set(SCENES) | set(NO_SCREENS)


@pytest.mark.parametrize("name", ALL)
async def test_nothing_is_obeyed_and_nothing_hidden(name: str, home: Path) -> None:
    dose = Dose(first=7 * list(ALL).index(name))
    stage, app = hostile(dose)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        await ALL[name](Set(app, pilot, stage, dose, home))
