"""List the prompt templates, or show one whole with a row filled in."""

from __future__ import annotations

import argparse
import dataclasses

from engine import runs, templates
from engine.errors import UserError
from engine.templates import Template
from tui.commands import _print

summary = "list prompt templates, or show one: its columns, its wordings, and a row filled in"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a template to show, or a template file")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace) -> int:
    folder = runs.home() / "templates"
    if arguments.name:
        template = templates.load(arguments.name, folder)
        if arguments.json:
            _print.say_json(dataclasses.asdict(template))
        else:
            _print.say(_whole(template))
        return 0
    found, broken = [], []
    for name in templates.names(folder):
        try:
            found.append(templates.load(name, folder))
        except UserError as error:
            broken.append(str(error))
    if arguments.json:
        _print.say_json([dataclasses.asdict(template) for template in found])
    else:
        head = ("NAME", "TASK", "LANGUAGE", "COLUMNS")
        rows = [(one.name, one.task, one.language, ", ".join(one.columns)) for one in found]
        print(_print.table(head, rows), flush=True)
    for problem in broken:
        _print.warn(f"cannot be used: {problem}")
    return 0


def _whole(template: Template) -> str:
    lines = [f"{template.name}: {template.description}", ""]
    facts = {"task": template.task, "language": template.language, "metric": template.metric}
    if template.choices:
        facts |= {"choices": ", ".join(template.choices), "label": template.label}
    lines += [f"{key}: {value}" for key, value in facts.items()]
    lines += ["", "Columns"]
    for name in template.columns:
        also = f" (or {', '.join(template.also[name])})" if name in template.also else ""
        lines.append(f"  {name}: {template.says[name]}{also}")
    if template.system:
        lines += ["", "System", _indented(template.system)]
    for number, wording in enumerate(template.wordings):
        lines += ["", f"Wording {number + 1}, prompt", _indented(wording.prompt)]
        lines += [f"Wording {number + 1}, answer", _indented(wording.answer)]
    if template.sample:
        lines += ["", "Its sample row"]
        lines += [_indented(f"{name}: {value}") for name, value in template.sample.items()]
        lines += ["", "Filled in with wording 1", *_filled(template)]
    return "\n".join(lines)


def _filled(template: Template) -> list[str]:
    try:
        filled = templates.fill(template, template.sample)
    except templates.TemplateFailed as failed:
        return [_indented(failed.reason)]
    said = {"system": filled.system, "prompt": filled.prompt, "answer": filled.answer}
    return [f"  {part}:\n{_indented(_indented(text))}" for part, text in said.items() if text]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip("\n").split("\n"))
