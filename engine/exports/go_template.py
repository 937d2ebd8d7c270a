"""The little of Go's text/template that our Modelfiles use, rendered as Ollama renders it.

Known are {{ .Field }}, {{ range .Messages }}, {{ if .Field }}, {{ if eq .Field "text" }}, {{ else if ... }},
{{ else }} and {{ end }} (pkg.go.dev/text/template; variables: docs.ollama.com/template).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TAG = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
EQUAL = re.compile(r'eq \.(\w+) "([^"]*)"')

Values = Mapping[str, Any]


@dataclass
class Branch:
    """A condition ("" is always met) and what is written where it holds; of `range`, what is gone through."""

    kind: str  # if | range | root
    condition: str
    body: list[str | Branch] = field(default_factory=list)
    otherwise: Branch | None = None


def rendered(template: str, system: str, messages: Sequence[Mapping[str, str]]) -> str:
    """The text that Ollama gives the model. Raises ValueError for what is not known of Go here."""
    return _written(_parsed(template), {"System": system, "Messages": _collated(messages)})


def _collated(messages: Sequence[Mapping[str, str]]) -> list[Values]:
    """As Ollama does: neighbours of one role become one message."""
    found: list[dict[str, str]] = []
    for message in messages:
        if found and found[-1]["Role"] == message["role"]:
            found[-1]["Content"] += "\n\n" + message["content"]
        else:
            found.append({"Role": message["role"], "Content": message["content"]})
    return list(found)


def _parsed(template: str) -> Branch:
    root = Branch("root", "")
    stack, at = [[root]], 0  # of each open tag its branches: `else if` adds one
    for tag in TAG.finditer(template):
        stack[-1][-1].body.append(template[at : tag.start()])
        at, said = tag.end(), tag[1]
        if said == "end":
            if len(stack) == 1:
                raise ValueError("an end too many")
            stack.pop()
        elif said == "else" or said.startswith("else if "):
            branch = Branch("if", said.removeprefix("else").removeprefix(" if "))
            stack[-1][-1].otherwise = branch
            stack[-1].append(branch)
        elif said.startswith(("if ", "range ")):
            kind, _, condition = said.partition(" ")
            branch = Branch(kind, condition)
            stack[-1][-1].body.append(branch)
            stack.append([branch])
        elif re.fullmatch(r"\.\w+", said):
            stack[-1][-1].body.append(Branch("field", said))
        else:
            raise ValueError(f"{said}: not known here")
    if len(stack) > 1:
        raise ValueError("an end is missing")
    root.body.append(template[at:])
    return root


def _written(branch: Branch, values: Values) -> str:
    if branch.kind == "field":
        return str(values.get(branch.condition[1:], ""))
    if branch.kind == "range":
        return "".join(_body(branch, one) for one in values.get(branch.condition[1:], ()))
    if branch.kind == "if" and not _holds(branch.condition, values):
        return _written(branch.otherwise, values) if branch.otherwise else ""
    return _body(branch, values)


def _body(branch: Branch, values: Values) -> str:
    return "".join(part if isinstance(part, str) else _written(part, values) for part in branch.body)


def _holds(condition: str, values: Values) -> bool:
    if equal := EQUAL.fullmatch(condition):
        return bool(values.get(equal[1]) == equal[2])
    return not condition or bool(values.get(condition.removeprefix(".")))
