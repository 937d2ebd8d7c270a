"""A recipe: one whole run as one TOML document, checked before anything is started."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from engine import RECIPES
from engine.errors import UserError
from engine.ledger import REASONS, Action
from engine.sweep_plan import Over, Sweep
from engine.table import Count, Table

Format = Literal[
    "auto", "alpaca", "messages", "sharegpt", "pairs", "instances", "preference", "text", "tokens", "template"
]  # fmt: skip
Metric = Literal["exact", "normalised", "fields", "choice", "number", "text"]
TrainOn = Literal["answers", "last answer", "all turns", "everything"]
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["adamw", "adamw_8bit"]
Auto = Literal["auto"]

# Above these a LoRA run diverges on any model, so the number is a slip (a percent, a missing minus).
HIGHEST_LEARNING_RATE = 0.05
HIGHEST_RANK = 1024

# How pydantic names the two ways that a value which may be auto is wrong.
AUTO = "literal['auto']"
OR_AUTO = ("constrained-int", "bool", "literal['adamw','adamw_8bit']")


class Model(Table):
    """The base model."""

    # A Hugging Face id (org/name), a local folder, or builtin:NAME.
    id: str = Field(default="builtin:tiny", min_length=1)
    # Hold the weights in 4 bits (NF4), a quarter of the memory of 16; only the adapter is trained either way.
    load_in_4bit: bool = True


class Source(Table):
    """One set of rows and how it is read."""

    # A file, a folder, builtin:NAME (with its own three parts), or hf:ORG/NAME.
    path: str = Field(min_length=1)
    # The shape of the rows; auto finds it by the columns and says what it found.
    format: Format = "auto"
    # Which column plays which part, where names differ: {instruction = "Frage", output = "Antwort"}.
    columns: dict[str, str] = Field(default={})
    # Names of shipped prompt templates, or paths of template files; their wordings are taken in turns.
    templates: tuple[str, ...] = ()
    # How many wordings of its templates each row is asked in.
    wordings: Count = 1
    # The encoding of its text files, such as cp1252; left out, UTF-8 or what a byte order mark says.
    encoding: str | None = None
    # Whether the first line of a CSV or TSV file names the columns.
    header: bool = True
    # The character between the cells of a CSV or TSV file; left out, it is found.
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    # Which configuration of a Hugging Face dataset that has several.
    subset: str | None = None
    # A file of its own for the validation part; left out, rows are set aside as [data] says.
    validation: str | None = None
    # A file of its own for the test part; left out, rows are set aside as [data] says.
    test: str | None = None
    # All rows are test rows: a task that training never sees.
    held_out: bool = False
    # How often each row stands in an epoch: 0.5 takes half of them, 2 each twice.
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    # At most that many training rows.
    cap: Count | None = None
    # Rows with the same value in this column stay in the same part.
    group: str | None = None
    # Each value of this column has its share in every part.
    stratify: str | None = None
    # Of a folder of documents: besides its text, each file answers a question after what it contains.
    questions: bool = False
    # A date that stands in front of those questions.
    date: str | None = None
    # How answers on held-out rows are judged; exact gives way to what the set's prompt template says.
    metric: Metric = "exact"
    # What can be answered where the metric is choice; empty: the answers that stand in the held-out rows.
    choices: tuple[str, ...] = ()
    # The form that every answer should have: "json", or a regular expression for the whole of it.
    valid: str = ""

    @field_validator("valid")
    @classmethod
    def _valid_is_a_pattern(cls, form: str) -> str:
        try:
            re.compile(form)
        except re.error as error:
            raise ValueError(
                f"{form!r} is neither json nor a regular expression ({error}); mend it, or leave it out"
            ) from None
        return form

    @model_validator(mode="after")
    def _one_rule(self) -> Source:
        if self.group and self.stratify:
            raise ValueError("group and stratify contradict each other; keep one of them")
        if self.templates and self.format not in ("auto", "template"):
            raise ValueError(
                f"templates and format = {self.format!r} contradict each other; keep one of them"
            )
        return self


class Augment(Table):
    """Copies of training rows with changed questions; answers are never touched."""

    # How many changed copies of each training row are added.
    copies: Annotated[int, Field(ge=0, le=20)] = 0
    # The share of the words of a question that get a synonym.
    synonyms: Annotated[float, Field(ge=0, le=1)] = 0.1
    # The share of the characters of a question that get a slip of the keyboard.
    noise: Annotated[float, Field(ge=0, le=0.2)] = 0.01


class Data(Table):
    """Which rows, and how they become token ids."""

    # The sets, one [[data.sources]] each.
    sources: tuple[Source, ...] = Field(min_length=1)
    # The longest row in tokens; longer ones are left out with a line in the ledger, or as policy says.
    max_length: Annotated[int, Field(ge=16, le=1_048_576)] = 2048
    # What loss is computed on: answers with their end tokens, the last one of each row, what every turn says,
    # or all that the chat template writes. Answers that the data marks as not to be learnt never are.
    train_on: TrainOn = "answers"
    # Empty for the model's own, or the plain layout where it has none; else the name of one of the model's
    # templates, of a layout (plain, chatml, dialogue, bare), or a .jinja file.
    chat_template: str = ""
    # Validation rows set aside where a source has no file of its own for them: a share below 1, or a number.
    validation: Annotated[float, Field(ge=0)] = 0.05
    # Test rows set aside in the same way, for the comparison and the evaluation.
    test: Annotated[float, Field(ge=0)] = 0.0
    # Draws which rows are set aside, which of them are measured, which a weight below 1 takes, and what
    # augment changes.
    seed: int = 0
    # What is done with a row for each reason of the ledger: keep, fix, drop or stop (too_long = "fix").
    policy: dict[str, Action] = Field(default={})
    # Copies of training rows with changed questions.
    augment: Augment = Augment()
    # The digest that a preview printed: training refuses to start on other ids or labels.
    digest: str | None = None

    @model_validator(mode="after")
    def _parts_leave_rows(self) -> Data:
        for share in (self.validation, self.test):
            if share > 1 and share != int(share):
                raise ValueError(
                    f"{share:g} is neither a share below 1 nor a whole number of rows; give 0.05 or 200, say"
                )
        if sum(share for share in (self.validation, self.test) if share < 1) >= 1:
            raise ValueError("validation and test together must leave rows to train on; lower one of them")
        return self

    @field_validator("policy")
    @classmethod
    def _policy_is_known(cls, policy: dict[str, Action]) -> dict[str, Action]:
        known = {name.replace(" ", "_"): reason for name, reason in REASONS.items()}
        for name, action in policy.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ValueError(f"{name}: no such reason; did you mean {near[0] if near else 'malformed'}?")
            if action not in known[name].actions:
                raise ValueError(f"{name} can be: {', '.join(known[name].actions)} (found {action!r})")
        return policy


class Lora(Table):
    """The adapter's shape."""

    # The inner width of its matrices: more can hold more, and takes more memory.
    rank: Annotated[int, Field(ge=1, le=HIGHEST_RANK)] = 16
    # Its weight: what it adds is scaled by alpha / rank.
    alpha: Annotated[int, Field(ge=1)] = 32
    # The share of its inputs that is left out at random in training, against learning by heart.
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Names of linear layers; empty: all of them but the output head.
    target_modules: tuple[str, ...] = ()


