"""Which shape a set has, by the columns and turns of its first rows; an unknown table stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import runs, templates
from engine.errors import UserError
from engine.formats.examples import PARTS, Shape
from engine.formats.texts import parsed
from engine.schema import Format, Source
from engine.sources import Row

Found = tuple[Format, dict[str, str]]

PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"), ("query", "response"),
    ("instruction", "response"), ("input", "output"), ("source", "target"), ("problem", "solution"),
    ("user", "assistant"), ("human", "assistant"), ("question", "response"), ("query", "answer"),
    ("prompt", "answer"), ("prompt", "output"), ("instruction", "answer"), ("instruction", "completion"),
    ("input", "target"), ("inputs", "targets"), ("input", "response"), ("question", "solution"),
    ("problem", "answer"), ("mr", "ref"),
)  # fmt: skip
PROMPTS = tuple(dict.fromkeys(prompt for prompt, _ in PAIRS))
ANSWERS = tuple(dict.fromkeys(answer for _, answer in PAIRS))

# Columns that are taken for a part without being asked, besides the one of the part's own name.
NAMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "turns"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "text": ("text", "content"),
}
TURN_KEYS: dict[Format, tuple[str, str]] = {"messages": ("role", "content"), "sharegpt": ("from", "value")}
# Flags of a turn that say whether, or how much, it is learnt.
WEIGHTS = ("weight", "train", "loss_weight", "loss")
CONTEXT = ("context", "contexts", "passage", "document", "documents", "evidence")
# What may stand beside the text of raw text.
METADATA = {
    "id", "_id", "uuid", "idx", "index", "url", "uri", "timestamp", "meta", "metadata", "source", "lang",
    "language", "language_score", "path", "file", "file_path", "filename", "file_name", "title", "date",
    "dump", "license", "repo", "repo_name", "subset", "author", "size", "token_count", "n_tokens",
    "num_tokens", "length", "added", "created", "created_at", "version", "ext", "hash", "sha", "lines",
    "whole",
}  # fmt: skip
QUESTION = "This is preference data: train on the chosen answers only? The rejected ones are never trained."
MANY = 8


def detect(rows: Sequence[Row], source: Source) -> Shape | None:
    """The shape of a set by its first rows; None where columns or a template are needed.

    Raises UserError where the source asks for columns or a format that these rows do not have.
    """
    present = list(dict.fromkeys(key for row in rows for key in row.data))
    if source.format == "template" and not source.templates:
        raise UserError(f"{source.path}: format 'template' needs the names of prompt templates in templates")
    if source.templates:
        return _templated(present, source)
    absent = [column for column in source.columns.values() if column not in present]
    if absent:
        raise UserError(
            f"{source.path}: no column {_listed(absent)}; columns found: {_listed(present)};"
            " name these in columns"
        )
    most = _most(rows, source)
    if most is not None:
        return _shape(most, rows, present, source)
    if source.format == "auto" and not source.columns:
        return None
    asked = "with these columns" if source.format == "auto" else f"as {source.format}"
    raise UserError(
        f"{source.path}: cannot be read {asked}; columns found: {_listed(present)}; {_needs(source.format)}"
    )


def of_row(data: Mapping[str, Any], given: Mapping[str, str], wanted: Format = "auto") -> Found | None:
    """The format of one row and which column plays which part; cells without a value count for nothing."""
    present = {key: value for key, value in data.items() if value is not None}
    for format in PARTS:
        if wanted not in ("auto", format) or not (columns := _columns(format, present, given)):
            continue
        if _fits(format, present, columns, sure=bool(given) or wanted == format):
            return format, columns
    return None


def shape_of(found: Found) -> Shape:
    """A shape with its mapping in words, and nothing else to say about it."""
    return Shape(found[0], found[1], mapping(*found))


def mapping(format: Format, columns: Mapping[str, str]) -> str:
    """Which column becomes what, in words."""
    if format in TURN_KEYS:
        first = " + ".join(columns[part] for part in ("system", "messages") if part in columns)
        return f"{first}: {', '.join(TURN_KEYS[format])}"
    if format == "text":
        return f"{columns['text']}: raw text"
    if format == "tokens":
        return " + ".join(columns[part] for part in ("input_ids", "labels") if part in columns)
    if format == "instances":
        asked = " + ".join(columns[part] for part in ("system", "instruction") if part in columns)
        return f"{asked} + {columns['instances']}: input -> output"
    answer = columns.get("output") or columns.get("completion") or columns["chosen"]
    asking = ("system", "history", "instruction", "prompt", "input")
    asked = " + ".join(columns[part] for part in asking if part in columns)
    return f"{asked} -> {answer}" if asked else answer


def _most(rows: Sequence[Row], source: Source) -> Found | None:
    """The shape of most rows, with all the columns that its rows have for it."""
    votes: Counter[tuple[Format, tuple[str, ...]]] = Counter()
    whole: dict[tuple[Format, tuple[str, ...]], dict[str, str]] = {}
    unknown = 0
    for row in rows:
        found = of_row(row.data, source.columns, source.format) or _by_name(row.data, source)
        if found is None:
            unknown += 1
            continue
        format, columns = found
        key = format, tuple(columns[part] for part in PARTS[format][0])
        votes[key] += 1
        whole.setdefault(key, {}).update(columns)
    if not votes:
        return None
    (key, count), *_ = votes.most_common(1)
    return (key[0], whole[key]) if count >= unknown or source.format != "auto" or source.columns else None


def _by_name(data: Mapping[str, Any], source: Source) -> Found | None:
    """A row whose cells say nothing, taken by its columns' names alone: it will say why it is left out."""
    empty = dict.fromkeys(data, "")
    if found := of_row(empty, source.columns, source.format):
        return found
    for format, name in (("messages", "messages"), ("sharegpt", "conversations")):
        column = source.columns.get("messages") or next((c for c in NAMES["messages"] if c in data), "")
        if column and (source.format == format or (source.format == "auto" and column == name)):
            return format, {"messages": column}  # type: ignore[return-value]
    return None


