"""Word lists and the small grammar that the pretraining corpus and the data sets share."""

import random
import re
from collections.abc import Mapping


def listed(text: str) -> tuple[str, ...]:
    """The words of a text, each an entry of a word list."""
    return tuple(text.split())


# A product and the parts of it that people talk about.
PARTS: dict[str, tuple[str, ...]] = {
    "lamp": ("switch", "shade", "light", "base"),
    "chair": ("seat", "backrest", "cushion", "frame"),
    "table": ("top", "drawer", "edge", "frame"),
    "desk": ("top", "drawer", "cable tray", "frame"),
    "shelf": ("back panel", "edge", "top board", "frame"),
    "sofa": ("cushion", "fabric", "armrest", "frame"),
    "bed": ("headboard", "mattress", "frame", "base"),
    "mirror": ("glass", "hook", "frame", "edge"),
    "clock": ("alarm", "dial", "display", "battery"),
    "watch": ("strap", "dial", "battery", "clasp"),
    "kettle": ("lid", "handle", "spout", "switch"),
    "teapot": ("lid", "handle", "spout", "strainer"),
    "mug": ("handle", "rim", "glaze", "lid"),
    "bowl": ("rim", "glaze", "base", "lid"),
    "vase": ("neck", "rim", "glaze", "base"),
    "pan": ("handle", "coating", "lid", "rim"),
    "knife": ("blade", "handle", "edge", "sheath"),
    "toaster": ("lever", "timer", "crumb tray", "plug"),
    "blender": ("motor", "blade", "lid", "jug"),
    "oven": ("door", "timer", "fan", "handle"),
    "backpack": ("zip", "strap", "front pocket", "lining"),
    "suitcase": ("lock", "handle", "lining", "zip"),
    "wallet": ("coin pocket", "clasp", "lining", "seam"),
    "jacket": ("hood", "zip", "lining", "collar"),
    "coat": ("collar", "belt", "lining", "hood"),
    "scarf": ("weave", "fringe", "seam", "label"),
    "hat": ("brim", "band", "lining", "seam"),
    "umbrella": ("handle", "canopy", "button", "frame"),
    "blanket": ("weave", "border", "fringe", "seam"),
    "pillow": ("cover", "filling", "seam", "zip"),
    "curtain": ("hem", "lining", "weave", "rail"),
    "rug": ("pile", "border", "weave", "backing"),
    "tent": ("floor", "entrance", "pole", "zip"),
    "bicycle": ("saddle", "brake", "bell", "chain"),
    "helmet": ("visor", "strap", "buckle", "padding"),
    "guitar": ("neck", "body", "bridge", "sound"),
    "speaker": ("sound", "battery", "volume knob", "cable"),
    "radio": ("antenna", "sound", "volume knob", "display"),
    "phone": ("screen", "camera", "battery", "speaker"),
    "camera": ("lens", "screen", "battery", "shutter"),
    "printer": ("paper tray", "display", "ink tank", "cable"),
    "keyboard": ("space bar", "cable", "backlight", "layout"),
    "heater": ("fan", "thermostat", "plug", "timer"),
    "fan": ("motor", "grille", "stand", "timer"),
    "notebook": ("cover", "paper", "binding", "ribbon"),
    "basket": ("handle", "rim", "lining", "lid"),
}

