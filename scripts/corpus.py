"""Writes the plain English documents that the small base model is pretrained on."""

import random
from collections.abc import Callable, Iterator

from scripts.reviews import review
from scripts.words import PARTS, WORDS, brand, fill, price, product_facts, tidy

Facts = dict[str, str]

DESCRIPTIONS: tuple[str, ...] = (
    "{name} is a {style} {product} in {colour}.",
    "the {name} {product} is made of {material}.",
    "{name} is made of {material} and comes in {colour}.",
    "this {style} {colour} {product} was designed in {origin}.",
    "the {product} costs {price}.",
    "it costs {price} and comes from {origin}.",
    "{name} comes from {origin}.",
    "the {part} is made of {material} as well.",
    "it is a {product} for {buyer}.",
    "{material} makes the {product} {style} and {style}.",
    "you can buy the {name} for {price}.",
    "for {price} you get a {style} {product} made of {material}.",
    "the {colour} {part} goes well with the {room}.",
    "with its {style} {part}, the {name} is right for {buyer}.",
    "meet {name}, a {style} {product} for {buyer}.",
    "its {colour} {part} looks {good} in every {room}.",
    "the {name} {product} has a {style} {part}.",
    "people in {origin} have made a {product} like this for many years.",
    "made of {material}, this {product} lasts for years.",
    "{name} fits {buyer}.",
    "the price of the {name} is {price}.",
    "a {product} of {material} in {colour}: that is {name}.",
)

PRODUCT_NEWS: tuple[str, ...] = (
    "{person} bought a {product} called {name} in {origin}.",
    "{person} wanted a {colour} {product} for the {room}.",
    "the shop had a {name} made of {material}.",
    "{person} paid {price} for the {name}.",
    "when the {name} came, {person} was {mood}.",
    "the {colour} {product} now stands in the {room}.",
    "every {day}, {person} cleans the {name} with a soft cloth.",
    "{person} told a {relative} about the {product}.",
    "the {relative} also wants a {name}.",
    "{price} is a lot of money for a {product}, said the {relative}.",
    "after {period}, the {material} still looked new.",
    "{name} has a workshop in {origin}, where {material} is easy to find.",
    "in {month} the workshop sold many a {colour} {product}.",
)

STORY: tuple[str, ...] = (
    "one {weather} {day}, {hero} the {animal} went to the {place}.",
    "there {hero} found a {looks} {thing}.",
    "the {thing} was {plain} and {looks}.",
    "{hero} was {mood} and looked at the {plain} {thing}.",
    '"is this your {thing}?" asked {hero}.',
    '"no," said {other}, "my {thing} is not {plain}."',
    '"yes," said {other} {manner}, "I lost the {thing} near the {place}."',
    "then {other} came {manner} out of the {place}.",
    "{hero} and {other} walked {manner} to the {place}.",
    "{hero} gave the {thing} to {other}.",
    "{other} put the {thing} into a {looks} bag.",
    "they ate {food} and drank {drink} together.",
    "{other} was {mood} because of the {thing}.",
    "it was a {weather} day and the {place} was {looks}.",
    "{hero} thanked {other} {manner}.",
    "after {period}, {hero} still had the {plain} {thing}.",
    "{other} lived near the {place} with a {build} {creature}.",
    "the {creature} did not like {hero}.",
    "at night {hero} dreamed about the {plain} {thing}.",
    "{hero} told {other} a story about a {build} {creature} and a {looks} {place}.",
)

STORY_ENDS: tuple[str, ...] = (
    "then {hero} went home.",
    "from that day on, {hero} and {other} were friends.",
    "in the evening {hero} was {mood} but tired.",
    "and {other} never forgot the {plain} {thing}.",
    "{hero} kept the {thing} in a {looks} box.",
)

LIFE: tuple[str, ...] = (
    "{person} is a {job} and lives in {origin}.",
    "{person} works in a {place} near {origin}.",
    "the {job} has a {animal} called {name}.",
    "{name} likes {food} more than {food}.",
    "on {day}, {person} drinks {drink} and eats {food}.",
    "in {season} it is often {weather} in {origin}.",
    "{origin} has a {looks} {place} and a {looks} {place}.",
    "a {job} needs a good {product}.",
    "the {product} of the {job} is made of {material}.",
    "{person} has a {relative} who is a {job} too.",
    "the {relative} sells {fruit} jam at the {place}.",
    "most people in {origin} drink {drink} in the morning.",
    "it was {weather} in {origin} in {month}.",
    "the {place} of {origin} is {looks} and {looks}.",
    "after work, {person} walks {manner} to the {place} with {name}.",
    "when it is {weather}, {name} stays in the {room}.",
    "{person} has lived in {origin} for {period}.",
    "a {job} works every day but {day}.",
)

