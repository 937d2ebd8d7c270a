"""Coverage-guided fuzzing of the file readers: whatever the bytes, rows and ledger lines, or one UserError.

    pip install atheris; python scripts/fuzz_readers.py -max_total_time=600 CORPUS_FOLDER

What it found stands in tests/test_sources*.py. The first byte of an input chooses the file's name.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine.sources"]):
    from engine import sources
    from engine.errors import UserError
    from engine.ledger import Entry
    from engine.schema import Source

NAMES = (
    "a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.md", "a.py", "a.parquet", "a.arrow", "a.jsonl.gz",
    "a.csv.bz2", "a.json.xz", "a",
)  # fmt: skip
FOLDER = Path(tempfile.mkdtemp())


def one_input(data: bytes) -> None:
    """Read a file of these bytes, and again from each row's offset on."""
    if not data:
        return
    path = FOLDER / NAMES[data[0] % len(NAMES)]
    path.write_bytes(data[1:])
    source = Source(path=str(path))
    try:
        for file in sources.files(source).files:
            records = list(sources.read(file, source))
            for number, record in enumerate(records):
                if isinstance(record, Entry):
                    continue
                assert isinstance(record.data, dict)
                again = next(iter(sources.read(file, source, record.offset, record.line)))
                assert again == record or str(again) == str(record), (number, record, again)  # NaN is not NaN
    except UserError:
        pass
    finally:
        path.unlink()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
