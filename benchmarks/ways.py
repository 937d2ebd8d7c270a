"""Every way to train: killed half way and taken up again, does it end as the run that was left alone?

    python benchmarks/ways.py [--only dora --only full ...]

A line a way: whether the two ends are the same bit for bit (weights, losses, rates, evaluations), and what
the figures were. The model is the embedded one, or a GPT-2 or a mixture of experts of random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import kill
from engine import models, recipe, runs
from engine.events import EventLog
from engine.schema import Recipe
from engine.workers import train

DIES_AT = 4
"""The step that is told last in the first life: the newest checkpoint is that of two steps before."""


def plain(**tables: dict[str, Any]) -> Recipe:
    """A few steps of what benchmarks/kill.py trains, with other keys."""
    train = {"save_every": 2, "probe": True, **tables.pop("train", {})}
    return recipe.changed(kill.short(), train=train, **tables)


def told() -> Recipe:
    """LoRA+, long enough that the run is told another learning rate and another length on its way."""
    return recipe.changed(kill.plan(), lora={"plus_ratio": 4.0})


def full(**model: Any) -> Recipe:
    return plain(model={"load_in_4bit": False, **model}, train={"method": "full", "learning_rate": 1e-3})


def continued() -> Recipe:
    first = runs.create(kill.short())
    kill.life(first, people=False)
    return plain(model={"adapter": first.name})


def gpt2(**model: Any) -> Recipe:
    """No chat template, no pad token, learnt positions, layers that are Conv1D."""
    return plain(model={"id": str(random_gpt2()), **model}, train={"learning_rate": 1e-3})


def mixture(**model: Any) -> Recipe:
    """A mixture of experts, on whose bare parameters PEFT puts no dropout."""
    model = {"id": str(random_mixture()), **model}
    return plain(model=model, lora={"dropout": 0.0}, train={"learning_rate": 1e-3})


def random_gpt2() -> Path:
    from transformers import GPT2Config

    def shape(words: int) -> GPT2Config:
        return GPT2Config(vocab_size=words, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)

    return random_model("gpt2", shape, without=("chat_template", "pad_token"))


def random_mixture() -> Path:
    from transformers import Qwen3MoeConfig

    def shape(words: int) -> Qwen3MoeConfig:
        return Qwen3MoeConfig(
            vocab_size=words, hidden_size=64, intermediate_size=128, moe_intermediate_size=32,
            num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_experts=4,
            num_experts_per_tok=2, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip

    return random_model("mixture", shape)


def random_model(name: str, shape: Callable[[int], Any], without: Sequence[str] = ()) -> Path:
    """A model of random weights with the embedded model's tokenizer, made where it is not there yet.

    shape: its configuration for so many words. without: keys that its tokenizer does not have.
    """
    from transformers import AutoModelForCausalLM, set_seed

    folder, tokenizer = runs.home() / name, models.tokenizer_folder("builtin:tiny")
    if not folder.is_dir():
        words = len(json.loads((tokenizer / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
        words = max(words, json.loads((tokenizer / "config.json").read_text("utf-8"))["vocab_size"])
        set_seed(0)
        AutoModelForCausalLM.from_config(shape(words)).save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            text = json.loads((tokenizer / file).read_text("utf-8"))
            (folder / file).write_text(json.dumps({key: text[key] for key in text if key not in without}))
    return folder


WAYS: dict[str, Callable[[], Recipe]] = {
    "plain": plain,
    "rank-stabilised": lambda: plain(lora={"rank_stabilised": True}),
    "dora": lambda: plain(lora={"dora": True}),
    "loftq": lambda: plain(lora={"init": "loftq"}),
    "lora-plus": lambda: plain(lora={"plus_ratio": 4.0}),
    "lora-plus-told": told,
    "neftune": lambda: plain(train={"neftune": 5.0}),
    "neftune-packed": lambda: plain(train={"neftune": 5.0, "packing": True}),
    "full": full,
    "full-again": lambda: recipe.changed(full(), train={"gradient_checkpointing": True}),
    "continued": continued,
    "gpt2": lambda: gpt2(load_in_4bit=False),
    "gpt2-4bit": gpt2,
    "mixture": lambda: mixture(load_in_4bit=False),
    "mixture-full": lambda: recipe.changed(mixture(load_in_4bit=False), train={"method": "full"}),
    "gpt2-full": lambda: recipe.changed(gpt2(load_in_4bit=False), train={"method": "full"}),
}


def dies() -> None:
    """In a life: end it by a kill once that step was told."""
    write = EventLog.write

    def heard(log: EventLog, kind: str, **facts: Any) -> None:
        write(log, kind, **facts)
        if kind == "step" and facts["step"] == DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    EventLog.write = heard  # type: ignore[method-assign]


def tried(way: str) -> dict[str, Any]:
    """Train it twice, once with a kill in it, and compare."""
    plan, people = WAYS[way](), way.endswith("told")
    alone, killed = runs.create(plan), runs.create(plan)
    kill.life(alone, people=people)
    wanted = kill.outcome(alone)
    said: dict[str, Any] = {"way": way, "status": wanted["status"], "reason": wanted["reason"]}
    if wanted["status"] != "finished":
        return {**said, "same": False, "log": runs.log_tail(alone, 15)}
    died = kill.life(killed, dies, people=people) == -signal.SIGKILL
    kill.life(killed, people=people)
    found = kill.outcome(killed)
    state = alone.state()
    return {
        **said,
        "same": died and killed.state().resumes == 1 and found == wanted,
        "different": [key for key in wanted if wanted[key] != found[key]],
        "taken_up": found["reason"],
        "trainable": (state.loaded or {}).get("trainable"),
        "base": wanted["base"],
        "losses": [wanted["losses"][0][1], wanted["losses"][-1][1]],
        "validation": wanted["evaluations"][-1][1],
        "result": wanted["adapter"][:12],
        "files": sorted(path.name for path in alone.result.iterdir()),
        "forecast": (state.forecast or {}).get("total"),
        "peak": (state.probed or {}).get("train", {}).get("peak"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", choices=WAYS, help="this one; may be given more than once")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ift-tui-ways-") as home:
        os.environ |= {**runs.WORKER_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "IFT_TUI_HOME": home}
        os.umask(0o077)
        train.warm()
        wrong = 0
        for way in asked.only or WAYS:
            found = tried(way)
            wrong += not found["same"]
            print(json.dumps(found), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
