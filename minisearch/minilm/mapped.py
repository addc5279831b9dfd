"""An embedder's weights as NumPy arrays, where they lie in their file: mapped, checked, not copied.

A safetensors file and the architecture it should be of come in.  Arrays by Hugging Face's names go out, and
the bytes that they are views of, to be hashed.  Only what is as expected to the last byte is taken; anything
else is `NotForCold`, and the loader, which has better words for it, gets to read it.  (safetensors' own
NumPy reader copies: 0.1 s for this model.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minisearch.minilm.settings import MiniLMConfig
from minisearch.types import FloatArray

Weights = Mapping[str, FloatArray]
Shape = tuple[int, ...]

METADATA = "__metadata__"
# May be in the file too, and have no part in a sentence's vector: see the loader's table.
UNUSED = {METADATA, "embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}

LENGTH_BYTES = 8  # the file begins with the length of its header
FLOAT32 = np.dtype("<f4")


class NotForCold(Exception):
    """A checkpoint that is for `SentenceTransformer`, to load or to refuse."""


class Mapped(NamedTuple):
    """Weights, and the whole file as it lies in memory: what is hashed is then what is used."""

    weights: Weights
    content: memoryview


def map_weights(path: Path, config: MiniLMConfig) -> Mapped:
    """The float32 tensors of an embedder; NotForCold when one is missing, of another kind or one too many."""
    try:
        content = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
        data_start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES].tobytes(), "little")
        header = json.loads(content[LENGTH_BYTES:data_start].tobytes())
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise NotForCold(f"{path}: {error}") from error
    expected = shapes(config)
    if not isinstance(header, dict) or header.keys() - UNUSED != expected.keys():
        raise NotForCold(f"{path} holds other tensors than such an embedder's")
    data = content[data_start:]
    bounds = {name: _bounds(entry) for name, entry in header.items() if name != METADATA}
    if sum(end - start for start, end in bounds.values()) != len(data):
        raise NotForCold(f"{path} has fewer or more bytes than its tensors")
    weights = {
        name: _tensor(data, *bounds[name], shape, name=name, entry=header[name])
        for name, shape in expected.items()
    }
    return Mapped(weights, content.data)


def _bounds(entry: object) -> tuple[int, int]:
    """Where a tensor's bytes begin and end; nowhere, as its entry does not say."""
    match entry:
        case {"data_offsets": [int(start), int(end)]}:
            return start, end
    return 0, 0


def _tensor(
    data: npt.NDArray[np.uint8], start: int, end: int, shape: Shape, *, name: str, entry: dict[str, object]
) -> FloatArray:
    """One tensor out of the bytes after the header, if it is what it should be."""
    is_inside = 0 <= start <= end <= len(data) and end - start == math.prod(shape) * FLOAT32.itemsize
    if not is_inside or entry.get("dtype") != "F32" or entry.get("shape") != list(shape):
        raise NotForCold(f"{name} is {entry}, expected float32 of shape {shape}")
    tensor: FloatArray = data[start:end].view(FLOAT32).reshape(shape)
    if not tensor.flags.aligned:
        raise NotForCold(f"{name} does not begin at a multiple of {FLOAT32.itemsize} bytes")
    return tensor


def shapes(config: MiniLMConfig) -> dict[str, Shape]:
    """The tensors of an embedder, by Hugging Face's names, with their shapes."""
    width, inner = config.hidden_size, config.intermediate_size
    tensors: dict[str, Shape] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, width),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, width),
    }
    # By the shape of the weight; the bias is as wide as what comes out.
    modules: dict[str, Shape] = {"embeddings.LayerNorm": (width,)}
    for number in range(config.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            modules[f"{layer}.attention.{part}"] = (width, width)
        modules[f"{layer}.attention.output.LayerNorm"] = (width,)
        modules[f"{layer}.intermediate.dense"] = (inner, width)
        modules[f"{layer}.output.dense"] = (width, inner)
        modules[f"{layer}.output.LayerNorm"] = (width,)
    for name, shape in modules.items():
        tensors |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return tensors
