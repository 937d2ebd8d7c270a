"""Which chat template is taken, what it may cost, and what is trained of what it writes."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from engine import recipe, render
from engine.errors import UserError
from engine.formats import Conversation, Message, Unusable
from engine.ledger import Note
from engine.render import ChatFormat
from engine.render.chat_templates import Environment
from engine.schema import TrainOn
from tests.render_stage import SHAPES, TINY, TOKENIZERS, with_template
from tests.test_render import ACTIONS, TALK, one, trained_text


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return render.load(TINY)


# --- which one ---


@pytest.mark.parametrize("name", render.layouts())
@pytest.mark.parametrize("model", list(TOKENIZERS))
def test_every_layout_trains_answers_and_their_ends(name: str, model: str) -> None:
    chat = render.load(TOKENIZERS[model], name)
    assert chat.origin == name
    made = one(chat, Conversation([{"role": "system", "content": "Be brief."}, *TALK]))
    end = "<|im_end|>" if name == "chatml" else chat.end
    if chat.tokenizer.token_to_id(end) is not None:
        assert trained_text(chat, made).split(end)[0].strip() == "Green."
        assert made.text.rstrip().endswith(end) and chat.tokenizer.token_to_id(end) in chat.stop_ids
        assert made.notes == ()
    else:
        assert {note.reason for note in made.notes} == {"missing end token"}
    row, prompt = one(chat, Conversation(TALK)).text, chat.prompt(TALK[:3])
    assert row.startswith(prompt) and row[len(prompt) :].startswith(TALK[3]["content"])


def test_named_templates_and_files(tmp_path: Path) -> None:
    folder = with_template(tmp_path / "model", "unused")
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    listed = [
        {"name": name, "template": f"{name}: {{{{ messages[1].content }}}}<|im_end|>"}
        for name in ("rag", "sql")
    ]
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": listed}))
    with pytest.raises(UserError, match="none of its chat templates is the default; choose rag or sql"):
        render.load(folder)
    assert render.load(folder, "sql").template == listed[1]["template"]
    assert render.load(folder, "sql").origin == "the model's own, sql"
    assert render.own_templates(folder) == ["rag", "sql"]
    with pytest.raises(
        UserError, match=r"no template nosuch; this model has rag, sql; the layouts are bare, chatml"
    ):
        render.load(folder, "nosuch")
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
    assert render.load(folder, str(file)).template == file.read_text()
    with pytest.raises(UserError, match=r"gone\.jinja cannot be read"):
        render.load(folder, str(tmp_path / "gone.jinja"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": [*listed, {
        "name": "default", "template": "{{ messages[1].content }}"}]}))  # fmt: skip
    assert render.load(folder).template == "{{ messages[1].content }}"


def test_a_recipe_names_a_template_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ messages[1].content }}<|im_end|>")
    (tmp_path / "r.toml").write_text(
        '[data]\nchat_template = "mine.jinja"\ntrain_on = "last answer"\n'
        '[[data.sources]]\npath = "builtin:reviews"\n'
    )
    data = recipe.load(tmp_path / "r.toml").data
    assert data.chat_template == str(tmp_path / "mine.jinja") and data.train_on == "last answer"
    with pytest.raises(UserError, match=r"data\.train_on"):
        recipe.parse({"data": {"train_on": "prompts", "sources": [{"path": "a"}]}})


def test_a_template_that_is_no_jinja_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the chat template \(the model's own\), line 2: .*endfor"):
        render.load(with_template(tmp_path, "\n{% for m in messages %}"))


# --- what it may cost ---

COUNTING = "{% set ns = namespace(s='x', n=7) %}{% for i in range(99) %}"
BOMBS = {
    "turns": "{% for i in range(10**9) %}x{% endfor %}",
    "nested turns": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "times": "{{ 'x' * 10**9 }}",
    "list times": "{{ [1] * 10**9 }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "number times": COUNTING + "{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "doubled": COUNTING + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "joined twice": COUNTING + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "nested lists": COUNTING + "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    "recursion": "{% macro f(n) %}{{ f(n - 1) if n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(60) }}",
    "padding": "{{ 'x'.ljust(10**10) }}",
    "filter": "{{ 'x' | center(10**10) }}",
    "indent": "{{ 'x\ny' | indent(10**10) }}",
    "replace": "{{ ('x' * 99999).replace('x', 'x' * 99999) }}",
    "join": "{{ ('x' * 99999).join(['a'] * 99999) }}",
    "joined": "{{ ['a'] * 99999 | join('x' * 99999) }}",
    "percent": "{{ '%9999999999d' % 7 }}",
    "format": "{{ '{:>9999999999}'.format(7) }}",
    "format filter": "{{ '%9999999999d' | format(7) }}",
    "json": "{{ [[[1]]] | tojson(indent=10**9) }}",
    "range": "{{ range(10**5) | list * 10**5 }}",
    "slice": "{{ [1] | slice(10**9) | list }}",
    "batch": "{{ [1] | batch(10**9, 'x') | list }}",
    "map": "{{ range(99999) | map('string') | map('center', 99999) | list }}",
    "lipsum": "{{ lipsum(n=10**6) }}",
    "written": "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
    "kept": "{% set s %}{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}{% endset %}",
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs_end_soon_and_small(chat: ChatFormat, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(Unusable, match=r"refused by the chat template: .+"):
        replace(chat, template=BOMBS[name]).written(TALK)
    assert time.process_time() - began < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


def test_a_bomb_is_told_when_it_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"cannot be used: it makes a text of more than 16 million characters"
    ):
        render.load(with_template(tmp_path, BOMBS["times"]))


def test_the_sandbox_is_one(chat: ChatFormat) -> None:
    for source in (
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ raise_exception.__globals__ }}",
    ):
        try:
            assert replace(chat, template=source).written(TALK)[0] == ""
        except Unusable as error:
            assert "unsafe" in error.detail
    assert Environment.__mro__[1].__name__ == "ImmutableSandboxedEnvironment"


# --- what is trained ---

SAID: list[Message] = [{"role": "system", "content": "Be brief."}, *TALK]


def trained(chat: ChatFormat, train_on: TrainOn, untrained: frozenset[int] = frozenset()) -> str:
    return trained_text(chat, one(replace(chat, train_on=train_on), Conversation(SAID, (), untrained)))


def test_what_is_trained(chat: ChatFormat) -> None:
    answers = ["Green.<|im_end|>", "  45 dollars, 龍 and 🙂<|im_end|>"]
    assert trained(chat, "answers") == "".join(answers)
    assert trained(chat, "last answer") == answers[1]
    assert trained(chat, "last answer", frozenset({4})) == answers[0]
    questions = ["Be brief.<|im_end|>", "What colour is it?<|im_end|>", "And the price?<|im_end|>"]
    assert trained(chat, "all turns") == questions[0] + questions[1] + answers[0] + questions[2] + answers[1]
    assert trained(chat, "all turns", frozenset({2})) == "".join(questions) + answers[1]
    whole = one(chat, Conversation(SAID)).text
    assert trained(chat, "everything") == whole
    assert trained(chat, "everything", frozenset({2})) == whole.replace(answers[0], "")
    assert len(get_args(TrainOn)) == 4


def test_marks_of_the_template_and_the_rows_own_flags(chat: ChatFormat) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>{% generation %}{{ m.content }}"
        "<|im_end|>{% endgeneration %}{% else %}<|im_start|>{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
        "-{% generation %}<|endoftext|>{% endgeneration %}"
    )
    marked = replace(chat, template=template)
    one_answer, both = (
        "  45 dollars, 龍 and 🙂<|im_end|>",
        "Green.<|im_end|>  45 dollars, 龍 and 🙂<|im_end|>",
    )
    assert trained(marked, "answers") == both + "<|endoftext|>"
    assert trained(marked, "answers", frozenset({2})) == one_answer
    assert trained(marked, "last answer") == one_answer
    short = replace(
        chat, template=template.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}<|im_end|>")
    )
    notes = one(short, Conversation(TALK)).notes
    assert [note.detail for note in notes] == [
        f"turn {i}: the chat template's mark ends before it" for i in (2, 4)
    ]


def test_answers_without_an_end_are_noted(chat: ChatFormat) -> None:
    endless = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}\n{% endfor %}"
    made = one(replace(chat, template=endless), Conversation(TALK))
    # The next turn's opening is no end, though it is a control token.
    assert trained_text(chat, made) == "Green.  45 dollars, 龍 and 🙂"
    assert made.notes == tuple(Note("missing end token", f"turn {i}", "kept") for i in (2, 4))
    with pytest.raises(Unusable, match="missing end token: turn 2"):
        one(replace(chat, template=endless), Conversation(TALK), missing_end_token="drop")


def test_a_doubled_begin_token_is_noted(chat: ChatFormat) -> None:
    twice = "{{ bos_token }}{{ bos_token }}" + chat.template
    tokens = {**chat.special_tokens, "bos_token": "<|endoftext|>"}
    made = one(replace(chat, template=twice, special_tokens=tokens), Conversation(TALK))
    assert made.notes == (Note("doubled BOS", "<|endoftext|> stands twice", "kept"),)
    once = one(replace(chat, template=twice[15:], special_tokens=tokens), Conversation(TALK))
    assert once.notes == () and once.ids[0] == made.ids[0]


def test_one_letter_that_is_left_out_is_noticed(chat: ChatFormat) -> None:
    template = (
        "{% for m in messages if m.role != 'system' %}{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    )
    talk = Conversation([{"role": "system", "content": "a"}, *TALK])
    assert one(replace(chat, template=template), talk).notes == (Note("lost text", "system turn 1", "kept"),)


# --- prompts of models that think ---


def test_a_prompt_is_the_beginning_of_rows_that_think(chat: ChatFormat) -> None:
    from tests.test_render_tools import THINKING_TEMPLATE

    thinking = replace(chat, template=THINKING_TEMPLATE)
    talk = SHAPES["thought"]
    row = one(thinking, talk).text
    empty = one(thinking, SHAPES["one turn"]).text
    asked = talk.messages[:-1]
    assert not row.startswith(thinking.prompt(asked)) and thinking.prompt(asked).endswith("</think>\n\n")
    assert row.startswith(replace(thinking, reasoning=True).prompt(asked))
    assert empty.startswith(thinking.prompt(SHAPES["one turn"].messages[:-1]))
    assert ACTIONS["lost text"] == "keep"
