"""Trains the tokenizer and the small base model in recipes/models/tiny from the made-up corpus."""

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from scripts.corpus import documents

END = "<|im_end|>"
PAD = "<|pad|>"
SPECIALS = ["<|endoftext|>", "<|im_start|>", END, PAD, *(f"<|reserved_{n}|>" for n in range(4))]
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

TRAIN_SEED, HELD_OUT_SEED = 1, 2
# Mix of the corpus, its seed, first step and the step after the last.
MIX_STEPS = (
    ("plain", TRAIN_SEED, 0, 1200),
    ("copying", 3, 1200, 2800),
    ("reviewing", 4, 2800, 4000),
)
# The learning rate falls to zero at the end of each of these, first step and the step after the last.
CYCLES = ((0, 2800), (2800, 4000))
STEP_TOKENS = 2048
WARMUP_STEPS = 100
PEAK_RATE = 3e-3
DECAY_SHARE = 0.3


def train_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 2,048 tokens; digits stay single, so that prices are copied by digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(documents(TRAIN_SEED), 20_000), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=["<|endoftext|>", "<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model; all widths are multiples of 64, which 4-bit kernels ask for."""
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def encoded(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[int]:
    """The token ids of all documents, each closed by the end token."""
    end = tokenizer.eos_token_id
    batch = tokenizer.backend_tokenizer.encode_batch_fast(texts)
    return [token for row in batch for token in (*row.ids, end)]


def stream_tokens(tokenizer: PreTrainedTokenizerFast, stream: Iterator[str], count: int) -> torch.Tensor:
    """The first count tokens of an endless corpus; a larger count only makes it longer."""
    tokens: list[int] = []
    while len(tokens) < count:
        tokens += encoded(tokenizer, list(islice(stream, 2_000)))
    return torch.tensor(tokens[:count])


def training_tokens(tokenizer: PreTrainedTokenizerFast, steps: int) -> torch.Tensor:
    """The tokens of the first steps, through the mixes one after the other."""
    parts: list[torch.Tensor] = []
    for mix, seed, first, end in MIX_STEPS:
        count = max(0, min(steps, end) - first) * STEP_TOKENS
        parts.append(stream_tokens(tokenizer, documents(seed, mix), count))
    return torch.cat(parts)


def held_out_tokens(tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Some 400 documents of another seed in rows of 256 tokens."""
    tokens = torch.tensor(encoded(tokenizer, list(islice(documents(HELD_OUT_SEED), 400))))
    return tokens[: len(tokens) // 256 * 256].view(-1, 256)


def batch_at(tokens: torch.Tensor, step: int) -> torch.Tensor:
    """The rows of one step: 8 x 256, and every fourth step 4 x 512 to train the long positions."""
    rows = tokens[step * STEP_TOKENS : (step + 1) * STEP_TOKENS]
    return rows.view(-1, 512 if step % 4 == 3 else 256)


def learning_rate(step: int) -> float:
    """In each cycle a warm-up, then constant, then linear to zero."""
    first, end = next(cycle for cycle in CYCLES if step < cycle[1])
    decay_steps = int((end - first) * DECAY_SHARE)
    return PEAK_RATE * min(1.0, (step - first + 1) / WARMUP_STEPS, (end - step) / decay_steps)


def held_out_loss(model: LlamaForCausalLM, rows: torch.Tensor) -> float:
    """Mean loss in nats per token."""
    with torch.inference_mode():
        losses = [model(input_ids=part, labels=part).loss.item() for part in rows.split(8)]
    sizes = [len(part) for part in rows.split(8)]
    return math.fsum(a * b for a, b in zip(losses, sizes, strict=True)) / len(rows)


def new_optimizer(model: LlamaForCausalLM) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


def save_checkpoint(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.AdamW, step: int) -> None:
    """Writes beside the old checkpoint and then replaces it."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load_checkpoint(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.AdamW) -> int:
    """The step to go on with: 0 when there is no checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, steps: int, checkpoint: Path) -> None:
    """The training loop; prints step, loss, tokens a second and now and then the held-out loss."""
    tokens = training_tokens(tokenizer, steps)
    held_out = held_out_tokens(tokenizer)
    optimizer = new_optimizer(model)
    first = load_checkpoint(checkpoint, model, optimizer)
    begun = time.monotonic()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        rows = batch_at(tokens, step)
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        done = step + 1
        if done % 20 == 0:
            speed = (done - first) * STEP_TOKENS / (time.monotonic() - begun)
            print(f"step {done} loss {loss.item():.3f} tokens/s {speed:.0f}", flush=True)
        if done % 200 == 0 or done == steps:
            print(f"step {done} held-out loss {held_out_loss(model, held_out):.4f}", flush=True)
            save_checkpoint(checkpoint, model, optimizer, done)


def install(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the 16-bit weights, the settings and the tokenizer."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=CYCLES[-1][1], help="at most the default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("recipes/models/tiny"))
    parser.add_argument("--checkpoint", type=Path, default=Path("build/tiny-pretrain.pt"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(TRAIN_SEED)
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters", flush=True)
    train(model, tokenizer, args.steps, args.checkpoint)
    install(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
