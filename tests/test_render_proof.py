"""Our text, ids and masks against the real thing: transformers, and Unsloth's train_on_responses_only."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine import ledger, render
from engine.formats import Conversation, Unusable
from engine.render import IGNORED, ChatFormat
from engine.render.layout import laid
from tests.render_stage import SHAPES, TINY, TOKENIZERS, knowing_all, templates

ACTIONS = ledger.actions({})
ROOT = Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not templates(), reason="neither trl nor unsloth is installed"),
]

# Where our mask is not transformers', and why; (template, shape) or only the shape's template.
MASKS_DIFFER = {
    # An emoji of several tokens ends the block: transformers leaves out all but the first of them.
    ("trl diffusion_gemma_training", "turns"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {**TOKENIZERS, "tiny, all controls": knowing_all(tmp_path_factory.mktemp("all") / "model")}


def theirs(tokenizer: Any, template: str, talk: Conversation, **options: Any) -> Any:
    """What transformers makes, or its refusal in words."""
    try:
        return tokenizer.apply_chat_template(
            talk.messages, tools=list(talk.tools) or None, chat_template=template, **options
        )
    except Exception as error:  # templates raise what they like
        return f"refused: {error}"


def ours(chat: ChatFormat, talk: Conversation, asking: bool = False) -> str:
    try:
        return chat.written(talk.messages, talk.tools, asking)[0]
    except Unusable as error:
        return f"refused: {error.detail}"


def test_text_ids_and_masks_are_those_of_transformers(folders: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    found: Counter[str] = Counter()
    differ = set()
    texts: dict[Any, str] = {}  # some tokenizers have the same special tokens
    for folder in folders.values():
        loaded = render.load(folder)
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        shapes = list(SHAPES) if folder.name in ("tiny", "model") else ["turns", "white space", "tools"]
        for name, template in templates().items():
            chat = replace(loaded, template=template)
            for shape, talk in SHAPES.items():
                if shape not in shapes:
                    continue
                said = ours(chat, talk)
                key = name, shape, *sorted(tokenizer.special_tokens_map.items())
                if key not in texts:
                    texts[key] = theirs(tokenizer, template, talk, tokenize=False)
                assert said == texts[key], (name, shape)
                if folder is TINY:
                    asked = talk._replace(messages=talk.messages[:-1])
                    prompt = theirs(tokenizer, template, asked, tokenize=False, add_generation_prompt=True)
                    assert ours(chat, asked, asking=True) == prompt, (name, shape)
                found["texts equal"] += 1
                if said.startswith("refused: "):
                    found["refused by both"] += 1
                    continue
                try:
                    (rendered,) = render.render(chat, talk, 100_000, ACTIONS)
                except Unusable as error:
                    found[f"refused: {error.reason}"] += 1
                    continue
                assert rendered.text == said, (name, shape)
                assert rendered.ids == tokenizer(said, add_special_tokens=False)["input_ids"], (name, shape)
                found["ids equal"] += 1
                found.update(f"noted: {note.reason}" for note in rendered.notes)
                if "endgeneration" in template:
                    made = theirs(
                        tokenizer, template, talk, return_dict=True, return_assistant_tokens_mask=True
                    )
                    mask = [int(label != IGNORED) for label in rendered.labels]
                    if mask != made["assistant_masks"]:
                        differ.add((name, shape))
                    found["masks"] += 1
    print(
        f"\n{len(templates())} templates, {len(folders)} tokenizers, {len(SHAPES)} shapes (3 with all):",
        dict(found),
    )
    assert differ <= MASKS_DIFFER
    assert found["ids equal"] > 1400 and found["masks"] > 500


PIECES = (
    "", " ", "\n", "a", "green", "<think>", "</think>", "<tool_response>", "</tool_response>", "None",
    "<|im_end|>", "user", "龍", "[INST]", "\n\n", "/think", "/no_think", "<start_of_image>", "{{ 1 }}",
    "'", '"', "<|channel|>",
)  # fmt: skip


def test_the_short_cut_gives_the_templates_own_text() -> None:
    """Most rows' texts are put together from a draft: for every template, with what templates look for."""
    chance = random.Random(4)
    loaded = render.load(TINY)
    shortened = 0
    for name, template in templates().items():
        chat = replace(loaded, template=template)
        for roles in (["user", "assistant"], ["system", "user", "assistant"], ["user", "assistant"] * 2) * 6:
            talk: Any = [
                {"role": role, "content": "".join(chance.choices(PIECES, k=chance.randint(1, 3)))}
                for role in roles
            ]
            said = ours(chat, Conversation(talk))
            try:
                assert laid(chat, talk).text == said, (name, talk)
            except Unusable:
                continue
        shortened += any(draft is not None for draft in chat.drafts.values())
    print(f"\n{shortened} of {len(templates())} templates have the short cut")
    assert shortened > 30


