"""The data worker as its front ends use it: a real process, real files, the embedded model's tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RunFailed
from tui.feed import Child, Dialogue

pytestmark = pytest.mark.slow


@asynccontextmanager
async def worker() -> AsyncIterator[Dialogue]:
    dialogue = Dialogue(Child("data"))
    await dialogue.start()
    try:
        yield dialogue
    finally:
        await dialogue.close()


def recipe_of(*sources: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"data": {"sources": list(sources), "max_length": 256, **data}}


def lines(path: Path, *rows: Any) -> str:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return str(path)


def asked(question: str, answer: str) -> dict[str, str]:
    return {"instruction": question, "output": answer}


async def test_a_set_is_opened_counted_shown_and_scanned(tmp_path: Path) -> None:
    rows = [asked(f"What is {i} plus {i}?", f"It is {2 * i}.") for i in range(40)]
    path = lines(tmp_path / "rows.jsonl", *rows, rows[3], "{torn", asked("why?", ""))
    async with worker() as data:
        opened = await data.answer("open", recipe=recipe_of({"path": path}, validation=0))
        (found,) = opened["sources"]
        assert (found["format"], found["mapping"]) == ("alpaca", "instruction -> output")
        assert opened["survey"]["parts"] == {"train": 42, "validation": 0, "test": 0}
        assert opened["survey"]["sources"][0]["left_out"] == 2

        shown = [await data.answer("row", part="train", index=i) for i in range(42)]
        (twice,) = [row for row in shown if row["refused"].startswith("duplicate")]
        assert twice["line"] == 41 and "rows.jsonl line 4" in twice["refused"]
        (empty,) = [row for row in shown if row["refused"] == "empty answer: output"]
        assert (empty["line"], empty["source"]["instruction"], empty["variants"]) == (43, "why?", 0)
        good = shown[0]
        assert good["text"].count("It is") == 1 and good["tokens"] > good["trained_tokens"] > 0

        messages = [message async for message in data.ask("scan")]
        kinds = [message["kind"] for message in messages]
        assert kinds[-1] == "scanned" and "surveyed" in kinds and "progress" in kinds
        scanned = messages[-1]
        assert scanned["rows"] == 40 == scanned["report"]["sources"][0]["samples"]
        told = {total["reason"]: (total["done"], total["rows"]) for total in scanned["ledger"]}
        assert told["malformed"] == told["empty answer"] == ("left out", 1)
        page = await data.answer("ledger", reason=None, start=0, rows=50)
        assert page["total"] == 3 == len(Path(scanned["file"]).read_text().splitlines())
        (torn,) = (await data.answer("ledger", reason="malformed", start=0, rows=50))["entries"]
        assert (torn["line"], torn["excerpt"]) == (42, "{torn")


async def test_what_one_worker_counted_another_takes_over(tmp_path: Path) -> None:
    path = lines(tmp_path / "rows.jsonl", *(asked(f"q {i}", f"a {i}") for i in range(50)))
    plan = recipe_of({"path": path})
    async with worker() as one, worker() as other:
        first = (await one.answer("open", recipe=plan))["survey"]
        await other.answer("open", recipe=recipe_of({"path": "builtin:reviews"}))
        await other.answer("open", recipe=plan)
        adopted = await other.answer("adopt", folder=first["folder"])
        assert adopted["parts"] == first["parts"]
        counted = await other.answer("count")
        assert counted["ledger"] == first["ledger"]


async def test_a_table_of_no_known_shape_can_be_looked_at_and_tried(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(
        "headline,kind\n" + "".join(f"The lamp number {i} is bright,{i % 2}\n" for i in range(9))
    )
    async with worker() as data:
        opened = await data.answer("open", recipe=recipe_of({"path": str(table)}))
        (found,) = opened["sources"]
        assert found["format"] == "" and found["columns"] == ["headline", "kind"]
        row = await data.answer("row", part="train", index=0)
        assert "no known shape" in row["refused"] and row["source"]["kind"] == "0"
        with pytest.raises(RunFailed, match="choose a template"):
            await data.answer("scan")

        source = {
            "path": str(table),
            "columns": {"prompt": "headline", "completion": "kind"},
            "format": "pairs",
        }
        tried = await data.answer("try", source=source, template=None, rows=2)
        assert [row["messages"][1]["content"] for row in tried["rows"]] == ["0", "1"]

        template = {
            "name": "kinds", "task": "kind", "language": "en", "description": "A kind for a headline.",
            "columns": {"headline": "the text", "kind": "0 or 1"}, "choices": ["dull", "bright"],
            "label": "kind", "metric": "exact",
            "wordings": [{"prompt": "{{ headline }}?", "answer": "{{ choice }}"}],
        }  # fmt: skip
        tried = await data.answer("try", source={"path": str(table)}, template=template, rows=2)
        assert [row["messages"][1]["content"] for row in tried["rows"]] == ["dull", "bright"]
        assert "The lamp number 1 is bright?" in tried["rows"][1]["text"]
        template["wordings"] = [{"prompt": "{{ headline", "answer": "x"}]
        with pytest.raises(RunFailed, match="this template"):
            await data.answer("try", source={"path": str(table)}, template=template, rows=2)


async def test_preference_data_is_shown_and_not_trained_on_before_it_is_agreed_to(tmp_path: Path) -> None:
    rows = [{"prompt": f"q {i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(9)]
    path = lines(tmp_path / "rows.jsonl", *rows)
    async with worker() as data:
        opened = await data.answer("open", recipe=recipe_of({"path": path}))
        (found,) = opened["sources"]
        assert found["format"] == "preference" and "rejected" in found["question"]
        assert "good 0" in (await data.answer("row", part="train", index=0))["text"]
        agreed = await data.answer("open", recipe=recipe_of({"path": path, "format": "preference"}))
        assert agreed["sources"][0]["question"] == ""


async def test_documents_become_pieces_that_say_where_they_come_from(tmp_path: Path) -> None:
    folder = tmp_path / "wiki"
    (folder / "deep").mkdir(parents=True)
    (folder / "lamp.md").write_text("\n\n".join(f"The lamp {i} is bright and small." for i in range(60)))
    (folder / "deep" / "code.py").write_text("def lamp():\n    return 'bright'\n")
    source = {"path": str(folder), "questions": True, "date": "2026-01-02"}
    async with worker() as data:
        opened = await data.answer("open", recipe=recipe_of(source, validation=0))
        assert opened["sources"][0]["format"] == "text"
        count = opened["survey"]["parts"]["train"]
        rows = [await data.answer("row", part="train", index=i) for i in range(count)]
        assert count > 3 and all(row["tokens"] <= 256 for row in rows)
        together = "\n\n".join(row["source"]["text"] for row in rows if row["source"]["path"] == "lamp.md")
        assert together == (folder / "lamp.md").read_text()
        assert all(row["variants"] == 2 for row in rows)
        whole = next(row for row in rows if row["source"]["path"] == "deep/code.py")
        asked_for = await data.answer("row", part="train", index=rows.index(whole), variant=1)
        assert asked_for["messages"][0]["content"] == "2026-01-02: what does deep/code.py contain?"
        part = await data.answer("row", part="train", index=0, variant=1)
        assert "do lines 1 to 23 of lamp.md" in part["messages"][0]["content"]


async def test_wordings_and_copies_make_more_samples_of_a_row(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("review,label\nThe lamp is very good and bright,1\nThe mug is bad,0\n")
    source = {"path": str(table), "templates": ["review-sentiment"], "wordings": 3}
    plan = recipe_of(source, validation=0, augment={"copies": 2, "synonyms": 0.5})
    async with worker() as data:
        await data.answer("open", recipe=plan)
        row = await data.answer("row", part="train", index=0)
        assert row["variants"] > 3
        texts = [await data.answer("row", part="train", index=0, variant=i) for i in range(row["variants"])]
        assert len({text["text"] for text in texts}) == row["variants"]
        assert len({text["messages"][-1]["content"] for text in texts}) == 1
        scanned = await data.answer("scan")
        added = next(total for total in scanned["ledger"] if total["reason"] == "augmented")
        assert added["done"] == "added" and added["rows"] == scanned["rows"] - 6


def cached_on_this_machine(name: str, rows: list[dict[str, str]]) -> None:
    """What `datasets` leaves in its cache when it has fetched a set."""
    from datasets import DatasetInfo, Features, Value
    from datasets.arrow_writer import ArrowWriter

    owner, short = name.split("/")
    folder = Path(os.environ["HF_HOME"]) / "datasets" / f"{owner}___{short}" / "default" / "0.0.0" / "abcdef"
    folder.mkdir(parents=True)
    features = Features({column: Value("string") for column in rows[0]})
    splits = []
    for part in ("train", "test"):
        with ArrowWriter(path=str(folder / f"{short}-{part}.arrow"), features=features) as writer:
            for row in rows:
                writer.write({column: f"{text} {part}" for column, text in row.items()})
            count, size = writer.finalize()
        splits.append({"name": part, "num_bytes": size, "num_examples": count, "dataset_name": short})
    info = DatasetInfo(
        features=features, builder_name="parquet", dataset_name=short, config_name="default",
        version="0.0.0", splits=splits,
    )  # fmt: skip
    info.write_to_directory(str(folder))


async def test_a_set_of_the_hub_is_read_from_its_cache_without_a_network() -> None:
    rows = [{"question": f"q {i}", "answer": f"a {i}"} for i in range(30)]
    cached_on_this_machine("someone/rows", rows)
    async with worker() as data:
        opened = await data.answer("open", recipe=recipe_of({"path": "hf:someone/rows"}, validation=5))
        assert opened["survey"]["parts"] == {"train": 25, "validation": 5, "test": 30}
        row = await data.answer("row", part="test", index=2)
        assert [message["content"] for message in row["messages"]] == ["q 2 test", "a 2 test"]
        assert (row["unit"], row["line"]) == ("row", 3)


async def test_a_wrong_request_is_one_sentence_and_the_worker_goes_on(tmp_path: Path) -> None:
    async with worker() as data:
        with pytest.raises(RunFailed, match="open a recipe first"):
            await data.answer("row", part="train", index=0)
        with pytest.raises(RunFailed, match="no such file"):
            await data.answer("open", recipe=recipe_of({"path": str(tmp_path / "none.jsonl")}))
        with pytest.raises(RunFailed, match="hf:nobody/nothing"):
            await data.answer("open", recipe=recipe_of({"path": "hf:nobody/nothing"}))
        opened = await data.answer("open", recipe=recipe_of({"path": "builtin:reviews"}))
        assert opened["survey"]["parts"]["test"] == 200


async def test_a_row_is_rendered_in_another_way_at_once(tmp_path: Path) -> None:
    path = lines(tmp_path / "rows.jsonl", *(asked(f"What is {i}?", f"It is {i}.") for i in range(9)))
    async with worker() as data:
        await data.answer("open", recipe=recipe_of({"path": path}, validation=0))
        plain = await data.answer("row", part="train", index=2, tokens=True)
        assert "".join(text for _, text, *_ in plain["token_list"]) == plain["text"]
        trained = [text for _, text, _, trained, _ in plain["token_list"] if trained]
        assert "".join(trained) == "It is 2.<|im_end|>" and plain["length"] == plain["tokens"]

        whole = await data.answer("row", part="train", index=2, **{"as": {"train_on": "everything"}})
        assert whole["trained_tokens"] == whole["tokens"] == plain["tokens"]
        (_, *_, bare) = layouts = (await data.answer("layouts"))["layouts"]
        assert layouts[0] == {"name": "", "said": "the model's own"} and bare["name"]
        other = await data.answer("row", part="train", index=2, **{"as": {"chat_template": "bare"}})
        assert other["text"] != plain["text"] and "It is 2." in other["text"]
        short = await data.answer("row", part="train", index=2, **{"as": {"max_length": 16}}, tokens=True)
        assert short["refused"].startswith("too long: ") and short["text"] == plain["text"]
        assert (short["length"], short["max_length"]) == (plain["tokens"], 16) and short["token_list"]
        assert [m["content"] for m in short["messages"]] == ["What is 2?", "It is 2."]
        with pytest.raises(RunFailed, match="no template of_nobody"):
            await data.answer("row", part="train", index=2, **{"as": {"chat_template": "of_nobody"}})
        again = await data.answer("row", part="train", index=2)
        assert again["text"] == plain["text"]


async def test_rows_of_a_finding_and_rows_with_a_text_are_found(tmp_path: Path) -> None:
    rows = [asked(f"q {i}", f"a {i}" + " and so on" * (40 if i in (3, 30) else 0)) for i in range(40)]
    first = lines(tmp_path / "a.jsonl", *rows, "{torn", rows[7])
    # Many rows on one line: a place is more than a line.
    second = tmp_path / "b.json"
    second.write_text(json.dumps([asked(f"say Zürich {i}", "" if i == 4 else f"yes {i}") for i in range(9)]))
    plan = recipe_of({"path": first}, {"path": str(second)}, validation=0, max_length=64)
    plan["data"]["policy"] = {"too_long": "fix"}
    async with worker() as data:
        await data.answer("open", recipe=plan)
        with pytest.raises(RunFailed, match="not been rendered"):
            await data.answer("find", part="train", index=-1, step=1, finding="too long")
        *_, scanned = [message async for message in data.ask("scan")]
        assert scanned["findings"] == {
            "too long": 2, "answer cut": 2, "malformed": 1, "duplicate": 1, "empty answer": 1
        }  # fmt: skip
        assert scanned["spoiling"] == ["2 rows: answer cut (cut within an answer: no end to learn)"]
        assert sum(count for _, count in scanned["lengths"]) == scanned["rows"]
        assert scanned["lengths"][-1][0] > 64 == scanned["longest"]

        async def find(index: int, step: int, finding: str = "", text: str = "") -> tuple[Any, ...]:
            found = await data.answer(
                "find", part="train", index=index, step=step, finding=finding, text=text
            )
            assert not found["more"]
            return found["index"], found["nth"], found["of"]

        assert await find(-1, 1, "too long") == (3, 1, 2)
        assert await find(3, 1, "too long") == (30, 2, 2)
        assert await find(30, 1, "too long") == (None, None, 2)
        assert await find(30, -1, "too long") == (3, 1, 2)
        assert await find(-1, 1, "duplicate") == (40, 1, 1)
        assert await find(-1, 1, "empty answer") == (45, 1, 1)
        assert await find(3, 1, "any") == (30, 2, 4)
        assert await find(-1, 1, text="ZÜRICH 5") == (46, None, None)
        assert await find(50, -1, text="a 1") == (19, None, None)
        assert await find(-1, 1, "too long", "q 30") == (30, 2, 2)
        assert await find(-1, 1, text="nobody says so") == (None, None, None)
        row = await data.answer("row", part="train", index=45)
        assert row["refused"] == "empty answer: output"
        cut = await data.answer("row", part="train", index=30)
        assert cut["notes"][-1]["spoils"] and cut["tokens"] == 64 < cut["length"]
        assert cut["text"][: cut["cut_at"]].endswith(" and so on and so on") and cut["cut_at"] < len(
            cut["text"]
        )