class Train(Table):
    """How the adapter learns. "auto" is chosen for the machine and the rows, and its why is said."""

    # How often it goes through the training rows, in parts too; one where neither this nor steps is named.
    epochs: Annotated[float, Field(gt=0)] | None = None
    # How many optimizer steps it takes, in the place of epochs.
    steps: Count | None = None
    # Rows that pass the model at once: what memory must hold.
    batch_size: Count | Auto = "auto"
    # Batches whose gradients are summed before a step: a step learns from batch_size times as many rows.
    gradient_accumulation: Count | Auto = "auto"
    # The highest step width of the schedule; 1e-4 to 3e-4 suits LoRA on models from a billion parameters.
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    # How the learning rate goes on after the warm-up: down along a cosine, down in a line, or not down.
    schedule: Schedule = "cosine"
    # Steps in which the learning rate rises from 0.
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    # How strongly the adapter's weights are drawn to 0 at each step.
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    # The length to which a longer gradient is cut.
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    # adamw_8bit holds its state in a quarter of the memory; on a CPU plain adamw takes its place.
    optimizer: Optimizer | Auto = "auto"
    # Compute the inside of each layer twice in the place of holding it: less memory, slower steps.
    gradient_checkpointing: bool | Auto = "auto"
    # The rows of a micro-batch lie behind one another in one sequence instead of being padded: the same steps
    # without padding. No row sees another; a model that cannot keep them apart is refused.
    packing: bool | Auto = False
    # Steps between evaluations on the validation rows; 0: never.
    eval_every: Annotated[int, Field(ge=0)] = 0
    # Steps between checkpoints; 0: only at the end and where the run is stopped.
    save_every: Annotated[int, Field(ge=0)] = 100
    # The newest ones that stay; the best by validation loss stays besides.
    keep_checkpoints: Count = 3
    # Evaluations without a better one after which training ends and the best is kept; 0: never.
    early_stopping: Annotated[int, Field(ge=0)] = 0
    # A loss or gradient that is no number: end, pass that batch over, or go back to the last checkpoint
    # and on without its rows.
    on_nonfinite: Literal["stop", "skip", "roll back"] = "stop"
    # Memory that ran out: end, or go on from the last checkpoint with half the micro-batch, twice as often.
    on_oom: Literal["stop", "shrink"] = "stop"
    # Before the first step, two steps and an evaluation on the longest rows, to see whether memory is enough.
    probe: bool = True
    # Draws the adapter's first weights, the order of the rows and the dropout.
    seed: int = 0

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps contradict each other; keep one of them")
        if self.early_stopping and not self.eval_every:
            raise ValueError("early_stopping counts evaluations; set eval_every, to 50 say")
        return self

    @field_validator("learning_rate")
    @classmethod
    def _rate_is_sane(cls, rate: float) -> float:
        if rate > HIGHEST_LEARNING_RATE:
            raise ValueError(f"{rate:g} is too high for LoRA; try 2e-4")
        return rate


