"""The inspector: what the model really sees of a row, in four forms, and what was found in all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import OptionList

from engine import recipe
from engine.errors import RunFailed, UserError
from engine.schema import Recipe, TrainOn
from tui.feed import RowsFeed
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import AskScreen, PickScreen
from tui.screens.hunt import HuntScreen
from tui.screens.messages import RecipeChanged
from tui.screens.paging import Place
from tui.widgets.facts import FactsPanel, FindingsList, summary
from tui.widgets.figures import place_of
from tui.widgets.forms import FORMS
from tui.widgets.quiet import Quiet
from tui.widgets.row_view import RowView, foot, forms

TRAINED = {
    "answers": "what the assistant says, with its end tokens",
    "last answer": "of each row the last answer alone",
    "all turns": "what everybody says",
    "everything": "all that the chat template writes",
}
RENDERING = ("train_on", "chat_template", "max_length")
"""Keys of [data] that change how a row is rendered, and not which rows there are."""


@dataclass(frozen=True)
class Asked:
    """A row as it was asked for."""

    place: Place
    changed: tuple[Any, ...]
    tokens: bool
    reading: int
    """How often the rows have been opened: what is known of them may be other than before."""


class InspectScreen(HuntScreen):
    """The facts of all rows on one side, one row on the other."""

    STEP = 3
    HELP = (
        "One row in four forms: 1 as it stands in its file, 2 as turns, 3 as the text that the model reads, "
        "4 token by token with its ids; space goes on to the next form. A bar ▌, bold and underlined is "
        "the trained part. What was found stands above: ‼ would spoil the training, ✗ is left out.\n\n"
        "f goes to the figures of all rows and back; enter on a finding there goes through its rows alone. "
        "] and [ go to the next and the last row with any finding. / looks for a text in the rows as "
        "they stand in their files, n and N go on; esc leaves the search, x the finding.\n\n"
        "c, k and m change the chat template, what is trained, and the longest row: the same row is shown "
        "so at once, and all rows are counted again. `ift-tui preview RECIPE` prints the same."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "inspect",
            ("space", "next_form", "Form", "form", "Show the next form: source, turns, text, tokens"),
            ("f", "facts", "Facts", "facts", "Show figures of all rows, and back"),
            ("c", "template", "Template", "template", "Render with another chat template"),
            ("k", "masking", "Mask", "masking", "Choose what is trained"),
            ("m", "length", "Length", "length", "Set the longest row, in tokens"),
        ),
        *hidden(
            "inspect",
            *(
                (str(number), f"form('{form}')", form, form, f"Show the row as {form}")
                for number, form in enumerate(FORMS, 1)
            ),
        ),
    ]

    def __init__(self, rows: RowsFeed, plan: Recipe, place: Place) -> None:
        super().__init__(rows, place)
        # This screen's own, and not the draft's: of quick changes the last one counts.
        self._plan = plan
        self._form = "text"
        self._row: dict[str, Any] | None = None
        self._asked: Asked | None = None
        self._asking = False
        self._reading = 0
        self._known: tuple[Any, Any] = (None, None)
        self._own = "the model's own"

    def body(self) -> ComposeResult:
        yield Quiet("reading …", id="place")
        with Container(id="inspect"):
            yield FactsPanel(classes="panel", id="all-rows")
            yield RowView(id="row")
        yield Quiet(id="facts-line")

    def on_mount(self) -> None:
        self.query_one("#row", RowView).add_class("panel").focus()
        self.draft_changed()
        self.ask()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._paint_around)
        self.call_after_refresh(self._paint_facts)

    def draft_changed(self) -> None:
        draft = self.draft
        if draft is None:
            return
        self._paint_facts()
        news = draft.opened is not self._known[0] or draft.survey is not self._known[1]
        if draft.opened is not None and news:
            self._known = (draft.opened, draft.survey)
            if not draft.recipe.data.chat_template:
                self._own = clean(draft.opened["template"], newlines=False).partition(",")[0]
            self._reading += 1
            self.ask()
        elif draft.problem and self._row is None:
            self.query_one(RowView).say(f"✗ {draft.problem}", "$text-error")

    # --- the row ---

    @property
    def _wanted(self) -> Asked:
        changed = tuple(getattr(self._plan.data, key) for key in RENDERING)
        return Asked(self.place, changed, self._form == "tokens", self._reading)

    def ask(self) -> None:
        """See that the row which is wanted comes; of many that were wanted in between, the last."""
        if not self._asking and self.stands:
            self._asking = True
            self._ask()

    @work(group="row")
    async def _ask(self) -> None:
        try:
            while self.stands and (wanted := self._wanted) != self._asked:
                self._asked = wanted
                place, changed = wanted.place, dict(zip(RENDERING, wanted.changed, strict=True))
                try:
                    row = await self._rows.row(
                        place.part, place.index, place.variant, changed=changed, tokens=wanted.tokens
                    )
                except RunFailed as error:
                    self._fail(str(error))
                    continue
                if not self.stands:
                    return
                varied = self.variants > 1
                if place == self.place:  # else another row was asked for meanwhile
                    self.arrived(row)
                    self._asked = replace(wanted, place=self.place)
                self._show(row)
                if varied != (self.variants > 1):
                    self.refresh_bindings()
        finally:
            self._asking = False

    def _fail(self, sentence: str) -> None:
        if not self.stands:
            return
        self._row = None
        problem = self.draft.problem if self.draft is not None else ""
        self.query_one(RowView).say(f"✗ {problem or sentence}", "$text-error")
        self._paint_around()

    def _show(self, row: dict[str, Any]) -> None:
        before, self._row = self._row, row
        same = before is not None and all(before[key] == row[key] for key in ("part", "index", "variant"))
        self.paint_row(stay=same)

    def paint_row(self, stay: bool = False) -> None:
        if self._row is not None:
            self.query_one(RowView).show(self._row, self._form, self.sought, stay=stay)
        self._paint_around()

    def _paint_around(self) -> None:
        """The line above the row, and its border."""
        if not self.stands or self.draft is None:
            return
        view = self.query_one(RowView)
        view.border_title = forms(self._form)
        view.border_subtitle = foot(self._row) if self._row is not None else ""
        self.query_one("#place", Quiet).show(self._place_line(self.size.width - 4))

    def _paint_facts(self) -> None:
        if self.stands and self.draft is not None:
            self.query_one("#facts-line", Quiet).show(summary(self.draft))
            self.query_one(FactsPanel).show(self.draft)

    def _place_line(self, width: int) -> Content:
        """Which row of how many, what it was found by; how it is rendered, where there is room."""
        place = self.place
        parts = [f"{place.part} {place_of(place.index, self.count)}"]
        if self.variants > 1:
            parts.append(f"variant {place.variant + 1} of {self.variants}")
        words = [(" · ".join(parts), "bold"), *self.hunted()]
        line = Content.assemble(*words)
        data = self._plan.data
        layout = clean(data.chat_template, newlines=False) or self._own
        rendered = f"{layout} · trained: {data.train_on} · at most {data.max_length:,}"
        gap = width - line.cell_length - len(rendered)
        return Content.assemble(line, " " * gap, (rendered, "$foreground-muted")) if gap > 1 else line

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "variant":
            return self.variants > 1
        return super().check_action(action, parameters)

    def action_form(self, form: str) -> None:
        self._form = form
        if form == "tokens":
            self.ask()
        if form != "tokens" or (self._row is not None and "token_list" in self._row):
            self.paint_row()

    def action_next_form(self) -> None:
        self.action_form(FORMS[(FORMS.index(self._form) + 1) % len(FORMS)])

    def action_facts(self) -> None:
        self._show_facts(not self.query_one(FindingsList).has_focus)

    def _show_facts(self, shown: bool) -> None:
        self.set_class(shown, "-facts")
        (self.query_one(FindingsList) if shown else self.query_one(RowView)).focus()
        self.call_after_refresh(self._paint_facts)  # how wide and high they are is known then

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        finding = self.query_one(FindingsList).pointed_at
        if finding is not None and not finding.rows:
            self.refuse(f"no row with: {finding.reason}")
        elif finding is not None:
            self._show_facts(False)
            self.go_through(finding.reason)

    def action_back(self) -> None:
        if self.leave_hunt():
            self.paint_row(stay=True)
        elif self.has_class("-facts"):
            self._show_facts(False)
        else:
            self.dismiss(self.place)

    # --- another rendering ---

    def _change(self, key: str, value: object) -> None:
        try:
            plan = recipe.changed(self._plan, data={key: value})
        except UserError as error:
            self.refuse(str(error).removeprefix("recipe: "))
            return
        if plan != self._plan:
            self._plan = plan
            self._paint_around()
            self.ask()
            self.post_message(RecipeChanged(plan))

    @work(exclusive=True, group="layouts")
    async def action_template(self) -> None:
        try:
            layouts = await self._rows.layouts()
        except RunFailed as error:
            self.refuse(str(error))
            return
        names = [layout["name"] for layout in layouts]

        def take(path: str | None) -> None:
            if path is not None:
                self._change("chat_template", str(Path(path).expanduser().resolve()))

        def choose(number: int | None) -> None:
            if number == len(names):
                self.app.push_screen(AskScreen("Which file?", "", "renders so", not_jinja), take)
            elif number is not None:
                self._change("chat_template", names[number])

        now = self._plan.data.chat_template
        current = names.index(now) if now in names else 0
        if self.is_current:
            said = [*(layout["said"] for layout in layouts), "a .jinja file …"]
            self.app.push_screen(PickScreen("Which chat template?", said, current), choose)

    def action_masking(self) -> None:
        kinds = list(get_args(TrainOn))

        def choose(number: int | None) -> None:
            if number is not None:
                self._change("train_on", kinds[number])

        answers = [f"{kind:<12} {TRAINED[kind]}" for kind in kinds]
        current = kinds.index(self._plan.data.train_on)
        self.app.push_screen(PickScreen("What is trained?", answers, current), choose)

    def action_length(self) -> None:
        def change(typed: str | None) -> None:
            if typed is not None:
                number = typed.replace(",", "").replace("_", "")
                self._change("max_length", int(number) if number.isdecimal() else typed)

        now = str(self._plan.data.max_length)
        self.app.push_screen(AskScreen("How many tokens at most?", now, "renders so"), change)


def not_jinja(path: str) -> str:
    """What is wrong with the name of a chat template's file; "" where nothing is."""
    return "" if path.endswith(".jinja") else "the file's name has to end in .jinja"
