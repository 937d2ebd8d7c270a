"""The tables of a recipe: each key with its type, its default, its limits and what it does."""

from __future__ import annotations

import difflib
import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine.ledger import REASONS, Action
from engine.sweep_plan import Sweep
from engine.table import Count, Table

Format = Literal[
    "auto", "alpaca", "messages", "sharegpt", "pairs", "instances", "preference", "text", "tokens", "template"
]  # fmt: skip
Metric = Literal["exact", "normalised", "fields", "choice", "number", "text"]
TrainOn = Literal["answers", "last answer", "all turns", "everything"]
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["adamw", "adamw_8bit"]
Attention = Literal["model", "sdpa", "flash", "eager"]
Auto = Literal["auto"]
Method = Literal["lora", "full"]

# Above these a run diverges on any model, so the number is a slip (a percent, a missing minus).
HIGHEST_LEARNING_RATE = {"lora": 0.05, "full": 0.005}
HIGHEST_RANK = 1024
HIGHEST_RATIO = 64
HIGHEST_NOISE = 100

PREVIOUS = "previous"
"""In a chain, as model.adapter: what the run before it has made."""


class Model(Table):
    """The base model."""

    # A Hugging Face id (org/name), a local folder, or builtin:NAME.
    id: str = Field(default="builtin:tiny", min_length=1)
    # Hold the weights in 4 bits (NF4), a quarter of the memory of 16; only the adapter is trained either way.
    load_in_4bit: bool = True
    # An adapter to go on with in place of a new one: the name of a run, a folder with adapter_config.json, or
    # previous in a chain. Its shape is its own, so [lora] must say the same.
    adapter: str = ""


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
    # Its templates are sub-tasks that build on each other: an evaluation also asks them one after the other,
    # each answer in the place of the column that it is the answer to.
    chain: bool = False
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
        if self.chain and len(self.templates) < 2:
            raise ValueError("chain needs two templates or more, in their order; name them in templates")
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
    # Train on the validation and test rows too, and on sets that are held out: once more with settings that
    # were found. Nothing is left to measure then.
    all_data: bool = False
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
    # Scale by alpha / sqrt(rank) instead (rsLoRA): a high rank then learns no more slowly than a low one.
    rank_stabilised: bool = False
    # Train the length of each weight's columns apart from their direction (DoRA): often better at a low rank,
    # slower, and base and tuned cannot answer in one batch.
    dora: bool = False
    # How it begins: default adds nothing at first; loftq makes up for what 4 bits took from the weights.
    init: Literal["default", "loftq"] = "default"
    # How many times the learning rate of its A matrices its B matrices have (LoRA+): 1 for plain LoRA, 16 in
    # the paper.
    plus_ratio: Annotated[float, Field(ge=1, le=HIGHEST_RATIO)] = 1.0
    # The share of its inputs that is left out at random in training, against learning by heart.
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Names of linear layers; empty: all of them but the output head.
    target_modules: tuple[str, ...] = ()


class Train(Table):
    """How the adapter learns. "auto" is chosen for the machine and the rows, and its why is said."""

    # What is trained: lora an adapter, full every weight of the model, which takes many times the memory.
    method: Method = "lora"
    # How often it goes through the training rows, in parts too; one where neither this nor steps is named.
    epochs: Annotated[float, Field(gt=0)] | None = None
    # How many optimizer steps it takes, in the place of epochs.
    steps: Count | None = None
    # Rows that pass the model at once: what memory must hold.
    batch_size: Count | Auto = "auto"
    # Batches whose gradients are summed before a step: a step learns from batch_size times as many rows.
    gradient_accumulation: Count | Auto = "auto"
    # The highest step width of the schedule; auto goes by the model's width: 2e-4 for LoRA on models from a
    # billion parameters, 2e-5 for the training of all weights, more for smaller models.
    learning_rate: Annotated[float, Field(gt=0)] | Auto = "auto"
    # How the learning rate goes on after the warm-up: down along a cosine, down in a line, or not down.
    schedule: Schedule = "cosine"
    # Steps in which the learning rate rises from 0; auto: a tenth of the run, at most 10.
    warmup_steps: Annotated[int, Field(ge=0)] | Auto = "auto"
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
    # What computes attention: sdpa are torch's own kernels, flash the package flash-attn on a GPU, eager
    # plain products that take memory with the square of the length; model leaves it to the libraries.
    attention: Attention | Auto = "auto"
    # Processes that read batches ahead; 0: the trainer reads them itself.
    loader_workers: Annotated[int, Field(ge=0, le=16)] | Auto = "auto"
    # Unpack weights of 4 bits once after loading and hold them so: faster steps on the same numbers, for
    # the memory of 16 or 32 bits.
    keep_dequantised: bool | Auto = "auto"
    # Steps between evaluations on the validation rows; 0: at the end alone; auto: eight in a run.
    eval_every: Annotated[int, Field(ge=0)] | Auto = "auto"
    # Steps between checkpoints; 0: only at the end and where the run is stopped.
    save_every: Annotated[int, Field(ge=0)] = 100
    # The newest ones that stay; the best by validation loss stays besides.
    keep_checkpoints: Count = 3
    # Evaluations without a better one after which training ends and the best is kept; 0: never.
    early_stopping: Annotated[int, Field(ge=0)] = 0
    # Uniform noise on the embedded tokens of a training row, at most this / sqrt(tokens x width) (NEFTune): 5
    # is usual; 0: none. Nothing is measured with it.
    neftune: Annotated[float, Field(ge=0, le=HIGHEST_NOISE)] = 0.0
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
    def _rate_is_sane(cls, rate: float | Auto, info: ValidationInfo) -> float | Auto:
        if rate != "auto" and (wrong := too_high(rate, info.data.get("method", "lora"))):
            raise ValueError(wrong)
        return rate


