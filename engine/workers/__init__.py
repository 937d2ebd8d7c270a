"""Processes that do the heavy work; only here torch, unsloth, trl, peft and bitsandbytes are imported.

train runs detached and speaks through the run directory (engine/runs.py, engine/events.py). The others
are children of a front end: started with `python -P -m engine.workers.NAME ARGUMENTS`, they read one JSON
request a line on stdin and write one JSON message a line on stdout; closing stdin ends them. A message that
answers a request carries its `id`. Any request can be answered by {"kind": "error", "id", "message", "user":
whether it is the person's mistake}; a worker that cannot load says so without an id and ends.

data        (no torch)
    {"do": "open", "id", "recipe": {...}}
        -> {"kind": "opened", "id", "model": id, "template": "the model's own" | "plain",
            "sources": [SET, ...], "survey": COUNTS | null}    (null: large sets are counted by "scan")
       SET: {"path", "format": "" where no shape is known, "mapping": in words, "instruction -> output",
             "roles": {role: column}, "columns": [...], "notes": [sentence, ...],
             "question": what has to be agreed to before training, or "",
             "fitting": [{"name", "task", "language", "columns": {template's column: set's column}}, ...],
             "files": [{"part", "path", "kind"}, ...], "first": {first row's data}}
       COUNTS: {"folder": for "adopt", "sources": [{"rows": {"train": n, "validation": n, "test": n},
             "left_out": n}, ...], "parts": {"train": n, "validation": n, "test": n}, "ledger": [TOTAL, ...]}
       TOTAL: {"reason", "done": "left out" | "changed" | "kept" | "added", "rows": n, "meaning",
             "action": what the recipe does with it, "actions": what it could do,
             "spoils": whether such rows spoil training where they are used,
             "details": [[detail, n], ...], "first": ["rows.jsonl line 5", ...]}
    {"do": "row", "id", "part": "train" | "validation" | "test", "index": n, "variant": 0,
     "as": {"train_on" | "chat_template" | "max_length": value, ...}, to see it rendered so; "tokens": bool}
        -> {"kind": "row", "id", "part", "index", "count": n | null while not counted,
            "set": number of the source, "file", "line", "unit": "line" | "row", "source": {...raw row},
            "variant", "variants": how many samples the row makes, "times": how often it stands in an epoch,
            "notes": [{"reason", "detail", "done", "spoils"}, ...], "piece": "" | "piece 2 of 5, lines 10-40",
            "messages": [{"role", "content", ...}], "tools": [...], "text", "tokens", "trained_tokens",
            "spans": [[start, end], ...] characters trained, "max_length", "length": tokens before any cut,
            "cut_at": the character where max_length falls | null, "links": sub-tasks of a chain, or 0,
            "refused": "" | why this row is not trained on (what it would be is shown where that is known),
            "token_list": [[id, text, vocabulary entry, trained, special], ...] if asked for; a text is ""
            where its character ends in a later token}
    {"do": "link", "id", "part", "index", "number": of the sub-task, from 0,
     "said": {column of a comparison: {"fills" of a sub-task before: what it said}, ...}}
        -> {"kind": "link", "id", "messages": {column: [...], ...}, "reference": of this sub-task,
            "fills": the row's column that an answer stands in the place of, "" of the last one}
    {"do": "find", "id", "part", "index": from where, -1 for the start, "step": 1 | -1,
     "finding": reason | "any" | "", "text": what to look for in the rows as they stand in their files | ""}
        -> {"kind": "found", "id", "index": n | null, "reached": how far was looked, "more": ask again from
            there, "nth", "of": its place among the rows of the finding}    (findings: after a scan)
    {"do": "layouts", "id"} -> {"kind": "layouts", "id", "layouts": [{"name", "said"}, ...]}
    {"do": "try", "id", "source": {...a data.sources entry}, "template": {...} | null, "rows": n}
        -> {"kind": "tried", "id", "set": SET, "rows": [{"file", "line", "data", "messages", "text",
            "refused", "notes"}, ...]}    (the first rows of a source, read so; what is opened stays)
    {"do": "scan", "id"}
        -> {"kind": "progress", "id", "phase": "count" (in MB) | "render" (in rows), "done", "total",
            "facts": {"rows", "tokens", "trained_tokens", "longest", "findings": {reason: n}} so far} ...
        -> {"kind": "surveyed", "id", **COUNTS}, after "count"
        -> {"kind": "scanned", "id", "rows": samples, "tokens", "trained_tokens", "digest", "longest",
            "usual": tokens that 99% of the samples stay within,
            "lengths": [[upper bound, rows], ...] before any cut, "left_out": {reason: n},
            "findings": {reason: n}, "spoiling": [what would spoil training, ...], "ledger": [TOTAL, ...],
            "file": the ledger's, "report": REPORT}
       REPORT: {"sources": [{"path", "samples", "tokens", "trained_tokens"}, ...],
             "labels": [[answer, n], ...] or [], "languages": [[name, share], ...],
             "near_empty": {"rows": n, "first": [place, ...]}, "longest": [{"place", "tokens"}, ...] ten,
             "conflicts": {"questions": n, "first": [place, ...]},
             "warnings": [sentence, ...]}
    {"do": "count", "id"} -> {"kind": "progress", ...} ..., {"kind": "counted", "id", **COUNTS}
    {"do": "adopt", "id", "folder"} -> {"kind": "adopted", "id", **COUNTS}    (what another worker counted)
    {"do": "ledger", "id", "reason": null | reason, "start": n, "rows": n}
        -> {"kind": "ledger", "id", "total": n, "entries": [{"file", "line", "unit", "reason", "detail",
            "excerpt", "done", "offset"}, ...]}

chat RUN [--checkpoint STEP]        engine/workers/chat.py has its messages
evaluate RUN [--part test] ...      engine/workers/evaluate.py has its messages
export RUN --to KIND[,KIND] ...     engine/workers/export.py has its messages

probe
    {"do": "probe", "id", "recipe": {...}}    (only one: what it has loaded would be in the next figures)
        -> {"kind": "phase", "id", "phase": "import" | "render" | "load" | "probe"} ...
        -> {"kind": "probed", "id", "fits": bool, "reason": "" | what ran out, in which batch, "mend",
            "forecast": {...} and "measured": {...}: the facts of these events (engine/events.py), {} where it
            did not come to them}

check
    -> {"kind": "checked", "torch", "cuda": bool, "device", "four_bit": bool, "problem": ""}
"""