def _columns(format: Format, present: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str] | None:
    """Which column plays which part of this format; None where one is missing."""
    asked = _pair_parts(given) if format == "pairs" else dict(given)
    needed, possible = PARTS[format]
    if not asked.keys() <= {*needed, *possible}:
        return None
    columns = {**_guessed(format, present, asked), **asked}
    if any(columns.get(part) not in present for part in needed):
        return None
    return {part: column for part, column in columns.items() if column in present}


def _guessed(format: Format, present: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, str]:
    needed, possible = PARTS[format]
    columns = {}
    for part in (*needed, *possible):
        names = NAMES.get(part, (part,))
        if column := next((name for name in names if name in present), None):
            columns[part] = column
    if format == "alpaca" and "output" not in columns and "input" in columns and "response" in present:
        columns["output"] = "response"
    if format == "preference" and "prompt" not in columns:
        names = ("question", "instruction", "query", *NAMES["messages"])
        columns.update([("prompt", name) for name in reversed(names) if name in present])
    if format == "pairs":
        for prompt, answer in PAIRS:
            question, reply = asked.get("prompt", prompt), asked.get("completion", answer)
            if question in present and reply in present and question != reply:
                return {**columns, "prompt": question, "completion": reply}
    return columns


def _pair_parts(given: Mapping[str, str]) -> dict[str, str]:
    """The person's own words for a pair's parts ({question = ..., answer = ...}) as prompt and completion."""
    words = {**dict.fromkeys(PROMPTS, "prompt"), **dict.fromkeys(ANSWERS, "completion")}
    return {words.get(part, part): column for part, column in given.items()}


def _fits(format: Format, present: Mapping[str, Any], columns: dict[str, str], sure: bool) -> bool:
    """Whether the cells are of this format; `sure`: the person has asked for it."""
    match format:
        case "messages" | "sharegpt":
            return is_turns(present[columns["messages"]], format)
        case "preference":
            return sure or "rejected" in columns
        case "instances":
            return isinstance(present[columns["instances"]], list)
        case "text":
            return sure or present.keys() - {columns["text"]} <= METADATA
        case _:
            return True


def is_turns(cell: Any, format: Format) -> bool:
    """Whether a cell, or the JSON string in it, is a list of turns with this format's keys."""
    cell = parsed(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else cell
    key, _ = TURN_KEYS[format]
    return isinstance(cell, list) and any(isinstance(turn, dict) and key in turn for turn in cell)


def _shape(found: Found, rows: Sequence[Row], present: Collection[str], source: Source) -> Shape:
    format, columns = found
    asks = format == "preference" and source.format == "auto"
    notes = tuple(_notes(format, columns, rows, present))
    return Shape(format, columns, mapping(format, columns), notes, QUESTION if asks else "")


def _notes(
    format: Format, columns: dict[str, str], rows: Sequence[Row], present: Collection[str]
) -> Iterable[str]:
    if format == "preference":
        rejected = columns.get("rejected", "rejected")
        yield f"preference data: only {columns['chosen']} is trained, {rejected} never"
    if format == "text":
        yield "raw text: no chat template, and all of it is trained"
    if format == "tokens" and "labels" not in columns:
        yield "no labels: all tokens are trained"
    if "tools" in columns:
        yield f"{columns['tools']} goes to the chat template"
    if format in TURN_KEYS and any(_weighted(row.data.get(columns["messages"])) for row in rows):
        yield "weights of turns are honoured: 0 is read and not learnt"
    used = {*columns.values(), "attention_mask"}
    context = [column for column in CONTEXT if column in present and column not in used]
    if context and format in ("pairs", "alpaca"):
        yield f"{context[0]} is not used; a prompt template can put it into the question"
    if rest := [column for column in present if column not in used and column not in context[:1]]:
        yield f"not used: {_listed(rest)}"


def _weighted(cell: Any) -> bool:
    turns = parsed(cell)
    return isinstance(turns, list) and any(
        isinstance(turn, dict) and any(turn.get(key) is not None for key in WEIGHTS) for turn in turns
    )


def _templated(present: Collection[str], source: Source) -> Shape:
    """The source's own templates, each of whose columns must be there. Raises UserError."""
    own = runs.home() / "templates"
    loaded = tuple(templates.load(name, own) for name in source.templates)
    columns = {name: source.columns.get(name, name) for template in loaded for name in template.columns}
    absent = [column for column in columns.values() if column not in present]
    if absent:
        raise UserError(
            f"{source.path}: the template reads {_listed(absent)}, and there are: {_listed(present)}; name"
            " the columns in columns, as in {" + next(iter(columns)) + ' = "..."}'
        )
    names = ", ".join(Path(name).stem for name in source.templates)
    rest = [column for column in present if column not in columns.values()]
    notes = (f"not used: {_listed(rest)}",) if rest else ()
    return Shape("template", columns, f"{', '.join(columns.values())} in {names}", notes, "", loaded)


def _needs(format: Format) -> str:
    if format == "auto":
        return "known are instruction + output, messages, prompt + completion, text and input_ids"
    parts = ", ".join(PARTS[format][0])
    return f"it needs {parts}; say which columns these are: columns = {{{PARTS[format][0][0]} = ...}}"


def _listed(columns: Collection[str]) -> str:
    names = list(columns)
    more = f" and {len(names) - MANY:,} more" if len(names) > MANY else ""
    return (", ".join(names[:MANY]) or "none") + more
