"""Writes Chinese reviews with their sentiment: recipes/datasets/chinese-reviews/{train,test}.csv.

In the training rows each thing is said in one way; in the test rows also in the other words of its group.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

from scripts.shop_reviews import write_table

SEED = 23
ROWS = {"train": 600, "test": 200}
FOLDER = Path("recipes/datasets/chinese-reviews")
COLUMNS = ("review", "label")

PRODUCTS = (
    "椅子", "桌子", "台灯", "水壶", "书包", "外套", "雨伞", "枕头", "毯子", "闹钟", "耳机", "键盘", "风扇",
    "箱子",
)  # fmt: skip
PARTS = ("做工", "颜色", "包装", "手感", "设计", "质量", "外观", "说明")

# The first word of a group stands in the training rows; the others are met in the test rows alone. They are
# groups of recipes/words/synonyms.toml: what a synonym can bring is thus what these rows measure.
GROUPS = (
    ("漂亮", "好看", "美观"), ("结实", "牢固", "坚固"), ("舒服", "舒适"), ("便宜", "实惠"),
    ("喜欢", "喜爱"), ("优秀", "出色"), ("高兴", "开心"), ("迅速", "快速"), ("难看", "丑陋"),
    ("粗鲁", "粗暴"), ("马虎", "粗心"), ("失望", "沮丧"), ("讨厌", "厌恶"), ("生气", "恼火"),
    ("缓慢", "迟缓"), ("非常", "极其"), ("顾客", "客户"),
)  # fmt: skip

GOOD = (
    "这个{product}非常舒服，我很喜欢。", "{part}很漂亮，也很结实。", "价格便宜，{part}优秀。",
    "收到{product}很高兴。", "发货迅速，{part}让人喜欢。", "用了一个月，{product}还是很结实。",
)  # fmt: skip
BAD = (
    "这个{product}难看，我很失望。", "{part}马虎，让人生气。", "发货缓慢，客服粗鲁。", "我讨厌它的{part}。",
    "用了一天{product}就坏了，非常失望。", "{part}难看，不值这个钱。",
)  # fmt: skip

FIRST = {group[0]: group for group in GROUPS}
WORD = re.compile("|".join(FIRST))


def row(rng: random.Random, reworded: bool) -> dict[str, object]:
    """Two or three sentences of one mind; reworded: each word may be another of its group."""
    label = rng.randint(0, 1)
    product = rng.choice(PRODUCTS)
    lines = rng.sample(GOOD if label else BAD, rng.randint(2, 3))
    text = "".join(line.format(product=product, part=rng.choice(PARTS)) for line in lines)
    if reworded:
        text = WORD.sub(lambda match: rng.choice(FIRST[match[0]]), text)
    return {"review": text, "label": label}


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