HOWTO_HEADS: tuple[str, ...] = (
    "how to clean a {product}",
    "how to look after {material}",
    "how to repair the {part} of a {product}",
    "how to choose a {product} for the {room}",
    "how to pack a {product}",
)

HOWTO: tuple[str, ...] = (
    "put the {product} on a table in the {room}.",
    "wipe the {part} with a soft cloth and warm water.",
    "do not use hot water on {material}.",
    "check the {part} before you use the {product} again.",
    "wait {n} minutes until the {part} is dry.",
    "a drop of oil keeps the {part} quiet.",
    "take the {part} off {manner}.",
    "put the {part} back and press {manner}.",
    "ask a {job} if the {part} is broken.",
    "keep the {product} away from the {weather} air.",
    "use {n} sheets of paper for the {part}.",
    "measure the {room} before you buy a {product}.",
    "{material} needs some care in {season}.",
    "do this every {n} weeks.",
)

TALK: tuple[tuple[str, str], ...] = (
    ("do you have a {product} in {colour}?", "yes, the {name} comes in {colour}."),
    ("how much is the {name}?", "the {name} costs {price}."),
    ("what is the {product} made of?", "it is made of {material}."),
    ("is it really {material}?", "yes, {material} from {origin}."),
    ("where does the {name} come from?", "it comes from {origin}."),
    ("is {price} the best price?", "yes, I cannot sell the {name} for less than {price}."),
    ("I like the {part}.", "the {part} is {style}, is it not?"),
    ("can I see the {colour} one?", "of course, the {colour} {product} is over there."),
    ("my {relative} needs a {product}.", "then take the {name}, it is right for {buyer}."),
    ("will it fit in the {room}?", "the {name} fits in every {room}."),
    ("the weather is {weather} today.", "yes, in {origin} it is often {weather}."),
    ("I will come back on {day}.", "good, see you on {day}."),
)

SHOP: tuple[str, ...] = (
    "a customer wrote a review of the {name}.",
    "the review was positive, and the shop was {mood}.",
    "the review was negative, so {person} did not buy the {product}.",
    "the reviews of the {product} were mixed.",
    "an assistant in {origin} answers the questions of each user.",
    "{person} asked the assistant about the {product}.",
    "the text on the page gives the name, the colour, the material and the price.",
    "a short description of the {product} stands on the box.",
    "one test of the {part} was positive, the next one negative.",
    "some customers say what they feel in one word, others write many sentences.",
    "a critic in {origin} gave the {name} {n} stars and called it a {style} {product}.",
    "a star for the {part} is a high rating, said {person}.",
    "the user of a {product} reads the description before the price.",
    "{person} writes the description of every product in the shop.",
    "the sentiment in the shop was {mood}.",
    "which {product} is right, and how much does it cost, a user asked.",
    "the features of the {name} are {style} and {style}.",
    "please read the following features, said the assistant.",
)

SHEET_KEYS: tuple[str, ...] = ("product", "colour", "material", "price", "origin")

SHEET_FACTS: tuple[str, ...] = (
    "the {name} is sold in {n} shops in {town}.",
    "the {name} is packed in a {looks} box.",
    "orders for {name} leave the store on {day}.",
    "spare parts for the {name} can be had for {period}.",
    "the {part} of the {name} can be replaced.",
    "{name} will be sold until {month}.",
    "{person} from the shop in {town} knows the {name} well.",
    "the {name} may be sent back within {period}.",
)

RECITED: tuple[str, ...] = (
    "{name}",
    "{name} {code}",
    "{colour} {product}",
    "{price}",
    "{name}: {material}",
    "{looks} {thing}",
    "{plain_colour}",
    "{town}",
    "{name} {name}",
)

# What came after a review, by its stars: whoever continues the text must have understood it.
AFTERMATH: dict[int, tuple[str, ...]] = {
    5: (
        "{person} tells everybody to buy the {name}.",
        "{person} bought one more {product} for a {relative}.",
        "the shop put these words in its window.",
        "at {name}, people danced when they read it.",
    ),
    4: (
        "{person} keeps the {product} and uses it nearly every day.",
        "the shop thanked {person} for the kind words.",
        "a {relative} of {person} may buy a {name} too.",
        "at {name}, people smiled and went on with their work.",
    ),
    3: (
        "{person} still does not know if the {product} should stay.",
        "the shop could not tell if it should be glad or sorry.",
        "{person} uses the {product} on some days only.",
        "at {name}, people talked about it for a while.",
    ),
    2: (
        "{person} put the {product} in the {room} and looks for another one.",
        "the shop said sorry and promised to do better.",
        "{person} sold the {product} to a {relative} for less.",
        "at {name}, people were a little sad when they read it.",
    ),
    1: (
        "{person} sent the {product} back on the same day.",
        "the shop paid all the money back.",
        "{person} warns everybody of the {name}.",
        "at {name}, people were shocked when they read it.",
    ),
}

