"""Foreign text is never markup: no sink of Textual or Rich is given a plain string that is not our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from markup_sinks import find, read

import tui

EXCEPT = {"app.py": "SystemCommand("}
"""The palette takes strings alone; bindings stand in our source."""


def test_no_sink_is_given_a_plain_string() -> None:
    found = find(read(Path(tui.__file__).parent))
    told = [one for one in found if not one.code.startswith(EXCEPT.get(one.file, "\0"))]
    assert not told, "\n".join(map(str, told))
    needed = {one.file for one in found} - {one.file for one in told}
    assert needed == set(EXCEPT), "an exception that nothing needs any more"


WRONG = [
    "Static(name)",
    "Static(clean(name))",
    "yield Label(f'about {name}')",
    "Button(name, id='x')",
    "self.notify(name)",
    "self.notify(f'{clean(name)} goes on')",
    "self.notify('about ' + name)",
    "self.notify(message=name)",
    "box.border_title = clean(name)",
    "box.border_title = 'x' if name else name",
    "box.border_title, box.border_subtitle = Content(name), name",
    "x.tooltip = name",
    "Static('x', tooltip=name)",
    "listed.add_option(name)",
    "listed.add_options(names)",
    "Option(name)",
    "table.add_row(*cells)",
    "table.add_row(Text(name), name)",
    "table.add_column(name, key='x')",
    "table.update_cell(key, 'x', name)",
    "said.update(name)",
    "Content.from_markup(name)",
    "Text.from_markup(name)",
    "Content.from_text(name)",
    "Input(name)",
    "TextArea(text=name)",
    "RichLog(name)",
    "self.exit(message=name)",
    "SystemCommand('x', name, go)",
    "words = name\n    self.notify(words)",
    "for words in names:\n        self.notify(words)",
    "class Mine(Static):\n        def __init__(self, words):\n            super().__init__(words)",
]
RIGHT = [
    "Static('ours')",
    "Static(name, markup=False)",
    "Static(Content(clean(name)))",
    "self.notify('ours')",
    "self.notify(f'{count:,} rows')",
    "self.notify(clean(name), markup=False)",
    "box.border_title = Content.styled(clean(name), 'bold')",
    "box.border_title = 'a' if name else Content(clean(name))",
    "box.border_title = drawn(name)",
    "words = 'ours'\n    self.notify(words)",
    "table.add_row(*(Text(cell) for cell in cells))",
    "table.update_cell(key, name, Text(name))",
    "names.update({name: name})",
]
AROUND = """
def drawn(name: str) -> Content: ...

def shows(self, name: str, names: list[str], cells: list[str], count: int, table, listed, said, box, x, key):
    {}
"""


@pytest.mark.parametrize("code", WRONG)
def test_the_check_finds(code: str) -> None:
    assert find({"a.py": AROUND.format(code)})


@pytest.mark.parametrize("code", RIGHT)
def test_the_check_passes(code: str) -> None:
    assert not find({"a.py": AROUND.format(code)})
