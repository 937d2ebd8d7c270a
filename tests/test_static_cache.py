"""Steps of one shape say what a growing cache says: base and tuned, padded rows, rows that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.decoding import Settings

if TYPE_CHECKING:
    from engine.workers.pair import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair")]

LENGTHS = (9, 3, 31, 14)
TOKENS = 12


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    from benchmarks.compare import random_run
    from engine.workers import pair as pairs

    return pairs.load(random_run("builtin:tiny", tmp_path_factory.mktemp("fixed"), four_bit=True, std=0.2))


def prompts() -> list[list[int]]:
    return [[5 + (place * 37 + length) % 900 for place in range(length)] for length in LENGTHS]


def said(pair: Pair, fixed: bool, stops: list[int]) -> tuple[list[list[int]], list[bool]]:
    from engine.workers import decode
    from engine.workers.decode import Question

    asked = [Question(ids, who) for ids in prompts() for who in (("__base__",), (pair.first.name,))]
    asked.append(Question(prompts()[0], ("__base__", pair.first.name)))  # a column of two rows, averaged
    pair.fixed, pair.stop_ids = fixed, stops
    answers = decode.answers(pair, asked, Settings(TOKENS))
    return [one.ids for one in answers], [one.ended for one in answers]


def test_all_rows_say_the_same_as_with_a_growing_cache(pair: Pair) -> None:
    from engine.workers import static_cache

    assert static_cache.possible(pair)
    ids, ended = said(pair, fixed=True, stops=[])
    assert (ids, ended) == said(pair, fixed=False, stops=[])
    assert all(len(one) == TOKENS for one in ids)
    assert len(set(map(tuple, ids))) > 4  # base and tuned differ, and so do the prompts


def test_rows_that_end_leave_the_others_as_they_are(pair: Pair) -> None:
    whole, _ = said(pair, fixed=False, stops=[])
    stops = sorted({one[place] for place, one in enumerate(whole[:5], 2)})
    ids, ended = said(pair, fixed=True, stops=stops)
    assert (ids, ended) == said(pair, fixed=False, stops=stops)
    assert any(ended) and len(set(map(len, ids))) > 2
    assert all(one == before[: len(one)] for one, before in zip(ids, whole, strict=True))


def test_one_prompt_alone_needs_no_mask_and_says_the_same(pair: Pair) -> None:
    from engine.workers import decode
    from engine.workers.decode import Question

    pair.stop_ids = []
    asked = [Question(prompts()[2]), Question(prompts()[2], (pair.first.name,))]
    told = []
    for pair.fixed in (True, False):
        told.append([one.ids for one in decode.answers(pair, asked, Settings(TOKENS))])
    assert told[0] == told[1] and told[0][0] != told[0][1]


def test_layers_that_forget_and_kernels_without_masks_are_left_to_the_growing_cache(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.workers import static_cache

    with monkeypatch.context() as context:
        context.setattr(pair.model.config, "sliding_window", 8, raising=False)
        assert not static_cache.possible(pair)
    assert static_cache.possible(pair)
    monkeypatch.setattr(pair.model.config, "_attn_implementation", "eager")
    assert not static_cache.possible(pair)
