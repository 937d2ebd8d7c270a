"""A recipe: one whole run as one TOML document, checked before anything is started."""

from __future__ import annotations

import difflib
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from engine import RECIPES
from engine.errors import UserError

Format = Literal["auto", "alpaca", "messages", "sharegpt", "pairs"]
Metric = Literal["exact", "fields"]
Schedule = Literal["cosine", "linear", "constant"]
Count = Annotated[int, Field(ge=1)]

# Above these a LoRA run diverges on any model, so the number is a slip (a percent, a missing minus).
HIGHEST_LEARNING_RATE = 0.05
HIGHEST_RANK = 1024


class Table(BaseModel):
    """A TOML table: unknown keys are refused, numbers stay numbers, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(Table):
    """The base model: a Hugging Face id, a local folder, or builtin:NAME."""

    id: str = Field(default="builtin:tiny", min_length=1)
    load_in_4bit: bool = True


class Source(Table):
    """One set of rows: a file or builtin:NAME (whose own three parts are used)."""

    path: str = Field(min_length=1)
    format: Format = "auto"
    validation: str | None = None
    test: str | None = None
    metric: Metric = "exact"


class Data(Table):
    """Which rows, and how they become token ids."""

    sources: tuple[Source, ...] = Field(min_length=1)
    max_length: Annotated[int, Field(ge=16, le=1_048_576)] = 2048
    too_long: Literal["drop", "truncate"] = "drop"
    # Parts of rows set aside where a source has no file of its own for them.
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: int = 0
    # The digest that a preview printed: training refuses to start on other ids or labels.
    digest: str | None = None

    @model_validator(mode="after")
    def _parts_leave_rows(self) -> Data:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave rows to train on")
        return self


class Lora(Table):
    """The adapter's shape."""

    rank: Annotated[int, Field(ge=1, le=HIGHEST_RANK)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Names of linear layers; empty: all of them but the output head.
    target_modules: tuple[str, ...] = ()


class Train(Table):
    """How the adapter learns."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    steps: Count | None = None
    batch_size: Count = 4
    gradient_accumulation: Count = 4
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    schedule: Schedule = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    gradient_checkpointing: bool = True
    eval_every: Annotated[int, Field(ge=0)] = 0
    save_every: Annotated[int, Field(ge=0)] = 0
    seed: int = 0

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps contradict each other; keep one of them")
        return self

    @field_validator("learning_rate")
    @classmethod
    def _rate_is_sane(cls, rate: float) -> float:
        if rate > HIGHEST_LEARNING_RATE:
            raise ValueError(f"{rate:g} is too high for LoRA; try 2e-4")
        return rate

    def total_steps(self, rows: int) -> int:
        """Optimizer steps for that many training rows; one epoch where the recipe names no length."""
        if self.steps is not None:
            return self.steps
        batches = math.ceil(rows / self.batch_size)
        return max(1, round((self.epochs or 1.0) * math.ceil(batches / self.gradient_accumulation)))


class Evaluate(Table):
    """What is measured on held-out rows."""

    rows: Count = 200
    max_new_tokens: Count = 256


class Recipe(Table):
    """The whole run. `name` becomes part of the run's folder."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "run"
    model: Model = Model()
    data: Data
    lora: Lora = Lora()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()


def bundled() -> list[Path]:
    """The recipes that ship with the program, by name."""
    return sorted(RECIPES.glob("*.toml"))


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
        raise UserError(f"{file}: not valid TOML: {error}") from None
    return _anchored(parse(document, str(file)), file.parent.resolve())


def parse(document: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a document that is already read. `where` begins each error sentence."""
    try:
        return Recipe.model_validate(_tuples(document))
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error)}") from None


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


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """Make paths absolute, so that the run does not depend on where it was started."""

    def absolute(path: str | None) -> str | None:
        if path is None or path.startswith("builtin:"):
            return path
        return str((folder / Path(path).expanduser()).resolve())

    sources = tuple(
        source.model_copy(
            update={key: absolute(getattr(source, key)) for key in ("path", "validation", "test")}
        )
        for source in recipe.data.sources
    )
    model = recipe.model
    # A model id may look like a path ("org/name"): it is one only if the folder is there.
    if model.id.startswith((".", "/", "~")) or (folder / model.id / "config.json").is_file():
        model = model.model_copy(update={"id": absolute(model.id)})
    data = recipe.data.model_copy(update={"sources": sources})
    return recipe.model_copy(update={"data": data, "model": model})


def _tuples(value: Any) -> Any:
    # Strict validation takes a TOML array for a list only; the tables hold tuples to stay frozen.
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
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
            text = f"{key}: {said} (found {first['input']!r:.80})"
    more = error.error_count() - 1
    return text + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[int | str, type[BaseModel]] = {
        "model": Model, "data": Data, "sources": Source, "lora": Lora, "train": Train, "evaluate": Evaluate,
    }  # fmt: skip
    named = [tables[part] for part in location[:-1] if part in tables]
    return list((named[-1] if named else Recipe).model_fields)