class Settled(Train):
    """[train] as it is run: a number for each thing that a recipe may leave open."""

    batch_size: Count = 4
    gradient_accumulation: Count = 4
    optimizer: Optimizer = "adamw"
    gradient_checkpointing: bool = True
    packing: bool = False

    @property
    def rows_a_step(self) -> int:
        return self.batch_size * self.gradient_accumulation

    def total_steps(self, rows: int) -> int:
        """Optimizer steps for that many training rows; one epoch where the recipe names no length."""
        if self.steps is not None:
            return self.steps
        batches = math.ceil(rows / self.batch_size)
        return max(1, round((self.epochs or 1.0) * math.ceil(batches / self.gradient_accumulation)))


class Evaluate(Table):
    """What is measured on held-out rows."""

    # How many held-out rows of each set an evaluation answers.
    rows: Count = 200
    # The longest answer in tokens, in evaluations and in the comparison.
    max_new_tokens: Count = 256
    # Validation rows whose questions are answered again at each evaluation while it trains.
    samples: Annotated[int, Field(ge=0, le=20)] = 3
    # The longest of those answers in tokens.
    sample_tokens: Count = 48
    # Validation rows a set that base and tuned answer once training has ended; 0: none.
    at_end: Annotated[int, Field(ge=0)] = 32


class Recipe(Table):
    """The whole run."""

    # Becomes part of the name of the run's folder.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "run"
    model: Model = Model()
    data: Data
    lora: Lora = Lora()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    sweep: Sweep | None = None


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
        raise UserError(f"{file}: not valid TOML: {error}; mend that line") from None
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
        if path is None or path.startswith(("builtin:", "hf:")):
            return path
        return str((folder / Path(path).expanduser()).resolve())

    def template(name: str) -> str:
        return absolute(name) or "" if name.endswith(".toml") else name

    sources = tuple(
        source.model_copy(
            update={
                **{key: absolute(getattr(source, key)) for key in ("path", "validation", "test")},
                "templates": tuple(map(template, source.templates)),
            }
        )
        for source in recipe.data.sources
    )
    model = recipe.model
    # A model id may look like a path ("org/name"): it is one only if the folder is there.
    if model.id.startswith((".", "/", "~")) or (folder / model.id / "config.json").is_file():
        model = model.model_copy(update={"id": absolute(model.id)})
    layout = recipe.data.chat_template
    layout = (absolute(layout) or "") if layout.endswith(".jinja") else layout
    data = recipe.data.model_copy(update={"sources": sources, "chat_template": layout})
    return recipe.model_copy(update={"data": data, "model": model})


def _tuples(value: Any) -> Any:
    # Strict validation takes a TOML array for a list only; the tables hold tuples to stay frozen.
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _sentence(error: ValidationError) -> str:
    mistakes = [one for one in error.errors() if one["loc"][-1:] != (AUTO,)]
    first = mistakes[0]
    at = first["loc"][:-1] if str(first["loc"][-1]) in OR_AUTO else first["loc"]
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
