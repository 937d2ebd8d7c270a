"""The pages that are written from the program are up to date; what docs name is there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tui import __main__ as front_door

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import presets  # noqa: E402
import recipe_page  # noqa: E402
import screenshots  # noqa: E402
import troubleshooting  # noqa: E402

PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(
    "script", [presets, recipe_page, troubleshooting], ids=lambda script: script.__name__
)
def test_a_page_says_what_the_program_says(script: object) -> None:
    written = script.PAGE.read_text("utf-8")  # type: ignore[attr-defined]
    assert written == script.page(), "run `make docs`"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("heading", "table"), recipe_page.TABLES)
def test_every_key_of_a_recipe_has_a_sentence(heading: str, table: type) -> None:
    said = recipe_page.said(table.__name__)
    for name, field in table.model_fields.items():  # type: ignore[attr-defined]
        if not recipe_page.is_table(field):
            assert re.fullmatch(r"[A-Za-z0-9_].*[.]", said.get(name, "")), (
                f"{heading} {name}: {said.get(name)!r}"
            )


def test_an_error_that_no_group_knows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = troubleshooting.sentences()
    new = troubleshooting.Sentence("engine/new.py", "a new one; do this", "2")
    monkeypatch.setattr(troubleshooting, "sentences", lambda: [*known, new])
    with pytest.raises(ValueError, match=r"engine/new\.py"):
        troubleshooting.page()


def test_sentences_are_read_from_the_source() -> None:
    found = {(one.file, one.text, one.code) for one in troubleshooting.sentences()}
    assert ("engine/recipe.py", "… is a folder; name the recipe file in it", "2") in found
    assert ("engine/schema.py", "…: epochs and steps contradict each other; keep one of them", "2") in found
    assert ("engine/runs.py", "… is already being worked on; attach to it instead", "1") in found
    assert any(file == "engine/workers/watch.py" and "explodes" in text for file, text, _ in found)
    assert any(file == "engine/autopsy.py" and "memory guard" in text for file, text, _ in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_their_options_are_there(page: Path) -> None:
    for name, rest in re.findall(r"ift-tui ([a-z]+)([^`|\n#]*)", page.read_text("utf-8")):
        if name not in front_door.names():
            continue  # a word of a sentence
        with_command = front_door.parser([name])
        parser = next(iter(with_command._subparsers._group_actions)).choices[name]  # type: ignore
        options = set(re.findall(r"--[a-z0-9-]+", rest))
        assert options <= set(parser._option_string_actions), f"{name}: {options}"


def test_every_picture_is_drawn_by_the_command_and_stands_on_a_page() -> None:
    drawn = {f"{name}.svg" for name in screenshots.NAMES}
    there = {path.name for path in screenshots.PICTURES.glob("*.svg")}
    shown = {
        name for page in PAGES for name in re.findall(r"pictures/([a-z-]+\.svg)", page.read_text("utf-8"))
    }
    assert drawn == there == shown