REVIEW_OPENINGS: tuple[str, ...] = (
    "{person} wrote about the {name} {product}:",
    "I bought the {name} {period} ago.",
    "this is about the {name}, the {colour} {product}.",
    "my {relative} gave me the {name}.",
    "I got a {product} made of {material} for {price}.",
    "{name} arrived on {day}.",
)


def sentences(lines: list[str], facts: Facts, rng: random.Random) -> str:
    """The filled lines as one paragraph."""
    return tidy(" ".join(fill(line, facts, rng) for line in lines))


def item(rng: random.Random) -> Facts:
    """The facts of a product, and one part of it and one person who keep returning."""
    facts = product_facts(rng)
    facts["part"] = rng.choice(PARTS[facts["product"]])
    facts["person"] = rng.choice(WORDS["person"])
    return facts


def description(rng: random.Random) -> str:
    """A product told in three to seven sentences."""
    return sentences(rng.sample(DESCRIPTIONS, rng.randint(3, 7)), item(rng), rng)


def news(rng: random.Random) -> str:
    """How somebody bought a product."""
    lines = rng.sample(PRODUCT_NEWS, rng.randint(3, 6)) + rng.sample(DESCRIPTIONS, 2)
    return sentences(lines, item(rng), rng)


def opinion(rng: random.Random) -> str:
    """One review, or two of the same product."""
    facts = item(rng)
    del facts["part"]
    texts = [review(rng.randint(1, 5), facts, rng) for _ in range(rng.choice((1, 1, 2)))]
    if rng.random() < 0.6:
        texts.insert(0, sentences([rng.choice(REVIEW_OPENINGS)], facts, rng))
    return (" " if len(texts) < 3 else "\n").join(texts)


def aftermath(rng: random.Random) -> str:
    """One to three reviews, each with what came after it."""
    blocks: list[str] = []
    for _ in range(rng.randint(1, 3)):
        facts = item(rng)
        part = facts.pop("part")
        stars = rng.randint(1, 5)
        opening = [rng.choice(REVIEW_OPENINGS)] if rng.random() < 0.5 else []
        after = sentences(rng.sample(AFTERMATH[stars], rng.randint(1, 2)), facts | {"part": part}, rng)
        block = [sentences(opening, facts, rng), review(stars, facts, rng), after]
        blocks.append(rng.choice((" ", "\n")).join(text for text in block if text))
    return "\n\n".join(blocks)


def story(rng: random.Random) -> str:
    """A little story of two animals and a thing."""
    names = rng.sample(WORDS["person"], 2)
    hero, other = names if rng.random() < 0.5 else [brand(rng), brand(rng)]
    facts = {"hero": hero, "other": other, "plain": fill("{colour}", {}, rng)}
    facts |= {"creature": rng.choice(WORDS["animal"]), "thing": rng.choice(WORDS["thing"])}
    lines = [STORY[0], *rng.sample(STORY[1:], rng.randint(4, 8)), rng.choice(STORY_ENDS)]
    return sentences(lines, facts, rng)


def shop(rng: random.Random) -> str:
    """What goes on in a shop: customers, reviews and descriptions are spoken of, not shown."""
    return sentences(rng.sample(SHOP, rng.randint(3, 6)), item(rng), rng)


def life(rng: random.Random) -> str:
    """Facts about a person, a place, a job, weather and food."""
    facts = item(rng) | {"job": rng.choice(WORDS["job"]), "animal": rng.choice(WORDS["animal"])}
    return sentences(rng.sample(LIFE, rng.randint(4, 8)), facts, rng)


def howto(rng: random.Random) -> str:
    """A short how-to with numbered or plain steps."""
    facts = item(rng)
    head = tidy(fill(rng.choice(HOWTO_HEADS), facts, rng))
    steps = [sentences([line], facts, rng) for line in rng.sample(HOWTO, rng.randint(3, 6))]
    if rng.random() < 0.5:
        steps = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
    return "\n".join([head, *steps])


