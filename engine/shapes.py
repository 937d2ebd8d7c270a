"""The weights of a language model, exactly, from its config.json alone: names, shapes, kinds, how many.

An architecture is known here or it is not: for the rest there is a reason, never a guess. The layouts are
those of transformers 5, where the experts of a mixture are stored as 3-D parameters; a test counts them
against its models on the meta device.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.architectures import (
    ARCHITECTURES,
    NESTED,
    NORM_NAMES,
    Architecture,
    Facts,
    Missing,
)

Kind = Literal["embedding", "linear", "norm", "bias", "expert", "router", "head"]
"""linear: what 4-bit loading quantises. expert, router: bare parameters, which it leaves as they are."""


@dataclass(frozen=True)
class Weight:
    """A tensor, or `count` of them that are alike. `*` in a name stands for the number of the layer."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    count: int = 1
    features: tuple[int, int] | None = None
    """In and out features, of layers that LoRA can be put on."""

    @property
    def parameters(self) -> int:
        return math.prod(self.shape) * self.count


@dataclass(frozen=True)
class Shapes:
    """A model's weights, and the widths that its activations follow from. A tied head is not among them."""

    model_type: str
    weights: tuple[Weight, ...]
    layers: int
    hidden: int
    vocab: int
    queries: int
    """Heads times head size."""
    keys: int
    """Key-value heads times head size."""
    heads: int
    inner: int
    """Width of the MLP that one token goes through: of a mixture, that of all experts that it is sent to."""
    gated: bool
    """Whether the MLP has a gate beside the way up (all but GPT-2)."""
    fused: bool
    """Whether queries, keys and values come out of one layer (Phi-3)."""
    tied: bool
    norms: int
    """Norms of the hidden width in a layer."""
    head_norms: bool
    chunked_loss: bool
    softcap: bool
    """Whether the logits are bent to stay within a limit (Gemma 2)."""
    attention_dropout: bool
    context: int | None
    """Longest text in tokens that its positions were made for."""
    note: str = ""

    def count(self, *kinds: Kind) -> int:
        """Parameters of these kinds; of all without any."""
        return sum(weight.parameters for weight in self.weights if not kinds or weight.kind in kinds)


@dataclass(frozen=True)
class Unknown:
    """Why the shapes are not known, in one sentence."""

    reason: str


def read(config: Mapping[str, Any]) -> Shapes | Unknown:
    """The shapes that a config.json describes."""
    kind, note = str(config.get("model_type") or ""), ""
    if kind in NESTED:
        text = config.get("text_config")
        if not isinstance(text, Mapping):
            return Unknown(f"{kind}: config.json has no text_config")
        kind, config, note = NESTED[kind], text, "without the part for pictures"
    known = ARCHITECTURES.get(kind)
    if known is None:
        return Unknown(f"{kind or 'no model_type'}: the layout of this architecture is not known here")
    facts = Facts({**dict(known.defaults), **{k: v for k, v in config.items() if v is not None}})
    try:
        return _gpt2(facts) if kind == "gpt2" else _decoder(kind, known, facts, note)
    except Missing as missing:
        return Unknown(f"{kind}: config.json gives no usable {missing}")


