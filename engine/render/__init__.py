"""An example to text, token ids, labels and spans: ONE function for what is shown and what is trained."""

from engine.render.chat import ChatFormat, Span
from engine.render.load import layouts, load, own_templates
from engine.render.many import batch, render, stream
from engine.render.rendered import IGNORED, Rendered, Token, digest, tokens_of
from engine.render.talk import thinks

__all__ = [
    "IGNORED", "ChatFormat", "Rendered", "Span", "Token", "batch", "digest", "layouts", "load",
    "own_templates", "render", "stream", "thinks", "tokens_of",
]  # fmt: skip
