"""Exports of a run: which kinds, what each is for and takes; then how far it is, and how they came out."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import SelectionList

from engine import beside
from engine.errors import RunFailed, UserError
from engine.exports import llama_cpp
from engine.exports.sizes import ROOM
from engine.runs import Run
from tui.feed import Dialogue, Edges
from tui.feed.exports import Choice, Options, choices, finished, free, how_to_run
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import ConfirmScreen
from tui.screens.form import Field, Fields, FormScreen
from tui.screens.step import StepScreen
from tui.widgets.exports import KindList, about, detail
from tui.widgets.figures import counted, size
from tui.widgets.marks import meter
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress, Stepper

PHASES = {
    "ask the run": "asking the run",
    "write": "writing",
    "convert": "llama.cpp converts",
    "ask the export": "asking the export",
    "upload": "sending it to the hub",
}
IN_BYTES = ("write",)
"""Phases whose progress is counted in bytes; the others' in prompts."""

DTYPES = ("auto", "bfloat16", "float16", "float32")
ONTO = ("auto", "original", "4-bit")
"""The base's own weights, what 4 bits left of them, or the first of these that answers as the run did."""
OLLAMA = ("merged", "adapter")
UPLOADED = ("adapter", "merged", "gguf")

CANCEL = "What is under way leaves nothing behind. Exports that were made before stay."


