"""Writes docs/keys.md from the bindings themselves.

python scripts/keys.py > docs/keys.md
"""

from __future__ import annotations

import re

from textual.keys import format_key

from tui import keymap
from tui.app import IftTui, sentence

HEAD = """\
# Keys

Made by `python scripts/keys.py > docs/keys.md` from the program itself. `?` shows the keys of a screen that
work at the moment, `ctrl+p` lists the same as a palette.

Any key can be another one. Its id and the keys that you want (several with commas between) go into
`settings.toml`, in `$XDG_CONFIG_HOME/ift-tui` (usually `~/.config/ift-tui`), or in `$IFT_TUI_HOME` where
that is set:

```toml
theme = "light"        # dark, light, high-contrast, 16-colours, no-colour

[keys]
"home.new" = "b"
"app.help" = "f1,ctrl+h"
```

`escape` goes back whatever stands there. What cannot be had (an unknown id, a key that another action of
the same screen has) is told at the start and by `ift-tui doctor`; the usual key holds then, and the rest of
the file too.
"""


def page() -> str:
    """All places with keys, each key in one place: what a screen has from its kind stands there."""
    parts, told = [HEAD], set[str]()
    for place in keymap.places(IftTui):
        keys: dict[str, list[str]] = {}
        says: dict[str, str] = {}
        for binding in place.bindings:
            if binding.id and binding.id not in told:
                keys.setdefault(binding.id, []).append(format_key(binding.key))
                says.setdefault(binding.id, sentence(binding))
        told |= set(keys)
        if keys:
            rows = [f"| `{id}` | {_shown(names)} | {says[id]} |" for id, names in keys.items()]
            parts.append(
                "\n".join(
                    [f"## {title(place.name)}\n", "| id | key | what it does |", "|---|---|---|", *rows]
                )
            )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def title(name: str) -> str:
    """HomeScreen is Home, EntriesTable is Entries table, IftTui is Everywhere."""
    if name == IftTui.__name__:
        return "Everywhere"
    words = re.findall("[A-Z][a-z]+", name.removesuffix("Screen"))
    return " ".join(words).capitalize()


def _shown(names: list[str]) -> str:
    return ", ".join(f"`{'enter' if name == '⏎' else name}`" for name in names)


if __name__ == "__main__":
    print(page(), end="")
