"""A conversation of several columns: what each one reads, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui_stage import answered

from engine import recipe, transcripts
from engine.transcripts import Conversation, Exchange


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


TALK = Conversation(
    exchanges=(
        Exchange((user("one"),), "", {"base": answered("b1", "base"), "tuned": answered("t1", "tuned")}),
        Exchange((user("two"),)),
    )
)


def test_each_column_reads_its_own_history_and_the_last_question() -> None:
    assert transcripts.messages(TALK, "base") == [user("one"), said("b1"), user("two")]
    assert transcripts.messages(TALK, "tuned") == [user("one"), said("t1"), user("two")]
    assert transcripts.messages(TALK, "late") == [user("two")], "it was not there for the first"


def test_examples_stand_behind_the_system_prompt_and_before_the_first_question() -> None:
    shots = [user("e"), said("f")]
    system = {"role": "system", "content": "be brief"}
    own = Conversation(exchanges=(Exchange((system, user("q"))),))
    assert transcripts.messages(own, "base", shots) == [system, *shots, user("q")]
    given = Conversation("be kind", own.exchanges)
    kind = {"role": "system", "content": "be kind"}
    assert transcripts.messages(given, "base", shots) == [kind, *shots, user("q")]


def test_a_cut_is_said_in_words_and_nothing_where_there_is_none() -> None:
    assert transcripts.cut(answered("x", "base")) == ""
    two = answered("x", "base", cut={"turns": 2, "tokens": 1310})
    assert transcripts.cut(two) == "the oldest 2 turns, 1,310 tokens, are left out: the context is full"


def test_a_corrected_answer_is_a_row_that_a_recipe_reads(tmp_path: Path) -> None:
    talk = TALK.answered({"tuned": answered("wrong", "tuned")})
    row = transcripts.row(talk, "tuned", "right")
    assert row == {"messages": [user("one"), said("t1"), user("two"), said("right")]}
    assert transcripts.row(TALK, "tuned") is None, "it has not answered yet"
    file = tmp_path / "corrections.jsonl"
    file.write_text((json.dumps(row) + "\n") * 4, "utf-8")
    plan = recipe.changed(recipe.load("first-steps"), data={"sources": ({"path": str(file)},)})

    from engine import dataset, usable

    data = dataset.opened(plan, dataset.chat_format(plan))
    counted = usable.surveyed(data, tmp_path)
    rows = [
        sample for part in ("train", "validation") for _, sample in usable.samples(data, counted, (part,))
    ]
    assert rows[0].messages == row["messages"] and "corrections" in rows[0].source.path


def test_foreign_text_stays_within_its_fence() -> None:
    evil = "```\n# not a heading\n````"
    talk = Conversation(exchanges=(Exchange((user(evil),), evil, {"base": answered(evil, "base")}),))
    text = transcripts.markdown("a\nrun", ["model"], talk, ["base"])
    assert text.startswith("# a run\n")
    inside = text.split("`````text\n")[1:]
    assert len(inside) == 3 and all(part.startswith(evil + "\n`````") for part in inside)
