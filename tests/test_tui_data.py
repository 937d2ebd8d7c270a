"""The screens about data, by keys alone: what was found, how it is read, templates, ledger, report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_tui_walk import Keys, footer, on, row_text, text, to_data, to_model
from textual.widgets import Checkbox, Input, OptionList, TextArea
from tui_stage import COUNTS, OPENED, PREFERENCE, TABLE, Script, Stage, found, row, small_library, until

from engine import runs, templates
from engine.schema import Source
from tui.app import IftTui
from tui.screens.choose import AskScreen, ConfirmScreen, PickScreen
from tui.screens.data import DataScreen
from tui.screens.entries import EntriesScreen
from tui.screens.ledger import LedgerScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.screens.source import SourceScreen
from tui.screens.template import TemplateScreen
from tui.screens.write import WriteScreen, reading
from tui.widgets.knob import KnobRow
from tui.widgets.ledger_table import EntriesTable, TotalsTable
from tui.widgets.marked import marked
from tui.widgets.pick import PickRow, Value
from tui.widgets.row_view import RowView
from tui.widgets.source_form import SourceForm
from tui.widgets.source_list import SourceList
from tui.widgets.template_list import TemplateList

BOTH = pytest.mark.parametrize(
    "size",
    [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40", marks=pytest.mark.pictures)],
)


class Opens(Script):
    """Sets as they are given here; what a format was chosen for is read so."""

    sources = OPENED["sources"]
    survey: Any = COUNTS

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["do"] != "open":
            for message in super().answers(request):
                yield self.of_these(message) if message["kind"] == "surveyed" else message
            return
        self.asked_for = request["recipe"]["data"]["sources"]
        sets = [
            one if source["format"] == "auto" else {**one, "format": source["format"], "question": ""}
            for source, one in zip(self.asked_for, self.sources, strict=False)  # one may have been left
        ]
        yield {**OPENED, "sources": sets, "survey": self.survey and self.of_these(self.survey)}

    def of_these(self, counts: dict[str, Any]) -> dict[str, Any]:
        return {**counts, "sources": counts["sources"][: len(self.asked_for)]}


class Shapeless(Opens):
    sources = [found("builtin:products"), TABLE]  # noqa: RUF012


class Asking(Opens):
    sources = [PREFERENCE, {**PREFERENCE, "path": "/data/[more].jsonl"}]  # noqa: RUF012


class Varied(Script):
    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["do"] == "row":
            note = {"reason": "role renamed", "detail": "[developer] -> system", "done": "changed"}
            index, variants = request["index"], 1 if request["index"] else 3
            yield row(
                "train", index, variant=request["variant"], variants=variants,
                times=0.5, piece="piece 2 of 5, lines 10-40", notes=[note],
            )  # fmt: skip
        else:
            yield from super().answers(request)


async def at_data(app: IftTui, pilot: Keys, says: str = "digest") -> None:
    await to_model(app, pilot)
    await pilot.press("enter")
    await until(pilot, on(app, DataScreen))
    await until(pilot, lambda: says in text(app, "#facts"))


async def at_source(app: IftTui, pilot: Keys) -> None:
    """How the second set is read."""
    await at_data(app, pilot, "no known shape")
    await pilot.press("m")
    await until(pilot, on(app, PickScreen))
    await pilot.press("enter")  # the one that cannot be read yet is proposed
    await until(pilot, on(app, SourceScreen))
    await until(pilot, lambda: "no known shape" in text(app, "#tried Quiet"))


async def at_ledger(app: IftTui, pilot: Keys) -> None:
    await to_data(app, pilot)
    await pilot.press("l")
    await until(pilot, on(app, LedgerScreen))
    await until(pilot, lambda: "output (3)" in text(app, "#about"))


async def pick(app: IftTui, pilot: Keys, *typed: str) -> None:
    """Choose from the list that is open."""
    await until(pilot, on(app, PickScreen))
    await pilot.press(*typed, "enter")
    await until(pilot, lambda: not isinstance(app.screen, PickScreen))


def sources(app: IftTui) -> tuple[Source, ...]:
    assert app._draft is not None
    return app._draft.recipe.data.sources


def said(app: IftTui) -> str:
    return " ".join(note.message for note in app._notifications)


# What was found


@BOTH
async def test_each_set_says_its_format_mapping_notes_and_counts(size: tuple[int, int]) -> None:
    class Noted(Opens):
        sources = [found("builtin:products", notes=["the rows stand under [data]"]), found("/d/mine.csv")]  # noqa: RUF012

    app = Stage(child=Noted).app()
    async with app.run_test(size=size) as pilot:
        await at_data(app, pilot)
        facts = text(app, "#facts")
        assert "products · alpaca · 1,200 / 100 / 200" in facts
        assert "instruction + input -> output" in facts and "rows stand under [data]" in facts
        assert "mine.csv" in facts and "3 left out" in facts
        assert "3 left out · 120 changed · l lists them" in facts


async def test_a_large_set_is_counted_by_another_worker_and_adopted() -> None:
    class Counting(Opens):
        survey = None
        part = "count"

        def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if request["do"] == "scan":
                yield {"kind": "progress", "phase": self.part, "done": 7, "total": 9_000}
                if self.part == "render":
                    yield {"kind": "surveyed", **COUNTS}
            elif request["do"] == "row":
                known = any(asked["do"] == "adopt" for asked in self.asked)
                yield row("train", request["index"], 2400 if known else None)
            else:
                yield from super().answers(request)

    stage = Stage(child=Counting)
    app = stage.app()
    async with app.run_test() as pilot:
        await at_data(app, pilot, "counting rows … 7 of 9,000")
        assert "alpaca · counting …" in text(app, "#facts")
        view = app.screen.query_one(RowView)
        await until(pilot, lambda: "train 1  ◂" in str(view.border_title))
        await pilot.press("right")
        await until(pilot, lambda: "train 2  ◂" in str(view.border_title))
        scanner = stage.children[-1]
        number = scanner.asked[-1]["id"]
        scanner.say(kind="surveyed", id=number, **COUNTS)
        await until(pilot, lambda: "train 2 of 2,400" in str(view.border_title))
        assert {"do": "adopt", "folder": "/tmp/counted"}.items() <= stage.children[0].asked[-2].items()
        assert "1,200 / 100 / 200" in text(app, "#facts") and "counting tokens" in text(app, "#facts")
        assert not scanner.closed
        await pilot.press("escape")
        await until(pilot, lambda: scanner.closed)


@BOTH
async def test_a_set_of_no_known_shape_shows_its_first_row_and_stops_the_walk(size: tuple[int, int]) -> None:
    stage = Stage(child=Shapeless)
    app = stage.app()
    async with app.run_test(size=size) as pilot:
        await at_data(app, pilot, "no known shape")
        assert "fitting: review-sentiment" in text(app, "#facts") and "UTF-16" in text(app, "#facts")
        assert "A [fine] lamp." in row_text(app)
        assert {"Mapping", "Next"} <= footer(app) and not {"Ledger", "Report"} & footer(app)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "reviews.csv has no known shape" in said(app))
        assert isinstance(app.screen, DataScreen)
        assert all(request["do"] != "scan" for child in stage.children for request in child.asked)


async def test_what_has_to_be_agreed_to_is_asked_before_next_and_only_once() -> None:
    stage = Stage(child=Asking)
    app = stage.app()
    async with app.run_test() as pilot:
        await at_data(app, pilot)
        assert "? This is preference data" in text(app, "#facts")
        await pilot.press("enter")
        await until(pilot, on(app, ConfirmScreen))
        await pilot.press("escape")
        await until(pilot, on(app, DataScreen))
        assert [source.format for source in sources(app)] == ["auto", "auto"]
        await pilot.press("enter")
        for name in ("pairs.jsonl", "[more].jsonl"):
            await until(pilot, on(app, ConfirmScreen))
            await until(pilot, lambda name=name: name in text(app, ".dialog Static"))
            await pilot.press("y")
        await until(pilot, on(app, RecipeScreen))
        assert [source.format for source in sources(app)] == ["preference", "preference"]
        await until(pilot, lambda: "epochs" in text(app, "#sums"))
        await pilot.press("escape")
        await until(pilot, on(app, DataScreen))
        await pilot.press("enter")
        await until(pilot, on(app, RecipeScreen))


@pytest.mark.parametrize("typed", ["builtin:reviews", "hf:org/[name]", "/data/folder"])
async def test_a_file_a_folder_and_a_hub_id_can_be_typed(typed: str) -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_data(app, pilot)
        await pilot.press("slash", *typed, "enter")
        await until(pilot, lambda: typed in [source.path for source in sources(app)])
        assert typed in [source.path for source in app.screen.query_one(SourceList).taken]
        assert "m" in app.screen.active_bindings, "letters are keys again"


# One row


async def test_a_row_is_gone_to_by_its_number() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_data(app, pilot)
        view = app.screen.query_one(RowView)
        for typed, title in (("2,000", "train 2,000 of"), ("7", "train 7 of")):
            await pilot.press("g")
            await until(pilot, on(app, AskScreen))
            await pilot.press("ctrl+u", *typed, "enter")
            await until(pilot, lambda title=title: title in str(view.border_title))
        for typed in ("9999", "0", "x"):
            await pilot.press("g")
            await until(pilot, on(app, AskScreen))
            await pilot.press("ctrl+u", *typed, "enter")
            await until(
                pilot, lambda typed=typed: f"{typed}: the train part has rows 1 to 2,400" in said(app)
            )
        await pilot.press("g", "escape")
        await pilot.pause()
        assert "train 7 of" in str(view.border_title)


async def test_variants_notes_and_pieces_of_a_row_are_shown() -> None:
    app = Stage(child=Varied).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_data(app, pilot)
        view = app.screen.query_one(RowView)
        shown = row_text(app)
        assert "! changed: role renamed: [developer] -> system" in shown
        assert "piece 2 of 5, lines 10-40 · 0.5 times an epoch" in shown
        for number in (2, 3, 1):
            await pilot.press("v")
            await until(pilot, lambda n=number: f"variant {n} of 3" in str(view.border_title))
        await pilot.press("v", "right")
        await until(pilot, lambda: "train 2 of" in str(view.border_title))
        assert "variant" not in str(view.border_title)
        assert "v" not in app.screen.active_bindings


def test_of_a_row_of_megabytes_the_ends_are_shown() -> None:
    text = "x" * 5_000_000 + " the end"
    shown = str(marked(text, [(len(text) - 3, len(text))], 80))
    assert len(shown) < 30_000 and "4,982,008 characters not shown" in shown
    assert shown.rstrip().endswith("the end") and shown.splitlines()[-1].startswith("▌")


# How one set is read


@BOTH
async def test_format_and_columns_are_chosen_from_lists_and_taken(size: tuple[int, int]) -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test(size=size) as pilot:
        await at_source(app, pilot)
        await pilot.press("enter")
        await pick(app, pilot, *"question")
        await until(pilot, lambda: "pairs" in text(app, "#tried Quiet"))
        await pilot.press("down", "down", "enter")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"c4999")
        assert app.screen.query_one(OptionList).option_count == 1
        await pilot.press("enter")
        await until(pilot, lambda: "c4999" in text(app, "#tried Quiet"))
        await pilot.press("down", "enter")
        await pick(app, pilot, *"odd")
        await until(pilot, lambda: "c4999 + odd name" in text(app, "#tried Quiet"))
        await pilot.press("ctrl+n")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: sources(app)[1].format == "pairs")
        assert sources(app)[1].columns == {"prompt": "c4999", "completion": "odd name"}
        await until(pilot, lambda: "digest" in text(app, "#facts"))
        assert app.screen.query_one(SourceList).taken == sources(app)


async def test_escape_leaves_all_as_it_was_at_each_point() -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test() as pilot:
        await at_source(app, pilot)
        before = sources(app)
        await pilot.press("enter", "escape")
        await until(pilot, on(app, SourceScreen))
        await pilot.press("enter")
        await pick(app, pilot, *"running")
        await pilot.press("p")
        await until(pilot, on(app, TemplateScreen))
        await pilot.press("n")
        await until(pilot, on(app, WriteScreen))
        for screen in (TemplateScreen, SourceScreen, DataScreen):
            await pilot.press("escape")
            await until(pilot, on(app, screen))
        assert sources(app) == before
        await pilot.press("m", "escape")
        await pilot.pause()
        assert isinstance(app.screen, DataScreen)


WRONG = [
    ("#weight", "0", "must be greater than 0"),
    ("#cap", "many", "must be a valid integer"),
    ("#wordings", "0", "must be greater than or equal to 1"),
    ("#delimiter", ";;", "at most 1 character"),
]


@BOTH
async def test_each_wrong_field_says_so_beside_it_and_cannot_be_taken(size: tuple[int, int]) -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test(size=size) as pilot:
        await at_source(app, pilot)
        for name, value, sentence in WRONG:
            knob = app.screen.query_one(name, KnobRow)
            field = knob.query_one(Input)
            right, field.value = field.value, value
            await until(pilot, lambda knob=knob: knob.has_class("-wrong"))
            assert sentence in str(knob.query_one(".knob-says").render())
            assert len(app.screen.query(".-wrong")) == 1 and "Take" not in footer(app)
            assert sentence in text(app, "#tried Quiet")
            field.value = right
            await until(pilot, lambda knob=knob: not knob.has_class("-wrong"))
        assert "Take" in footer(app)


async def test_a_contradiction_is_told_at_the_first_of_the_two() -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test() as pilot:
        await at_source(app, pilot)
        for key in ("group", "stratify"):
            app.screen.query_one(f"#pick-{key} Value").focus()
            await pilot.press("enter")
            await pick(app, pilot, *"label")
        row = app.screen.query_one("#pick-group", PickRow)
        await until(pilot, lambda: row.has_class("-wrong"))
        assert "contradict each other" in str(row.query_one(".knob-says").render())
        app.screen.query_one("#pick-group Value").focus()
        await pilot.press("enter")
        await pick(app, pilot, *"none")
        await until(pilot, lambda: not row.has_class("-wrong"))


async def test_the_rest_of_the_form_goes_into_the_recipe() -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test() as pilot:
        await at_source(app, pilot)
        form = app.screen.query_one(SourceForm)
        typed = {
            "encoding": "latin-1",
            "delimiter": "tab",
            "cap": "500",
            "weight": "0.5",
            "date": "2 May 1998",
        }
        for key, value in typed.items():
            form.query_one(f"#{key} Input", Input).value = value
        form.query_one("#held_out Checkbox", Checkbox).value = True
        form.query_one("#header Checkbox", Checkbox).value = False
        await until(pilot, lambda: form.source.held_out and not form.source.header)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: sources(app)[1].encoding == "latin-1")
        mine = sources(app)[1]
        assert (mine.delimiter, mine.cap, mine.weight, mine.date) == ("\t", 500, 0.5, "2 May 1998")


async def test_a_file_that_cannot_be_opened_can_be_read_in_another_way() -> None:
    class Latin(Script):
        def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if request["do"] == "open" and not request["recipe"]["data"]["sources"][0]["encoding"]:
                yield {"kind": "error", "message": "/d/a.csv line 3: not UTF-8; give its encoding"}
            else:
                yield from super().answers(request)

    app = Stage(child=Latin).app()
    async with app.run_test() as pilot:
        await at_data(app, pilot, "not UTF-8")
        assert "m: how the set is read" in text(app, "#facts") and "Next" not in footer(app)
        await pilot.press("m", "enter")
        await until(pilot, on(app, SourceScreen))
        field = app.screen.query_one("#encoding Input", Input)
        field.value = "klingon"
        await until(pilot, lambda: "no such encoding: klingon" in text(app, "#tried Quiet"))
        field.value = "latin-1"
        await until(pilot, lambda: "A [fine] lamp." in text(app, "#tried Quiet"))
        await pilot.press("ctrl+n")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: "digest" in text(app, "#facts"))


async def test_ticks_are_told_by_more_than_colour() -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test() as pilot:
        await at_source(app, pilot)
        boxes = {name: app.screen.query_one(f"#{name} Checkbox", Checkbox) for name in ("header", "held_out")}
        assert "X" in str(boxes["header"].render()) and "X" not in str(boxes["held_out"].render())
        await pilot.press("escape")
        await until(pilot, on(app, DataScreen))
        listed = app.screen.query_one(SourceList)
        assert "X" in listed.render_line(0).text
        listed.focus()
        await pilot.press("space")
        await until(pilot, lambda: "X" not in listed.render_line(0).text)


# Templates


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "TEMPLATES", small_library(tmp_path))


async def at_templates(app: IftTui, pilot: Keys) -> None:
    await at_data(app, pilot, "no known shape")
    await pilot.press("p")
    await pick(app, pilot)
    await until(pilot, on(app, TemplateScreen))
    await until(pilot, lambda: app.screen.query_one(TemplateList).option_count > 1)


async def at_writing(app: IftTui, pilot: Keys) -> None:
    await at_templates(app, pilot)
    await pilot.press("n")
    await until(pilot, on(app, WriteScreen))
    await until(pilot, lambda: "prompt is empty" in text(app, "#tried Quiet"))


@BOTH
async def test_fitting_templates_lead_and_several_are_taken(size: tuple[int, int], library: None) -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test(size=size) as pilot:
        await at_templates(app, pilot)
        listed = app.screen.query_one(TemplateList)
        assert [(choice.name, choice.lacks) for choice in listed.choices] == [
            ("mood", ()), ("other-table", ("absent", "body")),
        ]  # fmt: skip
        assert "About [mood]." in text(app, "#template-says") and "Take" not in footer(app)
        await pilot.press("space", "down", "space")
        await until(pilot, lambda: "template" in text(app, "#tried Quiet"))
        await pilot.press("ctrl+n")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: sources(app)[1].templates == ("mood", "other-table"))
        assert sources(app)[1].format == "template"


async def test_the_roles_of_a_template_are_its_columns(library: None) -> None:
    class Mapped(Shapeless):
        def tried(self, request: dict[str, Any]) -> dict[str, Any]:
            answer = super().tried(request)
            answer["set"]["roles"] = dict.fromkeys(("label", "text"), "label")
            return answer

    app = Stage(child=Mapped).app()
    async with app.run_test() as pilot:
        await at_source(app, pilot)
        await pilot.press("p")
        await until(pilot, on(app, TemplateScreen))
        await pilot.press("space", "ctrl+n")
        await until(pilot, on(app, SourceScreen))
        roles = app.screen.query_one("#roles")
        await until(pilot, lambda: [row.key for row in roles.query(PickRow)] == ["label", "text"])
        assert "mood" in str(app.screen.query_one("#pick-templates Value").render())


@BOTH
async def test_a_template_is_written_seen_and_saved(size: tuple[int, int], library: None) -> None:
    stage = Stage(child=Shapeless)
    app = stage.app()
    async with app.run_test(size=size) as pilot:
        await at_writing(app, pilot)
        await pilot.press(*"Good?", "space", "ctrl+t")
        await pick(app, pilot, *"odd")
        assert app.screen.query_one("#write-prompt", TextArea).text == 'Good? {{ row["odd name"] }}'
        await until(pilot, lambda: "answer is empty" in text(app, "#tried Quiet"))
        await pilot.press("tab", "ctrl+t")
        await pick(app, pilot, *"label")
        await until(pilot, lambda: "Good?" in text(app, "#tried Quiet"))
        (asked,) = [r for r in stage.children[0].asked if r["do"] == "try" and r["template"]][-1:]
        assert set(asked["template"]["columns"]) == {"label", "odd name"}
        await pilot.press("ctrl+s")
        await until(pilot, on(app, AskScreen))
        await pilot.press(*"My Template", "enter")
        await until(pilot, lambda: "small letters, digits and hyphens" in said(app))
        await pilot.press("ctrl+s")
        await until(pilot, on(app, AskScreen))
        await pilot.press(*"mine", "enter")
        await until(pilot, on(app, TemplateScreen))
        path = runs.home() / "templates" / "mine.toml"
        assert templates.load(str(path)).columns == ("label", "odd name")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: sources(app)[1].templates == (str(path),))


async def test_wordings_choices_and_a_mistake(library: None) -> None:
    app = Stage(child=Shapeless).app()
    async with app.run_test() as pilot:
        await at_writing(app, pilot)
        screen = app.screen
        assert isinstance(screen, WriteScreen)
        prompt, answer = (screen.query_one(f"#write-{key}", TextArea) for key in ("prompt", "answer"))
        prompt.text, answer.text = "Is {{ text ", "{{ choice }}"
        await until(pilot, lambda: "✗ line 1" in text(app, "#tried Quiet"))
        prompt.text = "Is {{ text }} good?"
        screen.query_one("#write-choices", Input).value = "bad, good"
        screen.query_one("#write-label", Input).focus()
        await pilot.press("ctrl+t")
        await pick(app, pilot, *"label")
        await until(pilot, lambda: "good?" in text(app, "#tried Quiet"))
        await pilot.press("ctrl+g")
        assert prompt.text == "" and "wording 2 of 2" in str(prompt.border_title)
        prompt.text, answer.text = "{{ text }}: good?", "{{ choice }}"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "wording 3 of 3" in str(prompt.border_title))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: prompt.text == "Is {{ text }} good?")
        template = screen.template()
        assert [wording.prompt for wording in template.wordings] == [
            "Is {{ text }} good?",
            "{{ text }}: good?",
        ]
        assert (template.choices, template.label) == (("bad", "good"), "label")
        await pilot.press("escape")
        await until(pilot, on(app, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, on(app, WriteScreen))
        await pilot.press("escape", "y")
        await until(pilot, on(app, TemplateScreen))


async def test_a_template_begins_as_another_and_takes_its_place_only_when_agreed(library: None) -> None:
    app = Stage(child=Shapeless).app()
    own = runs.home() / "templates"
    templates.save(templates.parse(
        {"name": "mine", "task": "t", "language": "en", "metric": "exact", "description": "d",
         "columns": {"text": "x"}, "wordings": [{"prompt": "{{ text }}?", "answer": "yes"}]}, "test",
    ), own)  # fmt: skip
    async with app.run_test() as pilot:
        await at_templates(app, pilot)
        names = [Path(choice.name).stem for choice in app.screen.query_one(TemplateList).choices]
        assert names[0] in ("mine", "mood") and set(names) == {"mine", "mood", "other-table"}
        await pilot.press(*["down"] * names.index("mine"), "e")
        await until(pilot, on(app, WriteScreen))
        area = app.screen.query_one("#write-answer", TextArea)
        assert area.text == "yes"
        area.text = "no"
        for answer in ("escape", "y"):
            await until(pilot, on(app, WriteScreen))
            await pilot.press("ctrl+s")
            await until(pilot, on(app, AskScreen))
            await pilot.press(*"mine", "enter")
            await until(pilot, on(app, ConfirmScreen))
            await pilot.press(answer)
        await until(pilot, on(app, TemplateScreen))
        assert templates.load(str(own / "mine.toml")).wordings[0].answer == "no"


def test_an_odd_column_is_read_out_of_the_row() -> None:
    assert reading("text") == "{{ text }}"
    assert reading('a "b" \\') == '{{ row["a \\"b\\" \\\\"] }}'


# The ledger and the report


@BOTH
async def test_the_ledger_opens_the_rows_of_a_reason_page_by_page(size: tuple[int, int]) -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=size) as pilot:
        await at_ledger(app, pilot)
        assert "a column that the mapping needs" in text(app, "#about")
        assert "3 left out · 120 changed" in str(app.screen.query_one("#totals").border_subtitle)
        await pilot.press("down")
        await until(pilot, lambda: "developer -> system (118)" in text(app, "#about"))
        await pilot.press("enter")
        await until(pilot, on(app, EntriesScreen))
        page = app.screen.query_one("#page")
        await until(pilot, lambda: "1 to 50 of 120" in str(page.border_title))
        assert "Page before" not in footer(app)
        for key, title in (("right", "51 to 100"), ("right", "101 to 120"), ("left", "51 to 100")):
            await pilot.press(key)
            await until(pilot, lambda title=title: f"{title} of 120" in str(page.border_title))
        await pilot.press("down")
        await until(pilot, lambda: "train.jsonl line 260" in text(app, "#whole"))
        assert "byte 33,280" in text(app, "#whole") and "Is [this] ␛ good 52?" in text(app, "#whole")
        assert app.screen.query_one(EntriesTable).row_count == 50
        for screen in (LedgerScreen, DataScreen):
            await pilot.press("escape")
            await until(pilot, on(app, screen))


async def test_another_policy_goes_into_the_recipe_and_the_rows_are_read_again() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await at_ledger(app, pilot)
        await pilot.press("down", "p", "escape")
        await until(pilot, on(app, LedgerScreen))
        await pilot.press("p")
        await pick(app, pilot, *"leave")
        assert app._draft is not None and app._draft.recipe.data.policy == {"role_renamed": "drop"}
        assert app.screen.query_one(TotalsTable).row_count == 2, "what was known stays until it is known anew"
        await until(pilot, lambda: "all rows are read" in text(app, "#ledger-state"))
        last = [r for child in stage.children for r in child.asked if r["do"] == "open"][-1]
        assert last["recipe"]["data"]["policy"] == {"role_renamed": "drop"}


async def test_a_ledger_with_nothing_in_it_says_so() -> None:
    class Whole(Script):
        def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            for message in super().answers(request):
                if message["kind"] == "opened":
                    message = {**message, "survey": {**COUNTS, "ledger": []}}
                yield {**message, "ledger": []} if "ledger" in message else message

    app = Stage(child=Whole).app()
    async with app.run_test() as pilot:
        await to_data(app, pilot)
        await pilot.press("l")
        await until(pilot, on(app, LedgerScreen))
        await until(pilot, lambda: "Every row is used as it stands" in text(app, "#ledger-state"))
        assert "Policy" not in footer(app)


@BOTH
async def test_the_report_has_figures_bars_and_sentences(size: tuple[int, int]) -> None:
    app = Stage().app()
    async with app.run_test(size=size) as pilot:
        await to_data(app, pilot)
        await pilot.press("r")
        await until(pilot, on(app, ReportScreen))
        await until(pilot, lambda: "Longest" in text(app, "#report-text"))
        report = text(app, "#report-text")
        for words in (
            "answers are ␛positive", "[odd] reviews.csv", "161,789", "max_length 256", "[mixed]", "Chinese",
            "7 rows: train.jsonl line 4", "2 questions: train.jsonl line 12",
            "599 tokens  train.jsonl line 1",
        ):  # fmt: skip
            assert words in report
        assert report.index("129 to 256") < report.index("max_length 256") < report.index("257 to 512")
        assert max(map(len, report.splitlines())) <= size[0] - 4
        await pilot.press("end", "escape")
        await until(pilot, on(app, DataScreen))


async def test_the_screens_about_data_explain_themselves() -> None:
    for screen in (SourceScreen, TemplateScreen, WriteScreen, LedgerScreen, EntriesScreen, ReportScreen):
        assert len(screen.HELP) > 150
    for owner in (
        SourceScreen, TemplateScreen, WriteScreen, LedgerScreen, DataScreen, PickScreen, EntriesTable, Value,
    ):  # fmt: skip
        for binding in owner.BINDINGS:
            assert binding.id and binding.description, (owner, binding)  # type: ignore[union-attr]
            assert binding.tooltip or not binding.show or binding.key == "escape"  # type: ignore[union-attr]
