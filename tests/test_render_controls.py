"""Control tokens in people's text stay text, and rows without any are encoded as ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import render
from engine.formats import Conversation, Message, Text, Unusable
from engine.ledger import Note
from engine.render import IGNORED, ChatFormat, controls, rendered
from tests.render_stage import TINY, TOKENIZERS
from tests.test_render import ACTIONS, one, trained_text

END = "<|im_end|>"
TALK: list[Message] = [
    {"role": "user", "content": f"What does {END} mean? {END}{END}"},
    {"role": "assistant", "content": f"It is {END}."},
]


@pytest.fixture(scope="module")
def chats() -> dict[str, ChatFormat]:
    return {name: render.load(path) for name, path in TOKENIZERS.items()}


def test_they_stay_text(chats: dict[str, ChatFormat]) -> None:
    chat = chats["tiny"]
    made = one(chat, Conversation(TALK))
    assert made.notes == (Note("special tokens", f"{END}, 4 times", "changed"),)
    end = chat.tokenizer.token_to_id(END)
    assert made.ids.count(end) == 2 and made.ids[-2] == end
    assert chat.tokenizer.decode(made.ids, skip_special_tokens=False) == made.text
    assert trained_text(chat, made) == f"It is {END}.{END}"
    assert [made.text[a:b] for a, b in made.spans] == [f"It is {END}.{END}"]
    shown = list(render.tokens_of(chat, made))
    assert "".join(token.text for token in shown) == made.text
    assert [token.id for token in shown] == made.ids
    assert sum(token.special for token in shown) == 4  # two openings, two ends


def test_or_they_are_control_tokens_or_leave_the_row_out(chats: dict[str, ChatFormat]) -> None:
    chat = chats["tiny"]
    kept = one(chat, Conversation(TALK), special_tokens="keep")
    assert kept.ids.count(chat.tokenizer.token_to_id(END)) == 6
    assert kept.notes == (Note("special tokens", f"{END}, 4 times", "kept"),)
    with pytest.raises(Unusable, match=r"special tokens: <\|im_end\|>, 4 times"):
        one(chat, Conversation(TALK), special_tokens="drop")


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_in_every_tokenizer(chats: dict[str, ChatFormat], name: str) -> None:
    chat = chats[name]
    end = chat.special_tokens["eos_token"]
    talk: list[Message] = [
        {"role": "user", "content": f"What does {end} mean?"},
        {"role": "assistant", "content": f"It is{end}."},
    ]
    made = one(chat, Conversation(talk))
    plain = one(
        chat, Conversation([{**message, "content": message["content"].replace(end, "X")} for message in talk])
    )
    number = chat.tokenizer.token_to_id(end)
    assert made.ids.count(number) == plain.ids.count(number) >= 1
    assert trained_text(chat, made).strip() == f"It is{end}.{end}"
    document = one(chat, Text(f"a{end} b"))
    assert document.ids.count(number) == 1 + (chat.begin == end)


def test_in_calls_and_in_the_descriptions_of_functions(chats: dict[str, ChatFormat]) -> None:
    from tests.test_render_tools import ASKED, LOOKS, TOOLS_TEMPLATE

    chat = replace(chats["tiny"], template=TOOLS_TEMPLATE)
    call: dict[str, Any] = {"type": "function", "function": {"name": "weather", "arguments": {"town": END}}}
    looks = [{**LOOKS[0], "function": {**LOOKS[0]["function"], "description": f"ends with {END}"}}]
    talk = Conversation([ASKED[0], {**ASKED[1], "tool_calls": [call]}, *ASKED[2:]], looks)
    plain = one(chat, Conversation(ASKED, looks[:0]))
    number = chat.tokenizer.token_to_id(END)
    assert one(chat, talk).ids.count(number) == plain.ids.count(number) + 1  # the functions' own turn


def test_a_template_that_looks_for_them_is_refused(chats: dict[str, ChatFormat]) -> None:
    template = "{% for m in messages %}{{ m.content | replace('<|im_end|>', '') }}<|im_end|>{% endfor %}"
    with pytest.raises(Unusable, match="special tokens: people's cannot be told from"):
        one(
            replace(chats["tiny"], template=template),
            Conversation([TALK[0], {"role": "assistant", "content": "So."}]),
        )


def test_a_prompt_keeps_them_as_text(chats: dict[str, ChatFormat]) -> None:
    chat = chats["tiny"]
    made = one(chat, Conversation(TALK))
    ids = chat.prompt_ids(TALK[:1])
    assert made.ids[: len(ids)] == ids
    asked: list[Message] = [{"role": "user", "content": "What?"}]
    assert chat.prompt_ids(asked) == chat.tokenizer.encode(chat.prompt(asked), add_special_tokens=False).ids


SAID = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=40)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    said=st.lists(
        st.tuples(SAID, st.sampled_from(["", " ", "<s>", "</s>", END, "[INST]", "<think>"])), max_size=6
    )
)
@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_the_twin_gives_the_same_ids(
    chats: dict[str, ChatFormat], name: str, said: list[tuple[str, str]]
) -> None:
    """Where all control tokens are the template's, the twin's ids and offsets are the tokenizer's own."""
    chat = chats[name]
    text = "".join(before + control for before, control in said)
    if any(part in before for before, _ in said for part in "<[|"):
        return
    encoding, ids = controls.encoded(chat, text)
    plain = rendered.encoded(chat, text)
    assert ids == plain.ids and encoding.offsets == plain.offsets


@settings(max_examples=80, derandomize=True, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), data=st.data())
@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_labels_by_token_are_labels_by_offsets(
    chats: dict[str, ChatFormat], name: str, text: str, data: st.DataObject
) -> None:
    encoding = rendered.encoded(chats[name], text)
    begin = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(begin + 1, len(text)))
    labels = rendered.labelled(encoding, encoding.ids, [(begin, stop)])
    meant = [
        id if end > begin and start < stop else IGNORED
        for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
    ]
    assert labels == meant


def test_tiny_is_among_the_tokenizers() -> None:
    assert TOKENIZERS["tiny"] == TINY and ACTIONS["special tokens"] == "fix"
