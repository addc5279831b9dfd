"""MiniLM as PyTorch modules, written to be read and trained: token ids go in, token vectors come out.

The architecture is BERT (Devlin et al. 2018, arXiv 1810.04805; Vaswani et al. 2017, arXiv 1706.03762) with
post-LayerNorm layers, as distilled in MiniLM (Wang et al. 2020, arXiv 2002.10957).  `quantize` replaces
layers by ones with 8-bit weights.  `packed` computes the same function faster; tests compare the two.

Shapes: B texts, T tokens, H heads, D hidden width, d = D / H the width of a head, F the inner width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.minilm.settings import MiniLMConfig, Pooling

# Columns that share a scale: mean cosine to float32 .9997 on 3,000 texts (scripts/embedding.py), and the
# scales take a sixteenth of the weights' memory.
GROUP = 64


class Embeddings(nn.Module):
    """Token ids to vectors: token + position + segment embedding, LayerNorm, dropout."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segment = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        # (B, T), (B, T) -> (B, T, D); without token_type_ids, every token is in segment 0
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)  # (T,)
        segments = self.segment.weight[0] if token_type_ids is None else self.segment(token_type_ids)
        x = self.token(input_ids) + self.position(positions) + segments  # (B, T, D)
        return self.dropout(self.norm(x))


class Projections(NamedTuple):
    """Queries, keys and values of one layer by head, (B, H, T, d) each."""

    query: Tensor
    key: Tensor
    value: Tensor


def plain_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, dropout_p: float) -> Tensor:
    """`scaled_dot_product_attention`, step by step.

    In bfloat16 on a CPU it is 1.8 to 3.7 times as fast, forwards and backwards, as torch's (torch 2.13, texts
    of 30 to 254 tokens, one core of an AMD EPYC).
    """
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, H, T, T)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    return F.dropout(scores.softmax(-1), dropout_p) @ v


class SelfAttention(nn.Module):
    """Multi-head attention: softmax(Q Kᵀ / √d) V, heads concatenated (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.n_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout_prob = config.attention_probs_dropout_prob

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, D), (B, T) bool -> (B, T, D)
        q, k, v = self.projections(x)  # (B, H, T, d)
        is_slow_backward = q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad
        attend = plain_attention if is_slow_backward else F.scaled_dot_product_attention
        context = attend(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None, :],  # True: a token, not padding
            dropout_p=self.dropout_prob if self.training else 0.0,
        )  # (B, H, T, d)
        return context.transpose(1, 2).flatten(2)

    def projections(self, x: Tensor) -> Projections:
        """Queries, keys and values (B, H, T, d) of token vectors (B, T, D)."""
        return Projections(*(self._heads(project(x)) for project in (self.query, self.key, self.value)))

    def _heads(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, H, T, d)
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)


class AttentionOutput(nn.Module):
    """The output of attention: projection, dropout, residual, LayerNorm."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, context: Tensor, x: Tensor) -> Tensor:  # (B, T, D), (B, T, D) -> (B, T, D)
        return self.norm(x + self.dropout(self.dense(context)))


class TransformerLayer(nn.Module):
    """Self-attention, then the feed-forward network with GELU, each with residual and LayerNorm."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_output = AttentionOutput(config)
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, D), (B, T) -> (B, T, D)
        x = self.attention_output(self.attention(x, mask), x)
        inner = F.gelu(self.expand(x))  # (B, T, F), the exact erf form
        return self.norm(x + self.dropout(self.contract(inner)))


class TransformerEncoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, D), (B, T) -> (B, T, D)
        for layer in self.layers:
            x = layer(x, mask)
        return x


class MiniLMModel(nn.Module):
    """The whole network: ids (B, T) and mask (B, T) to token vectors (B, T, D)."""

    def __init__(self, config: MiniLMConfig | None = None) -> None:
        super().__init__()
        self.config = config or MiniLMConfig()
        self.embeddings = Embeddings(self.config)
        self.encoder = TransformerEncoder(self.config)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Token vectors (B, T, D); the vectors of padding are arbitrary.

        ``attention_mask`` (B, T) is 1 for tokens and 0 for padding; None means no padding.
        ``token_type_ids`` (B, T) is 0 for the first text of a pair and 1 for the second; None means no pairs.
        """
        mask = None if attention_mask is None else attention_mask.bool()
        return self.encoder(self.embeddings(input_ids, token_type_ids), mask)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embeddings.segment.weight.device


def pool(tokens: Tensor, attention_mask: Tensor | None, pooling: Pooling) -> Tensor:
    """One vector for each text (B, D) from token vectors (B, T, D), ignoring padding (mask (B, T))."""
    if pooling == "cls":
        return tokens[:, 0]
    if attention_mask is None:
        return tokens.mean(1) if pooling == "mean" else tokens.amax(1)
    kept = attention_mask.bool()[:, :, None]  # (B, T, 1)
    if pooling == "max":
        return tokens.masked_fill(~kept, -torch.inf).amax(1)
    return tokens.masked_fill(~kept, 0.0).sum(1) / kept.sum(1)


# --- 8-bit weights ----------------------------------------------------------------------------------


def quantize(model: nn.Module) -> None:
    """Replace a model's linear layers and large embeddings by 8-bit ones, which take a quarter of the memory.

    Symmetric, round to nearest: each group of neighbours in a row is stored as integers from -127 to 127
    and one float32 scale.  Activations are not quantised: that would lose accuracy for little speed.
    """
    for parameter in model.parameters(recurse=False):  # a view would keep the whole mapped file in memory
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
        """Write the weight, multiplied by a number, into ``out`` in its dtype."""
        grouped = out.view(len(self.weight), self.scale.shape[1], -1)
        torch.mul(self.weight.view_as(grouped), (self.scale * times).to(out.dtype), out=grouped)
        return out

    def forward(self, x: Tensor) -> Tensor:  # (..., D) -> (..., F)
        weight = self.dequantize(out=torch.empty(self.weight.shape, dtype=x.dtype, device=x.device))
        return F.linear(x, weight, self.bias.to(x.dtype))


class Int8Embedding(nn.Module):
    """An embedding table with 8-bit weights; its vectors are float32."""

    weight: Tensor  # (V, D) int8
    scale: Tensor  # (V, D / group, 1)

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight, scale = _to_int8(embedding.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:  # (...) -> (..., D)
        rows, scale = self.weight[ids], self.scale[ids]  # (..., D), (..., D / group, 1)
        return (rows.view(*scale.shape[:-1], -1) * scale).view(rows.shape)