WORDS: dict[str, tuple[str, ...]] = {
    "onset": listed("b br c cl d dr f fl g gl h j k kr l m n p pl qu r s sk st t th tr v w y z"),
    "middle": listed("a e i o u ai ea ia oo al an ar el en er il in ir ol on or um un ur"),
    "inner": listed("b bl d dd g k l ld m mb n nd p r rl rn s sk st t tt v vr x z"),
    "coda": listed("d g k l m n p r s t x"),
    "ending": listed("a o i en ex ia ic ik in is ix on ora os um une una ara eth ell ock ane ine"),
    "shade": ("dark", "light", "pale", "bright", "deep", "soft"),
    "plain_colour": listed(
        "red blue green yellow orange purple pink brown grey black white silver golden beige turquoise violet"
    ),
    "colour": ("{plain_colour}", "{shade} {hue}"),
    "hue": listed("red blue green yellow orange purple pink brown grey turquoise violet"),
    "material": (
        *listed(
            "oak pine walnut birch bamboo steel aluminium copper brass glass ceramic clay stone marble "
            "leather cotton wool linen silk felt canvas nylon rubber plastic cork paper wicker"
        ),
        "recycled plastic",
        "stainless steel",
        "solid beech",
        "cast iron",
    ),
    "town": listed(
        "Lisbon Porto Madrid Turin Vienna Prague Krakow Oslo Bergen Malmo Dublin Cork Leeds York "
        "Bristol Ghent Lyon Nantes Basel Bern Athens Sofia Riga Tallinn Kyoto Osaka Cairo Lima "
        "Quito Boston Denver Austin Toronto Sydney Perth Nairobi Accra"
    ),
    "person": listed(
        "Anna Ben Clara David Emma Felix Grace Henry Ida Jonas Kate Leo Maria Nina Oscar Paula "
        "Robert Sara Tom Vera Will Zoe Amir Lina Yusuf Mei Raj Tara Ivan Elsa Hugo Rosa"
    ),
    "relative": listed(
        "mother father sister brother daughter son aunt uncle wife husband friend neighbour "
        "grandmother grandfather colleague"
    ),
    "room": (
        *listed("kitchen bedroom bathroom hall office garden garage cellar attic workshop balcony"),
        "living room",
        "dining room",
    ),
    "day": listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "month": listed("January February March April May June July August September October November December"),
    "season": ("spring", "summer", "autumn", "winter"),
    "period": ("{n} days", "{n} weeks", "{n} months", "a week", "a month", "half a year", "a year"),
    "n": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "animal": listed(
        "cat dog fox hare owl goat horse duck mouse bear crow sheep hen pony frog swan squirrel "
        "rabbit hedgehog donkey"
    ),
    "food": listed(
        "bread soup rice cheese fish pasta salad cake porridge stew honey jam butter yoghurt "
        "chicken potatoes beans"
    ),
    "fruit": listed("apple pear plum cherry lemon orange peach fig melon grape"),
    "drink": ("tea", "coffee", "water", "milk", "apple juice", "hot chocolate", "lemonade"),
    "job": listed(
        "baker teacher doctor nurse farmer carpenter painter driver gardener cook writer tailor "
        "engineer plumber sailor librarian potter singer judge pilot"
    ),
    "weather": listed("sunny rainy windy cloudy foggy stormy snowy warm cold dry"),
    "place": listed(
        "forest river hill lake village market bridge harbour meadow mountain field station "
        "school library museum park castle island mill bakery"
    ),
    "thing": listed(
        "key box letter book ring map coin bell kite boat drum candle basket rope ladder "
        "lantern button ball flute stone feather"
    ),
    "looks": listed(
        "old new small big round tall narrow heavy tiny long short wide plain shiny quiet "
        "empty broken wooden pretty strange"
    ),
    "build": listed("old young small big tiny quiet clever friendly shy fat lazy"),
    "mood": listed("happy sad tired angry proud calm nervous hungry curious surprised"),
    "manner": listed("slowly quickly quietly carefully gladly loudly gently softly"),
    "style": listed(
        "modern classic simple elegant sturdy light compact practical handsome rustic timeless "
        "cosy charming robust stylish neat"
    ),
    "buyer": (
        "families",
        "students",
        "small homes",
        "people who travel a lot",
        "beginners",
        "everyday use",
        "busy people",
        "a quiet evening at home",
        "a small budget",
        "older people",
        "your {room}",
    ),
    # Words of praise and blame, by strength.
    "very": ("very", "really", "extremely", "incredibly", "absolutely", "so", "truly"),
    "abit": ("a bit", "a little", "slightly", "somewhat"),
    "best": listed("perfect fantastic wonderful excellent superb amazing outstanding brilliant flawless"),
    "good": listed("good nice pleasant solid fine decent reliable useful handy"),
    "weak": listed("weak poor flimsy loose rough dull cheap wobbly thin stiff noisy"),
    "worst": listed("terrible awful horrible dreadful useless appalling miserable disgraceful"),
    "aspect": ("{part}", "{part}", "{part}", "{common}"),
    "common": ("finish", "design", "packaging", "size", "colour", "workmanship", "manual"),
}

SLOT = re.compile(r"\{(\w+)\}")
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!(?:use|uni|one|eu)\w*)")
SENTENCE_START = re.compile(r"(^|[.!?]\s+)(\"?[a-z])")


def fill(template: str, facts: Mapping[str, str], rng: random.Random) -> str:
    """The template with every slot replaced: from the facts, else by a random word of that kind."""

    def replace(match: re.Match[str]) -> str:
        key = match[1]
        return facts[key] if key in facts else rng.choice(WORDS[key])

    while SLOT.search(template):
        template = SLOT.sub(replace, template)
    return template


def tidy(text: str) -> str:
    """The text with a or an chosen by the next letter and capitals at the sentence starts."""
    text = ARTICLE.sub(r"\1n ", text)
    return SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def brand(rng: random.Random) -> str:
    """An invented name of two or three syllables."""
    shape = rng.choice(("{onset}{middle}{inner}{ending}", "{onset}{middle}{inner}{middle}{coda}"))
    if rng.random() < 0.3:
        shape = "{onset}{middle}{inner}{middle}{inner}{ending}"
    return fill(shape, {}, rng).capitalize()


def price(rng: random.Random) -> str:
    """A price in words and digits."""
    amount = rng.choice((rng.randint(3, 99), rng.randint(100, 990), 5 * rng.randint(1, 60)))
    return f"{amount} {rng.choice(('dollars', 'euros', 'pounds'))}"


def product_facts(rng: random.Random) -> dict[str, str]:
    """The facts of one invented product."""
    return {
        "name": brand(rng),
        "product": rng.choice(list(PARTS)),
        "colour": fill("{colour}", {}, rng),
        "material": rng.choice(WORDS["material"]),
        "price": price(rng),
        "origin": rng.choice(WORDS["town"]),
    }
