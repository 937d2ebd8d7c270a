"""Customer reviews of one to five stars, put together from verdicts and remarks on parts."""

import random
from collections.abc import Mapping

from scripts.words import PARTS, fill, tidy

# The verdict alone tells how many stars the writer would give.
VERDICTS: dict[int, tuple[str, ...]] = {
    5: (
        "I {really} love this {product}.",
        "this is the best {product} I have ever {had}.",
        "this {product} is {very} {best}.",
        "{best}! I could not be happier with this {product}.",
        "what a {best} {product}!",
        "everything about this {product} is {best}.",
        "I am {very} happy with this {product} and would buy it again at once.",
        "the {product} is better than I ever hoped.",
    ),
    4: (
        "I like this {product}.",
        "this is a {good} {product} overall.",
        "I am content with this {product}.",
        "a {good} {product}, nearly everything is right.",
        "the {product} is {good}, just not perfect.",
        "I am mostly happy with this {product}.",
        "this {product} does its job well.",
        "all in all a {good} purchase.",
    ),
    3: (
        "this {product} is neither good nor bad.",
        "I have mixed feelings about this {product}.",
        "the {product} is just average.",
        "this {product} is only okay.",
        "there is as much to like as to dislike about this {product}.",
        "half of me likes this {product}, the other half does not.",
        "the {product} has good sides and bad sides.",
        "I cannot decide if I like this {product}.",
    ),
    2: (
        "I am a little disappointed with this {product}.",
        "I do not like this {product} much.",
        "I expected more from this {product}.",
        "this {product} is below average.",
        "this is not a very good {product}.",
        "I would rather buy another {product} next time.",
        "the {product} is not really worth the money.",
        "sadly, the {product} has more bad sides than good ones.",
    ),
    1: (
        "I {really} hate this {product}.",
        "this is the worst {product} I have ever {had}.",
        "this {product} is {very} {worst}.",
        "{worst}! I want my money back.",
        "what a {worst} {product}!",
        "everything about this {product} is {worst}.",
        "never buy this {product}, it is a waste of money.",
        "the {product} was broken from the first day and is good for nothing.",
    ),
}

REMARKS: dict[str, tuple[str, ...]] = {
    "great": (
        "the {aspect} is {very} {best}.",
        "even the {aspect} is {best}.",
        "my {relative} loves the {aspect} too.",
        "after {period} the {aspect} is still {best}.",
        "it came {early} and the {aspect} looks {best}.",
        "the {part} works like a dream.",
        "nobody makes a better {part}.",
    ),
    "fine": (
        "the {aspect} is {good}.",
        "the {part} feels {good}.",
        "the {part} works well.",
        "I like the {aspect}.",
        "delivery was quick.",
        "it is easy to clean.",
        "my {relative} likes the {aspect}.",
        "it looks {good} in the {room}.",
        "after {period} the {part} still works.",
    ),
    "flaw": (
        "only the {part} is {abit} {weak}.",
        "the {aspect} could be {abit} better.",
        "the one small flaw is the {part}.",
        "I just wish the {part} were {abit} bigger.",
    ),
    "bad": (
        "the {part} is {weak}.",
        "the {part} feels {weak}.",
        "the {aspect} is {abit} disappointing.",
        "I do not like the {aspect}.",
        "delivery was slow.",
        "it is hard to clean.",
        "my {relative} complains about the {part}.",
        "after {period} the {part} was loose.",
    ),
    "awful": (
        "the {aspect} is {very} {worst}.",
        "the {part} broke after {n} days.",
        "the {part} fell off at once.",
        "even the {aspect} is {worst}.",
        "it came {late} and the {part} was missing.",
        "my {relative} threw it away.",
        "nobody answered when I asked about the {part}.",
    ),
}

# Which remarks go with which number of stars; a pair with "but" joins praise and blame.
PLANS: dict[int, tuple[tuple[str, ...], ...]] = {
    5: (("great",), ("great", "great"), ("great", "fine"), ("fine", "great"), ("fine", "fine")),
    4: (("fine",), ("fine", "fine"), ("fine", "flaw"), ("fine", "fine", "flaw"), ("flaw",)),
    3: (("fine", "bad"), ("bad", "fine"), ("fine", "flaw", "bad"), ("fine", "bad", "fine")),
    2: (("bad",), ("bad", "bad"), ("bad", "flaw"), ("fine", "bad", "bad"), ("bad", "fine", "bad")),
    1: (("awful",), ("awful", "awful"), ("bad", "awful"), ("awful", "bad"), ("bad", "bad")),
}

HAD = ("had", "owned", "bought", "used", "seen")
REALLY = ("really", "absolutely", "truly", "simply")
EARLY = ("early", "on time", "well packed", "in perfect order", "a day early")
LATE = ("late", "badly packed", "{n} weeks late", "dirty", "scratched")


def review(stars: int, facts: Mapping[str, str], rng: random.Random) -> str:
    """A review of two to four sentences whose verdict is the given number of stars."""
    sentences = [rng.choice(VERDICTS[stars])]
    remarks = remark_sentences(rng.choice(PLANS[stars]), facts, rng)
    sentences = remarks + sentences if rng.random() < 0.4 else sentences + remarks
    slots = dict(facts)
    text = " ".join(fill(sentence, slots, rng) for sentence in with_lists(sentences, rng))
    return tidy(text)


def remark_sentences(plan: tuple[str, ...], facts: Mapping[str, str], rng: random.Random) -> list[str]:
    """One remark for each kind of the plan, each on another part and none twice."""
    parts = rng.sample(PARTS[facts["product"]], len(plan))
    remarks: list[str] = []
    for kind, part in zip(plan, parts, strict=True):
        choices = [remark for remark in REMARKS[kind] if remark not in remarks]
        remark = rng.choice(choices).replace("{aspect}", rng.choice((part, part, "{common}")))
        remarks.append(remark.replace("{part}", part))
    return joined(remarks, plan)


def joined(remarks: list[str], plan: tuple[str, ...]) -> list[str]:
    """The remarks, with "but" before the first change from praise to blame or back."""
    praise = {"great", "fine"}
    for i in range(1, len(plan)):
        if (plan[i] in praise) != (plan[i - 1] in praise) and not remarks[i].startswith("only"):
            return [
                *remarks[: i - 1],
                f"{remarks[i - 1][:-1]}, but {remarks[i]}",
                *remarks[i + 1 :],
            ]
    return remarks


def with_lists(sentences: list[str], rng: random.Random) -> list[str]:
    """The sentences with the slots filled that only reviews use."""
    lists = {"had": HAD, "really": REALLY, "early": EARLY, "late": LATE}
    for key, words in lists.items():
        sentences = [line.replace("{" + key + "}", rng.choice(words)) for line in sentences]
    return sentences
