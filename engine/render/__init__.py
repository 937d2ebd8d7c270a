"""An example to text, token ids, labels and spans: ONE function for what is shown and what is trained."""

from engine.render.chat import ChatFormat, Span
from engine.render.load import OWN, PLAIN, layouts, load, own_templates, save_templates, with_template
from engine.render.many import Made, render, stream
from engine.render.rendered import IGNORED, Rendered, Token, Unfit, digest, tokens_of
from engine.render.talk import thinks

__all__ = [
    "IGNORED", "OWN", "PLAIN", "ChatFormat", "Made", "Rendered", "Span", "Token", "Unfit", "digest",
    "layouts", "load", "own_templates", "render", "save_templates", "stream", "thinks", "tokens_of",
    "with_template",
]  # fmt: skip
