"""The terms of the memory forecast, one function each, as formulas over a model's shapes. All in bytes.

What is saved for the backward pass was read in transformers 5.17 (CPU) and in Unsloth 2026.10's kernels
(CUDA), and the constants of the CPU were measured with benchmarks/fit.py; those of CUDA were not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from engine import lora
from engine.shapes import Shapes

MIB = 1 << 20

CPU_PROCESS = 548 * MIB
"""Resident set of the train worker without a model: 510 MiB after `import unsloth` (torch, transformers, trl,
peft, bitsandbytes; a quarter of it mapped code), 22 more once a model of no size is loaded (tokenizer, TRL,
bitsandbytes' library), 16 in the first step (what torch loads late). Measured with torch's wheel for CPU."""
CUDA_CONTEXT = 600 * MIB
"""CUDA's own context and libraries' workspaces on the GPU. Not measured yet."""
CUDA_SLACK = 0.05
"""What torch's allocator reserves beyond what a step asks for, as a share of that. Not measured yet."""

MMAP_BYTES = 32 * MIB
"""glibc's malloc keeps freed blocks below this in its heap (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)); larger
ones go back to the system at once."""
LOADING_KEPT = 0.5
"""Measured: 0.1 to 1.4, as threads that load at the same time happen to share the heap."""
LOSS_ELEMENTS = 16 * MIB
"""Logits that Unsloth computes at a time on CPU (unsloth_zoo/cpu/ops.py)."""
LOSS_TARGET = 2 << 30
"""Bytes of logits at a time on CUDA, and the fewest rows (unsloth_zoo/fused_losses/chunked_logprob.py). Not
measured yet."""
LOSS_ROWS = 512

SQUARES = 3
"""Of length x length for each head, kept by attention with dropout."""

NF4_BLOCK, NESTED_BLOCK = 64, 256
NF4_TABLES = 16 * 4 + 256 * 4 + 4
"""Of each layer: NF4's 16 values, 256 of the nested constants, their offset (bitsandbytes' QuantState)."""
ADAM_8BIT_FROM = 4096
"""Elements from which bitsandbytes keeps a tensor's Adam states in 8 bits (min_8bit_size)."""


@dataclass(frozen=True)
class Plan:
    """What of a recipe takes memory. `length` is that of the longest row in tokens, after the cut."""

    length: int
    batch: int = 4
    accumulation: int = 4
    four_bit: bool = True
    rank: int = 16
    targets: tuple[str, ...] = ()
    dropout: bool = False
    dora: bool = False
    full: bool = False
    """All weights are trained, and there is no adapter."""
    checkpointing: bool = True
    adam_8bit: bool = False
    dequantised: bool = False
    """Whether weights in 4 bits are unpacked once and held so."""
    eager: bool = False
    """Whether attention is computed in full, its square with it."""
    evaluated: int = 0
    """Tokens of the longest validation row; 0 without validation. As many rows at once as in training."""
    usual: int | None = None
    """The length that 99% of the rows stay within, where it is known."""

    @property
    def tokens(self) -> int:
        """Of the longest batch, padding with them."""
        return self.batch * self.length

    @property
    def packed(self) -> bool:
        """Whether the linear layers lie in memory in 4 bits while it trains."""
        return self.four_bit and not self.dequantised


@dataclass(frozen=True)
class Device:
    """Where the run is to be, and what is free there now, in bytes."""

    kind: Literal["cuda", "cpu"]
    free: int
    half: bool = False
    """Of a CPU: whether it computes in bfloat16 (avx512_bf16 or amx_bf16 in /proc/cpuinfo)."""
    flash: bool = False
    """Of a GPU: whether the package flash-attn is installed and this GPU can run it."""

    @property
    def width(self) -> int:
        """Bytes of a number that is computed with."""
        return 2 if self.half or self.kind == "cuda" else 4


def nf4(shape: tuple[int, ...]) -> int:
    """A weight in NF4: half a byte a number, a byte a block of 64, 4 bytes a block of 256 of those, tables
    (QLoRA, arXiv 2305.14314, section 3; sizes as in bitsandbytes' QuantState)."""
    numbers = shape[0] * shape[1]
    blocks = -(-numbers // NF4_BLOCK)
    return -(-numbers // 2) + blocks + 4 * -(-blocks // NESTED_BLOCK) + NF4_TABLES


def quantised(shapes: Shapes) -> int:
    """The linear layers in 4 bits."""
    return sum(nf4(weight.shape) * weight.count for weight in shapes.weights if weight.kind == "linear")


def unquantised(shapes: Shapes, plan: Plan, device: Device) -> int:
    """What 4-bit loading leaves alone (embeddings, head, norms, biases, experts), or all weights."""
    left = shapes.count() - (shapes.count("linear") if plan.four_bit else 0)
    return left * (4 if plan.full else device.width)


def copies(shapes: Shapes, plan: Plan, device: Device) -> int:
    """On CUDA, trained weights in 32 bits are computed with in 16: torch's autocast holds what it made of the
    linear layers until the step's end (read, not measured)."""
    return device.width * shapes.count("linear") if plan.full and device.width == 2 else 0


def trained(shapes: Shapes, plan: Plan) -> int:
    """How many parameters are trained."""
    return shapes.count() if plan.full else lora.trainable(shapes, plan.rank, plan.targets, plan.dora)


def dequantised(shapes: Shapes, device: Device) -> int:
    """The linear layers unpacked from 4 bits to the type that is computed in."""
    return shapes.count("linear") * device.width


def optimizer(shapes: Shapes, plan: Plan, device: Device) -> int:
    """AdamW's two states: 8 bytes a parameter; in 8 bits 2, and 4 for each block of 256 of each state. On CPU
    Unsloth takes the one with 8 bytes."""
    if not plan.adam_8bit or device.kind == "cpu":
        return 8 * trained(shapes, plan)
    found = 0
    if plan.full:  # transformers has the embeddings' states in 32 bits
        for weight in shapes.weights:
            small = weight.kind == "embedding" or math.prod(weight.shape) < ADAM_8BIT_FROM
            found += weight.parameters * 8 if small else _in_8_bits(math.prod(weight.shape)) * weight.count
        return found
    for one in lora.adapted(shapes, plan.targets):
        for side in one.weight.features or ():
            numbers = plan.rank * one.pairs * side
            each = 8 * numbers if numbers < ADAM_8BIT_FROM else _in_8_bits(numbers)
            found += each * one.weight.count
    return found


def _in_8_bits(numbers: int) -> int:
    return 2 * (numbers + 4 * -(-numbers // 256))


def kept(shapes: Shapes, plan: Plan, device: Device) -> list[int]:
    """The tensors that one layer keeps for its backward pass, for the longest batch, each in bytes.

    The input of each norm, and of the two before attention and MLP what comes out; queries, keys, values and
    the attention's result; of the MLP its gate, what the gate's function makes of it, the way up and their
    product. What one operation puts out and the next takes in is one tensor. Frozen weights keep nothing of
    their input; LoRA's A keeps it, B keeps the rank. A weight that is trained itself keeps the same. DoRA
    keeps besides what the frozen weight and the adapter each make (read in PEFT 0.21, not measured).
    """
    hidden, queries, keys, inner = shapes.hidden, shapes.queries, shapes.keys, shapes.inner
    wide = 4 if shapes.gated else 5  # GPT-2's activation is made of five steps, and there is no gate
    if device.kind == "cuda":
        wide = 2  # Unsloth's kernels keep gate and way up, and compute the rest again
    found = [hidden] * shapes.norms + [hidden] * 2 + [queries] * 2 + [keys] * 2 + [inner] * wide
    if shapes.head_norms:
        found += [queries, keys]
    if shapes.fused:  # the values are a view of the fused result, which stays as a whole
        found += [queries]
    if not shapes.gated:  # GPT-2 cuts queries, keys and values out of one tensor, by copies
        found += [hidden] * 2
    sizes = [plan.tokens * width * device.width for width in found]
    adapted = [] if plan.full else lora.adapted(shapes, plan.targets)
    per_layer = [one for one in adapted if one.weight.count > 1 or shapes.layers == 1]
    sizes += [4 * plan.tokens * plan.rank for _ in per_layer]
    if plan.dora:
        sizes += [2 * plan.tokens * (one.weight.features or (0, 0))[1] * device.width for one in per_layer]
    if plan.dropout:  # each layer has its own dropped input and a mask
        sizes += [plan.tokens * (one.weight.features or (0,))[0] * (device.width + 1) for one in per_layer]
    elif device.kind == "cpu" and device.half:  # PEFT turns the input of each A into float32
        sizes += [4 * plan.tokens * (one.weight.features or (0,))[0] for one in per_layer]
    if shapes.attention_dropout and device.kind == "cpu":
        # With dropout attention is computed in full: its softmax, the mask, and what is left of both.
        sizes += [plan.batch * shapes.heads * plan.length**2 * device.width] * SQUARES
    elif plan.eager:  # its softmax alone is kept
        sizes += [plan.batch * shapes.heads * plan.length**2 * device.width]
    return sizes


def passing(shapes: Shapes, plan: Plan, device: Device) -> int:
    """Gradients that are there at once while the backward pass goes through a layer's MLP, and its largest
    weight when that has to be unpacked from 4 bits first. Of experts with LoRA on them PEFT makes what is
    added and the sum of both, for all of a layer (read, not measured)."""
    wide, narrow = (4, 3) if device.kind == "cpu" else (2, 2)  # Unsloth's kernels write over what they read
    found = plan.tokens * (wide * shapes.inner + narrow * shapes.hidden) * device.width
    linear = [weight.shape for weight in shapes.weights if weight.kind == "linear"]
    largest = max((shape[0] * shape[1] for shape in linear), default=0)
    if plan.full:  # the gradient of the largest weight, before it is added to the one that is there
        every = max(math.prod(weight.shape) for weight in shapes.weights)
        return found + 4 * every
    experts = sum(
        math.prod(one.weight.shape)
        for one in lora.adapted(shapes, plan.targets)
        if one.weight.kind == "expert"
    )
    squares = 2 * plan.batch * shapes.heads * plan.length**2 if plan.eager else 0
    # DoRA makes the whole weight, what the adapter adds to it, and their sum, to take the lengths.
    return found + (largest * (plan.packed + 3 * plan.dora) + 2 * experts + squares) * device.width


def checkpoints(shapes: Shapes, plan: Plan, device: Device) -> int:
    """The input of each layer; on CUDA Unsloth moves them to host memory and keeps two on the device."""
    layers = min(2, shapes.layers) if device.kind == "cuda" else shapes.layers
    return layers * plan.tokens * shapes.hidden * device.width


def heap(shapes: Shapes, plan: Plan, device: Device) -> int:
    """On CPU, what malloc does not use again: for each layer but one, as much as it keeps.

    torch asks for aligned blocks, and glibc (seen in 2.36) finds no freed block of the same size fit for the
    next one. So a process grows by each layer that checkpointing computes again, though it is freed; and
    without checkpointing by what comes and goes beside the tensors that are kept (measured: 0.7 to 1 times
    them). Too little where tensors are above 32 MiB: measured 1.7 times this there, why is not known. With
    MALLOC_MMAP_THRESHOLD_=1048576 the term is gone, and steps take 1.4 times as much processor time.
    """
    return 0 if device.kind == "cuda" else (shapes.layers - 1) * sum(kept(shapes, plan, device))


def loss(shapes: Shapes, plan: Plan, device: Device) -> int:
    """Logits, chunk by chunk with their gradient, and four times the hidden width for each token.

    On CPU the next chunk is computed while the one before is still there. In training batch x length x
    vocabulary is never there at once.
    """
    around = 4 * plan.tokens * shapes.hidden * device.width
    if device.kind == "cuda":
        rows = int(min(LOSS_TARGET, device.free / 2)) // (8 * shapes.vocab)
        rows = min(plan.tokens, rows, max(LOSS_ROWS, -(-plan.tokens // 8)))
        return rows * shapes.vocab * 8 + around
    rows = max(16, LOSS_ELEMENTS // shapes.vocab)
    # Where the logits are kept beside their softmax there are two of them; with a soft cap its slope as well,
    # and two more while it is made.
    each = 3 if shapes.softcap else 1 if shapes.chunked_loss else 2
    blocks = each if plan.tokens <= rows else 2 * each + shapes.softcap
    chunk = min(rows, plan.tokens) * shapes.vocab * 4
    return blocks * chunk + around + (chunk // 2 if device.half else 0)


def evaluation(shapes: Shapes, plan: Plan, device: Device) -> tuple[int, int]:
    """The longest validation batch: a layer's widths in passing, and its logits with their log-softmax.

    On CPU they are there as a whole: without gradients Unsloth computes no loss in chunks there.
    """
    tokens = plan.batch * plan.evaluated
    passed = tokens * (3 * shapes.inner + 3 * shapes.hidden) * device.width
    if device.kind == "cpu":
        return passed, tokens * shapes.vocab * (8 + (2 if device.half else 0))
    return passed, min(tokens, max(LOSS_ROWS, -(-tokens // 8))) * shapes.vocab * 8


def loading(shapes: Shapes, plan: Plan, device: Device) -> int:
    """On CPU, what the heap keeps of small weights' copies in 16 bits, made while they are quantised."""
    if device.kind == "cuda" or not plan.four_bit:
        return 0
    copies = [(weight.parameters * 2, weight.count) for weight in shapes.weights if weight.kind == "linear"]
    return int(LOADING_KEPT * sum(total for total, count in copies if total // count < MMAP_BYTES))