class ExportScreen(StepScreen):
    """The kinds, and beneath what is known of the one under the cursor; the worker lives while it exports."""

    STEP = 6
    HELP = (
        "e makes the kind under the cursor, or all that space has ticked. An adapter goes to PEFT and vLLM; "
        "merged is a whole model for transformers and vLLM; gguf is for llama.cpp, ollama for Ollama; script,"
        " axolotl and llamafactory train the same run again elsewhere; hub sends one of them up.\n\n"
        "Before an adapter or a merged model is called done it is loaded the way its users load it, and "
        "asked what the run was asked. If it does not answer as the run did, it is kept as NAME.failed, with "
        "what differs. What could not be asked here is called not checked.\n\n"
        "o has the checkpoint that is exported in place of the run's end, the number of prompts, the number "
        "type, which GGUF files are made, where llama.cpp lies, and the place on the hub. escape ends an "
        "export under way: nothing half written is left. The page on a kind has the same as a command."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "export",
            ("e", "export", "Export", "make", "Make what is ticked, or the one under the cursor"),
            ("o", "options", "Options", "options", "Change prompts, number type, places"),
        ),
        *shown(
            "compare",
            ("escape", "cancel_or_back", "Back", "back", "End exporting, or leave"),
        ),
        *hidden(
            "export",
            ("tab", "app.focus_next", "Other panel", "other", "Go to what is known of one, and back"),
        ),
    ]

    def __init__(self, run: Run, edges: Edges) -> None:
        super().__init__()
        self._run = run
        self._edges = edges
        self._options = Options()
        self._free = 0
        self._worker: Dialogue | None = None
        self._hears = False
        self._ending = False
        self._told: list[Content] = []
        """How the exports came out that were made here, the last one first, and why one was not."""

    def body(self) -> ComposeResult:
        with Container(id="export"):
            with Vertical(classes="panel", id="export-kinds") as panel:
                panel.border_title = Content(f"Export · {clean(self._run.name, newlines=False)}")
                panel.border_subtitle = "space ticks several · e makes"
                yield KindList()
            with VerticalScroll(classes="panel", id="export-page") as panel:
                panel.border_title = "About it"
                yield Quiet("reading …", id="export-text")
        yield Quiet(id="export-status")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one(KindList).focus()
        self._read()

    async def on_unmount(self) -> None:
        if self._worker is not None:
            await self._worker.close()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        found = await asyncio.to_thread(choices, self._run, self._options)
        self._free = await asyncio.to_thread(free, self._run)
        if self.stands:
            self.query_one(KindList).show(found)
            self._idle()

    # --- what is to be made ---

    def on_selection_list_selection_highlighted(self, _: SelectionList.SelectionHighlighted[str]) -> None:
        if self._worker is None:
            self._told = []  # it was read: what came out of each kind stands with the kind
            self._idle()

    def on_selection_list_selected_changed(self, _: SelectionList.SelectedChanged[str]) -> None:
        self._idle()

    def _idle(self) -> None:
        """What is ticked, and what it takes."""
        self.refresh_bindings()
        self._about()
        if self._worker is None:
            self._say(f"{_takes(self.query_one(KindList).taken)} · {size(self._free)} free")

    def _about(self) -> None:
        if self._told or self._worker is not None or not self.stands:
            return
        choice = self.query_one(KindList).pointed_at
        if choice is None:
            return
        lines = [about(choice)]
        taken = self.query_one(KindList).taken
        if not any(one.missing for one in taken):
            kinds = [one.kind for one in taken]
            words = shlex.join(["ift-tui", "export", self._run.name, *self._options.words(kinds)])
            head = f"e makes {', '.join(kinds)}; as a command:"
            lines += [Content(""), Content.styled(head, "$foreground-muted")]
            lines.append(Content(clean(words, newlines=False)))
        if choice.made is not None:
            lines += [Content(""), detail(choice.made, how_to_run(self._run, choice.made))]
        self._page(choice.kind, Content("\n").join(lines))

    def _page(self, title: str, text: Content) -> None:
        self.query_one("#export-page").border_title = Content(clean(title, newlines=False))
        self.query_one("#export-text", Quiet).show(text)

    def _say(self, words: str, style: str = "$foreground-muted") -> None:
        if self.stands:
            self.query_one("#export-status", Quiet).show(Content.styled(clean(words, newlines=False), style))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._worker is None or action not in ("export", "options")

    @work(group="options")
    async def action_options(self) -> None:
        now, steps = self._options, beside.steps(self._run)
        there = ", ".join(map(str, steps)) or "none is here"
        fields = [
            Field("checkpoint", now.checkpoint, f"empty: the run's end; {there}"),
            Field("prompts", str(now.prompts), "held-out ones, asked of both"),
            Field("number_type", now.dtype, ", ".join(DTYPES)),
            Field("merged_onto", now.onto, ", ".join(ONTO)),
            Field("gguf_types", now.types, ", ".join(llama_cpp.TYPES)),
            Field("ollama_holds", now.ollama, "merged; adapter: the base and the adapter beside it"),
            Field("llama_cpp", now.llama_cpp, "llama.cpp's folder; else $LLAMA_CPP, then PATH", wide=True),
            Field("hub_place", now.repo, "ORG/NAME on the hub", wide=True),
            Field("hub_export", now.of, f"what goes up: {', '.join(UPLOADED)}"),
            Field("hub_public", now.public, "for all to see; private otherwise"),
            Field("hub_dry_run", now.dry_run, "only say what would go up"),
        ]

        def wrong(given: Fields) -> str:
            try:
                taken(given, steps)
            except UserError as error:
                return str(error)
            return ""

        given = await self.app.push_screen_wait(FormScreen("Export with", fields, wrong))
        if given is not None and self.stands and self._worker is None:
            self._options = taken(given, steps)
            self._told = []
            self._read()

    def action_export(self) -> None:
        asked = self.query_one(KindList).taken
        needs = sum(one.needs for one in asked) * ROOM
        kinds = [one.kind for one in asked]
        missing = next((one for one in asked if one.missing), None)
        before = next((one for one in asked if one.after and one.after not in kinds), None)
        if missing is not None:
            self.refuse(f"{missing.kind}: {missing.missing}")
        elif before is not None:
            self.refuse(f"{before.kind}: {before.after} has to be made before it, or with it; tick both")
        elif needs > self._free:
            self.refuse(
                f"{size(self._free)} are free, and what is ticked takes {size(needs)}; nothing was written,"
                " tick less or free some space"
            )
        else:
            self._export(kinds)

    # --- while it is made ---

    @work(group="export", exclusive=True)
    async def _export(self, kinds: list[str]) -> None:
        words = self._options.words(kinds)
        worker = Dialogue(self._edges.child("export", str(self._run.path), *words))
        self._worker, self._ending, self._told = worker, False, []
        self.refresh_bindings()
        self._page("Exporting", Content("starting the worker …"))
        self.query_one("#export-page").scroll_home(animate=False)
        self._say(f"starting the worker · {ESCAPE}")
        phase: dict[str, Any] = {}
        try:
            await worker.start()
            self._hears = True
            async for message in worker.unasked("done"):
                phase = {**phase, **message} if message["kind"] == "progress" else message
                await self._hear(phase, kinds)
        except (RunFailed, OSError) as error:
            self._told.insert(0, Content.styled(f"✗ {clean(str(error))}", "$text-error"))
        finally:
            self._worker, self._hears = None, False
            await worker.close()
        if self.stands:
            self.query_one(KindList).deselect_all()
            self._page("How it came out", Content("\n\n").join(self._told))
            page = self.query_one("#export-page")
            page.scroll_home(animate=False)
            page.focus()
            self._read()

    async def _hear(self, message: dict[str, Any], kinds: list[str]) -> None:
        if message["kind"] == "exported":
            export = finished(message)
            lines = await asyncio.to_thread(how_to_run, self._run, export)
            self._told.insert(0, detail(export, lines))
            if self.stands:
                self._read()  # how it came out stands in the list as well
            return
        if message["kind"] == "done" or self._ending or not self.stands:
            return
        self._say(f"{doing(message)} · {ESCAPE}")
        at = f"{len(self._told) + 1} of {len(kinds)} · " if len(kinds) > 1 else ""
        now = [Content(clean(f"{at}{doing(message)}"))]
        if message.get("total"):
            room = self.query_one("#export-page").scrollable_content_region.width
            now.append(meter(message["done"] / message["total"], min(room, LONGEST_METER)))
        self._page("Exporting", Content("\n\n").join([Content("\n").join(now), *self._told]))

    @work(group="cancel", exclusive=True)
    async def action_cancel_or_back(self) -> None:
        if self._worker is None or self._ending:
            self.action_back()
        elif await self.app.push_screen_wait(ConfirmScreen("End the export?", CANCEL)) and self._worker:
            self._ending = True
            self._page(
                "Ending", Content("\n\n").join([Content("taking back what is under way …"), *self._told])
            )
            self._say("ending … esc again leaves")
            if self._hears:
                await self._worker.tell("cancel")
            else:
                self.action_back()

    def on_stepper_step_pointed_at(self, message: Stepper.StepPointedAt) -> None:
        if self._worker is not None:  # another step is not gone to before the export has ended
            message.prevent_default()
            self.action_cancel_or_back()


