"""Jinja for prompt templates from anywhere: no way to Python, no chance, and work that ends.

No threads and no clock, so that a row is refused on every machine or on none: each loop turn, and each value
that is fetched or made, is paid by its length from a budget of work (engine/filters.py). What could grow at
one stroke (`*` on text, `**`, padding, format widths, macros) or by chance (random) is not in the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from engine.filters import BUDGET, FILTERS, LARGEST, Failed, Work, replaced

T = TypeVar("T")

LARGEST_NUMBER = 1 << 1024
METHODS = {
    "capitalize", "casefold", "count", "endswith", "find", "isalpha", "isdigit", "isspace", "istitle",
    "isupper", "islower", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace",
    "rfind", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
    "title", "upper",
}  # fmt: skip
"""What may be called: methods of text that make nothing larger (replace is measured before)."""

NODES = {
    "Template", "Output", "TemplateData", "For", "If", "Assign", "With", "Name", "Const", "List",
    "Tuple", "CondExpr", "Filter", "Test", "Call", "Keyword", "Getitem", "Getattr", "Slice", "Concat",
    "Compare", "Operand", "Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Neg", "Pos", "Not", "And",
    "Or",
}  # fmt: skip
STATEMENTS = {"CallBlock": "call", "FromImport": "from", "AssignBlock": "set block", "FilterBlock": "filter"}


class Unreadable(Exception):
    """A template that is none; line counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


def rendered(sources: Sequence[str], variables: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Each source filled in and stripped, and the names that were written out empty. Raises Failed."""
    work = Work()
    try:
        texts = [_text(source, {**variables, BUDGET: work}) for source in sources]
    except RecursionError:
        raise Failed("the row or the template is nested too deeply") from None
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Failed(f"{error}".rstrip(".") or type(error).__name__) from None
    return texts, work.empty


def names_read(source: str) -> set[str]:
    """The names that a template takes from outside, `row["…"]` among them. Raises Unreadable."""
    compiled(source)  # names unknown filters and tests, which parsing alone does not
    tree = _environment().parse(source)
    named = meta.find_undeclared_variables(tree) - {"range", "row"}
    for node in tree.find_all(nodes.Expr):
        match node:
            case nodes.Getattr(node=nodes.Name(name="row"), attr=key):
                named.add(key)
            case nodes.Getitem(node=nodes.Name(name="row"), arg=nodes.Const(value=str(key))):
                named.add(key)
    return named


@lru_cache(maxsize=512)
def compiled(source: str) -> Template:
    """A template ready to fill in. Raises Unreadable."""
    return _read(lambda: _environment().from_string(source))


class _Missing(StrictUndefined):
    """What the row does not have; every use of it says so."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, holder = self._undefined_name, self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint
        if holder is missing:
            return f"the row has no column `{name}`"
        if isinstance(holder, Mapping):
            return f"there is no `{name}`; there are: {', '.join(map(str, list(holder)[:12])) or 'none'}"
        if isinstance(holder, list | tuple):
            return f"there is no item {name} in a list of {len(holder)}"
        return f"there is no `{name}` in {'an empty cell' if holder is None else 'a text or number'}"


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "%"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _check(tree)
        return tree

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        metered: nodes.Template = _Metered().visit(source)
        metered.set_environment(self)
        return super()._generate(metered, *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        # Of an object only its fields: `row.items` is the cell of that name, never a method.
        return self.getitem(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if not isinstance(obj, Mapping):
            return super().getitem(obj, argument)
        return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        of_text = isinstance(getattr(obj, "__self__", None), str) and obj.__name__ in METHODS
        return of_text or obj is self.globals["range"]

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.is_safe_callable(obj):
            called = getattr(obj, "__name__", type(obj).__name__)
            raise SecurityError(f"`{called}(…)` is not there for templates")
        if obj.__name__ == "replace":
            return replaced(obj.__self__, *args)
        return context.call(obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if not isinstance(value, int | float) or abs(value) > LARGEST_NUMBER:
                raise TemplateRuntimeError(f"`{operator}` is there for numbers of ordinary size alone")
        return super().call_binop(context, operator, left, right)


class _Metered(NodeTransformer):
    """Puts the budget's filters around what fetches a value, makes one, loops or writes."""

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        self.generic_visit(node)
        node.nodes = [part if isinstance(part, nodes.TemplateData) else _asked(part) for part in node.nodes]
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _through("(turns)", node.iter, _spelled(node.iter))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        node.nodes = [_asked(part) for part in node.nodes]
        return _through("(metered)", node)

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:
        return _through("(metered)", node) if node.ctx == "load" else node

    def _value(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        return _through("(metered)", node)

    visit_Getattr = visit_Getitem = visit_Add = visit_Call = visit_Filter = _value


@cache
def _environment() -> _Environment:
    environment = _Environment(
        undefined=_Missing, autoescape=False, trim_blocks=True, lstrip_blocks=True, optimized=False
    )
    environment.filters = FILTERS.copy()
    environment.globals = {"range": environment.globals["range"]}
    return environment


def _text(source: str, variables: dict[str, Any]) -> str:
    parts, size = [], 0
    for part in compiled(source).generate(variables):
        size += len(part)
        if size > LARGEST:
            raise Failed("the text becomes longer than 4 MiB")
        parts.append(part)
    return "".join(parts).strip()


def _read(work: Callable[[], T]) -> T:
    try:
        return work()
    except TemplateSyntaxError as error:
        raise Unreadable((error.message or "not a template").rstrip("."), error.lineno) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise Unreadable("nested too deeply", 1) from None
    except ValueError as error:
        raise Unreadable(str(error), 1) from None


def _check(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        name = type(node).__name__
        if name not in NODES or (isinstance(node, nodes.For) and node.recursive):
            word = STATEMENTS.get(name, name.lower())
            raise TemplateSyntaxError(f"`{word}` is not there for prompt templates", node.lineno)
        if isinstance(node, nodes.List | nodes.Tuple) and getattr(node, "ctx", "load") == "load":
            fixed = all(isinstance(item, nodes.Const | nodes.List | nodes.Tuple) for item in node.items)
            if not fixed:  # lists of lists of themselves double with each line
                raise TemplateSyntaxError("a list in a template holds fixed values alone", node.lineno)


def _through(name: str, node: nodes.Node, *arguments: str) -> nodes.Filter:
    given = [nodes.Const(argument, lineno=node.lineno) for argument in arguments]
    return nodes.Filter(node, name, given, [], None, None, lineno=node.lineno)


def _asked(node: nodes.Expr) -> nodes.Filter:
    return _through("(written)", node, _spelled(node))


def _spelled(node: nodes.Node | None) -> str:
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{_spelled(node.node)}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=value)):
            return f"{_spelled(node.node)}[{value!r}]"
        case nodes.Filter() | nodes.Getitem():
            return _spelled(node.node)
        case _:
            return "the value"
