"""A Modelfile for Ollama: the chat template in Go's words, found by rendering and checked by rendering.

No family of templates is known by name. The template is rendered with marks in the turns' places; what it
writes around them becomes the Go template, and both must then write the same for all sample conversations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import UserError
from engine.exports import go_template
from engine.formats import Message, Unusable
from engine.render import ChatFormat

MARKS = ("\ue010S\ue010", "\ue010U\ue010", "\ue010A\ue010", "\ue010V\ue010")
"""In the places of system prompt, question, answer and second question: characters of private use."""

REFUSED = (
    "its chat template cannot be said in Ollama's words ({}); export gguf instead, whose file carries the"
    " template itself, and serve it with llama-server --jinja"
)

SAMPLES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "What is 2 + 2?"),),
    (("system", "Answer in one word."), ("user", "What is 2 + 2?")),
    (("user", "Hello"), ("assistant", "Hi. How can I help?"), ("user", "Name a colour: red, or\n\nblue?")),
    (
        ("system", "You are terse.\nYou never apologise."),
        ("user", "Hello"),
        ("assistant", "Yes?"),
        ("user", 'Is {this} "quoted" <b>text</b>?'),
        ("assistant", "Yes."),
        ("user", "Grüße, 你好"),
    ),
)
"""Conversations with and without a system prompt, of one turn and of several."""


def template(chat: ChatFormat) -> str:
    """The Go template. Raises UserError where there is none that writes the same."""
    first, to_answer, to_question, asking = _around(chat, MARKS[1:])
    begin = _bare(chat, first)
    if takes_system(chat):
        with_system, to_user, *rest = _around(chat, MARKS)
        if rest != [to_answer, to_question, asking]:
            raise UserError(REFUSED.format("a system prompt changes what is written around later turns"))
        before = _bare(chat, with_system)
        begin = f"{{{{ if .System }}}}{before}{{{{ .System }}}}{to_user}{{{{ else }}}}{begin}{{{{ end }}}}"
    pieces = (first, *_around(chat, MARKS)) if takes_system(chat) else (first, to_answer, to_question, asking)
    if any("{{" in piece or '"""' in piece for piece in pieces):
        raise UserError(REFUSED.format('it writes {{ or """'))
    # What stands before an answer that was given may be another text than what asks for one.
    made = (
        f'{begin}{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{{{{ .Content }}}}'
        f'{{{{ else if eq .Role "assistant" }}}}{to_answer}{{{{ .Content }}}}{to_question}{{{{ end }}}}'
        f"{{{{ end }}}}{asking}"
    )
    if wrong := differing(chat, made):
        raise UserError(
            REFUSED.format(f"of {len(SAMPLES)} sample conversations {wrong} are written otherwise")
        )
    return made


def takes_system(chat: ChatFormat) -> bool:
    """Whether the chat template has a place for a system prompt; Gemma's, for one, refuses any."""
    try:
        text = chat.written([_turn("system", MARKS[0]), _turn("user", MARKS[1])])[0]
    except Unusable:
        return False
    return MARKS[0] in text


def differing(chat: ChatFormat, made: str) -> int:
    """For how many of the sample conversations the Go template writes another text than the chat template.

    Those that the chat template has no place for do not count: Ollama leaves their system prompt out.
    """
    with_system = takes_system(chat)
    wrong = 0
    for sample in SAMPLES:
        system = "\n\n".join(text for role, text in sample if role == "system")
        if system and not with_system:
            continue
        said = go_template.rendered(made, system, [{"role": role, "content": text} for role, text in sample])
        messages = [_turn(role, text) for role, text in sample]
        wrong += said != _bare(chat, chat.written(messages, asking=True)[0])
    return wrong


def modelfile(chat: ChatFormat, source: str, context: int, licence: str, adapter: str = "") -> str:
    """The whole file. source: folder or GGUF file, relative to it; adapter: a LoRA as GGUF, if any."""
    made = template(chat)
    stops = [chat.tokenizer.id_to_token(number) for number in chat.stop_ids]
    lines = [f"FROM {source}"]
    lines += [f"ADAPTER {adapter}"] if adapter else []
    lines += [f'TEMPLATE """{made}"""', *(f'PARAMETER stop "{stop}"' for stop in stops)]
    # Its default of 1.1 would change answers that were trained without a penalty.
    lines += ["PARAMETER repeat_penalty 1", f"PARAMETER num_ctx {context}"]
    lines += [f'LICENSE """{licence}"""'] if licence and '"""' not in licence else []
    return "\n".join(lines) + "\n"


def parts(text: str) -> Mapping[str, list[str]]:
    """The instructions of a Modelfile by their names, for a look at what was written."""
    found: dict[str, list[str]] = {}
    at = 0
    while at < len(text):
        name, _, rest = text[at:].partition(" ")
        long = rest.startswith('"""')
        value = rest[3:].partition('"""')[0] if long else rest.partition("\n")[0]
        found.setdefault(name, []).append(value)
        at += len(name) + 1 + len(value) + (7 if long else 1)
    return found


def _around(chat: ChatFormat, marks: Sequence[str]) -> list[str]:
    """What the template writes before each mark and behind the last. Raises UserError."""
    roles = ("system", "user", "assistant", "user")[-len(marks) :]
    messages = [_turn(role, mark) for role, mark in zip(roles, marks, strict=True)]
    try:
        text = chat.written(messages, asking=True)[0]
    except Unusable as error:
        raise UserError(REFUSED.format(error.detail or error.reason)) from None
    found = []
    for mark in marks:
        before, there, text = text.partition(mark)
        if not there:
            raise UserError(REFUSED.format("it leaves a turn out, or puts it elsewhere"))
        found.append(before)
    return [*found, text]


def _turn(role: str, text: str) -> Message:
    message: Message = {"role": role, "content": text}
    return message


def _bare(chat: ChatFormat, text: str) -> str:
    """Without the begin token where llama.cpp puts it by itself: twice would be another prompt."""
    return text.removeprefix(chat.begin) if chat.begin else text
