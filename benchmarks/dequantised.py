"""What it is worth to unpack 4-bit weights once, and whether anything else changes.

    python benchmarks/dequantised.py [--model builtin:tiny SmolLM-135M] [--rounds 9]

Two models of the same random weights, one in 4 bits and one unpacked, take turns: a training step (there and
back with 2 rows of 256 tokens, LoRA of rank 16 on all linear layers) and a decoded token (base and tuned in
one pass). What is told are medians, and the median of each round's ratio. All losses and tokens are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import compare  # noqa: E402
import torch  # noqa: E402
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training  # noqa: E402

from benchmarks.cuda import shapes  # noqa: E402
from engine.decoding import Settings  # noqa: E402
from engine.workers import decode, dequantised  # noqa: E402
from engine.workers import pair as pairs  # noqa: E402
from engine.workers.decode import Question  # noqa: E402

TOKENS = 24
THREADS = torch.get_num_threads()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="*", default=["builtin:tiny", "SmolLM-135M"])
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.model:
            model = name if name.startswith("builtin:") else str(shapes.make(name, Path(folder)))
            measured(name, model, Path(folder), asked.rounds)


def measured(name: str, model: str, folder: Path, rounds: int) -> None:
    run = compare.random_run(model, folder, f"run-{Path(model).name}", four_bit=True)
    print(f"\n{name}, {THREADS} threads", flush=True)
    kept = {True: _never, False: dequantised.keep_if_room}
    made: dict[str, list[Callable[[], Any]]] = {}
    for label, packed in (("packed", True), ("unpacked", False)):
        torch.set_num_threads(THREADS)  # a pair takes one for small passes
        dequantised.keep_if_room = kept[packed]
        made[label] = [_decoding(pairs.load(run)), _training(run, packed)]
    for place, what in enumerate(("decoded token", "training step")):
        _told(what, {label: each[place] for label, each in made.items()}, rounds)


def _never(*_: Any) -> bool:
    return False


def _told(what: str, variants: dict[str, Callable[[], Any]], rounds: int) -> None:
    taken: dict[str, list[float]] = {label: [] for label in variants}
    equal = True
    for round_ in range(rounds + 1):
        answers = []
        for label, run in variants.items():
            began = time.perf_counter()
            answers.append(run())
            if round_:  # the first one warms up
                taken[label].append(time.perf_counter() - began)
        equal = equal and answers[0] == answers[1]
    ratio = statistics.median(a / b for a, b in zip(taken["packed"], taken["unpacked"], strict=True))
    times = ", ".join(f"{label} {1e3 * statistics.median(each):.0f} ms" for label, each in taken.items())
    print(
        f"  {what:14} {times}; packed / unpacked {ratio:.2f}; all {'equal' if equal else 'NOT equal'}",
        flush=True,
    )


def _decoding(pair: Any) -> Callable[[], Any]:
    pair.stop_ids = []
    ids = [5 + place * 7 % 900 for place in range(40)]
    asked = [Question(ids), Question(ids, (pair.first.name,))]
    return lambda: [answer.ids for answer in decode.answers(pair, asked, Settings(TOKENS))]


def _training(run: Any, packed: bool) -> Callable[[], Any]:
    from engine.workers import adapters

    base = prepare_model_for_kbit_training(pairs._base(adapters.saved(run)), use_gradient_checkpointing=False)
    torch.manual_seed(0)
    model = get_peft_model(base, LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False))
    if not packed:
        dequantised.keep(model)
    ids = torch.randint(4, 2000, (2, 256), generator=torch.Generator().manual_seed(0))

    def step() -> float:
        torch.set_num_threads(THREADS)
        model.zero_grad()
        loss = model.train()(input_ids=ids, labels=ids).loss
        loss.backward()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
