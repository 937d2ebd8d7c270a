"""A recipe: one whole run as one TOML document, checked before anything is started."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError

from engine import RECIPES
from engine.errors import UserError
from engine.schema import PREVIOUS, Augment, Data, Evaluate, Lora, Model, Recipe, Source, Train
from engine.sweep_plan import Over, Sweep

# How pydantic names the two ways that a value which may be auto is wrong.
AUTO = "literal['auto']"
OR_AUTO = (
    "constrained-int",
    "bool",
    "literal['adamw','adamw_8bit']",
    "literal['model','sdpa','flash','eager']",
)

EITHER = {"steps": "epochs", "epochs": "steps"}
MOST_BESIDE = 200
"""Files of a folder that are looked into."""
TABLES = ("model", "data", "augment", "lora", "train", "evaluate")


def bundled() -> list[Path]:
    """The recipes that ship with the program, by name."""
    return sorted(RECIPES.glob("*.toml"))


def beside(folder: Path) -> list[Path]:
    """The TOML files of a folder that hold a recipe's data, by name; they may still be wrong."""
    found = []
    for file in sorted(folder.glob("*.toml"))[:MOST_BESIDE]:
        try:
            document = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document.get("data"), dict) and "sources" in document["data"]:
            found.append(file)
    return found


def purpose(file: Path) -> str:
    """What a recipe is for: the first sentence of its head, or its name where it has none."""
    head = []
    for line in file.read_text("utf-8").splitlines():
        if not line.strip("# ") or not line.startswith("#"):
            break
        head.append(line.strip("# "))
    said = re.match(r".*?[.?](?=\s|$)", " ".join(head))
    return said[0] if said else file.stem


def load(path: str | Path) -> Recipe:
    """Read and check a recipe: a file, or the bare name of a bundled one.

    Relative paths in it are taken from the recipe's folder. Raises UserError, one sentence that
    names the key or the file and the mend.
    """
    file = _find(path)
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{file}: not UTF-8 text; save the recipe as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not valid TOML: {error}; mend that line") from None
    parse(document, str(file))
    return parse(_anchored(document, file.parent.resolve()), str(file))


def parse(document: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a document that is already read. `where` begins each error sentence."""
    recipe = _checked(document, where)
    if recipe.model.adapter == PREVIOUS:
        raise UserError(f"{where}: model.adapter: no run comes before the first one; name a run, or a folder")
    links(recipe, where)
    return recipe


def _checked(document: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(_tuples(document))
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error)}") from None


def links(recipe: Recipe, where: str = "recipe") -> list[Recipe]:
    """The recipe of each run of a chain, the first one's too; of one that is no chain, that alone.

    Raises UserError, as `parse` does.
    """
    document = recipe.model_dump(exclude={"then"}, exclude_none=True)
    found = [recipe.model_copy(update={"then": ()})]
    for number, over in enumerate(recipe.then):
        if own := next((key for key in ("then", "after") if key in over), None):
            raise UserError(f"{where}: then.{number}.{own}: the order of a chain is that of its tables")
        document["data"].pop("digest", None)  # of the rows before
        document = _laid_over(document, {"name": f"{recipe.name[:60]}-{number + 2}", **over})
        found.append(_checked(document, f"{where}: then.{number}"))
    return found


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, all else is replaced; of epochs and steps the one that is said above holds."""
    kept = {key: value for key, value in below.items() if EITHER.get(key) not in above}
    return kept | {
        key: _laid_over(below[key], value) if isinstance(value, dict) and key in TABLES else value
        for key, value in above.items()
    }


def changed(recipe: Recipe, **tables: dict[str, Any]) -> Recipe:
    """The recipe with some keys replaced, checked again: changed(r, train={"steps": 10})."""
    document = recipe.model_dump()
    for table, values in tables.items():
        document[table] = {**document[table], **values}
    return parse(document)


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML with every value written out (None is left out: TOML has no word for it)."""
    return tomlkit.dumps(recipe.model_dump(mode="json", exclude_none=True))


def _find(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f"{file} is a folder; name the recipe file in it")
    if file.is_file():
        return file
    for shipped in bundled():
        if shipped.stem == str(path):
            return shipped
    names = ", ".join(shipped.stem for shipped in bundled())
    raise UserError(f"{file}: no such recipe file; bundled recipes: {names}")


def _anchored(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths of a checked document absolute, so that the run does not depend on where it was started.

    What is laid over it in a chain is such a document in part.
    """

    def absolute(path: str) -> str:
        if path.startswith(("builtin:", "hf:")):
            return path
        return str((folder / Path(path).expanduser()).resolve())

    def source(one: dict[str, Any]) -> dict[str, Any]:
        paths: dict[str, Any] = {
            key: absolute(one[key]) for key in ("path", "validation", "test") if key in one
        }
        names = one.get("templates", [])
        return {**one, **paths, "templates": [absolute(n) if n.endswith(".toml") else n for n in names]}

    def holds(path: str, file: str) -> bool:
        # A model id may look like a path ("org/name"), and so may a run's name: it is one if it is there.
        return path.startswith((".", "/", "~")) or (folder / path / file).is_file()

    model, data = dict(document.get("model", {})), dict(document.get("data", {}))
    for key, file in (("id", "config.json"), ("adapter", "adapter_config.json")):
        if model.get(key) and holds(model[key], file):
            model[key] = absolute(model[key])
    if "sources" in data:
        data["sources"] = [source(one) for one in data["sources"]]
    if data.get("chat_template", "").endswith(".jinja"):
        data["chat_template"] = absolute(data["chat_template"])
    then = [_anchored(over, folder) for over in document.get("then", [])]
    changed = {"model": model, "data": data, "then": then}
    return {**document, **{key: value for key, value in changed.items() if value}}


def _tuples(value: Any) -> Any:
    # Strict validation takes a TOML array for a list only; the tables hold tuples to stay frozen.
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _sentence(error: ValidationError) -> str:
    mistakes = [one for one in error.errors() if one["loc"][-1:] != (AUTO,)]
    first = mistakes[0]
    at = first["loc"][:-1] if str(*first["loc"][-1:]) in OR_AUTO else first["loc"]
    key = ".".join(str(part) for part in at)
    match first["type"]:
        case "extra_forbidden":
            known = _known_keys(first["loc"])
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
            mend = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            text = f"{key}: unknown key; {mend}"
        case "missing":
            text = f"{key}: this key is needed"
        case "value_error":
            text = f"{key + ': ' if key else ''}{first['ctx']['error']}"
        case _:
            said = first["msg"].replace("Input should be", "must be")
            said += ", or auto" if at != first["loc"] else ""
            text = f"{key}: {said} (found {first['input']!r:.80})"
    more = len(mistakes) - 1
    return text + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[int | str, type[BaseModel]] = {
        "model": Model, "data": Data, "sources": Source, "augment": Augment, "lora": Lora, "train": Train,
        "evaluate": Evaluate, "sweep": Sweep, "over": Over,
    }  # fmt: skip
    named = [tables[part] for part in location[:-1] if part in tables]
    return list((named[-1] if named else Recipe).model_fields)
