"""Writes Chinese reviews with their sentiment: recipes/datasets/chinese-reviews/{train,test}.csv.

Good and bad reviews remark on the same things and differ in one word of each remark. The training rows say
that word in one way; the test rows say it in others, which only synonyms bring into the training.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping
from pathlib import Path

from scripts.shop_reviews import write_table

SEED = 23
ROWS = {"train": 200, "test": 150}
FOLDER = Path("recipes/datasets/chinese-reviews")
COLUMNS = ("review", "label")

PRODUCTS = (
    "椅子", "桌子", "台灯", "水壶", "书包", "外套", "雨伞", "枕头", "毯子", "闹钟", "耳机", "键盘", "风扇",
    "箱子",
)  # fmt: skip

Groups = tuple[tuple[str, ...], ...]

# What a review says, and the words that make it bad and good. The first word of a group stands in the
# training rows, the others in the test rows; they are groups of recipes/words/synonyms.toml.
REMARKS: Mapping[str, tuple[Groups, Groups]] = {
    "很{word}": (
        (("难看", "丑陋"), ("奇怪", "古怪")),
        (("漂亮", "好看", "美观"), ("结实", "牢固", "坚固"), ("舒服", "舒适")),
    ),
    "我{word}": (
        (("失望", "沮丧"), ("生气", "恼火"), ("讨厌", "厌恶")),
        (("高兴", "开心", "快乐"), ("喜欢", "喜爱")),
    ),
    "发货{word}": ((("缓慢", "迟缓"),), (("迅速", "快速"),)),
    "客服{word}": (
        (("粗鲁", "粗暴"), ("马虎", "粗心"), ("冷淡", "冷漠")),
        (("热情", "热心"), ("真诚", "诚恳"), ("仔细", "细心")),
    ),
}


def row(rng: random.Random, reworded: bool) -> dict[str, object]:
    """A product and three remarks of one mind; reworded: with other words than the training rows have."""
    label = rng.randint(0, 1)
    said = []
    for remark in rng.sample(list(REMARKS), 3):
        first, *others = rng.choice(REMARKS[remark][label])
        said.append(remark.format(word=rng.choice(others) if reworded else first))
    return {"review": f"{rng.choice(PRODUCTS)}：{'，'.join(said)}。", "label": label}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    rng = random.Random(SEED)
    seen: set[object] = set()
    for part, rows in ROWS.items():
        made: list[dict[str, object]] = []
        while len(made) < rows:
            one = row(rng, reworded=part == "test")
            if one["review"] not in seen:
                seen.add(one["review"])
                made.append(one)
        write_table(out / f"{part}.csv", COLUMNS, made)


if __name__ == "__main__":
    main()
