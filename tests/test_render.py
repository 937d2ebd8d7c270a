"""What the model gets: the mask covers exactly the answers and their end tokens, whatever the template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine import RECIPES, dataset, recipe, render
from engine.errors import UserError
from engine.formats import Message, Unusable
from engine.render import IGNORED, ChatFormat
from tests.conftest import CASES

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


def trained_text(chat: ChatFormat, rendered: render.Rendered) -> str:
    kept = [token for token in rendered.labels if token != IGNORED]
    return chat.tokenizer.decode(kept, skip_special_tokens=False)


def test_only_answers_and_their_end_tokens_are_trained(chat: ChatFormat) -> None:
    rendered = render.render(chat, TALK, 512)
    assert trained_text(chat, rendered) == "Green.<|im_end|>  45 dollars, 龍 and 🙂<|im_end|>"
    assert [rendered.text[a:b] for a, b in rendered.spans] == [
        "Green.<|im_end|>",
        "  45 dollars, 龍 and 🙂<|im_end|>",
    ]
    assert all(label in (IGNORED, id) for id, label in zip(rendered.ids, rendered.labels, strict=True))


def test_ids_are_those_of_the_whole_text(chat: ChatFormat) -> None:
    rendered = render.render(chat, TALK, 512)
    assert rendered.ids == chat.tokenizer.encode(rendered.text, add_special_tokens=False).ids


def test_the_prompt_is_what_stands_before_the_answer_in_training(chat: ChatFormat) -> None:
    text, spans = chat.apply(TALK)
    assert chat.prompt(TALK[:-1]) == text[: spans[-1][0]]


def test_text_equals_what_transformers_makes(chat: ChatFormat) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(TINY))
    assert chat.apply(TALK)[0] == tokenizer.apply_chat_template(TALK, tokenize=False)
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
    rendered = render.render(chat, TALK[:2], 512)
    assert [rendered.text[a:b] for a, b in rendered.spans] == ["Green.<|im_end|>"]
    # The tokenizer merges the space before the seam into the answer's first token: that token is trained.
    assert trained_text(chat, rendered) == " Green.<|im_end|>"


def test_a_template_that_trims_still_has_a_mask(tmp_path: Path) -> None:
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}<|im_end|>{% endfor %}"
    chat = with_template(tmp_path, template)
    rendered = render.render(chat, TALK, 512)
    assert trained_text(chat, rendered) == "Green.<|im_end|>45 dollars, 龍 and 🙂<|im_end|>"


def test_a_template_that_reads_answers_is_refused_not_guessed(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ m.content }}"
        "{% if m.role == 'assistant' and 'Green' in m.content %} (sic){% endif %}|{% endfor %}"
    )
    chat = with_template(tmp_path, template)
    with pytest.raises(Unusable, match="changes with what an answer says"):
        render.render(chat, TALK, 512)


def test_a_template_that_leaves_a_turn_out_is_noticed(tmp_path: Path) -> None:
    template = "{% for m in messages if m.role != 'system' %}{{ m.content }}<|im_end|>{% endfor %}"
    chat = with_template(tmp_path, template)
    rendered = render.render(chat, [{"role": "system", "content": "Be brief."}, *TALK], 512)
    assert rendered.lost == ("system",)


def test_a_template_that_raises_refuses_the_row_with_its_words(tmp_path: Path) -> None:
    chat = with_template(tmp_path, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(Unusable, match="refused by the chat template: roles must alternate"):
        render.render(chat, TALK, 512)


def test_long_rows_are_refused_or_cut_as_chosen(chat: ChatFormat) -> None:
    with pytest.raises(Unusable, match="too long"):
        render.render(chat, TALK, 20)
    whole = render.render(chat, TALK, 512)
    cut = render.render(chat, TALK, len(whole.ids) - 3, too_long="fix")
    assert cut.ids == whole.ids[:-3]
    with pytest.raises(Unusable, match="nothing to train on"):
        render.render(chat, TALK, 4, too_long="fix")


def test_a_model_without_template_gets_the_plain_one(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    chat = render.load(tmp_path)
    assert chat.origin == "plain"
    assert chat.stop_ids == [chat.tokenizer.token_to_id("<|im_end|>")]
    rendered = render.render(chat, TALK[:2], 512)
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
def test_every_bundled_row_decodes_to_its_answer(part: str) -> None:
    plan = recipe.load("first-steps")
    chat = dataset.chat_format(plan)
    left_out: list[object] = []
    count = 0
    for sample in dataset.samples(plan, part, chat, left_out.append):  # type: ignore[arg-type]
        assert trained_text(chat, sample.rendered) == sample.reference + "<|im_end|>"
        count += 1
    assert count >= 200 and not left_out


@pytest.mark.skipif(not CASES.is_dir(), reason="no real tokenizers beside this checkout")
@pytest.mark.parametrize("name", ["gpt2", "mistral-v3", "qwen-mini-8k", "qwen3"])
def test_real_tokenizers(name: str) -> None:
    chat = render.load(CASES / "tokenizers" / name)
    rendered = render.render(chat, TALK, 512)
    end = chat.special_tokens["eos_token"]
    said = trained_text(chat, rendered).split(end)
    assert [answer.strip() for answer in said] == ["Green.", "45 dollars, 龍 and 🙂", ""]
    assert rendered.text.startswith(chat.prompt(TALK[:-1]).rstrip())
    assert chat.tokenizer.token_to_id(end) in chat.stop_ids