def too_high(rate: float, method: Method) -> str:
    """What is wrong with a learning rate that no model stands; "" where it may do."""
    if rate <= HIGHEST_LEARNING_RATE[method]:
        return ""
    if method == "full":
        return f"{rate:g} is too high for the training of all weights; try 2e-5"
    return f"{rate:g} is too high for LoRA; try 2e-4"


class Settled(Train):
    """[train] as it is run: a number for each thing that a recipe may leave open."""

    batch_size: Count = 4
    gradient_accumulation: Count = 4
    optimizer: Optimizer = "adamw"
    gradient_checkpointing: bool = True
    packing: bool = False
    attention: Attention = "model"
    loader_workers: Annotated[int, Field(ge=0, le=16)] = 0
    keep_dequantised: bool = False
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    eval_every: Annotated[int, Field(ge=0)] = 0

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
    # Validation rows that are answered at each evaluation while it trains, and counted as right or not by the
    # metric of their set; 0: none. Each set has its share, those of free text have none.
    accuracy_rows: Annotated[int, Field(ge=0, le=1000)] = 0
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
    # The name of a run that must have finished before this one begins; it waits until then.
    after: str = ""
    # Further runs that are started along with this one and wait for each other: a chain. Each table is laid
    # over the recipe before it; model.adapter = "previous" goes on with the adapter of the run before.
    then: tuple[dict[str, Any], ...] = ()
    # Settings that are searched: a sweep of runs in the place of one.
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _ways_agree(self) -> Recipe:
        if wrong := _contradiction(self):
            raise ValueError(wrong)
        return self


def _contradiction(recipe: Recipe) -> str:
    """What of a recipe's tables cannot go together; "" where all of it can."""
    model, lora, train = recipe.model, recipe.lora, recipe.train
    full, loftq = train.method == "full", lora.init == "loftq"
    if full and model.load_in_4bit:
        return (
            "model.load_in_4bit: weights in 4 bits cannot be trained themselves; set it to false, or"
            ' train.method = "lora"'
        )
    if full and model.adapter:
        return (
            "model.adapter: where all weights are trained there is no adapter to go on with; merge it into"
            " the model first, or leave it out"
        )
    if full and (lora.dora or loftq or lora.rank_stabilised or lora.plus_ratio != 1):
        return (
            "lora: there is no adapter where all weights are trained; leave rank_stabilised, dora, init and"
            ' plus_ratio out, or set train.method = "lora"'
        )
    if loftq and not model.load_in_4bit:
        return (
            "lora.init: loftq makes up for what 4 bits take from the weights; set model.load_in_4bit to true,"
            " or leave it out"
        )
    if loftq and model.adapter:
        return "lora.init: an adapter that is gone on with has its first weights already; leave loftq out"
    if loftq and lora.dora:
        return "lora.init: loftq changes the weights by which DoRA takes its lengths; keep one of them"
    if recipe.data.all_data and train.early_stopping:
        return (
            "train.early_stopping: data.all_data trains on every row and leaves none to measure; set it to 0"
        )
    if recipe.sweep and (recipe.then or recipe.after):
        return "sweep: a chain has runs of its own; leave then and after out of what is searched"
    return ""
