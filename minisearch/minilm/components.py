"""The parts of a BERT encoder, as MiniLM uses them: embeddings, self-attention, feed-forward, layer, stack.

Post-LayerNorm transformer layers after Devlin et al. 2018 (arXiv 1810.04805) and Vaswani et al. 2017
(arXiv 1706.03762).  These modules are written to be read and to be trained; any faster path is held
equal to them by tests.

Shapes: B texts, T tokens, H heads, D hidden width, d = D / H the width of a head, F the inner width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader expects

from minisearch.minilm.settings import MiniLMConfig


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
        # (B, T), (B, T) -> (B, T, D); a text that is no pair is of segment 0 throughout
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)  # (T,)
        segments = self.segment.weight[0] if token_type_ids is None else self.segment(token_type_ids)
        x = self.token(input_ids) + self.position(positions) + segments  # (B, T, D)
        return self.dropout(self.norm(x))


class SelfAttention(nn.Module):
    """Multi-head attention: softmax(Q Kᵀ / √d) V, the heads side by side (Vaswani et al. 2017, 3.2)."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        self.n_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout_prob = config.attention_probs_dropout_prob

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, D), (B, T) bool -> (B, T, D)
        q, k, v = (self._heads(project(x)) for project in (self.query, self.key, self.value))  # (B, H, T, d)
        context = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None, :],  # True: may be attended to
            dropout_p=self.dropout_prob if self.training else 0.0,
        )  # (B, H, T, d)
        return context.transpose(1, 2).flatten(2)

    def _heads(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, H, T, d)
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)


class AttentionOutput(nn.Module):
    """What attention adds to each token: projection, dropout, residual, LayerNorm."""

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
