"""Files that people really have and tools really choke on: each comes out as a demanding user expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import dataset, ledger, quality, recipe, sources, survey, usable
from engine.errors import UserError
from engine.ledger import Entry
from engine.sets import RowSet
from engine.sources import Row
from engine.survey import Totals
from tests.conftest import CASES

INDEX = CASES / "nasty" / "INDEX.json"
KNOWN: list[dict[str, Any]] = json.loads(INDEX.read_text("utf-8")) if INDEX.is_file() else []


def look(path: Path, folder: Path) -> tuple[set[int], bool, bool, str]:
    """Rows that load, whether something is left out, whether anything is said, and all that is said.

    The index counts rows in one of three ways: all that are read, those for training, those that are used.
    """
    read = {0}
    try:
        data = dataset.opened(recipe.parse({"data": {"sources": [{"path": str(path)}]}}))
        (one,) = data.sets
        rows = [r for f in one.found.files for r in sources.read(f, one.source) if isinstance(r, Row)]
        counted = usable.surveyed(data, folder)
        read = {len(rows), sum(Path(row.file) in _train(one) for row in rows)}
        notes: list[Entry] = list(ledger.read(counted.entries))
        words = [*one.found.notes, *(note for file in one.found.files for note in file.notes)]
        warnings: list[str] = []
        if one.shape is None:
            words += quality.balance(rows)
        elif one.shape.question:
            warnings.append(one.shape.question)
        else:
            report = quality.Report([str(path)])
            for _, sample in usable.samples(data, counted, sources.PARTS, notes.append):
                report.add(sample)
            warnings += report.told(counted, True)["warnings"]
            if not report.lengths:
                read.add(0)
                dataset.check(recipe.parse({"data": {"sources": [{"path": str(path)}]}}))
        gone = [note for note in notes if note.done == "left out" and note.reason not in survey.COMPARED]
        words += [f"{note.unit} {note.line}: {note.reason}: {note.detail}" for note in notes]
        totals = Totals()
        for note in notes:
            totals.add(note)
        words += [f"{total['rows']} rows {total['done']}: {total}" for total in totals.told(data.actions)]
        words += [f"{part}: {len(numbers)} rows" for part, numbers in counted.rows.items()]
        said = bool(notes or warnings or (one.shape is None and words))
        return read, bool(gone), said, "\n".join([*words, *warnings])
    except UserError as error:
        return read, True, True, str(error)


def _train(one: RowSet) -> set[Path]:
    return {file.path for file in one.found.files if file.part == "train"}


@pytest.mark.skipif(not KNOWN, reason="the nasty files lie beside some checkouts only")
@pytest.mark.parametrize("case", KNOWN, ids=[case["path"] for case in KNOWN])
def test_each_file_comes_out_as_its_index_says(case: dict[str, Any], tmp_path: Path) -> None:
    rows, left_out, said, words = look(CASES / "nasty" / case["path"], tmp_path)
    if case["verdict"] == "error":
        assert left_out
    else:
        assert said or case["verdict"] == "load"
        assert not left_out or case["verdict"] == "warn"
    for mention in case["mentions"]:
        assert mention.lower() in words.lower(), words
    assert case["rows"] in rows, words
