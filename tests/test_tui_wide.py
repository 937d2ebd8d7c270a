"""Chinese, emoji, flags and marks that combine: on a terminal every border stays in its column."""

from __future__ import annotations

from typing import Any

import pyte
import pytest
from rich.color import ColorSystem
from test_tui_walk import row_text, text, to_compare, to_data
from tui_stage import SCANNED, Script, Stage, answered, record, row, step_events, total, until

from engine import recipe
from tui.changes import Shown, pieces
from tui.screens.ledger import LedgerScreen
from tui.widgets.figures import cut, left, right

WIDE = "中文输入 ｶﾅ 각 👨‍👩‍👧 🇫🇷🇩🇪 ❤️ 1️⃣ 👍🏽 é नमस्ते กำ ⚠️ end"

CORNERS = {"╮": "│╯", "┓": "┃┛"}


class Wide(Script):
    """Rows, names and answers of every width."""

    def answers(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "row":
                turns = [{"role": "user", "content": WIDE * 3}, {"role": "assistant", "content": WIDE}]
                told = f"{WIDE}\n{WIDE * 3}\n"
                yield row(
                    "train", 0, messages=turns, text=told, spans=[[3, len(told)]], source={WIDE[:6]: WIDE},
                    file=f"/data/{WIDE[:4]}.jsonl",
                )  # fmt: skip
            case "scan":
                yield {**SCANNED, "ledger": [total("missing field", 3, details=[[WIDE, 3]], first=[WIDE])]}
            case _:
                yield from super().answers(request)

    def answer(self, request: dict[str, Any]) -> Any:
        said = {name: answered(WIDE * (1 + (name == "base")), name) for name in request["messages"]}
        yield {"kind": "answered", "cancelled": False, "seconds": 1.0, "warnings": [WIDE], "columns": said}


def on_a_terminal(app: Any) -> list[str]:
    """The screen as a terminal shows it that thinks otherwise of the width of emoji and flags."""
    size = app.size
    screen = pyte.Screen(*size)
    stream = pyte.Stream(screen)
    update = app.screen._compositor.render_update(full=True)
    stream.feed(Shown().difference(pieces(update), size, ColorSystem.TRUECOLOR))
    return [
        "".join((screen.buffer[y][x].data or "\0")[0] for x in range(size.width)) for y in range(size.height)
    ]


def aligned(app: Any) -> int:
    """How many panels have their right border in one column; fails where one has not."""
    lines, panels = on_a_terminal(app), 0
    for y, line in enumerate(lines):
        for x, corner in enumerate(line):
            if corner not in CORNERS:
                continue
            side, end = CORNERS[corner]
            below = [line[x] for line in lines[y + 1 :]]
            assert end in below, f"no corner below {x}, {y}:\n" + "\n".join(lines)
            between = below[: below.index(end)]
            assert set(between) <= {side}, f"column {x} below line {y}: {between}\n" + "\n".join(lines)
            panels += 1
    return panels


async def test_borders_stay_where_they_are_on_the_screens_with_foreign_text() -> None:
    plan = recipe.load("first-steps")
    model = plan.model.model_copy(update={"id": "/模型/é 🇫🇷 中文的名字很长很长很长很长"})
    record("wide", step_events(400), plan=plan.model_copy(update={"model": model}))
    app = Stage(child=Wide).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        assert aligned(app) == 1
        await to_data(app, pilot)
        await until(pilot, lambda: "中文" in row_text(app))
        assert aligned(app) == 3
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LedgerScreen) and bool(app.screen.query("#about")))
        await until(pilot, lambda: "中文" in text(app, "#about"))
        assert aligned(app) == 2
        await pilot.press("escape", "escape", "escape")
        await to_compare(app, pilot)
        await pilot.press("h", "i", "enter")
        await until(pilot, lambda: "中文" in text(app, "#column-1 .said"))
        assert aligned(app) >= 3


@pytest.mark.parametrize("width", [1, 2, 3, 7, 20])
def test_text_of_any_width_is_cut_and_filled_to_cells(width: int) -> None:
    from rich.cells import cell_len

    for words in ("", "abc", "中文输入法中文输入法", "🇫🇷🇫🇷🇫🇷", "é" * 30, WIDE):
        assert cell_len(left(words, width)) == cell_len(right(words, width)) == width
        assert cell_len(cut(words, width)) <= width


async def test_a_change_behind_a_doubtful_character_is_painted_where_it_belongs() -> None:
    record("first", step_events(400))
    app = Stage(child=Wide).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_compare(app, pilot)
        shown, screen = Shown(), pyte.Screen(80, 24)
        stream = pyte.Stream(screen)
        for key in ("h", "enter"):
            await pilot.press(key)
            await pilot.pause(0.2)
            update = app.screen._compositor.render_update(full=True)
            stream.feed(shown.difference(pieces(update), app.size, ColorSystem.TRUECOLOR))
        whole = on_a_terminal(app)
        assert ["".join((screen.buffer[y][x].data or "\0")[0] for x in range(80)) for y in range(24)] == whole
