"""Chat templates are programs of strangers: filled in as transformers does it, in bounded time and memory.

The language is transformers' own, taken from its environment, in a sandbox of the same kind, so the text is
equal to apply_chat_template's. Prompt templates (engine/sandbox.py) have a smaller language, which real chat
templates do not fit in. No alarm and no limit of the process either: an alarm does not interrupt one long
call, and a memory limit would kill the tokenizer's threads. Instead what can grow is measured before it is
made or as it is made, and each turn of a loop and each call looks at the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, wraps
from time import monotonic, thread_time
from typing import Any

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer
from transformers.utils.chat_template_utils import _compile_jinja_template

SECONDS = 1.0
"""What one conversation may take; real templates need less than a millisecond."""

LARGEST = 16 * 1024 * 1024
"""Characters of one text, or of all texts in a list, that a template may make."""

MOST = 8 * LARGEST
"""Characters and items that a template may make for one conversation, all in all."""

LONGEST_SOURCE = 256 * 1024
DEEPEST = 100
ITEM = 64  # what an item of a list counts beside its characters
HIGHEST_POWER = 4096  # bits

OWN_MARKS = re.compile(r"\{%[-+]?\s*generation\b")
WIDE = re.compile(r"\*|\d{4}")

# Methods of text whose result is about as long as the text, and those that are measured before they run.
SAME_SIZE = frozenset([
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii",
    "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "lower", "lstrip",
    "partition",
    "removeprefix", "removesuffix", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split",
    "splitlines",
    "startswith", "strip", "swapcase", "title", "upper",
])  # fmt: skip
PADDING = frozenset(["center", "expandtabs", "ljust", "rjust", "zfill"])
GROWING = frozenset(["batch", "center", "indent", "slice", "tojson", "urlize", "wordwrap", "xmlattr"])
LOOP = frozenset(name for name in dir(LoopContext) if not name.startswith("_"))
OF_OBJECTS = frozenset(dir(dict))

Span = tuple[int, int]


class Exceeded(TemplateRuntimeError):
    """A template that takes too long, or makes too much."""


def written(source: str, variables: dict[str, Any]) -> tuple[str, list[Span]]:
    """The text, and its characters in {% generation %} blocks. Raises what Jinja and its filters raise."""
    template = compiled(source)
    environment: Any = template.environment
    environment.begin()
    if not OWN_MARKS.search(source):
        return "".join(template.root_render_func(template.new_context(variables))), []
    blocks: list[str] = []
    marks: list[Span] = []
    with environment.activate_tracker(blocks, marks):
        for block in template.root_render_func(template.new_context(variables)):
            blocks.append(block)
    return "".join(blocks), marks


@lru_cache(maxsize=64)
def compiled(source: str) -> Template:
    """A template ready to fill in. Raises TemplateSyntaxError."""
    if len(source) > LONGEST_SOURCE:
        raise TemplateSyntaxError(f"longer than {LONGEST_SOURCE // 1024} KiB", 1)
    try:
        return Environment().from_string(source)
    except (RecursionError, MemoryError, SyntaxError):
        raise TemplateSyntaxError("nested too deeply", 1) from None


class Environment(ImmutableSandboxedEnvironment):
    """transformers' sandbox, with measures."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        theirs = _compile_jinja_template("").environment
        extensions = [type(extension) for extension in theirs.extensions.values()]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        self.begin()
        self.globals = {name: value for name, value in theirs.globals.items() if name != "lipsum"}
        self.filters = {
            name: self._guarded(name, work) for name, work in theirs.filters.items() if name != "random"
        }
        self.filters |= {"(made)": self.made, "(turns)": self._turns}
        self.tests = theirs.tests

    def begin(self) -> None:
        """A new conversation: its time and its memory."""
        self._until = monotonic() + SECONDS
        self._worked: float | None = None
        self._left = MOST

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        metered: nodes.Template = _Metered().visit(source)
        metered.set_environment(self)
        return super()._generate(metered, *args, **kwargs)

    def made(self, value: Any) -> Any:
        """The value, whose size is taken from what is left."""
        if type(value) is str:
            self._spend(len(value))
        elif isinstance(value, str | list | tuple | dict):
            self._spend(self._size(value))
        return value

    def _spend(self, units: int) -> None:
        self._left -= units
        if units > LARGEST or self._left < 0:
            raise Exceeded(f"it makes a text of more than {LARGEST // 2**20} million characters")

    def _tick(self) -> None:
        if monotonic() < self._until:
            return
        # The computer may have been busy or asleep: from here on this thread's own work is counted.
        if self._worked is None:
            self._worked = thread_time()
        elif thread_time() - self._worked > SECONDS:
            raise Exceeded(f"it takes longer than {SECONDS:g} second")

    def _size(self, value: Any) -> int:
        """Characters and items of a value written out, counted as often as they would be written."""
        total, waiting = 0, [(value, 0)]
        while waiting:
            item, depth = waiting.pop()
            if isinstance(item, str):
                total += len(item)
                continue
            total += ITEM * (depth + 1)
            if total > LARGEST or depth > DEEPEST:
                raise Exceeded("it makes too large a list")
            if isinstance(item, dict):
                waiting += [(part, depth + 1) for pair in item.items() for part in pair]
            elif isinstance(item, list | tuple):
                waiting += [(part, depth + 1) for part in item]
        return total

    def _turns(self, values: Any) -> Iterable[Any]:
        def counted() -> Iterator[Any]:
            for value in values:
                self._tick()
                yield value

        return counted()

    def getattr(self, obj: Any, attribute: str) -> Any:
        # As the sandbox does it, without an exception for each field of a message.
        kind = type(obj)
        if kind is dict and attribute not in OF_OBJECTS:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if (kind is LoopContext and attribute in LOOP) or (kind is str and attribute in SAME_SIZE):
            return getattr(obj, attribute)
        if isinstance(obj, str) and attribute in ("format", "format_map"):
            raise SecurityError(f"`{attribute}` of a text is not there for chat templates")
        if kind is Namespace and not attribute.startswith("_"):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        self._tick()
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            self._measure_method(owner, obj.__name__, args)
            if type(owner) is str:
                kwargs.pop("_loop_vars", None)
                kwargs.pop("_block_vars", None)
                return self.made(obj(*args, **kwargs))
        return self.made(super().call(context, obj, *args, **kwargs))

    def _measure_method(self, text: str, name: str, args: Sequence[Any]) -> None:
        if name in SAME_SIZE:
            return
        if name == "replace" and len(args) > 1:
            self._spend(len(text) + text.count(args[0]) * len(args[1]))
        elif name == "join" and len(args) == 1 and isinstance(args[0], list | tuple | dict | str):
            self._spend(self._size(args[0]) + len(text) * len(args[0]))
        elif name in PADDING:
            self._measure_numbers(len(text), args)
        else:
            raise SecurityError(f"`{name}` of a text is not there for chat templates")

    def _measure_numbers(self, size: int, args: Iterable[Any]) -> None:
        """Room for a width or an indent: as much for each character as the largest argument says."""
        largest = max(
            (abs(n) if isinstance(n, int) else len(n) for n in args if isinstance(n, int | str)), default=0
        )
        if largest > LARGEST or (size + 1) * (largest + 1) > LARGEST:
            raise Exceeded(f"it makes a text of more than {LARGEST // 2**20} million characters")

    def _measure_format(self, form: str, args: Any) -> None:
        if WIDE.search(form):
            raise SecurityError("a format with a width is not there for chat templates")
        self._spend(len(form) + form.count("%") * self._size(args))

    def _guarded(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The filter, measured before it runs where it can grow, and behind."""
        place = 1 if hasattr(work, "jinja_pass_arg") else 0

        def measure(value: Any, args: Sequence[Any]) -> None:
            if name in GROWING:
                self._measure_numbers(self._size(value), args)
            elif name == "replace" and len(args) > 1:
                self._measure_method(str(value), name, args)
            elif name == "join":
                self._spend(self._size(value) + (len(value) * len(str(args[0])) if args else 0))
            elif name == "format":
                self._measure_format(str(value), args)

        @wraps(work)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if name == "join" and len(args) > place and not isinstance(args[place], str | list | tuple):
                args = (*args[:place], list(args[place]), *args[place + 1 :])
            measure(args[place] if len(args) > place else "", (*args[place + 1 :], *kwargs.values()))
            return self.made(work(*args, **kwargs))

        return guarded

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        if operator == "%" and isinstance(left, str):
            self._measure_format(left, right)
        elif operator == "*" and sizes:
            times = max((side for side in (left, right) if isinstance(side, int)), default=0)
            self._spend(max(times, 0) * (sizes[0] + 1))
        elif not sizes:
            bits = [int(side).bit_length() for side in (left, right) if isinstance(side, int)]
            if sum(bits) > HIGHEST_POWER or (
                operator == "**" and len(bits) == 2 and bits[0] * right > HIGHEST_POWER
            ):
                raise Exceeded("it makes too large a number")
        return self.made(super().call_binop(context, operator, left, right))


class _Metered(NodeTransformer):
    """Measures what is written, joined or listed, and counts the turns of loops."""

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        node.nodes = [
            part if isinstance(part, nodes.TemplateData | nodes.Const) else self._outer(part)
            for part in node.nodes
        ]
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:
        if node.recursive:
            raise TemplateSyntaxError("`recursive` is not there for chat templates", node.lineno)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "(turns)", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Add(self, node: nodes.Add) -> nodes.Expr:
        return _measured(self._chain(node))

    def _chain(self, node: nodes.Add) -> nodes.Add:
        """A chain of `+` without a measure at each link: what it makes is measured once, as a whole."""
        for side in ("left", "right"):
            part = getattr(node, side)
            setattr(node, side, self._chain(part) if isinstance(part, nodes.Add) else self.visit(part))
        return node

    def _outer(self, part: nodes.Expr) -> nodes.Expr:
        return _measured(self._chain(part) if isinstance(part, nodes.Add) else self.visit(part))

    def _value(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        fixed = all(isinstance(item, nodes.Const) for item in node.iter_child_nodes())
        return node if fixed or getattr(node, "ctx", "load") != "load" else _measured(node)

    visit_Concat = visit_List = visit_Tuple = visit_Dict = _value


def _measured(node: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(node, "(made)", [], [], None, None, lineno=node.lineno)
