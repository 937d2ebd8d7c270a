"""Augmentation: the same every time, as much as was asked, and nothing that must stay is touched."""

from __future__ import annotations

import difflib
import re
import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import augment
from engine.augment import changed

KNOWN = {
    language: [
        word for group in tomllib.loads(augment.SYNONYMS.read_text("utf-8"))[language] for word in group
    ]
    for language in ("english", "chinese")
}
KEPT = [
    "https://big.example.com/large?easy=customer",
    "www.big-customer.example",
    "customer@large.example",
    "{customer}",
    "{{ big }}",
    '{"big": {"easy": {"large": "customer"}}}',
    "<b class=easy>",
    "`big customer`",
    "```\nbig customer\n```",
    "eatType[big easy customer]",
    "big_customer",
    "bigCustomer",
    "big.easy",
    "customer()",
    "customer2",
    "%customer",
    "--customer",
    "/easy/big",
    "12.50",
]


def test_every_word_stands_in_one_group() -> None:
    for language, least in (("english", 200), ("chinese", 100)):
        words = KNOWN[language]
        assert len(words) == len(set(words)) and len(words) >= 2 * least
        assert all(word == word.strip().lower() and word for word in words)
    kept = tomllib.loads(augment.SYNONYMS.read_text("utf-8"))["chinese_kept"]
    assert [word for word in kept if not any(inner in word for inner in KNOWN["chinese"])] == []


@given(st.text(), st.floats(0, 1), st.floats(0, 0.2), st.text(max_size=5))
def test_equal_arguments_give_equal_texts(text: str, synonyms: float, noise: float, seed: str) -> None:
    assert changed(text, synonyms, noise, seed) == changed(text, synonyms, noise, seed)
    assert changed(text, 0, 0, seed) == text


def test_another_seed_gives_another_text() -> None:
    text = "The customer was happy with the big sofa. " * 5
    assert len({changed(text, 0.2, 0.02, str(seed)) for seed in range(20)}) == 20


@given(st.text(alphabet="the big easy customer\n\t  12.{}<>`我很高兴。", max_size=200))
def test_white_space_and_digits_stay_where_they_are(text: str) -> None:
    single = changed(text, 0, 0.2, "seed")
    assert re.findall(r"\s+", single) == re.findall(r"\s+", text)
    for copy in (single, changed(text, 1, 0.2, "seed")):
        assert copy.count("\n") == text.count("\n") and copy.count("\t") == text.count("\t")
        assert re.findall(r"\d", copy) == re.findall(r"\d", text)


@pytest.mark.parametrize("kept", KEPT)
def test_what_is_not_prose_stays(kept: str) -> None:
    text = f"the big sofa for {kept} was an easy choice, said the customer"
    copies = {changed(text, 1, 0.2, str(seed)) for seed in range(20)}
    assert len(copies) > 1 and all(kept in copy for copy in copies)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25])
def test_so_many_words_get_a_synonym_as_was_asked(share: float) -> None:
    # "big" alone has a synonym here, of one word: every difference is a replacement.
    words = ["big", "stone", "big", "wood"] * 500
    copy = changed(" ".join(words), share, 0, "seed").split(" ")
    different = [new for old, new in zip(words, copy, strict=True) if old != new]
    assert set(different) <= {"large"}
    assert len(different) in (int(share * 2000), int(share * 2000) + 1)


def test_no_more_words_are_replaced_than_have_a_synonym() -> None:
    assert changed("big stone " * 100, 1, 0, "seed") == "large stone " * 100


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_so_many_letters_slip_as_was_asked(share: float) -> None:
    words = ["mountain"] * 1000
    copy = changed(" ".join(words), 0, share, "seed").split(" ")
    slips = int(share * 8000) + 1
    wrong = sum(old != new for old, new in zip(words, copy, strict=True))
    # Two slips may meet in one word: with n slips over 1000 words 1000(1 - (1 - 1/1000)^n) words are hit on
    # the average; four standard deviations of it (less than sqrt(n) / 2 each) are allowed.
    expected = 1000 * (1 - (1 - 1 / 1000) ** slips)
    assert expected - 2 * slips**0.5 <= wrong <= min(1000, slips)
    assert all(new.startswith("m") for new in copy)


def test_a_slip_is_one_of_four() -> None:
    kinds = set()
    for seed in range(200):
        copy = changed("keyboard", 0, 0.125, str(seed))
        kinds.add((len(copy), sorted(copy) == sorted("keyboard")))
    assert kinds == {(8, True), (7, False), (9, False), (8, False)}


def test_short_texts_get_their_share_on_the_average() -> None:
    text = "the big stone and the old wall"
    hits = sum(changed(text, 0.1, 0, str(seed)) != text for seed in range(1000))
    # 0.7 words each: a binomial with 1000 trials, five standard deviations of 14.5.
    assert 700 - 73 <= hits <= 700 + 73


def test_capitals_are_kept_and_names_stay() -> None:
    assert changed("Big stones. Big ones", 1, 0, "s") == "Large stones. Large ones"
    assert changed("we met Big Customer in Easy Street", 1, 0.2, "s").count("Big Customer in Easy") == 1
    assert changed("NASA or BIG", 1, 0.2, "s") == "NASA or BIG"


def test_the_article_before_a_word_still_fits() -> None:
    copies = {changed("an unusual day and a useful thing", 1, 0, str(seed)) for seed in range(20)}
    assert copies == {"an uncommon day and a handy thing"}


def test_chinese_words_are_replaced_and_longer_words_kept() -> None:
    text = "这家宾馆的价格便宜，电影院就在附近，选择题也有。"
    copies = {changed(text, 1, 0, str(seed)) for seed in range(10)}
    assert copies == {"这家旅馆的价钱实惠，电影院就在附近，选择题也有。"}
    assert changed("iPhone手机便宜", 1, 0, "s") == "iPhone移动电话实惠"


def test_chinese_text_gets_no_slips() -> None:
    text = "我在北京学习写程序已经三年了，每天都用 keyboard 写很多字，觉得很有意思。"
    assert changed(text, 0, 0.2, "seed") == text


@given(st.text(alphabet=st.sampled_from("abcdefgh xyz"), min_size=20))
def test_slips_change_words_only_inside(text: str) -> None:
    copy = changed(text, 0, 0.2, "seed")
    assert [word[0] for word in copy.split()] == [word[0] for word in text.split()]
    assert difflib.SequenceMatcher(None, text, copy).ratio() > 0.5


@pytest.mark.parametrize("part", ["{", "{a", "`", "<a ", "x[", "```a", "a.b", "a", "中国", "https://"])
def test_hostile_texts_cost_their_length(part: str) -> None:
    def cost(size: int) -> float:
        start = time.process_time()
        changed(part * (size // len(part)), 0.1, 0.01, "seed")
        return time.process_time() - start

    cost(1000)
    # Four times the text, and far less than the sixteen times of a square.
    assert cost(400_000) < 10 * max(cost(100_000), 0.02)
