"""What a person has settled for all sessions: the theme, and keys other than the usual ones.

    theme = "light"

    [keys]                      # the ids stand in docs/keys.md
    "home.new" = "b"
    "app.help" = "f1,h"

What is wrong in the file is one sentence each; the rest of it holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from engine.errors import UserError

NAME = "settings.toml"


@dataclass(frozen=True)
class Settings:
    """theme: "" where none was chosen. keys: by the id of a binding, as Textual takes them."""

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def path() -> Path:
    """$IFT_TUI_HOME/settings.toml, or that of the user's configuration folder."""
    given = os.environ.get("IFT_TUI_HOME")
    return (Path(given).expanduser() if given else platformdirs.user_config_path("ift-tui")) / NAME


def load(themes: tuple[str, ...], file: Path | None = None) -> Settings:
    """The settings; without a file the usual ones. `themes`: those that can be named."""
    file = file or path()
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return Settings(problems=(f"{file} cannot be read ({why}); the usual settings hold",))
    import tomllib  # only where there is a file

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Settings(problems=(f"{file} is no TOML ({error}); the usual settings hold",))
    return _read(document, themes)


def _read(document: Mapping[str, object], themes: tuple[str, ...]) -> Settings:
    problems = [
        f"{NAME}: {key} is no setting; there are theme and [keys]"
        for key in document
        if key not in ("theme", "keys")
    ]
    theme = document.get("theme", "")
    if theme and theme not in themes:
        problems.append(f"{NAME}: theme: {theme!r} is not one of {', '.join(themes)}; the usual one is shown")
        theme = ""
    table = document.get("keys", {})
    if not isinstance(table, dict):
        problems.append(f"{NAME}: keys has to be a table, [keys]; the usual keys hold")
        table = {}
    # A bare home.new = "a" is a table in a table to TOML: it is meant all the same.
    flat = _flat(table)
    keys = {}
    for id, given in flat.items():
        if isinstance(given, str) and given.strip():
            keys[id] = given
        else:
            problems.append(
                f'{NAME}: keys: {id} has to be a text such as "a" or "ctrl+a,f9"; it stays as it is'
            )
    return Settings(str(theme), keys, tuple(problems))


def _flat(table: Mapping[str, object], before: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found


def save_theme(name: str, file: Path | None = None) -> None:
    """Write the theme down; all else in the file stays as it is, comments too. Raises UserError."""
    import tempfile

    import tomlkit
    from tomlkit.exceptions import ParseError

    file = file or path()
    try:
        document = tomlkit.parse(file.read_text("utf-8")) if file.exists() else tomlkit.document()
        if "theme" in document:
            document["theme"] = name
        else:  # a key behind a table would belong to it
            document = tomlkit.parse(f'theme = "{name}"\n' + tomlkit.dumps(document))
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, prefix=".settings-", delete=False, encoding="utf-8"
        ) as written:
            written.write(tomlkit.dumps(document))
        Path(written.name).replace(file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({error.strerror}); the theme holds for this session"
        ) from None
    except (ParseError, UnicodeDecodeError):
        raise UserError(
            f"{file} is no TOML and was left as it is; the theme holds for this session"
        ) from None
