"""One pass over all rows: parts, duplicates, leaks, weights and the ledger, with no row unaccounted for."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import counting, dataset, ledger, recipe, sources, survey, usable
from engine.dataset import Opened
from engine.errors import UserError
from engine.ledger import Entry
from engine.survey import DUPLICATE, LEAKED, OVER_CAP, USED, Survey


def pair(question: str, answer: str, **more: Any) -> str:
    return json.dumps({"prompt": question, "completion": answer, **more}, ensure_ascii=False) + "\n"


def written(folder: Path, name: str, *lines: str) -> str:
    file = folder / name
    file.write_text("".join(lines), "utf-8")
    return str(file)


def opened(*found: dict[str, Any], **data: Any) -> Opened:
    return dataset.opened(recipe.parse({"data": {"sources": list(found), **data}}))


def looked(folder: Path, *found: dict[str, Any], **data: Any) -> Survey:
    return usable.surveyed(opened(*found, **data), folder / "counted")


def numbers(found: Survey, part: str) -> list[int]:
    return found.rows[part].tolist()  # type: ignore[index, no-any-return]


def verdicts(found: Survey) -> list[int]:
    return found.columns["verdict"].tolist()  # type: ignore[no-any-return]


ROWS = [pair(f"How many are {i} and {i}?", str(i + i)) for i in range(1000)]


def test_parts_stay_when_rows_are_added(tmp_path: Path) -> None:
    few = looked(tmp_path / "a", {"path": written(tmp_path, "few.jsonl", *ROWS[:600])}, test=0.1)
    many = looked(tmp_path / "b", {"path": written(tmp_path, "many.jsonl", *ROWS)}, test=0.1)
    for part in sources.PARTS:
        assert numbers(few, part) == [n for n in numbers(many, part) if n < 600]
    assert len(numbers(few, "validation")) > 10 and len(numbers(few, "test")) > 30
    assert sum(len(rows) for rows in many.rows.values()) == 1000


def test_a_count_a_group_and_a_label_cut_parts(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", *(pair(f"q {i}", f"a {i}", who=i % 40, kind="ab"[i % 50 == 0])
                                             for i in range(1000)))  # fmt: skip
    by_count = looked(tmp_path, {"path": path}, validation=30, test=20)
    assert [len(by_count.rows[part]) for part in sources.PARTS] == [950, 30, 20]
    by_group = looked(tmp_path, {"path": path, "group": "who"}, validation=0.2)
    held = {n % 40 for n in numbers(by_group, "validation")}
    assert held and held.isdisjoint({n % 40 for n in numbers(by_group, "train")})
    by_label = looked(tmp_path, {"path": path, "stratify": "kind"}, validation=0.1)
    assert sum(n % 50 == 0 for n in numbers(by_label, "validation")) == 2


def test_so_few_rows_that_none_would_be_left_are_all_trained_on(tmp_path: Path) -> None:
    for count in (1, 2):
        found = looked(tmp_path, {"path": written(tmp_path, "few.jsonl", *ROWS[:count])}, validation=0.99)
        assert numbers(found, "train") and not set(verdicts(found)) - {USED}


def test_duplicates_and_leaks_are_left_out_of_train_and_named(tmp_path: Path) -> None:
    train = written(tmp_path, "train.jsonl", pair("a", "1"), pair("b", "2"), pair("A ", "1"), pair("c", "3"),
                    pair("a", "1", id=7), pair("d", "4"))  # fmt: skip
    test = written(tmp_path, "test.jsonl", pair("b", "2"), pair("D", "4"), pair("e", "5"))
    found = looked(tmp_path, {"path": train, "test": test}, validation=0)
    assert verdicts(found) == [USED, LEAKED, DUPLICATE, USED, DUPLICATE, LEAKED, USED, USED, USED]
    data = opened({"path": train, "test": test}, validation=0)
    notes: list[Entry] = []
    used = [sample.row.line for _, sample in usable.samples(data, found, ("train",), notes.append)]
    assert used == [1, 4]
    assert [(note.line, note.reason, note.detail) for note in notes] == [
        (2, "leaked", "the same as test.jsonl line 1"),
        (3, "duplicate", "the same as train.jsonl line 1, but for case and white space"),
        (5, "duplicate", "the same as train.jsonl line 1"),
        (6, "leaked", "the same as test.jsonl line 2, but for case and white space"),
    ]
    told = {(t["reason"], t["done"]): t["rows"] for t in found.totals().told(ledger.actions({}))}
    assert told == {("duplicate", "left out"): 2, ("leaked", "left out"): 2}


def test_a_policy_keeps_or_stops(tmp_path: Path) -> None:
    path = written(tmp_path, "train.jsonl", pair("a", "1"), pair("a", "1"), "not JSON\n")
    kept = looked(tmp_path, {"path": path}, validation=0, policy={"duplicate": "keep"})
    assert verdicts(kept) == [USED, USED]
    assert ("duplicate", "kept") in kept.totals().rows
    for reason, line in (("duplicate", 2), ("malformed", 3)):
        with pytest.raises(UserError, match=rf"train\.jsonl line {line}: {reason}.*{reason} is 'stop'"):
            looked(tmp_path, {"path": path}, policy={reason: "stop"})


def test_weights_and_caps_take_rows_by_seed_and_list_the_others(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", *ROWS)
    capped = looked(tmp_path, {"path": path, "cap": 100}, validation=0)
    assert Counter(verdicts(capped)) == {USED: 100, OVER_CAP: 900}
    halved = looked(tmp_path, {"path": path, "weight": 0.5}, validation=0)
    assert 430 < verdicts(halved).count(USED) < 570
    more = looked(tmp_path, {"path": path, "weight": 1.5}, validation=0)
    assert set(more.columns["times"].tolist()) == {1, 2} and verdicts(more).count(USED) == 1000
    half = np.flatnonzero(halved.columns["verdict"] == USED)
    assert (more.columns["times"][half] == 2).all()
    data = opened({"path": path, "cap": 100}, validation=0)
    notes: list[Entry] = []
    assert len(list(usable.samples(data, capped, ("train",), notes.append))) == 100
    assert Counter(note.reason for note in notes) == {"over the cap": 900}


def test_one_task_is_held_out_whole(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        {"path": written(tmp_path, "one.jsonl", *ROWS[:50])},
        {"path": written(tmp_path, "other.jsonl", *ROWS[50:80]), "held_out": True},
        validation=0,
    )
    assert numbers(found, "train") == list(range(50)) and numbers(found, "test") == list(range(50, 80))


def test_no_row_of_a_broken_file_is_unaccounted_for(tmp_path: Path) -> None:
    random.seed(3)
    lines = []
    for i in range(500):
        lines.append(random.choice([
            pair(f"q {i}", f"a {i}"), "{broken\n", "[1, 2]\n", '{"prompt": "no answer"}\n', pair("q", ""),
            pair("twice", "said"), '{"prompt": 3, "completion": "x"}\n',
        ]))  # fmt: skip
    path = written(tmp_path, "rows.jsonl", *lines)
    data = opened({"path": path}, validation=0.1)
    found = usable.surveyed(data, tmp_path / "counted")
    notes = list(ledger.read(found.entries))
    used = {sample.row.line for _, sample in usable.samples(data, found, sources.PARTS, notes.append)}
    gone = {note.line for note in notes if note.done == "left out"}
    assert not used & gone and used | gone == set(range(1, 501))
    text = Path(path).read_bytes()
    for note in notes:
        assert text[: note.offset].count(b"\n") == note.line - 1


def test_pieces_of_a_file_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [*ROWS, "\n", "{broken\n", "\n\n", *ROWS[:300], *(pair(f"n {i}", 3) for i in range(9))]  # type: ignore[arg-type]
    path = written(tmp_path, "rows.jsonl", *lines)
    whole = looked(tmp_path / "whole", {"path": path})
    monkeypatch.setattr(counting, "BYTES_A_UNIT", 10_000)
    pieces = looked(tmp_path / "pieces", {"path": path})
    assert len(list((tmp_path / "pieces" / "counted").iterdir())) == 1  # the ledger alone
    for name, values in whole.columns.items():
        assert (values == pieces.columns[name]).all(), name
    assert whole.entries.read_text() == pieces.entries.read_text()


def test_a_saved_survey_is_the_same_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    found = looked(tmp_path, {"path": written(tmp_path, "rows.jsonl", *ROWS)})
    folder = tmp_path / "counted"
    survey.save(found, folder)
    again = survey.load(folder, found.files)
    assert all((again.columns[name] == values).all() for name, values in found.columns.items())
    assert again.counts(again.totals(), {}) == found.counts(found.totals(), {})
    (folder / "key.npy").write_bytes(b"torn")
    with pytest.raises(UserError, match="scan them again"):
        survey.load(folder, found.files)


def test_a_file_that_changes_on_the_way_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", *ROWS[:10])
    data = opened({"path": path})
    found = usable.surveyed(data, tmp_path / "counted")
    for rows in (ROWS[:9], ROWS[:11]):
        written(tmp_path, "rows.jsonl", *rows)
        with pytest.raises(UserError, match="other rows than a moment ago"):
            list(usable.samples(data, found, sources.PARTS))


def test_all_data_leaves_nothing_aside(tmp_path: Path) -> None:
    path, own = written(tmp_path, "rows.jsonl", *ROWS[:200]), written(tmp_path, "own.jsonl", *ROWS[200:300])
    found = {"path": path, "validation": own}, {"path": written(tmp_path, "far.jsonl", *ROWS[300:350])}
    some = looked(tmp_path / "a", *found[:1], {**found[1], "held_out": True}, test=0.1)
    every = looked(tmp_path / "b", *found[:1], {**found[1], "held_out": True}, test=0.1, all_data=True)
    assert len(numbers(some, "validation")) == 100 and len(numbers(some, "test")) > 50
    assert len(numbers(every, "train")) == 350
    assert not numbers(every, "validation") and not numbers(every, "test")
