"""docs/troubleshooting.md: every sentence with which the program refuses, fails or warns.

    make docs            (or: python scripts/troubleshooting.py)

The sentences are read from the source; docs/troubleshooting.toml, written by hand, says which files belong to
what a person was doing, and adds a cause and a mend where a sentence alone does not do.
"""

from __future__ import annotations

import ast
import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
NOTES = ROOT / "docs" / "troubleshooting.toml"

ERRORS = {"UserError": "2", "RunFailed": "1"}
"""What is raised, and the exit code of a command that it ends."""
REFUSALS = ("refuse", "_refuse")
"""What screens say in passing."""
SAYERS = (
    "explain",
    "out_of_memory",
    "cause",
    "training_problem",
    "too_high",
    "_contradiction",
    "sweep_problem",
    "_why_no_config",
    "_why_no_weights",
    "_absent",
    "_missing",
)
"""Functions that answer with a sentence, or with one and its mend, which others then say."""
TOLD = ("SAID", "MEMORY_GUARD", "MENDS")
"""Constants of sentences with their mends."""
BLANK = "…"
FEWEST_LETTERS = 8
"""With fewer letters of its own a sentence hands on what others have said."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of the program, with … where it names something. code: empty for a warning or a refusal."""

    file: str
    text: str
    code: str = ""


def main() -> None:
    PAGE.write_text(page(), "utf-8")
    print(PAGE.name)


def sentences() -> list[Sentence]:
    """All of them, each once a file, in the order in which they stand there."""
    files = [file for folder in ("engine", "tui") for file in sorted((ROOT / folder).rglob("*.py"))]
    return list(dict.fromkeys(itertools.chain.from_iterable(map(_of_file, files))))


def _of_file(file: Path) -> Iterator[Sentence]:
    name = file.relative_to(ROOT).as_posix()
    tree = ast.parse(file.read_text("utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.FunctionDef | ast.Assign)]
    for node in sorted(nodes, key=lambda node: node.lineno):
        match node:
            case ast.Call():
                said = _said(node, name)
            case ast.FunctionDef():
                said = _answered(node)
            case ast.Assign():
                said = _told(node, tree)
        for text, code in said:
            if sum(map(str.isalpha, text)) >= FEWEST_LETTERS:
                yield Sentence(name, text, code)


def _answered(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """The sentences that one of SAYERS answers with."""
    if function.name in SAYERS:
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                for some in itertools.product(*map(templates, parts)):
                    yield "; ".join(some), ""


def _told(constant: ast.Assign, module: ast.Module) -> Iterator[tuple[str, str]]:
    """The sentences that one of TOLD holds: pairs of what and mend, or a table of both."""
    match constant:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple(elts=parts)) if name in TOLD:
            rows = [part.elts for part in parts if isinstance(part, ast.Tuple)] or [parts]
            yield from (("; ".join(text for one in row[-2:] for text in templates(one)), "") for row in rows)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys, values=mends)) if name in TOLD:
            known = {
                node.targets[0].id: node.value
                for node in module.body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            for key, mend in zip(keys, mends, strict=True):
                if isinstance(key, ast.Name):
                    yield f"{templates(known[key.id])[0]}: {BLANK}; {templates(mend)[0]}", ""


def _said(call: ast.Call, file: str) -> Iterator[tuple[str, str]]:
    """What a call says to a person: sentence and exit code."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if called in ERRORS and first is not None:
        yield from ((text, ERRORS[called]) for text in templates(first))
    elif (
        called == "ValueError" and file in ("engine/schema.py", "engine/sweep_plan.py") and first is not None
    ):
        yield from ((f"{BLANK}: {text}", ERRORS["UserError"]) for text in templates(first))
    elif called in REFUSALS and first is not None:
        yield from ((text, "") for text in templates(first))
    elif called == "write" and isinstance(first, ast.Constant) and first.value in ("warned", "failed"):
        told = {keyword.arg: keyword.value for keyword in call.keywords}
        parts = [list(templates(told[key])) for key in ("text", "reason", "mend") if key in told]
        for some in itertools.product(*parts):
            yield "; ".join(filter(None, some)), "1" if first.value == "failed" else ""


def templates(said: ast.expr) -> list[str]:
    """A sentence as it stands in the source, with … in the place of what is only known then.

    More than one where the source chooses between some.
    """
    match said:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return list(dict.fromkeys([*templates(one), *templates(other)]))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in templates(left) for b in templates(right)]
        case ast.JoinedStr(values=values):
            return ["".join(map(_piece, values))]
    return [BLANK]


def _piece(part: ast.expr) -> str:
    match part:
        case ast.Constant(value=text):
            return str(text)
        case ast.FormattedValue(value=ast.IfExp(orelse=ast.Constant(value=""))):
            return ""  # said where there is more to say
        case ast.FormattedValue(value=ast.BinOp(left=ast.Constant(value=str()), op=ast.Mult())):
            return ""  # the s of a plural
    return BLANK


def page() -> str:
    """The whole page. Raises ValueError where a file with sentences has no group, or a note no sentence."""
    notes = tomllib.loads(NOTES.read_text("utf-8"))
    said = sentences()
    grouped = {file: group["title"] for group in notes["groups"] for file in group["files"]}
    if lost := sorted({one.file for one in said} - set(grouped)):
        raise ValueError(f"{NOTES.name}: these files belong to no group: {', '.join(lost)}")
    sections = [
        _section(group, [one for one in said if one.file in group["files"]]) for group in notes["groups"]
    ]
    head: str = notes["head"]
    return head.strip() + "\n\n" + "\n".join(sections)


def _section(group: dict[str, Any], said: list[Sentence]) -> str:
    remarks = group.get("notes", [])
    lines = [f"## {group['title']}", "", group["about"].strip(), ""]
    for one in dict.fromkeys((sentence.text, sentence.code) for sentence in said):
        found = [note for note in remarks if note["of"] in one[0]]
        lines.append(f"- `{one[0].replace('`', chr(39))}`{f' ({one[1]})' if one[1] else ''}")
        lines += [f"  {note['says'].strip()}" for note in found]
    for note in remarks:
        if not any(note["of"] in one.text for one in said):
            raise ValueError(f"{NOTES.name}: no sentence of {group['title']!r} has {note['of']!r}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
