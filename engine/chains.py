"""Sub-tasks that are asked one after the other, each answer a part of the next question: a topic, from it an
outline, from that a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import templates
from engine.errors import UserError
from engine.formats import Message, Unusable
from engine.sets import RowSet
from engine.template_file import Template

ONE_COLUMN = re.compile(r"\s*\{\{\s*(\w+)\s*\}\}\s*")


@dataclass(frozen=True)
class Link:
    """One sub-task. columns: its names of columns -> the data's; fills: the data's column that its answer is,
    "" of the last one.
    """

    template: Template
    columns: Mapping[str, str]
    fills: str


def links(one: RowSet) -> list[Link]:
    """The templates of a set whose source is a chain, in their order. Raises UserError where one's answer is
    not the whole of a column: it could not stand in its place.
    """
    shape, found = one.agreed, list[Link]()
    for place, template in enumerate(shape.templates, 1):
        columns = {name: shape.columns.get(name, name) for name in template.columns}
        fills = ""
        if place < len(shape.templates):
            said = ONE_COLUMN.fullmatch(template.wordings[0].answer)
            if said is None or said[1] not in columns:
                raise UserError(
                    f"{one.source.path}: chain: the answer of {template.name} must be a column and no more,"
                    " such as {{ outline }}, or what is said cannot stand in its place"
                )
            fills = columns[said[1]]
        found.append(Link(template, columns, fills))
    return found


def asked(link: Link, data: Mapping[str, Any]) -> tuple[list[Message], str]:
    """The question that a row gives, in the first wording, and the answer that it holds. Raises Unusable."""
    try:
        filled = templates.fill(link.template, data, link.columns)
    except templates.TemplateFailed as failed:
        raise Unusable("template failed", str(failed)) from None
    system = [Message(role="system", content=filled.system)] if filled.system else []
    return [*system, Message(role="user", content=filled.prompt)], filled.answer
