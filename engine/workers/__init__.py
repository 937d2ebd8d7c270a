"""Processes that do the heavy work; only here torch, unsloth, trl, peft and bitsandbytes are imported.

train runs detached and speaks through the run directory (engine/runs.py, engine/events.py). The others
are children of a front end: started with `python -P -m engine.workers.NAME ARGUMENTS`, they read one JSON
request a line on stdin and write one JSON message a line on stdout; closing stdin ends them. A message that
answers a request carries its `id`. Any request can be answered by {"kind": "error", "id", "message", "user":
whether it is the person's mistake}; a worker that cannot load says so without an id and ends.

data        (no torch)
    {"do": "open", "id", "recipe": {...}}
        -> {"kind": "opened", "id", "model": id, "template": "the model's own" | "plain",
            "sources": [{"path", "format", "columns": [...], "mapping": "instruction + input -> output",
                         "rows": {"train": n, "validation": n, "test": n}, "left_out": n}]}
    {"do": "row", "id", "part": "train" | "validation" | "test", "index": n}
        -> {"kind": "row", "id", "part", "index", "count", "file", "line", "source": {...raw row},
            "messages": [{"role", "content"}], "text", "spans": [[start, end], ...] characters trained,
            "tokens", "trained_tokens", "refused": "" | why this row is not trained on}
    {"do": "scan", "id"}
        -> {"kind": "progress", "id", "done", "total"} ...
        -> {"kind": "scanned", "id", "rows", "tokens", "trained_tokens", "digest", "longest",
            "lengths": [[upper bound, rows], ...], "left_out": {reason: n}}

chat RUN
    -> {"kind": "phase", "phase": "import" | "load"} ... {"kind": "ready", "model", "four_bit", "step",
        "digest": of the adapter's weights, "seconds"}
    {"do": "ask", "id", "messages": {"base": [{"role", "content"}...], "tuned": [...]},
     "settings": {"max_new_tokens": 256, "temperature": 0.0, "seed": 0}}
        -> {"kind": "token", "id", "column": "base" | "tuned", "text"} ...
        -> {"kind": "answered", "id", "cancelled": bool, "seconds", "columns": {"base": {"text", "tokens",
            "ended": whether it stopped by itself}, "tuned": {...}}}
    {"do": "cancel"}

evaluate RUN --part test --rows 200
    -> {"kind": "phase", ...}, {"kind": "progress", "done", "total"} ...
    -> {"kind": "evaluated", "part", "file", "seconds",
        "sets": [{"source", "metric", "rows", "base", "tuned"}]}
       where base and tuned count the rows answered right; the file under evals/ has each row's answers

check
    -> {"kind": "checked", "torch", "cuda": bool, "device", "four_bit": bool, "problem": ""}
"""
