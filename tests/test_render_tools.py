"""Tool calls and reasoning: what the template makes of them is trained, or the row is refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import formats, ledger, render
from engine.formats import Conversation, Message, Unusable
from engine.ledger import Note
from engine.render import ChatFormat
from engine.schema import Source
from engine.sources import Row
from tests.conftest import CASES
from tests.render_stage import SHAPES
from tests.test_render import ACTIONS, TINY, one, trained_text

TOOLS_TEMPLATE = """
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user
<result>{{ m.content }}</result><|im_end|>
{% else %}<|im_start|>{{ m.role }}
{{ m.content }}
{%- for call in m.tool_calls or [] %}<call>{{ call.function | tojson }}</call>{% endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}
"""

# As Qwen3's does: thoughts before the last question are dropped, and the last answer has an empty one.
THINKING_TEMPLATE = """
{%- set ns = namespace(last=-1) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{%- set thought = m.reasoning_content or '' %}
{%- set content = m.content %}
{%- if '</think>' in content %}
{%- set thought = content.split('</think>')[0].split('<think>')[-1].strip() %}
{%- set content = content.split('</think>')[-1].strip() %}
{%- endif %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' and loop.index0 > ns.last and (loop.last or thought) %}
{{- '<think>\n' + thought + '\n</think>\n\n' }}
{%- endif %}
{{- content }}
{%- for call in m.tool_calls or [] %}<call>{{ call.function | tojson }}</call>{% endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
"""

CALLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "arguments": {"town": "Zürich"}}}
]
LOOKS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
ASKED: list[Message] = [
    {"role": "user", "content": "Is it cold in Zürich?"},
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "content": '{"degrees": -3}'},
    {"role": "assistant", "content": "Yes."},
]
CALL = '<call>{"name": "weather", "arguments": {"town": "Zürich"}}</call><|im_end|>'


@pytest.fixture(scope="module")
def tiny() -> ChatFormat:
    return render.load(TINY)


def using(chat: ChatFormat, template: str) -> ChatFormat:
    return replace(chat, template=template)


def spans(rendered: render.Rendered) -> list[str]:
    return [rendered.text[start:end] for start, end in rendered.spans]


def test_tool_calls_are_trained_as_the_template_writes_them(tiny: ChatFormat) -> None:
    chat = using(tiny, TOOLS_TEMPLATE)
    rendered = one(chat, Conversation(ASKED, LOOKS))
    assert spans(rendered) == [CALL, "Yes.<|im_end|>"]
    assert trained_text(chat, rendered) == CALL + "Yes.<|im_end|>"
    assert rendered.notes == ()
    talkative: list[Message] = [ASKED[0], {**ASKED[1], "content": "Let me look."}, *ASKED[2:]]
    assert spans(one(chat, Conversation(talkative)))[0] == "Let me look." + CALL
    assert spans(one(chat, Conversation(ASKED, untrained=frozenset({1})))) == ["Yes.<|im_end|>"]


def test_a_call_in_a_template_that_adds_an_empty_thought_to_the_last_answer(tiny: ChatFormat) -> None:
    chat = using(tiny, THINKING_TEMPLATE)
    assert spans(one(chat, Conversation(ASKED))) == [CALL, "Yes.<|im_end|>"]
    assert spans(one(chat, Conversation(ASKED[:2]))) == [CALL]
    assert "<think>\n\n</think>\n\n<call>" in one(chat, Conversation(ASKED[:2])).text


@pytest.mark.parametrize(
    ("talk", "detail"),
    [
        (Conversation(ASKED[:2]), "tool call of turn 2"),
        (Conversation([ASKED[0], ASKED[3]], LOOKS), "function weather"),
    ],
)
def test_a_template_that_leaves_tools_out_is_noticed(
    tiny: ChatFormat, talk: Conversation, detail: str
) -> None:
    with pytest.raises(Unusable, match=f"tools: the chat template leaves out the {detail}"):
        one(tiny, talk)


def test_a_template_that_leaves_arguments_or_results_out_is_noticed(tiny: ChatFormat) -> None:
    nameless = TOOLS_TEMPLATE.replace("call.function | tojson", "call.function.name")
    with pytest.raises(Unusable, match="arguments of turn 2"):
        one(using(tiny, nameless), Conversation(ASKED))
    resultless = TOOLS_TEMPLATE.replace("{{ m.content }}</result>", "</result>")
    with pytest.raises(Unusable, match="tool's result of turn 3"):
        one(using(tiny, resultless), Conversation(ASKED))
    raising = (
        "{% for m in messages %}{% if m.tool_calls %}{{ raise_exception('no tools') }}{% endif %}{% endfor %}"
    )
    with pytest.raises(Unusable, match="tools: no tools"):
        one(using(tiny, raising), Conversation(ASKED))


def test_calls_from_anywhere_end_in_a_reason(tiny: ChatFormat) -> None:
    def calling(arguments: Any) -> Conversation:
        call = {"type": "function", "function": {"name": "weather", "arguments": arguments}}
        return Conversation([ASKED[0], {**ASKED[1], "tool_calls": [call]}, *ASKED[2:]])

    chat = using(tiny, TOOLS_TEMPLATE)
    with pytest.raises(Unusable, match="surrogate"):
        one(chat, calling({"town": "\ud800"}))
    deep: Any = "Zürich"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Unusable, match="tools"):
        one(chat, calling({"town": deep}))
    values = {"town": ["Zürich", 'the "Alps"', "a\nb"], "days": 3, "exact": True, "share": 0.5, "no": None}
    assert len(one(chat, calling(values)).spans) == 2


def test_reasoning_is_trained_where_the_template_keeps_it(tiny: ChatFormat) -> None:
    chat = using(tiny, THINKING_TEMPLATE)
    whole = "<think>\nbecause\n</think>\n\nYes.<|im_end|>"
    field: Message = {"role": "assistant", "content": "Yes.", "reasoning_content": "because"}
    inline: Message = {"role": "assistant", "content": "<think>\nbecause\n</think>\n\nYes."}
    for answer in (field, inline):
        rendered = one(chat, Conversation([ASKED[0], answer]))
        assert spans(rendered) == [whole] and rendered.notes == ()
        earlier = one(chat, Conversation([ASKED[0], answer, ASKED[0], answer]))
        assert spans(earlier) == ["Yes.<|im_end|>", whole]
        assert earlier.notes == (Note("lost text", "reasoning of turn 2", "kept"),)
        with pytest.raises(Unusable, match="lost text: reasoning of turn 2"):
            one(chat, Conversation([ASKED[0], answer, ASKED[0], answer]), lost_text="drop")
    assert one(tiny, Conversation([ASKED[0], field])).notes[0].detail == "reasoning of turn 2"
    assert spans(one(tiny, Conversation([ASKED[0], inline]))) == [f"{inline['content']}<|im_end|>"]


def test_an_answer_that_cannot_be_found_is_refused(tiny: ChatFormat) -> None:
    # Each answer says how many turns there are: the last of a shorter talk is another text.
    template = TOOLS_TEMPLATE.replace("{{ m.content }}\n", "{{ messages | length }}{{ m.content }}\n")
    with pytest.raises(Unusable, match="mask not certain"):
        one(using(tiny, template), Conversation(ASKED))


def test_a_template_that_drops_system_turns(tiny: ChatFormat) -> None:
    template = (
        "{% for m in messages if m.role != 'system' %}"
        + TOOLS_TEMPLATE.partition("{%- for m in messages %}")[2]
    )
    talk: list[Message] = [{"role": "system", "content": "Be brief."}, ASKED[0], ASKED[3]]
    rendered = one(using(tiny, template), Conversation(talk))
    assert rendered.notes == (Note("lost text", "system turn 1", "kept"),)


def test_a_template_that_raises_on_two_questions(tiny: ChatFormat) -> None:
    template = (
        "{% for m in messages %}{% if loop.index0 % 2 == 0 and m.role != 'user' %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}<|im_end|>{% endfor %}"
    )
    talk: list[Message] = [ASKED[0], ASKED[3], ASKED[0], ASKED[0], ASKED[3]]
    with pytest.raises(Unusable, match="refused by the chat template: roles must alternate"):
        one(using(tiny, template), Conversation(talk))


def rendered_all(name: str, path: str, max_length: int) -> tuple[int, Counter[str]]:
    """How many rows of a set a real tokenizer takes, and why not the others."""
    chat = render.load(CASES / "tokenizers" / name)
    file = CASES / "data" / path
    with file.open(encoding="utf-8") as lines:
        records = json.load(lines) if file.suffix == ".json" else [json.loads(line) for line in lines]
    rows = [Row(path, number, record) for number, record in enumerate(records, start=1)]
    shape = formats.detect(rows[:50], Source(path=path))
    assert shape is not None
    used, left_out = 0, Counter[str]()
    for row in rows:
        (example,) = formats.read(row, shape, ACTIONS).examples
        assert isinstance(example, Conversation)
        try:
            (rendered,) = render.render(chat, example, max_length, ACTIONS)
        except Unusable as error:
            assert error.reason in ledger.REASONS
            left_out[error.reason] += 1
            continue
        used += 1
        answers = [m for m in example.messages if m["role"] == "assistant"]
        assert len(rendered.spans) == len(answers) and rendered.trained
        for said, answer in zip(spans(rendered), answers, strict=True):
            assert answer["content"].strip() in said and said.endswith(chat.special_tokens["eos_token"])
            assert "<think>" not in said
    return used, left_out


@pytest.mark.skipif(not CASES.is_dir(), reason="no real tokenizers beside this checkout")
@pytest.mark.parametrize(
    ("name", "used", "left_out"),
    [
        ("qwen3", 300, {}),
        # Its template asks for ids of nine characters, which these calls do not have.
        ("mistral-v3", 147, {"tools": 153}),
        # No chat template of its own, and the plain one knows no tools.
        ("gpt2", 109, {"tools": 191}),
    ],
)
def test_real_tool_calls(name: str, used: int, left_out: dict[str, int]) -> None:
    assert rendered_all(name, "glaive_toolcall_en_demo.json", 16384) == (used, Counter(left_out))


@pytest.mark.skipif(not CASES.is_dir(), reason="no real tokenizers beside this checkout")
@pytest.mark.parametrize("name", ["qwen3", "mistral-v3", "gpt2"])
def test_real_contents_in_parts(name: str) -> None:
    assert rendered_all(name, "v1_sft_demo.jsonl", 4096) == (500, Counter())


def test_conversations_with_tools_get_the_template_for_them_as_in_transformers(
    tmp_path: Path, tiny: ChatFormat
) -> None:
    from transformers import PreTrainedTokenizerFast

    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    templates = {"default": tiny.template, "tool_use": TOOLS_TEMPLATE}
    config["chat_template"] = [{"name": name, "template": text} for name, text in templates.items()]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    chat, theirs = render.load(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for shape in ("one turn", "tools"):
        talk = SHAPES[shape]
        (made,) = render.render(chat, talk, 512, ACTIONS)
        messages, tools = list(talk.messages), list(talk.tools) or None
        assert made.text == theirs.apply_chat_template(messages, tools=tools, tokenize=False)
        prompt = theirs.apply_chat_template(
            messages[:1], tools=tools, tokenize=True, add_generation_prompt=True, return_dict=False
        )
        assert chat.prompt_ids(messages[:1], talk.tools) == prompt
    chosen = render.with_template(chat, tmp_path, "tool_use", "answers")
    assert chosen.template == TOOLS_TEMPLATE and not chosen.tool_template
    # Saved beside an adapter, what was chosen is taken and nothing else, with and without tools.
    for each in (chat, chosen):
        saved = tmp_path / each.origin.replace(" ", "-")
        shutil.copytree(tmp_path, saved, ignore=shutil.ignore_patterns(saved.name, "the-*"))
        render.save_templates(each, saved)
        again = render.load(saved)
        assert (again.template, again.tool_template) == (each.template, each.tool_template)
        theirs = PreTrainedTokenizerFast.from_pretrained(saved)
        for shape in ("one turn", "tools"):
            talk = SHAPES[shape]
            (made,) = render.render(again, talk, 512, ACTIONS)
            tools = list(talk.tools) or None
            assert made.text == theirs.apply_chat_template(list(talk.messages), tools=tools, tokenize=False)