ESCAPE = "esc ends it"
LONGEST_METER = 60


def _takes(taken: list[Choice]) -> str:
    return f"{counted(len(taken), 'export')}, about {size(sum(one.needs for one in taken))}"


def doing(message: dict[str, Any]) -> str:
    """What the worker says it does: merged: writing · 120 MB of 480 MB."""
    phase = str(message.get("phase", ""))
    name = f"{message['export']}: " if message.get("export") else ""
    said = f"{name}{PHASES.get(phase, phase)}"
    if "done" not in message or "total" not in message:
        return f"{said} …"
    if phase in IN_BYTES:
        return f"{said} · {size(message['done'])} of {size(message['total'])}"
    return f"{said} · {message['done']:,} of {counted(message['total'], 'prompt')}"


def taken(given: Fields, steps: Sequence[int] = ()) -> Options:
    """What the fields hold; steps: of the run's checkpoints. Raises UserError, naming the field."""
    checkpoint = given["checkpoint"].strip()
    if checkpoint and checkpoint not in map(str, steps):
        there = ", ".join(map(str, steps)) or "none"
        raise UserError(f"checkpoint: no such step; there is {there} (found {checkpoint!r})")
    if not given["prompts"].isdecimal() or not int(given["prompts"]):
        raise UserError(f"prompts: must be a whole number above 0 (found {given['prompts']!r})")
    fields = {"number_type": DTYPES, "merged_onto": ONTO, "ollama_holds": OLLAMA, "hub_export": UPLOADED}
    for field, known in fields.items():
        if given[field] not in known:
            raise UserError(f"{field.replace('_', ' ')}: {', '.join(known)} (found {given[field]!r})")
    llama_cpp.types(given["gguf_types"])
    return Options(
        int(given["prompts"]),
        given["merged_onto"],
        given["number_type"],
        given["gguf_types"],
        given["ollama_holds"],
        given["llama_cpp"],
        given["hub_place"],
        given["hub_export"],
        given["hub_public"],
        given["hub_dry_run"],
        checkpoint,
    )
