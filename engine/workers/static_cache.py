"""Decoding steps of one shape: keys and values in tensors of their final length, and rows that stay.

Every pass after the prompts' then does the same work at the same addresses, so that on CUDA it is captured
once as a graph and replayed: a small model's step is otherwise spent on launching hundreds of kernels. What
is computed is what the growing cache computes; places that are not reached yet are masked.

Rows that have ended are computed on and not looked at: to take them out would be another shape, another
capture, and a step is paid by the weights that are read and not by its rows.

Off (Pair.fixed) until a GPU has shown that it is faster and says the same: benchmarks/cuda, cell "captured".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StaticCache
from transformers.cache_utils import StaticLayer

from engine.workers.pair import Pair

WARM = 2
"""Passes before a capture, in which libraries choose their kernels and take their workspaces."""


class Fixed:
    """The decoding steps of a batch behind its prompts; takes the place of the cache that they filled."""

    def __init__(
        self, pair: Pair, adapters: Sequence[str], grown: Any, mask: torch.Tensor | None, room: int
    ) -> None:
        """grown: the DynamicCache of the prompts; mask: theirs, (rows, positions), where any is padded; room:
        steps to come."""
        self._pair, self._adapters = pair, adapters
        first = grown.layers[0].keys
        rows, self._at, device = first.shape[0], first.shape[2], first.device
        self._cache = _empty(pair, self._at + room + WARM)
        for layer, filled in zip(self._cache.layers, grown.layers, strict=True):
            layer.update(filled.keys, filled.values)
        seen = torch.ones(rows, self._at, device=device) if mask is None else mask
        self._mask = torch.zeros(rows, 1, 1, self._at + room + WARM, dtype=torch.bool, device=device)
        self._mask[:, 0, 0, : self._at] = seen.bool()
        self._places = seen.sum(-1, keepdim=True).long() - 1
        self._ids = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._kept = torch.arange(rows, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: torch.Tensor

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """ids: the token that each row that is left has come to, (rows, 1). Logits of the next, (rows, 1,
        vocabulary)."""
        self._ids.index_copy_(0, self._kept, ids)
        self._mask[:, :, :, self._at] = True
        self._places += 1
        self._at += 1
        if self._ids.is_cuda:
            self._replayed()
        else:
            self._logits = self._pass()
        return self._logits.index_select(0, self._kept)

    def reorder_cache(self, index: torch.Tensor) -> None:
        """Of the rows that are left, go on with these."""
        self._kept = self._kept[index]

    def _pass(self) -> torch.Tensor:
        return self._pair.forward(
            self._adapters,
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._places,
            past_key_values=self._cache,
            use_cache=True,
            last=1,
        )

    def _replayed(self) -> None:
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The pass as a graph. What it wrote while it was tried is masked, and overwritten by later steps."""
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM):
                self._pass()
        torch.cuda.current_stream().wait_stream(beside)
        for layer in self._cache.layers:
            layer.cumulative_length -= WARM
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._logits = self._pass()
        return graph


def possible(pair: Pair) -> bool:
    """Whether all layers of the model look at all that came before, by a kernel that takes a whole mask."""
    plain = all(type(layer) is StaticLayer for layer in _empty(pair, 1).layers)
    return plain and pair.model.config._attn_implementation == "sdpa"


def _empty(pair: Pair, length: int) -> Any:
    return StaticCache(config=pair.model.config, max_cache_len=length)
