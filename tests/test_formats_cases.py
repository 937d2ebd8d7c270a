"""Real and nasty sets that lie beside some checkouts: the right shape, and no row without a word."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine import formats, ledger
from engine.formats import Unusable
from engine.schema import Source
from engine.sources import Row
from tests.conftest import CASES

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no real data beside this checkout")
ACTIONS = ledger.actions({})


def rows(path: Path) -> list[Row]:
    """The file's rows by the standard library alone: the readers have tests of their own."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            records: list[Any] = list(csv.DictReader(file))
    elif path.suffix == ".json":
        records = json.loads(path.read_text("utf-8"))
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file if line.strip()]
    else:
        with path.open(encoding="utf-8") as file:
            records = [{"text": line, "path": path.name} for line in file if line.strip()]
    return [Row(path.name, number, record) for number, record in enumerate(records, start=1)]


def read(path: Path) -> tuple[str, int, Counter[str], Counter[str]]:
    """The format, the examples, the reasons of rows left out and of notes."""
    found = rows(path)
    shape = formats.detect(found[:50], Source(path=path.name))
    assert shape is not None
    examples, left_out, notes = 0, Counter[str](), Counter[str]()
    for row in found:
        try:
            said = formats.read(row, shape, ACTIONS)
        except Unusable as error:
            left_out[error.reason] += 1
            continue
        assert said.examples
        examples += len(said.examples)
        notes.update(note.reason for note in said.notes)
    return shape.format, examples, left_out, notes


@pytest.mark.parametrize(
    ("name", "format", "examples"),
    [
        ("alpaca_en_demo.json", "alpaca", 999),
        ("alpaca_zh_demo.json", "alpaca", 1000),
        ("identity.json", "alpaca", 91),
        ("glaive_toolcall_en_demo.json", "sharegpt", 300),
        ("v1_sft_demo.jsonl", "messages", 500),
        ("c4_demo.jsonl", "text", 300),
        ("wiki_demo.txt", "text", 30),
        ("seed_tasks.jsonl", "instances", 175),
        ("user_oriented_instructions.jsonl", "instances", 252),
        ("gsm8k_train.jsonl", "pairs", 7473),
        ("gsm8k_test.jsonl", "pairs", 1319),
        ("e2e_devset.csv", "pairs", 4672),
        ("e2e_testset_w_refs.csv", "pairs", 4693),
        ("wikisql_text_train.jsonl", "text", 1000),
        ("wikisql_text_valid.jsonl", "text", 100),
    ],
)
def test_real_sets(name: str, format: str, examples: int) -> None:
    assert read(CASES / "data" / name) == (format, examples, Counter(), Counter())


@pytest.mark.parametrize(
    ("name", "examples", "left_out", "notes"),
    [
        ("mixed_schema.jsonl", 80, {}, {"another shape": 30}),
        ("missing_columns.jsonl", 16, {"missing field": 4}, {}),
        ("all_empty_outputs.jsonl", 0, {"empty answer": 12}, {}),
        ("ansi_osc_escapes.jsonl", 16, {}, {"control characters": 45}),
        ("bidi_controls.jsonl", 2, {}, {"bidi controls": 3}),
        ("jinja_and_format_in_data.jsonl", 12, {}, {}),
        ("chat_two_assistant_turns.jsonl", 3, {}, {"same role twice": 1}),
        ("chat_assistant_first.jsonl", 3, {}, {"assistant first": 1}),
        ("chat_ends_with_user.jsonl", 3, {}, {"question last": 1}),
        ("chat_system_in_middle.jsonl", 3, {}, {"system in the middle": 1}),
        (
            "chat_unknown_roles.jsonl",
            3,
            {"unknown role": 1, "no question": 1, "malformed turn": 1},
            {"role renamed": 5},
        ),
        (
            "chat_bad_content.jsonl",
            0,
            {"empty answer": 3, "empty turn": 1, "not text": 2, "no turns": 3, "malformed turn": 2},
            {},
        ),
        ("chat_weights.jsonl", 2, {}, {"untrained turn": 2}),
        ("chat_reasoning.jsonl", 3, {}, {}),
        ("sharegpt_human_gpt.json", 5, {}, {}),
        ("sharegpt_starts_with_gpt.json", 3, {}, {"assistant first": 3}),
        ("chatml_already_templated.jsonl", 6, {}, {"already templated": 6}),
        ("llama2_already_templated.jsonl", 6, {}, {"already templated": 6}),
        ("dpo_preference.jsonl", 5, {}, {}),
        ("rag_extra_columns.jsonl", 5, {}, {}),
    ],
)
def test_nasty_sets(name: str, examples: int, left_out: dict[str, int], notes: dict[str, int]) -> None:
    assert read(CASES / "nasty" / name)[1:] == (examples, Counter(left_out), Counter(notes))


@pytest.mark.parametrize(
    "name",
    ["numbers_as_labels.csv", "imbalanced.csv", "nan_infinity.jsonl", "nested_objects.jsonl",
     "odd_column_names.csv", "many_columns.csv"],
)  # fmt: skip
def test_tables_need_a_template(name: str) -> None:
    assert formats.detect(rows(CASES / "nasty" / name)[:50], Source(path=name)) is None
