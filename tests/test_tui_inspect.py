"""The inspector, by keys alone, on a scripted worker that knows findings, tokens and other renderings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from test_tui_walk import Keys, footer, on, row_text, text, to_data
from textual.content import Content
from textual.widgets import Input
from tui_stage import ANSWER, COUNTS, SCANNED, TEXT, Script, Stage, row, total, until

from tui.app import IftTui
from tui.screens.choose import AskScreen, PickScreen
from tui.screens.data import DataScreen
from tui.screens.inspect import InspectScreen
from tui.widgets.facts import FindingsList, coarser
from tui.widgets.forms import FORMS, lines
from tui.widgets.key_line import KeyLine
from tui.widgets.row_view import RowView
from tui.widgets.token_grid import TokenGrid

SIZES = [(80, 24), (120, 40)]
BOTH = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])

LOST = [4, 11, 300]
"""Rows of train whose text is lost."""
LAMPS = [7, 2000]
"""Rows of train that say lamp."""

TOKENS = [
    [1, "<|im_start|>", "<|im_start|>", False, True],
    [400, "user\n", "userĊ", False, False],
    [71, "", "Ã", False, False],
    [72, "é", "©", False, False],
    [500, " pos", "Ġpos", True, False],
    [2, "<|im_end|>", "<|im_end|>", True, True],
]
SPOILT = {"reason": "missing end token", "detail": "[never]", "done": "kept", "spoils": True}


class Inspected(Script):
    """Answers as the data worker does; `spoiled` and `problems` are what a test asks for."""

    rendered = True
    changed: dict[str, Any] = {}  # noqa: RUF012

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match request["do"]:
            case "row":
                yield self.row(request)
            case "layouts":
                said = ["the model's own", "layout chatml", "layout [bare]"]
                names = ["", "chatml", "bare"]
                pairs = zip(names, said, strict=True)
                yield {"kind": "layouts", "layouts": [{"name": name, "said": words} for name, words in pairs]}
            case "find":
                yield self.found(**{key: value for key, value in request.items() if key not in ("do", "id")})
            case "scan":
                yield {"kind": "surveyed", **COUNTS}
                facts = {"rows": 500, "tokens": 20_000, "trained_tokens": 5_000, "longest": 77}
                facts["findings"] = {"lost text": 2}
                yield {"kind": "progress", "phase": "render", "done": 500, "total": 2400, "facts": facts}
                if self.rendered:
                    ledger = [
                        total("lost text", 3, "kept", spoils=True),
                        total("role renamed", 120, "changed"),
                    ]
                    spoiling = ["3 rows lose text: the [model] would never see it."]
                    yield {**SCANNED, "ledger": ledger, "spoiling": spoiling}
            case _:
                yield from super().answers(request)

    def row(self, request: dict[str, Any]) -> dict[str, Any]:
        count = {"train": 2400, "validation": 200, "test": 400}[request["part"]]
        index = min(request["index"], count - 1)
        asked = request.get("as", {})
        shown = f"{asked.get('train_on')} · {asked.get('chat_template')} · {asked.get('max_length')}\n"
        begin = shown + TEXT
        facts: dict[str, Any] = {
            "text": begin + ANSWER,
            "spans": [[len(begin), len(begin + ANSWER)]],
            "max_length": asked.get("max_length", 256),
            "source": {"instruction": "Is this [good]? The LAMP.", "meta": {"tags": ["a", "b"]}},
            "notes": [SPOILT] if index == 1 else [],
        }
        if request.get("tokens"):
            facts["token_list"] = TOKENS
        facts["variant"] = request.get("variant", 0)
        return row(request["part"], index, count, **{**facts, **self.changed})

    def found(self, part: str, index: int, step: int, finding: str, text: str) -> dict[str, Any]:
        if not self.rendered and finding:
            return {"kind": "error", "message": "the rows are still being rendered"}
        rows = {"lost text": LOST, "any": [1, *LOST], "": LAMPS}.get(finding, [])
        if finding == "role renamed" or part != "train" or text not in ("", "lamp"):
            rows = []
        end = 2400 if step > 0 else -1
        behind = [at for at in (rows if step > 0 else rows[::-1]) if (at - index) * step > 0]
        if text and (not behind or abs(behind[0] - index) > 1000):  # a part of the way
            reached = index + 1000 * step
            if (reached - end) * step < 0:
                return {
                    "kind": "found",
                    "index": None,
                    "reached": reached,
                    "more": True,
                    "nth": None,
                    "of": None,
                }
        at = behind[0] if behind else None
        nth, of = (rows.index(at) + 1, len(rows)) if at is not None and finding else (None, None)
        reached = end if at is None else at
        return {"kind": "found", "index": at, "reached": reached, "more": False, "nth": nth, "of": of}


async def to_inspect(app: IftTui, pilot: Keys) -> None:
    await to_data(app, pilot)
    await pilot.press("i")
    await until(pilot, on(app, InspectScreen))
    await until(pilot, lambda: "Is this [good]?" in row_text(app))


def title(app: IftTui) -> str:
    """What the border of the row says, without its markup."""
    return Content.from_markup(str(app.screen.query_one(RowView).border_title)).plain


def place(app: IftTui) -> str:
    return text(app, "#place")


def said(app: IftTui) -> str:
    return " ".join(note.message for note in app._notifications)


async def at(app: IftTui, pilot: Keys, words: str) -> None:
    await until(pilot, lambda: words in place(app))
    await until(pilot, lambda: app.screen._row is not None)  # type: ignore[attr-defined]


async def typed(app: IftTui, pilot: Keys, key: str, words: str) -> None:
    """Answer the question that a key asks."""
    await pilot.press(key)
    await until(pilot, on(app, AskScreen))
    app.screen.query_one(Input).value = words
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, AskScreen))


# The four forms


@BOTH
async def test_a_row_is_shown_in_four_forms(size: tuple[int, int]) -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test(size=size) as pilot:
        await to_inspect(app, pilot)
        view = app.screen.query_one(RowView)
        assert "▸3 text" in title(app) and "▌ positive, 5 stars" in view.text
        await pilot.press("1")
        assert "▸1 source" in title(app)
        assert "/data/train.jsonl line 1" in view.text and '"tags": [' in view.text
        await pilot.press("2")
        assert "user\n  Is this [good]? Row 1." in view.text
        await pilot.press("4")
        await until(pilot, lambda: "◆<|im_start|>" in view.text)
        assert "user⏎" in view.text and "▌ ␣pos" in view.text and "▌◆<|im_end|>" in view.text
        assert "…Ã" in view.text and "500" in view.text
        for form in FORMS:
            await pilot.press("space")
            assert f"{FORMS.index(form) + 1} {form}" in title(app)
        assert all(line.cell_length <= view.size.width for line in view._lines)


async def test_paging_goes_on_in_the_form_and_only_tokens_are_asked_for_with_tokens() -> None:
    stage = Stage(child=Inspected)
    app = stage.app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        for key, words in (
            ("right", "train 2 of 2,400"),
            ("pagedown", "train 12 of"),
            ("left", "train 11 of"),
        ):
            await pilot.press(key)
            await at(app, pilot, words)
        assert not any(request.get("tokens") for request in stage.children[0].asked)
        await pilot.press("4", "right")
        await until(pilot, lambda: stage.children[0].asked[-1].get("tokens"))
        await pilot.press("t")
        await at(app, pilot, "validation 1 of 200")
        await typed(app, pilot, "g", "9")
        await at(app, pilot, "validation 9 of 200")
        await typed(app, pilot, "g", "900")
        await until(pilot, lambda: "900: the validation part has rows 1 to 200" in said(app))
        await pilot.press("escape")
        await until(pilot, on(app, DataScreen))
        title = app.screen.query_one(RowView)
        await until(pilot, lambda: "validation 9 of 200" in str(title.border_title))


async def test_what_was_found_stands_above_the_row_in_all_forms() -> None:
    class Cut(Inspected):
        changed = {  # noqa: RUF012
            "length": 2310, "max_length": 256, "tokens": 256,
            "cut_at": len("answers ·  · 256\n" + TEXT + "positive"),
            "tools": [{"function": {"name": "[lamp]"}}],
        }  # fmt: skip

    app = Stage(child=Cut).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        await pilot.press("right")
        await until(pilot, lambda: "‼ kept: missing end token: [never]" in row_text(app))
        lines = row_text(app).splitlines()
        cut = next(n for n, line in enumerate(lines) if line.startswith("╌╌ max_length 256 of 2,310 tokens"))
        # What lies behind the cut is not trained, whatever its span says.
        assert lines[cut - 1] == "▌ positive" and lines[cut + 1].startswith("  , 5 stars")
        await pilot.press("2")
        await until(pilot, lambda: "┌ tools" in row_text(app) and "[lamp]" in row_text(app))
        for form in "124":
            await pilot.press(form)
            await until(pilot, lambda: "‼ kept: missing end token" in row_text(app))


async def test_a_refused_row_that_could_be_rendered_is_shown_with_its_refusal() -> None:
    class Refused(Inspected):
        changed = {"refused": "too long: 300 tokens", "tokens": 0, "length": 300}  # noqa: RUF012

    class Nothing(Inspected):
        changed = {  # noqa: RUF012
            "refused": "no answer", "text": "", "spans": [], "messages": [], "tokens": 0, "length": 0,
            "token_list": [],
        }  # fmt: skip

    for child, words in ((Refused, "▌ positive"), (Nothing, "Is this [good]?")):
        app = Stage(child=child).app()
        async with app.run_test() as pilot:
            await to_inspect(app, pilot)
            assert "✗ not trained on: " in row_text(app) and words in row_text(app)
            await pilot.press("2", "4")
            await until(pilot, lambda app=app: "tokens" in row_text(app))


async def test_an_error_of_the_worker_is_a_sentence_in_the_rows_place() -> None:
    class Fails(Inspected):
        def row(self, request: dict[str, Any]) -> dict[str, Any]:
            if request.get("as", {}).get("max_length") == 64:
                return {"kind": "error", "message": "the template [x] went \x1b wrong"}
            return super().row(request)

    app = Stage(child=Fails).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        await typed(app, pilot, "m", "64")
        await until(pilot, lambda: "✗ the template [x] went ␛ wrong" in row_text(app))
        await typed(app, pilot, "m", "128")
        await until(pilot, lambda: "Is this [good]?" in row_text(app))


# Findings and search


@BOTH
async def test_a_finding_leads_to_its_rows_and_back(size: tuple[int, int]) -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test(size=size) as pilot:
        await to_inspect(app, pilot)
        await pilot.press("f")
        listed = app.screen.query_one(FindingsList)
        assert listed.has_focus and listed.size.height > 3
        reasons = [finding.reason for finding in listed.findings]
        assert reasons[:2] == ["too long", "answer cut"] and reasons[-1] == "role renamed"
        assert "‼ 3 rows lose text: the [model]" in text(app, "#facts-word").replace("\n", " ")
        await pilot.press("enter")
        await until(pilot, lambda: "no row with: too long" in said(app))
        await pilot.press(*["down"] * reasons.index("lost text"), "enter")
        await at(app, pilot, "train 5 of 2,400 · lost text 1 of 3")
        assert app.screen.query_one(RowView).has_focus and app.screen.query_one(RowView).size.height > 3
        for key, words in (
            ("right", "lost text 2 of 3"),
            ("pagedown", "lost text 3 of 3"),
            ("left", "2 of 3"),
        ):
            await pilot.press(key)
            await at(app, pilot, words)
        await pilot.press("right", "right")
        await until(pilot, lambda: "no further row of train with lost text" in said(app))
        assert "lost text 3 of 3" in place(app) and "x: all rows" in place(app)
        await pilot.press("x", "left")
        await at(app, pilot, "train 300 of 2,400")
        assert "lost text" not in place(app) and "x: all" not in place(app)


async def test_a_finding_whose_rows_cannot_be_shown_leaves_the_row() -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        await pilot.press("f", "end", "enter")
        await until(pilot, lambda: "no row of train with role renamed" in said(app))
        assert place(app).startswith("train 1 of") and "role renamed" not in place(app)


async def test_the_next_and_the_last_row_with_any_finding() -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        for key, words in (
            ("]", "train 2 of"),
            ("]", "train 5 of"),
            ("]", "train 12 of"),
            ("[", "train 5 of"),
        ):
            await pilot.press(key)
            await at(app, pilot, words)
        assert "any" not in place(app)


async def test_before_all_rows_are_rendered_a_finding_says_so() -> None:
    class Rendering(Inspected):
        rendered = False

    app = Stage(child=Rendering).app()
    async with app.run_test() as pilot:
        from test_tui_data import at_data

        await at_data(app, pilot, "counting tokens")
        await pilot.press("i")
        await until(pilot, on(app, InspectScreen))
        await until(
            pilot, lambda: "500 rows · 20,000 tokens, 25% trained · 1 finding" in text(app, "#facts-line")
        )
        await pilot.press("]")
        await until(pilot, lambda: "the rows are still being rendered" in said(app))
        await pilot.press("f")
        assert "· " in str(app.screen.query_one(FindingsList).get_option_at_index(0).prompt)


async def test_a_text_is_looked_for_lit_and_gone_through_all_round() -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        await typed(app, pilot, "slash", "lamp")
        await at(app, pilot, "train 8 of 2,400 · “lamp”")
        view = app.screen.query_one(RowView)
        await until(
            pilot, lambda: any(span.style == "bold reverse" for line in view._lines for span in line.spans)
        )
        for key, words in (("n", "train 2,001 of"), ("n", "train 8 of"), ("N", "train 2,001 of")):
            await pilot.press(key)
            await at(app, pilot, words)
        await pilot.press("1")
        assert any(span.style == "bold reverse" for line in view._lines for span in line.spans)
        await pilot.press("escape")
        assert "lamp" not in place(app) and isinstance(app.screen, InspectScreen)
        assert not any(span.style == "bold reverse" for line in view._lines for span in line.spans)
        await typed(app, pilot, "slash", "[nowhere]")
        await until(pilot, lambda: "no row of train with “[nowhere]”" in said(app))
        assert place(app).startswith("train 2,001 of")


# Another rendering


async def test_another_rendering_is_shown_at_once_and_counted_again() -> None:
    stage = Stage(child=Inspected)
    app = stage.app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        await pilot.press("right")
        await at(app, pilot, "train 2 of")
        await pilot.press("k")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"everyth", "enter")
        await until(pilot, lambda: "everything ·  · 256" in row_text(app))
        await pilot.press("c")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"[bare]", "enter")
        await until(pilot, lambda: "everything · bare · 256" in row_text(app))
        await pilot.press("c")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*".jinja", "enter")
        await until(pilot, on(app, AskScreen))
        await pilot.press(*"/t/my.jinja", "enter")
        await until(pilot, lambda: "everything · /t/my.jinja · 256" in row_text(app))
        await typed(app, pilot, "m", "1,024")
        await until(pilot, lambda: "everything · /t/my.jinja · 1024" in row_text(app))
        assert place(app).startswith("train 2 of")
        scans = lambda: [r for child in stage.children for r in child.asked if r["do"] == "open"]  # noqa: E731
        await until(pilot, lambda: scans()[-1]["recipe"]["data"]["max_length"] == 1024)
        data = scans()[-1]["recipe"]["data"]
        assert (data["train_on"], data["chat_template"]) == ("everything", "/t/my.jinja")
        await until(pilot, lambda: "2,400 rows" in text(app, "#facts-line"))
        await typed(app, pilot, "m", "3")
        await until(pilot, lambda: "max_length" in said(app))
        await pilot.press("escape")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: "train 2 of" in str(app.screen.query_one(RowView).border_title))


async def test_quick_changes_end_in_the_last_one_and_the_row_stays_in_sight() -> None:
    class Slow(Inspected):
        """Answers about rows only when told to."""

        held: list[dict[str, Any]] = []  # noqa: RUF012

        def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if request["do"] == "row" and request.get("as", {}).get("max_length", 256) != 256:
                self.held.append({"id": request["id"], **self.row(request)})
            else:
                yield from super().answers(request)

    app = (stage := Stage(child=Slow)).app()
    async with app.run_test() as pilot:
        await to_inspect(app, pilot)
        for length in ("64", "128", "512"):
            await typed(app, pilot, "m", length)
            assert "Is this [good]?" in row_text(app)
        assert len(Slow.held) == 1, "of what was wanted in between, nothing is asked"
        stage.children[0].say(**Slow.held[0])
        await until(pilot, lambda: len(Slow.held) == 2)
        stage.children[0].say(**Slow.held[1])
        await until(pilot, lambda: "· 512" in row_text(app))
        await until(pilot, lambda: app._draft is not None and app._draft.scan is not None)
        assert app._draft is not None and app._draft.recipe.data.max_length == 512


async def test_escape_at_every_moment() -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_data(app, pilot)
        for keys in (
            (),
            ("4",),
            ("f",),
            ("k",),
            ("c",),
            ("m",),
            ("slash",),
            ("right", "4"),
            ("]",),
            ("f", "end"),
        ):
            await pilot.press("i", *keys)
            while isinstance(app.screen, (InspectScreen, AskScreen, PickScreen)):
                await pilot.press("escape")
            await until(pilot, on(app, DataScreen))


async def test_its_keys_fit_and_explain_themselves() -> None:
    app = Stage(child=Inspected).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_inspect(app, pilot)
        assert {"Search", "Facts", "Template", "Mask", "Length", "Form"} <= footer(app)
        shown = {key.says for _, _, key in app.screen.query_one(KeyLine).placed()}
        assert {"Search", "Facts", "Template", "Mask", "Length", "Form"} <= shown
    assert len(InspectScreen.HELP) > 300
    for screen in (*InspectScreen.mro(), RowView, FindingsList):
        for binding in vars(screen).get("BINDINGS", []) if screen.__module__.startswith("tui") else []:
            assert binding.id and binding.description
            assert binding.tooltip or not binding.show or binding.key == "escape"


# Drawing


def test_a_histogram_fits_its_room_and_keeps_its_rows() -> None:
    bars = [[10, 0], [20, 5], [30, 7], *([bound, 0] for bound in range(40, 200, 10)), [200, 1]]
    assert coarser(bars, 10) == [[10, 0], [20, 5], [30, 7], [190, 0], [200, 1]]
    many = [[bound, 1] for bound in range(1, 41)]
    assert coarser(many, 12) == [(bound, 4) for bound in range(4, 41, 4)]
    assert len(coarser(many, -3)) == 5


def test_thousands_of_tokens_are_drawn_line_by_line() -> None:
    tokens = [[n, f" word{n}", "", n % 3 == 0, False] for n in range(6000)]
    began = time.process_time()
    grid = TokenGrid(tokens, 76, 2048, 7000)
    shown = grid[:40]
    assert time.process_time() - began < 0.2
    assert all(line.cell_length <= 76 for line in shown)
    everything = "\n".join(line.plain for line in grid)
    assert all(f"{n} " in everything for n in (0, 2047, 2048, 5999))
    cut = next(n for n, line in enumerate(grid) if "max_length 2,048" in line.plain)
    assert "2047" in grid[cut - 1].plain and "2048" in grid[cut + 1].plain
    with pytest.raises(IndexError):
        grid[len(grid)]


def test_wide_and_hostile_tokens_keep_their_cells() -> None:
    texts = ["日本語日本語日本語", "\x1b]0;x\x07", "␣", "a" * 99, "\u202e", "👩‍👩‍👧"]
    grid = TokenGrid([[n, text, "", True, False] for n, text in enumerate(texts)], 60, 256, 6)
    *_, last = everything = list(grid)
    rows = [line.plain for line in everything]
    assert not any(code in "".join(rows) for code in "\x1b\x07\u202e")
    assert all(line.cell_length == 60 // grid.columns * grid.columns or line is last for line in everything)


def test_a_row_of_many_long_fields_and_turns_is_quick() -> None:
    turn = {"role": "user", "content": "x " * 3000}
    many = row("train", 0, source={f"c{n}": "x " * 500_000 for n in range(100)}, messages=[turn] * 5000)
    for form, words in (("source", "characters not shown"), ("conversation", "4,800 turns not shown here")):
        began = time.process_time()
        assert any(words in line.plain for line in lines(many, form, 76))
        assert time.process_time() - began < 2.0


def test_a_row_of_megabytes_is_quick_in_all_forms_and_shows_what_is_sought() -> None:
    long = "x " * 1_000_000 + "the needle " + "y " * 1_000_000
    shown = row("train", 0, text=long, spans=[[5, 9]], source={"a": long, "b": [long]}, messages=[
        {"role": "user", "content": long}, {"role": "assistant", "content": "", "reasoning_content": long,
         "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
    ])  # fmt: skip
    for form in ("source", "conversation", "text"):
        began = time.process_time()
        drawn = lines(shown, form, 76, "NEEDLE")
        assert time.process_time() - began < 1.0
        assert any("the needle" in line.plain for line in drawn)
        assert any("characters not shown" in line.plain for line in drawn)
    drawn = [line.plain for line in lines(shown, "conversation", 76)]
    assert "  ┌ reasoning" in drawn and "  ┌ tool calls" in drawn
