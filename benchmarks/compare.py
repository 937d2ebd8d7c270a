"""What answering as base and tuned at once costs, and whether each column is what it says.

    python benchmarks/compare.py [RUN] [--model FOLDER] [--prompts 200] [--rounds 9]

Takes a finished run (by default it trains the default recipe, a minute and a half), or with --model any small
model with an adapter of random weights. Each precision is measured by itself; within it, all variants take
turns, so that a busy machine slows them alike; what is told are medians, and medians of each round's ratios.

speed     milliseconds a token, 48 tokens, nobody stops earlier: base alone, tuned alone, both in one pass,
          and PEFT's own generate() with adapter_names for comparison
equal     answers of the pair against transformers' generate() on the model without any adapter, and PEFT's
          on the adapter alone, one prompt at a time, token by token
cancel    tokens that come after it was asked for
batch     evaluating in batches against one prompt at a time
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As in the workers: threads that spin while they wait take the core from others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, GenerationConfig

from engine import dataset, models, recipe, render, resume, runs, usable
from engine.decoding import Settings
from engine.runs import Run
from engine.workers import decode, measure
from engine.workers import pair as pairs
from engine.workers.decode import Question
from engine.workers.mixed import BASE
from engine.workers.model import TOKENIZER_FILES
from engine.workers.pair import Pair

TOKENS = 48
PRECISIONS = ("4-bit", "32-bit", "16-bit")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", help="a finished run; its test rows are the prompts")
    parser.add_argument("--model", type=Path, help="a model folder, with an adapter of random weights")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", choices=PRECISIONS, action="append")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = (
            random_run(str(asked.model.resolve()), Path(folder))
            if asked.model
            else given_run(asked.run, Path(folder))
        )
        for precision in asked.precision or PRECISIONS:
            measured(in_precision(run, precision, Path(folder)), precision, asked.prompts, asked.rounds)
    return 0


def measured(run: Run, precision: str, count: int, rounds: int) -> None:
    """All figures of one precision, printed."""
    pair = pairs.load(run)
    adapter = pair.first.name
    prompts = questions(run, pair, count)
    print(f"\n{run.recipe().model.id} in {precision}, {torch.get_num_threads()} threads")
    speed(pair, run, adapter, prompts, rounds)
    equal(pair, run, adapter, prompts)
    cancel(pair, adapter, prompts)
    batch(pair, adapter, prompts, rounds)


def speed(pair: Pair, run: Run, adapter: str, prompts: Sequence[Sequence[int]], rounds: int) -> None:
    stops, pair.stop_ids = pair.stop_ids, []
    stock = stock_pair(run)
    variants: dict[str, Callable[[Sequence[int]], Any]] = {
        "base alone": lambda ids: decode.answers(pair, [Question(ids)], Settings(TOKENS)),
        "tuned alone": lambda ids: decode.answers(pair, [Question(ids, (adapter,))], Settings(TOKENS)),
        "both at once": lambda ids: decode.answers(
            pair, [Question(ids), Question(ids, (adapter,))], Settings(TOKENS)
        ),
        "PEFT, base alone": lambda ids: generated(stock, [ids], adapter_names=[BASE]),
        "PEFT, tuned alone": lambda ids: generated(stock, [ids], adapter_names=["default"]),
        "PEFT, both at once": lambda ids: generated(stock, [ids, ids], adapter_names=[BASE, "default"]),
    }
    taken: dict[str, list[float]] = {name: [] for name in variants}
    ratios: dict[str, list[float]] = {"": [], "PEFT, ": []}
    for round_ in range(rounds + 1):
        ids = prompts[round_ % len(prompts)]
        now = {
            name: seconds(lambda run=run, ids=ids: run(ids)) / TOKENS * 1e3 for name, run in variants.items()
        }
        if round_:  # the first one warms up
            for name, value in now.items():
                taken[name].append(value)
            ratios[""].append(now["both at once"] / (now["base alone"] + now["tuned alone"]))
            ratios["PEFT, "].append(
                now["PEFT, both at once"] / (now["PEFT, base alone"] + now["PEFT, tuned alone"])
            )
    pair.stop_ids = stops
    for name, values in taken.items():
        print(f"  {name:20} {statistics.median(values):7.2f} ms a token")
    for name, values in ratios.items():
        print(f"  {name}both at once / one after the other  {statistics.median(values):.2f}")


def equal(pair: Pair, run: Run, adapter: str, prompts: Sequence[Sequence[int]]) -> dict[str, int]:
    """How many prompts each column answers token by token as the model that it stands for does alone."""
    told = {"base": stock_base(run), "tuned": stock_pair(run, alone=True)}
    same = {"base": 0, "tuned": 0}
    for ids in prompts:
        both = decode.answers(pair, [Question(ids), Question(ids, (adapter,))], Settings(TOKENS))
        for (name, model), answer in zip(told.items(), both, strict=True):
            alone = generated(model, [ids], stops=pair.stop_ids)[0]
            said = [*answer.ids, *alone[len(answer.ids) : len(answer.ids) + answer.ended]]
            ended = alone[-1] in pair.stop_ids
            if said == alone and ended == answer.ended:
                same[name] += 1
            else:
                first = next(
                    (i for i, (a, b) in enumerate(zip(answer.ids, alone, strict=False)) if a != b), -1
                )
                print(f"    {name} differs from token {first} of {len(alone)}")
    for name, count in same.items():
        print(f"  {name} equal token by token: {count} of {len(prompts)} prompts")
    return same


def cancel(pair: Pair, adapter: str, prompts: Sequence[Sequence[int]]) -> None:
    """Asked for after the tenth piece of text of either column."""
    stops, pair.stop_ids = pair.stop_ids, []
    late = []
    for ids in prompts[:20]:
        pieces: list[int] = []
        at: list[float] = []

        def told(answer: int, text: str, pieces: list[int] = pieces, at: list[float] = at) -> None:
            pieces.append(answer)
            if len(pieces) == 10:
                at.append(time.perf_counter())

        both = [Question(ids), Question(ids, (adapter,))]
        decode.answers(pair, both, Settings(TOKENS), told, lambda pieces=pieces: len(pieces) >= 10)
        late.append((len(pieces) - 10, (time.perf_counter() - at[0]) * 1e3))
    pair.stop_ids = stops
    most = max(more for more, _ in late)
    print(
        f"  cancel: at most {most} more pieces, over after {statistics.median(ms for _, ms in late):.2f} ms"
    )


def batch(pair: Pair, adapter: str, prompts: Sequence[Sequence[int]], rounds: int) -> None:
    columns = {"base": (BASE,), "tuned": (adapter,)}
    few = prompts[:32]
    ratios = []
    for _ in range(max(1, rounds // 3)):
        one_by_one = seconds(
            lambda: [
                decode.answers(pair, [Question(ids, who)], Settings(TOKENS))
                for ids in few
                for who in columns.values()
            ]
        )
        at_once = seconds(lambda: measure.answers(pair, columns, few, TOKENS))
        ratios.append(one_by_one / at_once)
    print(f"  evaluation in batches: {statistics.median(ratios):.1f} times as fast as one answer at a time")


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def generated(
    model: Any, prompts: Sequence[Sequence[int]], stops: Sequence[int] = (), tokens: int = TOKENS, **more: Any
) -> list[list[int]]:
    """What transformers' own generate() says, greedily; `prompts` of one length."""
    ids = torch.tensor([list(prompt) for prompt in prompts], device=model.device)
    plan = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, eos_token_id=list(stops) or None, pad_token_id=0
    )
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=plan, **more
        )
    said: list[list[int]] = out[:, ids.shape[1] :].tolist()
    return said


