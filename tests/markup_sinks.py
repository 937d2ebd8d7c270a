"""What Textual and Rich read as markup when it is a string, and where our source gives them one.

Found in Textual 8.2 and Rich 15 by looking for from_markup, from_text, render_str and visualize. A sink takes
a string of ours (a literal), a Content or Text, or anything where it is told `markup=False`. A name is
followed to what it was given in the same function, a call to the annotation of the function that is called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BUILT = {"Content", "Text", "Binding"}
"""Classes whose objects no sink reads as markup."""

MAKERS = {"assemble", "styled", "join", "truncate", "stylize", "wrap", "split"}
"""Methods of Content and Text that give one again, whatever strings they are given."""

WIDGETS = {
    "Static", "Label", "Button", "Checkbox", "RadioButton", "ToggleButton", "Option", "Selection",
    "Collapsible", "TabPane", "Tab", "Link", "Digits", "Pretty", "Placeholder", "Panel", "SystemCommand",
    "Hit", "DiscoveryHit", "Toast", "Tooltip", "Notification", "Rule",
}  # fmt: skip
"""Their first arguments are shown; SystemCommand's second one too."""

METHODS = {
    "notify", "update", "add_row", "add_rows", "add_column", "add_columns", "update_cell", "update_cell_at",
    "add_option", "add_options", "replace_option_prompt", "add_leaf", "set_label", "render_str", "add_tab",
    "log_markup", "write_markup",
}  # fmt: skip

LAST = {"update_cell", "update_cell_at", "replace_option_prompt"}
"""Of these the last argument is shown; those before say where."""

RAW = {"Input", "TextArea", "Markdown", "RichLog", "Log", "MarkdownViewer", "OptionList", "SelectionList"}
"""Widgets that show any string as it is, or draw it: fields.py and prose.py stand before them.

The lists are here for strings given to them as options.
"""

PARSERS = {"from_markup", "from_text", "from_rich_text", "from_ansi", "render_markup"}

ASSIGNED = {"border_title", "border_subtitle", "tooltip", "title", "sub_title", "label", "prompt"}


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}"


