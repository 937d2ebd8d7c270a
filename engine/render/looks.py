"""What a chat template asks about the text of a turn, so that most rows need not be filled in one by one.

A conversation is filled in once with marks in place of its turns, which remember each question: does it
begin with this, does it hold that. A row whose turns give the same answers goes the same way through the
template, so its text is the same with other turns in it, exactly. Where a template does anything else with a
turn than ask such questions and write it (its length, a part of it, JSON), there is no short cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial, wraps
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.runtime import Context, Macro
from jinja2.utils import Namespace

from engine.render.chat_templates import OWN_MARKS, Environment
from engine.render.layout import Look

TRIMMING = frozenset(["lstrip", "rstrip", "strip"])
ASKING = frozenset(["endswith", "startswith"])
TESTS = frozenset(
    ["!=", "==", "boolean", "defined", "eq", "equalto", "false", "iterable", "mapping", "ne", "none",
     "number", "sameas", "sequence", "string", "true", "undefined"]
)  # fmt: skip
UNWATCHED = (
    nodes.AssignBlock,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
)
HOLDERS = (list, tuple, dict, Iterator)


class Opaque(Exception):
    """The template does more with a turn than can be watched."""


def watched(source: str, variables: Mapping[str, Any], texts: Sequence[str]) -> tuple[str, list[Look]] | None:
    """The text with these marks as turns, and what was asked about them; None where that cannot be told.

    variables hold the messages, whose contents are replaced.
    """
    looks: dict[Look, None] = {}
    messages = [
        {**message, "content": _Said(text, turn, looks)}
        for turn, (message, text) in enumerate(zip(variables["messages"], texts, strict=True))
    ]
    try:
        template = _compiled(source)
        environment: Any = template.environment
        environment.begin()
        context = template.new_context({**variables, "messages": messages})
        return "".join([str(part) for part in template.root_render_func(context)]), list(looks)
    except (Opaque, TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        return None


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    if OWN_MARKS.search(source):
        raise Opaque
    return _Watching().from_string(source)


class _Said(str):
    """A turn's text that remembers what is asked of it; without a number it may only be written."""

    turn: int | None
    looks: dict[Look, None]

    def __new__(cls, text: str, turn: int | None, looks: dict[Look, None]) -> _Said:
        said = super().__new__(cls, text)
        said.turn, said.looks = turn, looks
        return said

    def look(self, method: str, arguments: tuple[Any, ...], trims: bool = False) -> Any:
        plain = all(
            type(part) is str for given in arguments for part in (given if type(given) is tuple else (given,))
        )
        if self.turn is None or not plain:
            raise Opaque
        asked = getattr(str, method)
        answer = asked(str.__str__(self), *arguments)
        if trims and answer != str.__str__(self):
            raise Opaque
        self.looks[Look(self.turn, asked, arguments, None if trims else bool(answer))] = None
        return self if trims else answer

    def asked(self, method: str, *arguments: Any) -> Any:
        """A method as a template calls it."""
        if method in TRIMMING:
            return self.look(method, arguments, trims=True)
        if method in ASKING:
            return self.look(method, arguments)
        if method in ("split", "rsplit", "replace") and arguments and arguments[0]:
            if self.look("__contains__", arguments[:1]):
                raise Opaque
            return self if method == "replace" else [self]
        raise Opaque

    def __contains__(self, part: object) -> bool:
        return bool(self.look("__contains__", (part,)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self is other or bool(self.look("__eq__", (other,)))
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        return self != ""

    def __add__(self, other: str) -> _Said:
        return _Said(str.__str__(self) + str.__str__(other), None, self.looks)

    def __radd__(self, other: str) -> _Said:
        return _Said(other + str.__str__(self), None, self.looks)

    def __str__(self) -> str:
        return str.__str__(self)

    def _opaque(self, *_: Any) -> NoReturn:
        raise Opaque

    __hash__ = __len__ = __iter__ = __getitem__ = __repr__ = __format__ = _opaque
    __lt__ = __le__ = __gt__ = __ge__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _opaque


class _Watching(Environment):
    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        written = {id(part) for output in source.find_all(nodes.Output) for part in output.nodes}
        for node in source.find_all(nodes.Node):
            match node:
                case nodes.Concat() if id(node) not in written:
                    raise Opaque  # what is joined there is text of no turn any more
                case nodes.Test() if node.name not in TESTS:
                    raise Opaque
                case nodes.Compare() if not _told(node):
                    raise Opaque
                case _ if isinstance(node, UNWATCHED):
                    raise Opaque
        return super()._generate(source, *args, **kwargs)

    def made(self, value: Any) -> Any:
        return value if isinstance(value, _Said) else super().made(value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, _Said):
            return partial(obj.asked, attribute)
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, partial):
            return obj(*args)
        given = [*args, *(value for name, value in kwargs.items() if not name.startswith("_"))]
        holds = obj is not Namespace and any(isinstance(value, (_Said, *HOLDERS)) for value in given)
        if holds or isinstance(obj, Macro) or obj is self.globals["strftime_now"]:
            raise Opaque
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, (_Said, *HOLDERS)) or isinstance(right, (_Said, *HOLDERS)):
            raise Opaque
        return super().call_binop(context, operator, left, right)

    def _guarded(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        measured = super()._guarded(name, work)

        @wraps(measured)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if any(isinstance(value, (_Said, *HOLDERS)) for value in (*args, *kwargs.values())):
                value = args[0]
                if isinstance(value, _Said) and name == "trim" and len(args) == 1 and not kwargs:
                    return value.asked("strip")
                if name not in ("length", "count", "first", "last") or not isinstance(value, list | tuple):
                    raise Opaque
            return measured(*args, **kwargs)

        return guarded


def _told(node: nodes.Compare) -> bool:
    """Whether a comparison asks a turn itself: of `a in b` it is b that hears of it."""
    asked: nodes.Expr = node.expr
    for operand in node.ops:
        listed = isinstance(operand.expr, nodes.List | nodes.Tuple)
        if operand.op in ("in", "notin") and not listed and not isinstance(asked, nodes.Const):
            return False
        asked = operand.expr
    return True