def test_trained_tokens_are_answers_and_what_closes_them(folders: dict[str, Path]) -> None:
    """With a tokenizer that knows the control tokens of all templates."""
    loaded = render.load(folders["tiny, all controls"])
    checked = 0
    for name, template in templates().items():
        chat = replace(loaded, template=template)
        for shape in ("one turn", "system", "turns", "one letter"):
            talk = SHAPES[shape]
            try:
                (rendered,) = render.render(chat, talk, 100_000, ACTIONS)
            except Unusable:
                continue
            if "endgeneration" in template:
                continue  # what these mark is their own, and compared with transformers
            kept = chat.tokenizer.decode(
                [id for id in rendered.labels if id != IGNORED], skip_special_tokens=False
            )
            for message in talk.messages:
                if message["role"] == "assistant":
                    assert kept.lstrip().startswith(message["content"].strip()), (name, shape)
                    kept = kept.lstrip().removeprefix(message["content"].strip())
                    closing = next((end for end in chat.closers if kept.lstrip().startswith(end)), "")
                    noted = any(note.reason == "missing end token" for note in rendered.notes)
                    assert closing or noted, (name, shape)
                    kept = kept.lstrip().removeprefix(closing)
            assert kept.strip() == "", (name, shape)
            checked += 1
    print(f"\n{checked} rows of answers and end tokens")
    assert checked > 150


ONLY = """
import contextlib, io, json, sys
import unsloth
from transformers import AutoTokenizer
from unsloth_zoo.dataset_utils import train_on_responses_only

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
made = []
for template, rows in json.load(open(sys.argv[2])):
    tokenizer.chat_template = template
    for part in ("_unsloth_input_part", "_unsloth_output_part"):
        if hasattr(tokenizer, part):
            delattr(tokenizer, part)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            mask = train_on_responses_only(None, tokenizer=tokenizer, return_function=True)
            made.append([[int(label) for label in mask({"input_ids": [ids]})["labels"][0]] for ids in rows])
    except Exception as error:
        made.append(str(error))
json.dump(made, open(sys.argv[3], "w"))
"""

# How Unsloth's mask may differ from ours, and why.
RESPONSES_DIFFER = {
    "equal": "",
    "white space": "it trains the line breaks that the template writes around an answer",
    "end tokens": "it leaves out those of earlier answers, or trains a second one behind the last",
    "empty thought": "it trains the empty think block, which stands before every answer as the prompt does",
    "nothing found": "no text stands before all questions or answers, so it trains nothing or refuses",
    "answers missing": "an answer whose marker merges with it, or follows something else, is not found",
    "other turns": "a system turn in the middle is trained: only the next question ends an answer",
}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("unsloth") is None, reason="unsloth is not installed")
def test_masks_against_unsloths_train_on_responses_only(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = folders["tiny, all controls"]
    loaded = render.load(folder)
    jobs: list[tuple[str, list[tuple[str, render.Rendered]]]] = []
    for name, template in templates().items():
        if "endgeneration" in template:
            continue
        rows = []
        for shape, talk in SHAPES.items():
            if shape in ("tools", "thought"):
                continue
            try:
                rows.append(
                    (shape, render.render(replace(loaded, template=template), talk, 100_000, ACTIONS)[0])
                )
            except Unusable:
                continue
        if rows:
            jobs.append((name, rows))
    asked = [(templates()[name], [rendered.ids for _, rendered in rows]) for name, rows in jobs]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    environment = {
        **os.environ,
        "UNSLOTH_COMPILE_LOCATION": str(tmp_path / "compiled"),
        "UNSLOTH_DISABLE_STATISTICS": "1",
    }
    arguments = [str(folder), str(tmp_path / "asked.json"), str(tmp_path / "made.json")]
    subprocess.run([sys.executable, "-c", ONLY, *arguments], check=True, env=environment, cwd=tmp_path)
    found: Counter[str] = Counter()
    for (name, rows), made in zip(jobs, json.loads((tmp_path / "made.json").read_text()), strict=True):
        for number, (shape, rendered) in enumerate(rows):
            kind = compared(loaded, rendered, made[number]) if isinstance(made, list) else "nothing found"
            found[kind] += 1
            assert kind in RESPONSES_DIFFER, (name, shape, made[number], rendered.labels)
    print(f"\n{len(jobs)} templates against Unsloth: {dict(found)}")
    assert found["equal"] > 150


def compared(chat: ChatFormat, rendered: render.Rendered, labels: list[int]) -> str:
    """The first kind of difference that makes the two equal."""
    if labels == rendered.labels:
        return "equal"
    said, own = (
        chat.tokenizer.decode([id for id in kept if id != IGNORED], skip_special_tokens=False)
        for kept in (labels, rendered.labels)
    )
    if not said:
        return "nothing found"
    said, own = "".join(said.split()), "".join(own.split())
    for kind, pattern in (("white space", r"(?!)"), ("end tokens", chat.controls), ("empty thought", EMPTY)):
        said, own = re.sub(pattern, "", said), re.sub(pattern, "", own)
        if said == own:
            return kind
    return "answers missing" if said in own else "other turns" if set(own) <= set(said) else f"{said} {own}"


EMPTY = re.compile(r"<think></think>")
