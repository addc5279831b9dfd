"""Weights in 8 bits: a quarter of the memory, for small devices.

A row of a weight matrix is cut into groups of neighbours; each is kept as integers from -127 to 127 and
one float32 scale, the largest absolute value over 127 (symmetric, round to nearest).  Activations stay
as they are: in 8 bits they cost more accuracy than they would save time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader expects

# Mean cosine to float32 on 3,000 texts: .9997 (scripts/embedding.py). The scales add a sixteenth in memory.
GROUP = 64


def quantize(model: nn.Module) -> None:
    """Put 8-bit layers in the place of a model's linear layers and large embeddings."""
    for parameter in model.parameters(recurse=False):  # a view of the file would keep all of it in memory
        parameter.data = parameter.data.clone()
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            setattr(model, name, Int8Linear(child))
        elif isinstance(child, nn.Embedding) and child.num_embeddings > 1_000:
            setattr(model, name, Int8Embedding(child))
        else:
            quantize(child)


def _to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:  # (R, C) -> (R, C) int8, (R, C / group, 1)
    group = GROUP if weight.shape[1] % GROUP == 0 else weight.shape[1]
    grouped = weight.detach().float().view(len(weight), -1, group)
    scale = grouped.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return (grouped / scale).round().to(torch.int8).view_as(weight), scale


class Int8Linear(nn.Module):
    """A linear layer with an 8-bit weight."""

    weight: Tensor  # (F, D) int8
    scale: Tensor  # (F, D / group, 1)
    bias: Tensor  # (F,)

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _to_int8(linear.weight)
        self.in_features = linear.in_features
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", linear.bias.detach().float().clone())

    def dequantize(self, *, out: Tensor, times: float = 1.0) -> Tensor:  # (F, D)
        """The weight times a number, written into ``out`` in its dtype."""
        grouped = out.view(len(self.weight), self.scale.shape[1], -1)
        torch.mul(self.weight.view_as(grouped), (self.scale * times).to(out.dtype), out=grouped)
        return out

    def forward(self, x: Tensor) -> Tensor:  # (..., D) -> (..., F)
        """As nn.Linear's."""
        weight = self.dequantize(out=torch.empty(self.weight.shape, dtype=x.dtype, device=x.device))
        return F.linear(x, weight, self.bias.to(x.dtype))


class Int8Embedding(nn.Module):
    """An embedding table in 8 bits."""

    weight: Tensor  # (V, D) int8
    scale: Tensor  # (V, D / group, 1)

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight, scale = _to_int8(embedding.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:  # (...) -> (..., D)
        """As nn.Embedding's, float32."""
        rows, scale = self.weight[ids], self.scale[ids]  # (..., D), (..., D / group, 1)
        return (rows.view(*scale.shape[:-1], -1) * scale).view(rows.shape)
