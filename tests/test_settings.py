"""The settings file: what is right in it holds, what is wrong is one sentence; keys are shown as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_tui_walk import footer, on, text, to_model, until
from textual.widgets import Input
from tui_stage import Stage, record, step_events

from scripts import keys
from tui import keymap, settings
from tui.app import IftTui
from tui.screens.help import HelpScreen
from tui.screens.model import ModelScreen
from tui.themes import NO_COLOUR, SIXTEEN, THEMES, fitting

ROOT = Path(__file__).parents[1]
NAMES = tuple(THEMES)


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    return home / "settings.toml"


def said(app: Any) -> str:
    return " ".join(note.message for note in app._notifications)


def test_it_stands_where_configuration_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.path() == tmp_path / "ift-home" / "settings.toml"
    monkeypatch.delenv("IFT_TUI_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert settings.path() == tmp_path / "config" / "ift-tui" / "settings.toml"


@pytest.mark.parametrize(
    ("written", "theme", "kept", "says"),
    [
        ('theme = "light"\n[keys]\n"home.new" = "a"\n', "light", {"home.new": "a"}, ""),
        ('[keys]\nhome.new = "a"\n', "", {"home.new": "a"}, ""),
        ("theme = [", "", {}, "is no TOML"),
        (b"\xff\xfe", "", {}, "it is not UTF-8"),
        (
            'theme = "pink"\n[keys]\n"home.new" = "a"\n',
            "",
            {"home.new": "a"},
            "'pink' is not one of dark, light",
        ),
        ('theme = "light"\nkeys = 1\n', "light", {}, "keys has to be a table"),
        ('colour = 1\ntheme = "light"\n', "light", {}, "colour is no setting"),
        ('[keys]\n"home.new" = 7\n"home.out" = "y"\n', "", {"home.out": "y"}, "home.new has to be a text"),
    ],
)
def test_what_is_right_in_it_holds(
    file: Path, written: str | bytes, theme: str, kept: dict[str, str], says: str
) -> None:
    file.write_bytes(written if isinstance(written, bytes) else written.encode())
    found = settings.load(NAMES)
    assert (found.theme, found.keys) == (theme, kept)
    assert says in " ".join(found.problems) and len(found.problems) == bool(says)


def test_a_theme_is_written_beside_what_is_there(file: Path) -> None:
    settings.save_theme("light")
    assert file.read_text() == 'theme = "light"\n' and file.stat().st_mode & 0o077 == 0
    file.write_text('# mine\n[keys]  # few\n"home.new" = "a"\n')
    settings.save_theme("dark")
    assert settings.load(NAMES) == settings.Settings("dark", {"home.new": "a"})
    settings.save_theme("light")
    assert "# mine" in file.read_text() and "# few" in file.read_text()
    file.write_text("theme = [")
    with pytest.raises(settings.UserError, match="left as it is"):
        settings.save_theme("dark")
    assert file.read_text() == "theme = [" and len(list(file.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("environment", "wanted", "theme"),
    [
        ({"TERM": "xterm-256color"}, "", "dark"),
        ({"TERM": "xterm-256color"}, "light", "light"),
        ({"TERM": "linux"}, "", SIXTEEN),
        ({"TERM": "xterm-16color"}, "light", SIXTEEN),
        ({"TERM": "screen"}, "high-contrast", SIXTEEN),
        ({"TERM": "linux"}, NO_COLOUR, NO_COLOUR),
        ({"TERM": "screen", "COLORTERM": "truecolor"}, "", "dark"),
        ({"TERM": "no such terminal"}, "", SIXTEEN),
        ({}, "", SIXTEEN),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "light", NO_COLOUR),
    ],
)
def test_a_terminal_gets_a_theme_that_it_can_show(
    environment: dict[str, str], wanted: str, theme: str
) -> None:
    assert fitting(wanted, environment) == theme


def test_a_name_that_rich_does_not_know_keeps_its_colours() -> None:
    from tui.terminal import colour_system

    assert colour_system({"TERM": "tmux-256color"}) == "256"
    assert colour_system({"TERM": "xterm-16color"}) == "standard"
    assert colour_system({"TERM": "xterm", "COLORTERM": "24bit"}) == "truecolor"


def test_keys_that_cannot_be_had_are_told_and_the_rest_holds() -> None:
    known = keymap.places(IftTui)
    wanted = {
        "home.new": "b", "home.compare": "r", "app.help": "h,f1", "nope.at_all": "x", "home.first": "ctlr+x",
        "step.back": "B", "train.stop": "S",
    }  # fmt: skip
    taken, problems = keymap.usable(wanted, known)
    assert taken == {"home.new": "b", "step.back": "escape,B", "train.stop": "S"}
    told = " ".join(problems)
    assert "home.compare: r is the key of home.resume" in told and "nope.at_all is no key" in told
    assert "app.help" in told and "'ctlr+x' is no key" in told and len(problems) == 4


def test_two_actions_may_change_their_keys_with_each_other() -> None:
    taken, problems = keymap.usable({"home.new": "c", "home.compare": "n"}, keymap.places(IftTui))
    assert taken == {"home.new": "c", "home.compare": "n"} and not problems


def test_every_key_has_an_id_and_a_sentence_that_begins_with_a_verb() -> None:
    nouns = {"The", "A", "An", "All", "Its", "What", "Which", "Base", "Both", "Rows", "Figures"}
    for place in keymap.places(IftTui):
        for binding in place.bindings:
            words = (binding.tooltip or binding.description).split()
            assert binding.id and binding.description, (place.name, binding)
            assert len(words) > 1 and words[0][0].isupper() and words[0].rstrip(",;") not in nouns, binding


def test_the_page_of_keys_is_that_of_the_program() -> None:
    assert (ROOT / "docs" / "keys.md").read_text("utf-8") == keys.page(), (
        "python scripts/keys.py > docs/keys.md"
    )


async def test_changed_keys_work_and_stand_in_footer_help_and_palette(file: Path) -> None:
    file.write_text('theme = "light"\n[keys]\n"home.new" = "b"\n"home.compare" = "r"\n')
    record("done", step_events(400))
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        assert app.theme == "light"
        await until(pilot, lambda: "New run" in footer(app))
        assert "! keys: home.compare: r is the key of home.resume" in said(app)
        shown = {active.binding.key for active in app.screen.active_bindings.values()}
        assert "b" in shown and "n" not in shown
        told = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert told["Start a new run"] == "Key: b"
        await pilot.press("question_mark")
        await until(pilot, on(app, HelpScreen))
        assert "b                Start a new run" in text(app, "#help-keys")
        await pilot.press("escape", "n", "b")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen) and len(app.screen_stack) > 1)


async def test_a_chosen_theme_holds_for_the_next_session(file: Path) -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        assert app.theme == "dark" and not file.exists()
        app.theme = "high-contrast"
        await pilot.pause()
    assert settings.load(NAMES).theme == "high-contrast"
    file.write_text("theme = [")
    app = Stage().app()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "is no TOML" in said(app) and app.theme == "dark"
        app.theme = "light"
        await pilot.pause()
        assert "left as it is" in said(app)
    assert file.read_text() == "theme = ["


async def test_a_changed_key_is_kept_through_the_walk(file: Path) -> None:
    file.write_text('[keys]\n"model.type" = "y"\n')
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_model(app, pilot)
        await pilot.press("y")
        assert isinstance(app.screen, ModelScreen) and app.screen.focused is not None
        await until(pilot, lambda: isinstance(app.screen.focused, Input))


def test_without_a_file_no_reader_of_it_is_imported() -> None:
    """The first paint must not wait for what nobody asked for."""
    code = (
        "import sys; from tui.app import IftTui; IftTui(); print({'tomlkit', 'tui.keymap'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"
