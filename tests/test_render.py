"""What the model gets: the mask covers exactly the answers and their end tokens, whatever the template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import RECIPES, formats, ledger, render
from engine.errors import UserError
from engine.formats import Conversation, Example, Message, Unusable
from engine.ledger import Action, Note
from engine.render import IGNORED, ChatFormat
from engine.schema import Source
from engine.sources import Row
from tests.conftest import CASES

ACTIONS = ledger.actions({})
TINY = RECIPES / "models" / "tiny"
TALK: list[Message] = [
    {"role": "user", "content": "What colour is it?"},
    {"role": "assistant", "content": "Green."},
    {"role": "user", "content": "And the price?"},
    {"role": "assistant", "content": "  45 dollars, 龍 and 🙂"},
]


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return render.load(TINY)


def with_template(folder: Path, template: str) -> ChatFormat:
    shutil.copytree(TINY, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    return render.load(folder)


def one(chat: ChatFormat, example: Example, max_length: int = 512, **policy: Action) -> render.Rendered:
    actions = {**ACTIONS, **{name.replace("_", " "): action for name, action in policy.items()}}
    (rendered,) = render.render(chat, example, max_length, actions)
    return rendered


def trained_text(chat: ChatFormat, rendered: render.Rendered) -> str:
    kept = [token for token in rendered.labels if token != IGNORED]
    return chat.tokenizer.decode(kept, skip_special_tokens=False)


def test_only_answers_and_their_end_tokens_are_trained(chat: ChatFormat) -> None:
    rendered = one(chat, Conversation(TALK))
    assert trained_text(chat, rendered) == "Green.<|im_end|>  45 dollars, 龍 and 🙂<|im_end|>"
    assert [rendered.text[a:b] for a, b in rendered.spans] == [
        "Green.<|im_end|>",
        "  45 dollars, 龍 and 🙂<|im_end|>",
    ]
    assert all(label in (IGNORED, id) for id, label in zip(rendered.ids, rendered.labels, strict=True))


def test_ids_are_those_of_the_whole_text(chat: ChatFormat) -> None:
    rendered = one(chat, Conversation(TALK))
    assert rendered.ids == chat.tokenizer.encode(rendered.text, add_special_tokens=False).ids


def test_the_prompt_is_what_stands_before_the_answer_in_training(chat: ChatFormat) -> None:
    rendered = one(chat, Conversation(TALK))
    assert chat.prompt(TALK[:-1]) == rendered.text[: rendered.spans[-1][0]]


def test_text_equals_what_transformers_makes(chat: ChatFormat) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(TINY))
    assert chat.written(TALK)[0] == tokenizer.apply_chat_template(TALK, tokenize=False)
    assert chat.prompt(TALK[:3]) == tokenizer.apply_chat_template(
        TALK[:3], tokenize=False, add_generation_prompt=True
    )


def test_marks_of_the_template_are_used(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        "A: {% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
        "{% else %}U: {{ m.content }}\n{% endif %}{% endfor %}"
    )
    chat = with_template(tmp_path, template)
    rendered = one(chat, Conversation(TALK[:2]))
    assert [rendered.text[a:b] for a, b in rendered.spans] == ["Green.<|im_end|>"]
    # The tokenizer merges the space before the seam into the answer's first token: that token is trained.
    assert trained_text(chat, rendered) == " Green.<|im_end|>"


def test_a_template_that_trims_still_has_a_mask(tmp_path: Path) -> None:
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}<|im_end|>{% endfor %}"
    chat = with_template(tmp_path, template)
    rendered = one(chat, Conversation(TALK))
    assert trained_text(chat, rendered) == "Green.<|im_end|>45 dollars, 龍 and 🙂<|im_end|>"


def test_a_template_that_reads_answers_is_refused_not_guessed(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ m.content }}"
        "{% if m.role == 'assistant' and 'Green' in m.content %} (sic){% endif %}|{% endfor %}"
    )
    chat = with_template(tmp_path, template)
    with pytest.raises(Unusable, match="changes with what an answer says"):
        one(chat, Conversation(TALK))


def test_a_template_that_leaves_a_turn_out_is_noticed(tmp_path: Path) -> None:
    template = "{% for m in messages if m.role != 'system' %}{{ m.content }}<|im_end|>{% endfor %}"
    chat = with_template(tmp_path, template)
    talk = Conversation([{"role": "system", "content": "Be brief."}, *TALK])
    assert one(chat, talk).notes == (Note("lost text", "system turn 1", "kept"),)
    with pytest.raises(Unusable, match="lost text: system turn 1"):
        one(chat, talk, lost_text="drop")


def test_answers_of_weight_nothing_are_read_and_not_learnt(chat: ChatFormat) -> None:
    rendered = one(chat, Conversation(TALK, untrained=frozenset({1})))
    assert trained_text(chat, rendered) == "  45 dollars, 龍 and 🙂<|im_end|>"
    assert rendered.text == one(chat, Conversation(TALK)).text


def test_a_template_that_raises_refuses_the_row_with_its_words(tmp_path: Path) -> None:
    chat = with_template(tmp_path, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(Unusable, match="refused by the chat template: roles must alternate"):
        one(chat, Conversation(TALK))


def test_long_rows_are_refused_or_cut_as_chosen(chat: ChatFormat) -> None:
    with pytest.raises(Unusable, match="too long: 56 tokens, max_length is 20"):
        one(chat, Conversation(TALK), 20)
    whole = one(chat, Conversation(TALK))
    cut = one(chat, Conversation(TALK), len(whole.ids) - 3, too_long="fix")
    assert cut.ids == whole.ids[:-3]
    assert [(note.reason, note.done) for note in cut.notes] == [
        ("too long", "changed"),
        ("answer cut", "kept"),
    ]
    with pytest.raises(Unusable, match="nothing to train on"):
        one(chat, Conversation(TALK), 4, too_long="fix")


def test_a_model_without_template_gets_the_plain_one(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    chat = render.load(tmp_path)
    assert chat.origin == "plain"
    assert chat.stop_ids == [chat.tokenizer.token_to_id("<|im_end|>")]
    rendered = one(chat, Conversation(TALK[:2]))
    assert rendered.text == "### Instruction:\nWhat colour is it?\n\n### Response:\nGreen.<|im_end|>"
    assert trained_text(chat, rendered) == "Green.<|im_end|>"


def test_a_folder_without_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        render.load(tmp_path)


def test_the_digest_sees_ids_and_labels() -> None:
    rows = [([1, 2, 3], [IGNORED, 2, 3])]
    same = render.digest(rows)
    assert same == render.digest(rows)
    assert same != render.digest([([1, 2, 3], [IGNORED, IGNORED, 3])])
    assert same != render.digest([([1, 2], [IGNORED, 2]), ([3], [3])])


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_every_bundled_row_decodes_to_its_answer(chat: ChatFormat, part: str) -> None:
    path = RECIPES / "datasets" / "products" / f"{part}.jsonl"
    rows = [Row(path.name, 1, json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    shape = formats.detect(rows[:50], Source(path=str(path)))
    assert shape is not None and len(rows) >= 100
    for row in rows:
        (example,) = formats.read(row, shape, ACTIONS).examples
        assert isinstance(example, Conversation)
        answer = example.messages[-1]["content"]
        assert trained_text(chat, one(chat, example)) == answer + "<|im_end|>"


WORDS = st.text(st.characters(exclude_categories=["Cs", "Co"]), min_size=1, max_size=30)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(said=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_what_is_trained_is_the_answers_and_their_end_tokens(said: list[tuple[str, str]]) -> None:
    chat = render.load(TINY)
    turns: list[Message] = []
    for question, answer in said:
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    rendered = one(chat, Conversation(turns), 4096)
    assert [rendered.text[a:b] for a, b in rendered.spans] == [f"{answer}<|im_end|>" for _, answer in said]
    assert trained_text(chat, rendered) == "".join(f"{answer}<|im_end|>" for _, answer in said)


@pytest.mark.skipif(not CASES.is_dir(), reason="no real tokenizers beside this checkout")
@pytest.mark.parametrize("name", ["gpt2", "mistral-v3", "qwen-mini-8k", "qwen3"])
def test_real_tokenizers(name: str) -> None:
    chat = render.load(CASES / "tokenizers" / name)
    rendered = one(chat, Conversation(TALK))
    end = chat.special_tokens["eos_token"]
    said = trained_text(chat, rendered).split(end)
    assert [answer.strip() for answer in said] == ["Green.", "45 dollars, 龍 and 🙂", ""]
    assert rendered.text.startswith(chat.prompt(TALK[:-1]).rstrip())
    assert chat.tokenizer.token_to_id(end) in chat.stop_ids
