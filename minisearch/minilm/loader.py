"""A checkpoint's weights into a model, under our names, and no surprises.

A model and a `Located` checkpoint come in, the model is filled, a `LoadReport` goes out.  The rename table
is data and works both ways.  Loading refuses what it does not understand: a missing, surplus or misshapen
tensor is an error that names it, and so are weights with another hash than the catalog's.  What is left
out on purpose is in the report.
"""

from __future__ import annotations

import logging
import pickle
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from minisearch.errors import ModelError
from minisearch.minilm.catalog import Located, verified_sha256
from minisearch.minilm.checkpoints import WEIGHTS

logger = logging.getLogger(__name__)

# Hugging Face's name, ours.  Each pair replaces whole dotted parts, so the table can be read backwards.
RENAMES = [
    ("embeddings.word_embeddings", "embeddings.token"),
    ("embeddings.position_embeddings", "embeddings.position"),
    ("embeddings.token_type_embeddings", "embeddings.segment"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("encoder.layer.#.attention.self", "encoder.layers.#.attention"),
    ("encoder.layer.#.attention.output.dense", "encoder.layers.#.attention_output.dense"),
    ("encoder.layer.#.attention.output.LayerNorm", "encoder.layers.#.attention_output.norm"),
    ("encoder.layer.#.intermediate.dense", "encoder.layers.#.expand"),
    ("encoder.layer.#.output.dense", "encoder.layers.#.contract"),
    ("encoder.layer.#.output.LayerNorm", "encoder.layers.#.norm"),
]

# Where the encoder is a part of a larger model, as in a cross-encoder or in BERT with its training heads.
WRAPPED = [
    ("bert.pooler.dense.weight", "pooler.weight"),
    ("bert.pooler.dense.bias", "pooler.bias"),
    ("bert.", "model."),
]

# How names that may be left out begin, and why; each only when the model has no such part.
IGNORED = {
    "embeddings.position_ids": "a constant, 0, 1, 2 and so on",
    "pooler.": "BERT's pooler: sentence vectors do not pass it",
    "cls.predictions.": "the head that guesses masked words in training",
    "cls.seq_relationship.": "the head that guesses the next sentence in training",
}

STORED_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded, from which file, with its SHA-256; and what was left out, and why.

    ``vouched_by`` says against whose hash the file was held: "catalog", "hub", or "" for nobody's.
    """

    source: str
    format: Literal["safetensors", "pytorch"]
    sha256: str
    vouched_by: Literal["catalog", "hub", ""]
    dtypes: tuple[str, ...]
    n_tensors: int
    n_parameters: int
    n_bytes: int
    ignored: dict[str, str]


def load_weights(model: nn.Module, located: Located) -> LoadReport:
    """Put the weights of a checkpoint into a model, every tensor of it or none.

    The model is a MiniLMModel, or a larger one that has it as ``model``.  Raises ModelError when the file
    is damaged or not the catalog's, and when its tensors are not the model's: the message names the first
    that differs, what was expected and what came.
    """
    path = located.weights
    digest = verified_sha256(located)
    stored = _read_safetensors(path) if path.name == WEIGHTS else _read_pickled(path)
    expected = {_of_encoder(name): tensor for name, tensor in model.state_dict().items()}
    ignored = {name: why for name in stored if (why := _why_ignored(name, expected))}
    weights: dict[str, Tensor] = {}
    for name in stored.keys() - ignored.keys():
        ours = _of_encoder(to_ours(_modern(name)))
        if ours in weights:
            raise ModelError(f"{path}: {name} is there twice, once under another name; expected it once")
        weights[ours] = stored[name]
    _check(weights, expected, path)
    is_empty = all(parameter.is_meta for parameter in model.parameters())  # else an optimiser may hold them
    model.load_state_dict(
        {name: weights[_of_encoder(name)].float().contiguous() for name in model.state_dict()},
        assign=is_empty,
    )
    logger.info("weights: %d tensors, SHA-256 %s", len(weights), digest)
    return LoadReport(
        source=str(path),
        format="safetensors" if path.name == WEIGHTS else "pytorch",
        sha256=digest,
        vouched_by=located.vouched_by,
        dtypes=tuple(sorted({_word(tensor.dtype) for tensor in weights.values()})),
        n_tensors=len(weights),
        n_parameters=sum(tensor.numel() for tensor in weights.values()),
        n_bytes=sum(tensor.numel() * tensor.element_size() for tensor in weights.values()),
        ignored=dict(sorted(ignored.items())),
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or no safetensors file: {error}") from error


def _read_pickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a pytorch_model.bin; a pickle that asks for any code to run is refused unrun."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own words about a file that is refused in ours
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it asks for {asked[1]}" if asked else "it is no file of tensors"
        raise ModelError(
            f"{path} is refused, and nothing in it was run: {what}, expected nothing but tensors; "
            f"get the checkpoint as {WEIGHTS}"
        ) from error
    except Exception as error:  # torch has one class for each way in which a file can be broken
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path} is damaged or no PyTorch file: {reason[0]}") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(one, Tensor) for name, one in content.items()
    ):
        raise ModelError(f"{path} holds {type(content).__name__}, expected tensors by name")
    return content


def to_ours(name: str) -> str:
    """Our name of a tensor, from Hugging Face's.

    >>> to_ours("encoder.layer.3.attention.self.query.weight")
    'encoder.layers.3.attention.query.weight'
    >>> to_ours("bert.pooler.dense.bias")
    'pooler.bias'
    """
    for old, new in WRAPPED:
        if name.startswith(old):
            return new + _rename(name[len(old) :], RENAMES)
    return _rename(name, RENAMES)


def to_hugging_face(name: str) -> str:
    """Hugging Face's name of a tensor, from ours."""
    backwards = [(ours, theirs) for theirs, ours in RENAMES]
    for theirs, ours in WRAPPED:
        if name.startswith(ours):
            return theirs + _rename(name[len(ours) :], backwards)
    return _rename(name, backwards)


def _modern(name: str) -> str:
    """A tensor's name as it is spelt today: checkpoints converted from TensorFlow say gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _of_encoder(name: str) -> str:
    """A tensor's name without the larger model's word for the encoder."""
    return name.removeprefix("model.")


def _why_ignored(name: str, expected: dict[str, Tensor]) -> str:
    """Why a tensor of the file may be left out; empty when it may not."""
    ours = _of_encoder(to_ours(_modern(name)))
    if ours in expected:
        return ""
    return next((why for start, why in IGNORED.items() if ours.startswith(start)), "")


def _rename(name: str, table: list[tuple[str, str]]) -> str:
    layer = re.search(r"\.(\d+)\.", name)
    number = layer.group(1) if layer else "#"
    for old, new in table:
        prefix = old.replace("#", number)
        if name.startswith(prefix + "."):
            return new.replace("#", number) + name[len(prefix) :]
    return name


def _check(weights: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """ModelError unless names, shapes and dtypes are the expected ones."""
    missing, surplus = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or surplus:
        raise ModelError(
            f"{path} is of another architecture: "
            f"missing {[to_hugging_face(name) for name in missing[:3]] or 'none'} ({len(missing)}), "
            f"surplus {[to_hugging_face(name) for name in surplus[:3]] or 'none'} ({len(surplus)})"
            f"{_hint(missing, surplus)}"
        )
    for name, tensor in sorted(weights.items()):
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{path}: {to_hugging_face(name)} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
        if tensor.dtype not in STORED_DTYPES:
            raise ModelError(
                f"{path}: {to_hugging_face(name)} is {_word(tensor.dtype)}, "
                f"expected {', '.join(map(_word, STORED_DTYPES))}"
            )


def _hint(missing: list[str], surplus: list[str]) -> str:
    if "classifier.weight" in surplus:
        return "; it scores pairs of texts: load it with CrossEncoder"
    if "classifier.weight" in missing:
        return "; it scores no pairs of texts: load it with SentenceTransformer"
    return ""


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