def find(sources: dict[str, str]) -> list[Finding]:
    """Every sink that is given what may be a stranger's string. sources: text by file name."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    known = Known(trees)
    return [
        Finding(name, node.lineno, ast.unparse(node))
        for name, tree in trees.items()
        for node in Checked("tui." + name.removesuffix(".py").replace("/", "."), tree, known).unsafe()
    ]


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))}


class Known:
    """By module: functions that say they give a Content, constants, and what is imported from where."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.functions: dict[str, dict[str, bool]] = {}
        self.constants: dict[str, dict[str, ast.expr]] = {}
        self.imported: dict[str, dict[str, str]] = {}
        for file, tree in trees.items():
            name = "tui." + file.removesuffix(".py").replace("/", ".")
            self.functions[name] = {
                node.name: is_content(node.returns)
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            self.constants[name] = {
                node.targets[0].id: node.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            self.imported[name] = {
                word.asname or word.name: f"{node.module}.{word.name}"
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                for word in node.names
            }

    def gives_content(self, module: str, name: str) -> bool:
        """Whether a function, as it is named in a module, says that it gives a Content."""
        if name in self.functions.get(module, {}):
            return self.functions[module][name]
        home, _, there = self.imported.get(module, {}).get(name, "").rpartition(".")
        return self.functions.get(home, {}).get(there, False)


def is_content(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    words = ast.unparse(annotation).replace(" | None", "")
    return words in ("Content", "Text", "list[Content]", "Iterator[Content]", "Sequence[Content]")


class Checked:
    """One module."""

    def __init__(self, module: str, tree: ast.Module, known: Known) -> None:
        self.module = module
        self.tree = tree
        self.known = known
        self.around: dict[ast.AST, ast.AST] = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }

    def unsafe(self) -> Iterator[ast.expr | ast.stmt]:
        for node in ast.walk(self.tree):
            for shown in self.sunk(node):
                if not self.is_ours(shown, node):
                    yield node  # type: ignore[misc]
                    break

    def sunk(self, node: ast.AST) -> Iterator[ast.expr]:
        """What a statement or a call gives to a sink."""
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            pairs = [
                pair
                for target in targets
                for pair in (
                    zip(target.elts, node.value.elts, strict=False)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
            ]
            for target, value in pairs:
                if isinstance(target, ast.Attribute) and target.attr in ASSIGNED:
                    yield value
        if not isinstance(node, ast.Call):
            return
        named = {word.arg: word.value for word in node.keywords}
        if isinstance(markup := named.get("markup"), ast.Constant) and markup.value is False:
            return
        name = called(node)
        if name[:1].isupper() and name != "Binding":
            yield from (named[word] for word in ASSIGNED & set(named))
        if name in PARSERS or name in RAW:
            yield from node.args
            yield from (named[word] for word in ("text", "value", "placeholder") if word in named)
        elif name in WIDGETS:
            yield from node.args[: 2 if name == "SystemCommand" else 1]
            yield from (named[word] for word in ("content", "renderable", "help") if word in named)
        elif name in METHODS and isinstance(node.func, ast.Attribute):
            shown = node.args[-1:] if name in LAST else node.args
            yield from (one for one in shown if not (name == "update" and is_collection(one)))
            yield from (named[word] for word in ("content", "message") if word in named)
        elif name == "__init__" and self.sinks_above(node):
            yield from node.args
        elif name == "exit" and "message" in named:
            yield named["message"]

    def sinks_above(self, node: ast.AST) -> bool:
        """Whether a call of super().__init__ goes to a widget that shows its argument."""
        inside: ast.AST | None = node
        while inside is not None and not isinstance(inside, ast.ClassDef):
            inside = self.around.get(inside)
        bases = {ast.unparse(base).partition("[")[0] for base in inside.bases} if inside else set()
        return bool(bases & WIDGETS)

    def is_ours(self, value: ast.expr, at: ast.AST, depth: int = 0) -> bool:
        """Whether a value is text of this program, or no plain string."""
        if depth > 8:
            return False

        def ours(part: ast.expr) -> bool:
            return self.is_ours(part, at, depth + 1)

        match value:
            case ast.Constant():
                return True
            case ast.JoinedStr(values=parts):
                return all(isinstance(part, ast.Constant) or is_number(part) for part in parts)
            case ast.IfExp(body=one, orelse=other):
                return ours(one) and ours(other)
            case ast.BoolOp(values=parts):
                return all(map(ours, parts))
            case ast.BinOp(left=one, right=other):
                return ours(one) and ours(other)
            case ast.Starred(value=one):
                return ours(one)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return all(map(ours, parts))
            case ast.ListComp(elt=one) | ast.GeneratorExp(elt=one):
                return ours(one)
            case ast.Call():
                return self.gives_content(value)
            case ast.Subscript(value=one):
                return ours(one)
            case ast.Name(id=name):
                return self.name_is_ours(name, at, depth)
        return False

    def gives_content(self, call: ast.Call) -> bool:
        name = called(call)
        if isinstance(call.func, ast.Attribute) and name in MAKERS:
            return True
        if name == "map" and isinstance(call.args[0], ast.Attribute | ast.Name):
            name = call.args[0].attr if isinstance(call.args[0], ast.Attribute) else call.args[0].id
            return self.known.gives_content(self.module, name)
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            home = self.known.imported[self.module].get(call.func.value.id)
            if home is not None:  # a function of a module
                return self.known.gives_content(home, name)
        return name in BUILT | WIDGETS or self.known.gives_content(self.module, name)

    def name_is_ours(self, name: str, at: ast.AST, depth: int) -> bool:
        """By all that it is given in its function, by its annotation, or by the module."""
        inside: ast.AST | None = at
        while inside is not None:
            inside = self.around.get(inside)
            if isinstance(inside, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*inside.args.args, *inside.args.kwonlyargs]
                for argument in arguments:
                    if argument.arg == name:
                        return is_content(argument.annotation)
                values = list(given_to(name, inside))
                if values:
                    return all(value is not None and self.is_ours(value, at, depth + 1) for value in values)
        constant = self.known.constants[self.module].get(name)
        return constant is not None and self.is_ours(constant, at, depth + 1)


def given_to(name: str, function: ast.AST) -> Iterator[ast.expr | None]:
    """All values that a name gets in a function; None where they cannot be told."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple):
                    for number, one in enumerate(target.elts):
                        if isinstance(one, ast.Name) and one.id == name:
                            whole = isinstance(node.value, ast.Tuple) and len(node.value.elts) > number
                            yield node.value.elts[number] if whole else None  # type: ignore[attr-defined]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            if node.value is not None and not is_content(node.annotation):
                yield node.value
        elif isinstance(node, ast.AugAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
            if node.target.id == name:
                yield node.value
        elif isinstance(node, ast.For | ast.comprehension):
            named = [one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)]
            if name in named:
                yield node.iter if isinstance(node.target, ast.Name) else None


def is_collection(value: ast.expr) -> bool:
    """Whether the `update` is that of a dict or a set."""
    return isinstance(value, ast.Dict | ast.DictComp | ast.Set | ast.SetComp | ast.List | ast.Tuple)


def is_number(part: ast.expr) -> bool:
    """Whether a part of an f-string is formatted as a number: a stranger's text cannot be."""
    spec = getattr(part, "format_spec", None)
    return spec is not None and ast.unparse(spec).strip("'\"f").endswith((",", "d", "g", "%", "f"))


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
