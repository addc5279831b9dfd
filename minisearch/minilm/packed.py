"""The fast forward pass: the function of `transformer`, without padding and optionally in bfloat16.

A `Batch` of token ids goes in, token vectors (N, D) come out.  The texts of a batch are concatenated, N
tokens in all, so that linear layers and LayerNorm never compute padding; only attention works on single
texts, those of similar length together.  Weights are reordered once for oneDNN if it is available.
Comments give measured gains, for all-MiniLM-L6-v2 on two cores with AVX-512 and bfloat16.

Shapes as in `transformer`; a run is G texts of T tokens each, R and S are T rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader expects

from minisearch.minilm.transformer import (
    AttentionOutput,
    Embeddings,
    Int8Linear,
    MiniLMModel,
    TransformerLayer,
)

# The softmax of a row whose length is not a multiple of the vector width takes up to five times as long, so
# rows are padded with -inf to a multiple of this: 5% of all on texts of 240 tokens, 10% on texts of 23.
ROW = 32
# Products as small as those of a single query have less overhead in float32: 6% of the whole query.
FEW_ROWS = 64

Activation = Literal["none", "gelu"]


def _rounded(n: int) -> int:
    """A number of rows, rounded up so that there are few different shapes.

    oneDNN compiles and keeps a kernel for every shape: 1 ms and 0.8 MB each; a batch of 1,024 tokens takes
    150 ms.
    """
    step = 16 if n > 64 else 8  # padding is computed too, and costs relatively more for small n
    return -(-n // step) * step


class Run(NamedTuple):
    """Adjacent texts of equal length: G texts of T tokens."""

    n_texts: int
    length: int

    @property
    def n_tokens(self) -> int:
        """The tokens of all its texts."""
        return self.n_texts * self.length


def _runs(lengths: Iterable[int]) -> list[Run]:
    return [Run(len(list(texts)), length) for length, texts in groupby(lengths)]


@dataclass(frozen=True)
class Batch:
    """Concatenated texts, the shortest first; ids, segments and positions are int64 (N,).

    N is rounded up; the last tokens are padding that belongs to no text.
    """

    ids: Tensor
    segments: Tensor
    positions: Tensor  # of each token within its text
    groups: list[Run]

    @classmethod
    def of(cls, ids: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None = None) -> Batch:
        """A batch of texts that are sorted by length; segment 0 unless given."""
        groups = _runs(map(len, ids))
        n_tokens = sum(run.n_tokens for run in groups)
        padding = [0] * (_rounded(n_tokens) - n_tokens)
        flat = torch.tensor([token for text in ids for token in text] + padding)
        flat_segments = torch.zeros_like(flat)
        if segments is not None:
            flat_segments = torch.tensor([segment for text in segments for segment in text] + padding)
        positions = torch.cat([*(torch.arange(T).repeat(G) for G, T in groups), flat.new_tensor(padding)])
        return cls(flat, flat_segments, positions, groups)

    @property
    def n_tokens(self) -> int:
        """The number of tokens without the padding at the end."""
        return sum(run.n_tokens for run in self.groups)

    @cached_property
    def blocks(self) -> list[list[Run]]:
        """The runs with the same rounded length, split so that each block has 1, 2, 4, 8 ... texts."""
        blocks = []
        for _, alike in groupby(self.groups, key=lambda run: _rounded(run.length)):
            lengths = [T for G, T in alike for _ in range(G)]
            while lengths:
                n = 1 << (len(lengths).bit_length() - 1)
                blocks.append(_runs(lengths[:n]))
                lengths = lengths[n:]
        return blocks

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        if device.type == "cpu":
            return self
        return Batch(self.ids.to(device), self.segments.to(device), self.positions.to(device), self.groups)

    @cached_property
    def padded_size(self) -> tuple[int, int]:
        """(B, T): the number of texts and the length of the longest."""
        return sum(G for G, _ in self.groups), self.groups[-1][1]

    @cached_property
    def slots(self) -> Tensor:
        """The position of each token in the flattened padded batch (B · T), (N,) int64."""
        n_texts, longest = self.padded_size
        lengths = torch.tensor([T for G, T in self.groups for _ in range(G)])
        rows = torch.arange(n_texts).repeat_interleave(lengths)  # (N,)
        return rows.to(self.ids.device) * longest + self.positions[: self.n_tokens]


class Scratch:
    """Buffers that one thread reuses; new memory for every score matrix would cost page faults."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def empty(self, name: str, *shape: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """An uninitialised tensor, valid until the next call with the same name.

        Device and, unless given, dtype are those of ``like``.
        """
        n = math.prod(shape)
        key = (name, dtype or like.dtype)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < n:
            buffer = self._buffers[key] = torch.empty(n + n // 4, dtype=key[1], device=like.device)
        return buffer[:n].view(shape)


class Packed:
    """A copy of a MiniLMModel's weights, prepared for `Batch`es.

    Several threads may call it at the same time, each with its own `Scratch`.
    """

    def __init__(self, model: MiniLMModel, dtype: torch.dtype) -> None:
        self.device = model.embeddings.segment.weight.device
        self._embed = _Embed(model.embeddings, dtype)
        n_heads = model.config.num_attention_heads
        layers = [layer for layer in model.encoder.layers if isinstance(layer, TransformerLayer)]
        self._layers = [_Layer(layer, n_heads, dtype) for layer in layers]

    @property
    def n_bytes(self) -> int:
        """Memory of the copy."""
        return _n_bytes(self)

    def __call__(self, batch: Batch, scratch: Scratch) -> Tensor:  # -> (N, D)
        """The token vectors of a batch, in the order of its ids, followed by those of the padding."""
        x = self._embed(batch)  # (N, D)
        for layer in self._layers:
            x = layer(x, batch, scratch)
        return x


def _n_bytes(part: object) -> int:
    """Memory of the tensors in an object; modules are shared with the model and do not count."""
    if isinstance(part, Tensor):
        return part.numel() * part.element_size()
    parts = part if isinstance(part, list) else getattr(part, "__dict__", {}).values()
    return 0 if isinstance(part, nn.Module) else sum(map(_n_bytes, parts))


class _Embed:
    """As `Embeddings`; the sum and its LayerNorm are always computed in float32."""

    def __init__(self, embeddings: Embeddings, dtype: torch.dtype) -> None:
        self._token = embeddings.token  # shared, not copied: it is half of all weights
        self._position = embeddings.position.weight.detach().float().clone()
        self._segment = embeddings.segment.weight.detach().float().clone()
        self._norm = _Norm(embeddings.norm, torch.float32)
        self._dtype = dtype

    def __call__(self, batch: Batch) -> Tensor:  # -> (N, D)
        x = self._token(batch.ids).float() + self._position[batch.positions]
        return self._norm(x + self._segment[batch.segments]).to(self._dtype)


class _Layer:
    """As `TransformerLayer`."""

    def __init__(self, layer: TransformerLayer, n_heads: int, dtype: torch.dtype) -> None:
        attention, output = layer.attention, layer.attention_output
        assert isinstance(output, AttentionOutput)
        # 1/√d as part of the query weights costs nothing.
        scale = math.sqrt(n_heads / layer.expand.in_features)
        self._n_heads = n_heads
        self._qkv = _linear([attention.query, attention.key, attention.value], dtype, scales=[scale, 1, 1])
        self._output, self._output_norm = _linear([output.dense], dtype), _Norm(output.norm, dtype)
        self._expand, self._contract = _linear([layer.expand], dtype), _linear([layer.contract], dtype)
        self._norm = _Norm(layer.norm, dtype)

    def __call__(self, x: Tensor, batch: Batch, scratch: Scratch) -> Tensor:  # (N, D) -> (N, D)
        attend = _attend_by_length if x.device.type == "cpu" else _attend_padded
        context = attend(self._qkv(x, scratch), batch, self._n_heads, scratch)  # (N, D)
        x = self._output_norm(self._output(context, scratch).add_(x))
        inner = self._expand(x, scratch, "gelu")  # (N, F)
        return self._norm(self._contract(inner, scratch).add_(x))


class _Norm:
    """LayerNorm."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._weight, self._bias = (p.detach().to(dtype, copy=True) for p in (norm.weight, norm.bias))
        self._eps = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