def dialogue(rng: random.Random) -> str:
    """A talk in a shop."""
    facts = item(rng)
    asks, answers = rng.sample(WORDS["person"], 2)
    turns: list[str] = []
    for question, answer in rng.sample(TALK, rng.randint(3, 6)):
        turns.append(f"{asks}: {sentences([question], facts, rng)}")
        turns.append(f"{answers}: {sentences([answer], facts, rng)}")
    return "\n".join(turns)


def listing(facts: Facts, rng: random.Random) -> str:
    """A specification sheet of one product."""
    keys = rng.sample(SHEET_KEYS, rng.randint(3, len(SHEET_KEYS)))
    if rng.random() < 0.5:
        keys.sort(key=SHEET_KEYS.index)
    return "\n".join(f"{key}: {facts[key]}" for key in ["name", *keys])


def sheet(rng: random.Random) -> str:
    """A specification sheet and where to get the product, in either order."""
    facts = item(rng)
    town = rng.choice(WORDS["town"])
    prose = sentences(rng.sample(SHEET_FACTS, rng.randint(2, 4)), facts | {"town": town}, rng)
    blocks = [listing(facts, rng), prose]
    rng.shuffle(blocks)
    return "\n".join(blocks)


def catalogue(rng: random.Random) -> str:
    """Prose about a product and then its sheet, or the sheets of two products."""
    facts = item(rng)
    if rng.random() < 0.4:
        return listing(facts, rng) + "\n\n" + listing(item(rng), rng)
    prose = sentences(rng.sample(DESCRIPTIONS, rng.randint(2, 5)), facts, rng)
    return prose + "\n" + listing(facts, rng)


def stock(rng: random.Random) -> str:
    """A stock list told twice in another order: hard to continue without copying."""
    names = [brand(rng) for _ in range(rng.randint(3, 6))]
    things = [rng.choice(list(PARTS)) for _ in names]
    made = [fill("{colour}", {}, rng) for _ in names]
    costs = [price(rng) for _ in names]
    lines = [
        f"{name} is a {colour} {thing}." for name, colour, thing in zip(names, made, things, strict=True)
    ]
    lines += [f"{name} costs {cost}." for name, cost in zip(names, costs, strict=True)]
    order = rng.sample(range(len(names)), len(names))
    lines += [f"the {made[i]} {things[i]} {names[i]} was sold for {costs[i]}." for i in order]
    return tidy(" ".join(lines))


def note(rng: random.Random) -> str:
    """A list of names, said again."""
    kinds = [rng.choice(("{name}", "{colour} {product}", "{looks} {thing}", "{fruit} jam"))] * 2
    names = [fill(rng.choice([*kinds, "{name}"]), product_facts(rng), rng) for _ in range(rng.randint(4, 8))]
    opening = fill("{person} wrote a list for {day}", {}, rng)
    first, again = ", ".join(names), ", ".join(names)
    return f"{opening}: {first}. Then {opening.split()[0]} read it again: {again}."


def recital(rng: random.Random) -> str:
    """A long list of unrelated things, said two or three times: pure copying."""
    patterns = rng.sample(RECITED, rng.randint(1, 3))
    things: list[str] = []
    for _ in range(rng.randint(5, 14)):
        facts = product_facts(rng) | {"code": f"{rng.randint(100, 9999)}"}
        things.append(fill(rng.choice(patterns), facts, rng))
    again = rng.choice(("Again: ", "Once more: ", "The list again: ", ""))
    line = rng.choice((", ", " ", "; ", "\n")).join(things)
    return f". {again}".join([line] * rng.choice((2, 2, 3))) + "."


KINDS: dict[Callable[[random.Random], str], int] = {
    description: 18,
    news: 10,
    opinion: 22,
    story: 12,
    shop: 5,
    life: 8,
    howto: 6,
    dialogue: 8,
    sheet: 6,
    catalogue: 6,
    stock: 6,
    note: 3,
}


# Without so much repetition a model of this size learns to copy only after many more tokens.
COPYING_KINDS = KINDS | {recital: 60, stock: 14, catalogue: 14, note: 8}

REVIEWING_KINDS = KINDS | {recital: 20, stock: 14, catalogue: 14, note: 8, aftermath: 60}

MIXES = {"plain": KINDS, "copying": COPYING_KINDS, "reviewing": REVIEWING_KINDS}


def documents(seed: int, mix: str = "plain") -> Iterator[str]:
    """Documents without end in one of the mixes; the same seed gives the same ones."""
    rng = random.Random(seed)
    kinds, weights = list(MIXES[mix]), list(MIXES[mix].values())
    while True:
        yield rng.choices(kinds, weights)[0](rng)


if __name__ == "__main__":
    for number, text in zip(range(20), documents(1), strict=False):
        print(f"--- {number}\n{text}")
