"""Raw text is trained whole, cut where people would cut it; text with markers and token ids as they came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import render
from engine.formats import Text, Tokens, Unusable
from engine.ledger import Action
from engine.render import IGNORED, ChatFormat
from tests.conftest import CASES
from tests.test_render import ACTIONS, TINY, one, trained_text

END = "<|im_end|>"


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return render.load(TINY)


@pytest.fixture(scope="module")
def with_begin(chat: ChatFormat) -> ChatFormat:
    tokens = {**chat.special_tokens, "bos_token": "<|im_start|>"}
    return replace(chat, special_tokens=tokens, add_bos=True)


def pieces(chat: ChatFormat, text: str, max_length: int, action: Action = "fix") -> list[render.Rendered]:
    return render.render(chat, Text(text), max_length, {**ACTIONS, "cut in pieces": action})


def noted(rendered: render.Rendered) -> list[tuple[str, str, str]]:
    return [(note.reason, note.detail, note.done) for note in rendered.notes]


def test_raw_text_is_trained_whole_with_its_end(chat: ChatFormat, with_begin: ChatFormat) -> None:
    rendered = one(chat, Text("Green.\nAnd blue."))
    assert rendered.text == f"Green.\nAnd blue.{END}"
    assert rendered.labels == rendered.ids and rendered.spans == [(0, len(rendered.text))]
    assert (rendered.part, rendered.notes) == ("", ())
    begun = one(with_begin, Text("Green."))
    assert begun.text == f"<|im_start|>Green.{END}"
    assert begun.labels == [IGNORED, *begun.ids[1:]] and begun.spans == [(12, len(begun.text))]


def test_a_begin_token_stands_once(with_begin: ChatFormat) -> None:
    begun = one(with_begin, Text("<|im_start|>Green."))
    assert begun.ids == one(with_begin, Text("Green.")).ids
    assert noted(begun) == [
        ("already templated", "it begins with the BOS <|im_start|>, which stands once", "kept")
    ]


def test_control_tokens_in_raw_text_are_text(chat: ChatFormat) -> None:
    rendered = one(chat, Text(f"It ends with {END}."))
    assert noted(rendered) == [("special tokens", f"{END}, 1 time", "changed")]
    assert rendered.ids.count(chat.tokenizer.token_to_id(END)) == 1
    assert chat.tokenizer.decode(rendered.ids, skip_special_tokens=False) == f"It ends with {END}.{END}"


LINES = "".join(f"Line {i} says that green is a colour. It is not blue.\n" for i in range(40))


def test_long_text_is_cut_at_lines(chat: ChatFormat) -> None:
    made = pieces(chat, LINES, 128)
    assert len(made) > 2
    assert "".join(piece.text for piece in made) == LINES + END
    assert all(len(piece.ids) <= 128 for piece in made)
    assert all(piece.text.endswith("\n") for piece in made[:-1])
    assert all(piece.ids == chat.tokenizer.encode(piece.text, add_special_tokens=False).ids for piece in made)
    assert noted(made[0]) == [("cut in pieces", f"{len(made)} pieces", "changed")]
    assert all(piece.notes == () for piece in made[1:])
    first = made[0].text.count("\n")
    assert made[0].part == f"piece 1 of {len(made)}, lines 1-{first}"
    assert made[1].part.startswith(f"piece 2 of {len(made)}, lines {first + 1}-")
    assert made[-1].part.endswith("-40")
    for action in ("drop", "stop"):
        with pytest.raises(Unusable, match=r"cut in pieces: [\d,]+ tokens, max_length is 128"):
            pieces(chat, LINES, 128, action)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Green and blue. " * 40, ". "),
        ("green and blue " * 40, " "),
        ("Green.\nBlue.\n\n" * 40, "\n\n"),
        ("绿色。蓝色" * 40, "。"),
        ("greenandblue" * 40, ""),
    ],
)
def test_the_best_place_in_the_last_quarter_is_taken(chat: ChatFormat, text: str, ends: str) -> None:
    made = pieces(chat, text, 64)
    assert "".join(piece.text for piece in made) == text + END
    assert len(made) > 1 and all(piece.text.endswith(ends) for piece in made[:-1])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_pieces_are_the_text(text: str) -> None:
    made = pieces(render.load(TINY), text * 3, 16)
    assert "".join(piece.text for piece in made) == text * 3 + END
    assert all(len(piece.ids) <= 16 and piece.labels == piece.ids for piece in made)


CHATML = f"<|im_start|>user\nWhat?{END}\n<|im_start|>assistant\nGreen.{END}\n<|im_start|>user\nWhy?{END}\n" \
    f"<|im_start|>assistant\nSo."  # fmt: skip


def test_text_with_markers_is_not_wrapped_again(chat: ChatFormat) -> None:
    rendered = one(chat, Text(CHATML, "ChatML"))
    assert rendered.text == CHATML
    assert trained_text(chat, rendered) == f"Green.{END}So."
    assert noted(rendered) == [("missing end token", "answer 2 has no <|im_end|>", "kept")]
    last = one(replace(chat, train_on="last answer"), Text(CHATML + END, "ChatML"))
    assert trained_text(chat, last) == f"So.{END}" and last.notes == ()
    with pytest.raises(Unusable, match="too long"):
        one(chat, Text(CHATML, "ChatML"), 16)


def test_markers_of_another_model_are_noted(chat: ChatFormat) -> None:
    rendered = one(chat, Text("<s>[INST] What? [/INST] Green. </s>", "Llama 2"))
    assert trained_text(chat, rendered).strip() == "Green. </s>"
    said = [detail for reason, detail, _ in noted(rendered) if reason == "already templated"]
    assert said[0] == "it begins with <s>, which is not this model's BOS"
    assert said[1].startswith("[INST] is ") and said[1].endswith("tokens here, not one")


def test_a_text_whose_answers_are_behind_the_cut(chat: ChatFormat) -> None:
    with pytest.raises(Unusable, match="nothing to train on: the answer begins behind max_length 16"):
        one(chat, Text("<|im_start|>user\n" + "What? " * 50 + CHATML, "ChatML"), 16, too_long="fix")


def test_tokens_are_taken_as_they_are(chat: ChatFormat) -> None:
    ids = chat.tokenizer.encode("What? Green.<|im_end|>", add_special_tokens=False).ids
    labels = [IGNORED, IGNORED, *ids[2:]]
    rendered = one(chat, Tokens(ids, labels))
    assert (rendered.ids, rendered.labels) == (ids, labels)
    ((start, end),) = rendered.spans
    assert rendered.text == "What? Green.<|im_end|>"
    assert rendered.text[start:end] == chat.tokenizer.decode(ids[2:], skip_special_tokens=False)
    cut = one(chat, Tokens(ids * 10, labels * 10), 16, too_long="fix")
    assert cut.ids == (ids * 10)[:16]
    with pytest.raises(Unusable, match="too long"):
        one(chat, Tokens(ids * 10, labels * 10), 16)


@pytest.mark.parametrize(
    ("ids", "labels", "detail"),
    [
        ([1, 10**6], [1, 10**6], "id 1000000; the vocabulary has"),
        ([-1], [-1], "id -1"),
        ([1, 2], [1], "2 ids and 1 labels"),
        ([1, 2], [1, 3], "label 2 is neither its id nor -100"),
        ([1, 2], [IGNORED, IGNORED], "no token is trained"),
        ([], [], "no token is trained"),
    ],
)
def test_tokens_that_the_model_cannot_take(
    chat: ChatFormat, ids: list[int], labels: list[int], detail: str
) -> None:
    with pytest.raises(Unusable, match=f"bad tokens: {detail}"):
        one(chat, Tokens(ids, labels))


@pytest.mark.skipif(not CASES.is_dir(), reason="no real tokenizers beside this checkout")
@pytest.mark.parametrize(("name", "begin"), [("gpt2", 0), ("qwen3", 0), ("mistral-v3", 1)])
def test_real_text(name: str, begin: int) -> None:
    chat = render.load(CASES / "tokenizers" / name)
    text = (CASES / "data" / "wiki_demo.txt").read_text("utf-8")[:60_000]
    made = pieces(chat, text, 1024)
    assert "".join(piece.text.removeprefix(chat.begin) for piece in made) == text + chat.end
    for piece in made:
        assert len(piece.ids) <= 1024
        assert piece.labels == [*([IGNORED] * begin), *piece.ids[begin:]]
    assert sum(len(piece.ids) > 700 for piece in made[:-1]) == len(made) - 1
