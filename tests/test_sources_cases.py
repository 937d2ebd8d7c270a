"""The nasty files that lie beside some checkouts: what reading alone must say of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import CASES

from engine import sources
from engine.errors import UserError
from engine.ledger import Entry
from engine.schema import Source
from engine.sources import PARTS

INDEX = CASES / "nasty" / "INDEX.json"
CASE_LIST: list[dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.is_file() else []

# Read as they stand; what is wrong with them is found where rows become conversations.
LATER = frozenset({"mixed_schema.jsonl", "missing_columns.jsonl", "imbalanced.csv"})
# The index counts what is used for training: here no row yet is left out for its empty answer, and there are
# parts besides train.
ROWS = {"all_empty_outputs.jsonl": 12, "mixed_dir": 30}

DATA = {
    "alpaca_en_demo.json": 999, "alpaca_zh_demo.json": 1000, "identity.json": 91,
    "glaive_toolcall_en_demo.json": 300, "v1_sft_demo.jsonl": 500, "c4_demo.jsonl": 300, "wiki_demo.txt": 30,
    "seed_tasks.jsonl": 175, "user_oriented_instructions.jsonl": 252, "gsm8k_train.jsonl": 7473,
    "gsm8k_test.jsonl": 1319, "e2e_devset.csv": 4672, "e2e_testset_w_refs.csv": 4693,
    "wikisql_text_train.jsonl": 1000, "wikisql_text_valid.jsonl": 100,
}  # fmt: skip


def reading(path: Path) -> tuple[dict[str, int], str]:
    """How many rows each part has, and all that is said on the way; no rows where the file is refused."""
    source = Source(path=str(path))
    counts = dict.fromkeys(PARTS, 0)
    said: list[str] = []
    try:
        found = sources.files(source)
        said += [*found.notes, *(f"{entry.file}: {entry.detail}" for entry in found.skipped)]
        for file in found.files:
            said += file.notes
            for record in sources.read(file, source):
                if isinstance(record, Entry):
                    said.append(f"line {record.line}: {record.reason} {record.detail}")
                else:
                    counts[file.part] += 1
                    said += [f"line {record.line}: {note.reason} {note.detail}" for note in record.notes]
    except UserError as error:
        return dict.fromkeys(PARTS, 0), str(error)
    return counts, "\n".join(said)


@pytest.mark.parametrize("case", CASE_LIST, ids=lambda case: case["path"])
def test_a_nasty_file_is_read_as_its_index_says(case: dict[str, Any]) -> None:
    counts, said = reading(CASES / "nasty" / case["path"])
    assert sum(counts.values()) == ROWS.get(case["path"], case["rows"]), said
    if case["group"] in ("encoding", "json", "csv", "container", "folder") and case["path"] not in LATER:
        for words in case["mentions"]:
            assert words.casefold() in said.casefold(), said


@pytest.mark.skipif(not CASE_LIST, reason="no nasty files beside this checkout")
def test_a_folder_of_parts_has_its_training_rows_apart() -> None:
    (case,) = (case for case in CASE_LIST if case["path"] == "mixed_dir")
    counts, _ = reading(CASES / "nasty" / "mixed_dir")
    assert counts == {"train": case["rows"], "validation": 5, "test": 5}


@pytest.mark.skipif(not CASE_LIST, reason="no data beside this checkout")
@pytest.mark.parametrize("name", DATA)
def test_real_data_is_read_whole(name: str) -> None:
    counts, said = reading(CASES / "data" / name)
    assert (counts["train"], said) == (DATA[name], "")
