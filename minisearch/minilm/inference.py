"""How many texts become vectors quickly: sorted by length, batched by tokens, order restored.

Sorting puts texts of like length into one batch, so that little of the work is padding; a batch whose
texts are all equally long needs no mask at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from minisearch.types import FloatArray

if TYPE_CHECKING:
    from minisearch.minilm.model import SentenceTransformer


def best_device() -> str:
    """The fastest device here: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@torch.inference_mode()
def encode(model: SentenceTransformer, texts: Sequence[str], *, batch_tokens: int) -> FloatArray:
    """Unit vectors (n, D) float32 of n texts; see `SentenceTransformer.encode`."""
    ids = model.tokenizer.ids(texts)
    vectors = np.empty((len(ids), model.dimension), np.float32)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for rows in batches([len(text) for text in ids], batch_tokens):
            input_ids, mask = pad([ids[row] for row in rows], model.tokenizer.pad_id)
            needed = None if mask.all() else mask.to(device)
            vectors[rows] = model(input_ids.to(device), needed).float().cpu().numpy()
    finally:
        model.train(was_training)
    return vectors


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Positions in batches of like length, longest first; none holds more than ``batch_tokens`` with padding.

    >>> list(batches([2, 9, 3, 8], batch_tokens=18))
    [[1, 3], [2, 0]]
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):  # stable: ties keep their order
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def pad(ids: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, int64 (B, T), T the longest text; the mask is 1 for tokens and 0 for padding."""
    longest = max(map(len, ids), default=0)
    padded = torch.full((len(ids), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(padded)
    for row, text in enumerate(ids):
        padded[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return padded, mask