# --- attention ------------------------------------------------------------------------------------


def _attend_by_length(qkv: Tensor, batch: Batch, n_heads: int, scratch: Scratch) -> Tensor:
    """Attention within each text, (N, 3D) -> (N, D), with scaled queries; one block of texts at a time.

    Two batched products and a softmax in scratch memory: torch's fused attention takes 1.6 times as long
    for heads this narrow.
    """
    qkv = qkv.view(len(qkv), 3, n_heads, -1)  # (N, 3, H, d)
    d = qkv.shape[-1]
    out = scratch.empty("context", len(qkv), n_heads, d, like=qkv)
    start = 0
    for block in batch.blocks:
        G, R = sum(run.n_texts for run in block), _rounded(block[0].length)  # noqa: N806 - shapes
        S = -(-R // ROW) * ROW  # noqa: N806
        dtype = torch.float32 if G * S <= FEW_ROWS else qkv.dtype
        packed = scratch.empty("packed", 3, G, n_heads, S, d, like=qkv, dtype=dtype)
        scores = scratch.empty("scores", G, n_heads, R, S, like=qkv, dtype=dtype)
        context = scratch.empty("group", G, n_heads, R, d, like=qkv, dtype=dtype)
        q, k, v = packed.flatten(1, 2)  # (G · H, S, d)
        slices = list(_slices(block, start))
        for texts, tokens, (n, T) in slices:  # noqa: N806
            packed[:, texts, :, :T] = qkv[tokens].view(n, T, 3, n_heads, d).permute(2, 0, 3, 1, 4)
            packed[2, texts, :, T:] = 0  # its weight is 0, but 0 · NaN would be NaN
        torch.bmm(q[:, :R], k.transpose(1, 2), out=scores.flatten(0, 1))
        for texts, _, (_, T) in slices:  # noqa: N806
            scores[texts, :, :, T:] = -torch.inf
        torch.softmax(scores, -1, out=scores)
        torch.bmm(scores.flatten(0, 1), v, out=context.flatten(0, 1))
        for texts, tokens, (n, T) in slices:  # noqa: N806
            out[tokens].view(n, T, n_heads, d).copy_(context[texts, :, :T].transpose(1, 2))
            start = tokens.stop
    out[start:] = 0  # padding, but it passes through the next layers
    return out.view(len(out), -1)


def _slices(block: Sequence[Run], start: int) -> Iterator[tuple[slice, slice, Run]]:
    """The slices of each run's texts in the block and tokens in the batch; the block begins at start."""
    n_before = 0
    for run in block:
        yield slice(n_before, n_before + run.n_texts), slice(start, start + run.n_tokens), run
        n_before, start = n_before + run.n_texts, start + run.n_tokens


def _attend_padded(qkv: Tensor, batch: Batch, n_heads: int, _: Scratch) -> Tensor:
    """The same in one fused call for all texts, with padding: faster on a GPU."""
    (B, T), width = batch.padded_size, qkv.shape[1] // 3  # noqa: N806 - shapes
    padded = qkv.new_zeros(B * T, 3 * width)
    padded[batch.slots] = qkv[: batch.n_tokens]
    q, k, v = padded.view(B, T, 3, n_heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, d)
    mask = None
    if len(batch.groups) > 1:
        mask = torch.zeros(B * T, dtype=torch.bool, device=qkv.device)
        mask[batch.slots] = True
        mask = mask.view(B, 1, 1, T)
    context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    out = qkv.new_zeros(len(qkv), width)
    out[: batch.n_tokens] = context.transpose(1, 2).reshape(B * T, width)[batch.slots]
    return out


# --- linear layers --------------------------------------------------------------------------------


def _linear(
    layers: Sequence[nn.Linear | Int8Linear], dtype: torch.dtype, scales: Sequence[float] = (1,)
) -> _Plain | _OneDnn | _Int8:
    """Several linear layers as one, with concatenated outputs, each multiplied by its scale."""
    bias = torch.cat([layer.bias.detach().float() * s for layer, s in zip(layers, scales, strict=True)])
    int8 = [layer for layer in layers if isinstance(layer, Int8Linear)]
    if int8:
        return _Int8(int8, scales, bias.to(dtype))
    weight = torch.cat([layer.weight.detach().float() * s for layer, s in zip(layers, scales, strict=True)])
    if has_onednn(weight.device, dtype):
        return _OneDnn(weight.to(dtype), bias.to(dtype))
    return _Plain(weight.to(dtype), bias.to(dtype))


def has_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN's linear layer is available: private operators of torch, as torch.compile uses them."""
    is_there = (
        device.type == "cpu" and torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
    return is_there and (dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


class _Plain:
    """torch's linear layer."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor, _: Scratch, activation: Activation = "none") -> Tensor:
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y) if activation == "gelu" else y


class _OneDnn:
    """A reordered weight and a fused exact GELU: 4% in bfloat16, 8% in float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, 1_024)  # typical tokens in a call
        self._bias = bias

    def __call__(self, x: Tensor, _: Scratch, activation: Activation = "none") -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, activation, [], "none")
        return y


class _Int8:
    """8-bit weights, converted for each batch: 0.5 ms of the 20 ms that a layer takes for 1,024 tokens."""

    def __init__(self, layers: Sequence[Int8Linear], scales: Sequence[float], bias: Tensor) -> None:
        self._layers, self._scales, self._bias = layers, scales, bias

    def __call__(self, x: Tensor, scratch: Scratch, activation: Activation = "none") -> Tensor:
        n_out, start = len(self._bias), 0
        weight = scratch.empty("weight", n_out, x.shape[1], like=x)
        for layer, scale in zip(self._layers, self._scales, strict=True):
            layer.dequantize(out=weight[start : start + layer.weight.shape[0]], times=scale)
            start += layer.weight.shape[0]
        return _Plain(weight, self._bias)(x, scratch, activation)