def stock_base(run: Run) -> Any:
    """The base model alone, as transformers loads it."""
    from engine.workers import adapters

    return pairs._base(adapters.saved(run)).eval()


def stock_pair(run: Run, alone: bool = False) -> Any:
    """The base with its adapter, as PEFT loads it; nothing of ours."""
    return PeftModel.from_pretrained(stock_base(run), str(run.adapter), autocast_adapter_dtype=False).eval()


def questions(run: Run, pair: Pair, count: int) -> list[list[int]]:
    """Prompts of the run's test rows; of a model without data, texts of the general set."""
    plan = run.recipe()
    data = dataset.opened(plan)
    found: list[list[int]] = []
    with tempfile.TemporaryDirectory() as folder:
        for _, sample in usable.samples(data, usable.surveyed(data, Path(folder)), ("test",)):
            if sample.messages:
                found.append(pair.chat.prompt_ids(sample.question))
    step = max(1, len(found) // count)
    return found[::step][:count]


def given_run(name: str | None, folder: Path) -> Run:
    """The run that is named, or the default recipe trained now."""
    if name:
        return runs.find(name)
    os.environ["IFT_TUI_HOME"] = str(folder / "home")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    run = runs.create(recipe.load("first-steps"))
    runs.launch(run)
    while runs.is_alive(run):
        time.sleep(0.5)
    if run.state().status != "finished":
        sys.exit("\n".join(runs.log_tail(run)))
    return run


QUANTIZED = {
    "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "float32",
}  # fmt: skip


def random_run(
    model: str,
    folder: Path,
    name: str = "random",
    rank: int = 16,
    std: float = 0.05,
    four_bit: bool = False,
    **kind: Any,
) -> Run:
    """A run's folder with an adapter of random weights on that model, as if it had been trained.

    kind: of the adapter, as PEFT's LoraConfig takes it; what else that trains is random too.
    """
    plan = recipe.changed(recipe.load("first-steps"), model={"id": model})
    run = Run(folder / name)
    run.path.mkdir(parents=True)
    (run.path / "recipe.toml").write_text(recipe.dumps(plan), "utf-8")
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(str(models.locate(model)), dtype=torch.float32)
    kind = {"target_modules": "all-linear", **kind}
    peft = get_peft_model(base, LoraConfig(r=rank, lora_alpha=2 * rank, **kind))
    for layer, weight in peft.named_parameters():
        if "lora_B" in layer or "lora_embedding_B" in layer:
            torch.nn.init.normal_(weight, std=std)
        elif weight.requires_grad and "lora_A" not in layer:
            weight.data += std * torch.randn_like(weight)
    peft.save_pretrained(str(run.adapter))
    source = models.tokenizer_folder(model)
    for file in TOKENIZER_FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, run.adapter / file)
    render.save_templates(dataset.chat_format(plan), run.adapter)
    quantization = QUANTIZED if four_bit else None
    facts = {**resume.facts(run), "dtype": "float32", "quantization": quantization, "reasoning": False}
    (run.path / "environment.json").write_text(json.dumps(facts), "utf-8")
    return run


def in_precision(run: Run, precision: str, folder: Path) -> Run:
    """A copy of the run that says its base was loaded so."""
    copy = Run(folder / f"{run.name}-{precision}")
    shutil.copytree(run.path, copy.path, ignore=shutil.ignore_patterns("checkpoints", "rows", "evals"))
    facts = json.loads((run.path / "environment.json").read_text("utf-8"))
    facts["quantization"] = (facts["quantization"] or QUANTIZED) if precision == "4-bit" else None
    facts["dtype"] = "bfloat16" if precision == "16-bit" else "float32"
    (copy.path / "environment.json").write_text(json.dumps(facts), "utf-8")
    return copy


if __name__ == "__main__":
    sys.exit(main())