def _decoder(kind: str, known: Architecture, facts: Facts, note: str) -> Shapes:
    """Llama and what descends from it."""
    hidden, vocab = facts.number("hidden_size"), facts.number("vocab_size")
    layers, heads = facts.number("num_hidden_layers"), facts.number("num_attention_heads")
    head = facts.number("head_dim", hidden // heads)
    queries = heads * head
    keys = facts.number("num_key_value_heads", heads) * head
    sparse = _sparse_layers(known, facts, layers)
    attention = _attention(known, facts, hidden, queries, keys, layers)
    mlp, inner = _mlp(known, facts, hidden, layers - sparse)
    experts, sparse_inner = _experts(kind, known, facts, hidden, sparse)
    norms = [
        Weight(f"model.layers.*.{name}.weight", (hidden,), "norm", layers) for name in NORM_NAMES[known.norms]
    ]
    if known.head_norms:
        norms += [
            Weight(f"model.layers.*.self_attn.{name}.weight", (head,), "norm", layers)
            for name in ("q_norm", "k_norm")
        ]
    ends = [
        Weight("model.embed_tokens.weight", (vocab, hidden), "embedding", features=(vocab, hidden)),
        Weight("model.norm.weight", (hidden,), "norm"),
    ]
    tied = facts.says("tie_word_embeddings", known.tied)
    if not tied:
        ends.append(Weight("lm_head.weight", (vocab, hidden), "head", features=(hidden, vocab)))
    return Shapes(
        model_type=kind,
        weights=(*ends, *attention, *mlp, *experts, *norms),
        layers=layers,
        hidden=hidden,
        vocab=vocab,
        queries=queries,
        keys=keys,
        heads=heads,
        inner=max(inner, sparse_inner),
        gated=True,
        fused=known.fused,
        tied=tied,
        norms=len(NORM_NAMES[known.norms]),
        head_norms=known.head_norms,
        chunked_loss=known.chunked_loss,
        softcap=facts.says("final_logit_softcapping"),
        attention_dropout=facts.says("attention_dropout"),
        context=facts.maybe("max_position_embeddings"),
        note=note,
    )


def _attention(
    known: Architecture, facts: Facts, hidden: int, queries: int, keys: int, layers: int
) -> list[Weight]:
    """Ways in and out of the attention, with the biases that the architecture or config.json gives them."""
    parts = {"q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys)}
    if known.fused:
        parts = {"qkv_proj": (hidden, queries + 2 * keys)}
    parts["o_proj"] = (queries, hidden)
    key = "qkv_bias" if facts.says("qkv_bias") else "attention_bias"
    biased = (*known.biases, *(known.attention_bias if facts.says(key) else ()))
    return _linears("model.layers.*.self_attn", parts, layers, biased)


def _mlp(known: Architecture, facts: Facts, hidden: int, layers: int) -> tuple[list[Weight], int]:
    """The dense MLPs and their width; none in a mixture of which every layer is sparse."""
    if not layers:
        return [], 0
    inner = facts.number("intermediate_size")
    parts = {"gate_proj": (hidden, inner), "up_proj": (hidden, inner)}
    if known.fused:
        parts = {"gate_up_proj": (hidden, 2 * inner)}
    parts["down_proj"] = (inner, hidden)
    biased = tuple(parts) if known.mlp_bias and facts.says("mlp_bias") else ()
    return _linears("model.layers.*.mlp", parts, layers, biased), inner


def _sparse_layers(known: Architecture, facts: Facts, layers: int) -> int:
    """How many layers are mixtures: Qwen has mlp_only_layers, and only every decoder_sparse_step-th."""
    if not known.experts:
        return 0
    dense, step = facts.places("mlp_only_layers"), facts.number("decoder_sparse_step", 1)
    return sum(layer not in dense and (layer + 1) % step == 0 for layer in range(layers))


def _experts(
    kind: str, known: Architecture, facts: Facts, hidden: int, layers: int
) -> tuple[list[Weight], int]:
    """The mixtures' experts and routers, and the width that one token goes through."""
    if not layers:
        return [], 0
    experts, chosen = facts.number(known.experts), facts.number("num_experts_per_tok")
    inner = facts.number("intermediate_size" if kind == "mixtral" else "moe_intermediate_size")
    block = "model.layers.*.mlp"
    found = [
        Weight(
            f"{block}.experts.gate_up_proj",
            (experts, 2 * inner, hidden),
            "expert",
            layers,
            (hidden, 2 * inner),
        ),
        Weight(f"{block}.experts.down_proj", (experts, hidden, inner), "expert", layers, (inner, hidden)),
        Weight(f"{block}.gate.weight", (experts, hidden), "router", layers, (hidden, experts)),
    ]
    width = chosen * inner
    if kind == "qwen2_moe":
        shared = facts.number("shared_expert_intermediate_size")
        parts = {"gate_proj": (hidden, shared), "up_proj": (hidden, shared), "down_proj": (shared, hidden)}
        found += _linears(f"{block}.shared_expert", parts, layers)
        found += _linears(block, {"shared_expert_gate": (hidden, 1)}, layers)
        width += shared
    return found, width


def _linears(
    block: str,
    parts: Mapping[str, tuple[int, int]],
    layers: int,
    biased: Collection[str] = (),
    transposed: bool = False,
) -> list[Weight]:
    """Linear layers by name with in and out features; GPT-2 stores them the other way round."""
    found = []
    for name, (inputs, outputs) in parts.items():
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        found.append(Weight(f"{block}.{name}.weight", shape, "linear", layers, (inputs, outputs)))
        if name in biased:
            found.append(Weight(f"{block}.{name}.bias", (outputs,), "bias", layers))
    return found


def _gpt2(facts: Facts) -> Shapes:
    """GPT-2: learnt positions, layer norms with biases, fused attention, a plain MLP."""
    hidden, vocab, layers = facts.number("n_embd"), facts.number("vocab_size"), facts.number("n_layer")
    context, inner = facts.number("n_positions"), facts.number("n_inner", 4 * hidden)
    attention, mlp = {"c_attn": (hidden, 3 * hidden), "c_proj": (hidden, hidden)}, {
        "c_fc": (hidden, inner), "c_proj": (inner, hidden),
    }  # fmt: skip
    norms = [
        Weight(f"{name}.{part}", (hidden,), "norm", count)
        for name, count in (
            ("transformer.h.*.ln_1", layers),
            ("transformer.h.*.ln_2", layers),
            ("transformer.ln_f", 1),
        )
        for part in ("weight", "bias")
    ]
    tied = facts.says("tie_word_embeddings", True)
    head = () if tied else (Weight("lm_head.weight", (vocab, hidden), "head", features=(hidden, vocab)),)
    return Shapes(
        model_type="gpt2",
        weights=(
            Weight("transformer.wte.weight", (vocab, hidden), "embedding", features=(vocab, hidden)),
            Weight("transformer.wpe.weight", (context, hidden), "embedding", features=(context, hidden)),
            *head,
            *_linears("transformer.h.*.attn", attention, layers, tuple(attention), transposed=True),
            *_linears("transformer.h.*.mlp", mlp, layers, tuple(mlp), transposed=True),
            *norms,
        ),
        layers=layers,
        hidden=hidden,
        vocab=vocab,
        queries=hidden,
        keys=hidden,
        heads=facts.number("n_head"),
        inner=inner,
        gated=False,
        fused=False,
        tied=tied,
        norms=2,
        head_norms=False,
        chunked_loss=False,
        softcap=False,
        attention_dropout=facts.says("attn_pdrop", True),
        context=context,
    )
