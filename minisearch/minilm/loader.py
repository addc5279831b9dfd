"""Load a checkpoint: read its weights, rename them, check them and put them into a model.

A checkpoint's name or folder goes in; a model that is ready to compute, with a `LoadReport`, comes out of
`Pretrained.from_pretrained`.  The table of names works in both directions.  A missing, surplus or misshapen
tensor is an error that names it, and so is a file with an unexpected hash.  The report lists the tensors
that were left out.  `hub` finds the folder; the models themselves are in `models`.
"""

from __future__ import annotations

import logging
import pickle
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from minisearch.errors import ModelError
from minisearch.manifest import Dtype, as_dtype
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import Located, locate, verified_sha256
from minisearch.minilm.inference import Inference, as_device
from minisearch.minilm.settings import CheckpointSettings, MiniLMConfig, read_settings
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.minilm.transformer import MiniLMModel, quantize

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound="Pretrained")

# Hugging Face's name, our name. Each pair replaces whole dotted parts; # is the number of a layer.
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

# Prefixes of names if the encoder is part of a larger model, such as a cross-encoder.
WRAPPED = [
    ("bert.pooler.dense.weight", "pooler.weight"),
    ("bert.pooler.dense.bias", "pooler.bias"),
    ("bert.", "model."),
]

# Prefixes of tensors that a model without such a part leaves out, and why.
IGNORED = {
    "embeddings.position_ids": "a constant, 0, 1, 2 and so on",
    "pooler.": "BERT's pooler: sentence vectors do not use it",
    "cls.predictions.": "the training head that predicts masked words",
    "cls.seq_relationship.": "the training head that predicts the next sentence",
}

STORED_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded from which file, and what was left out (name: reason).

    ``vouched_by`` says where the expected SHA-256 comes from: "catalog", "hub", or "" if none is known.
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


class Pretrained(nn.Module):
    """Base class of models with a MiniLM encoder ``model`` that are loaded from a checkpoint.

    ``report`` says what was loaded, None before that.
    """

    model: MiniLMModel
    how_to_load: ClassVar[str]  # the call that gives such a model its weights
    has_head: ClassVar[bool]  # whether the checkpoint has weights beside those of ``model``

    def __init__(self) -> None:
        super().__init__()
        self.report: LoadReport | None = None
        self.name = ""  # of the checkpoint in the catalog, or the absolute path of its folder
        self._tokenizer: MiniLMTokenizer | None = None

    @classmethod
    def from_pretrained(
        cls: type[Model],
        name_or_path: str,
        *,
        device: str | None = None,
        dtype: Dtype = "auto",
        max_length: int | None = None,
        offline: bool = False,
    ) -> Model:
        """The named checkpoint, or the one in a folder, ready for use.

        The checkpoint decides layers, width, pooling, prompts and, unless ``max_length`` is given, the
        length.  ``device`` is "cpu", "cuda" or "mps"; the best one is the default.  ``dtype`` is the dtype of
        the encoder's activations: "auto" is bfloat16 if the hardware supports it, else float32; "int8"
        means the same with 8-bit weights.  A cross-encoder's head always computes in float32.  ``offline``
        never opens a socket.  Raises ModelError, also for a checkpoint of the wrong kind, and
        WeightsNotFound with the places that were searched.
        """
        dtype, where = as_dtype(dtype), as_device(device)
        located = locate(name_or_path, offline=offline)
        settings = read_settings(located.folder)
        length = settings.max_length if max_length is None else max_length
        with torch.device("meta"):  # do not allocate and initialise weights that are replaced below
            model = cls._of(located.name, settings, length)
        tokenizer = load_tokenizer(located, settings.config, max_length=length)
        model.report = load_weights(model if model.has_head else model.model, located)
        model._attach(located.name, tokenizer, settings)
        if dtype == "int8":
            quantize(model.model)
        model._compute_in(dtype)
        return model.eval().to(where)

    @classmethod
    def _of(cls: type[Model], name: str, settings: CheckpointSettings, max_length: int) -> Model:
        """A model of this architecture without weights; ModelError for a checkpoint of another kind."""
        raise NotImplementedError

    def _attach(self, name: str, tokenizer: MiniLMTokenizer, _: CheckpointSettings) -> None:
        """Keep what belongs to the loaded weights."""
        self.name, self._tokenizer = name, tokenizer

    def _compute_in(self, dtype: Dtype) -> None:
        self.inference = Inference(self.model, dtype)

    @property
    def tokenizer(self) -> MiniLMTokenizer:
        """The checkpoint's tokenizer, which cuts at this model's length."""
        if self._tokenizer is None:
            raise ModelError(f"this model has no weights yet: use {self.how_to_load}")
        return self._tokenizer


def load_tokenizer(located: Located, config: MiniLMConfig, *, max_length: int) -> MiniLMTokenizer:
    """A checkpoint's tokenizer; ModelError if it has more tokens than the model has embeddings."""
    tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=max_length)
    if tokenizer.vocab_size > config.vocab_size:
        raise ModelError(
            f"the tokenizer in {located.tokenizer} belongs to another model: its vocabulary has "
            f"{tokenizer.vocab_size} tokens, expected at most {config.vocab_size}, the number of embeddings"
        )
    return tokenizer


def load_weights(model: nn.Module, located: Located) -> LoadReport:
    """Put the weights of a checkpoint into a model, either all of its tensors or none.

    The model is a `MiniLMModel`, or a larger one that has it as ``model``.  Raises ModelError if the file is
    damaged or has an unexpected hash, or if its tensors do not fit the model: the message names the first
    difference.
    """
    path = located.weights
    digest = verified_sha256(located)
    stored = _read_safetensors(path) if path.name == WEIGHTS else _read_pickled(path)
    expected = {_without_wrapper(name): tensor for name, tensor in model.state_dict().items()}
    ignored: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        ours = _without_wrapper(to_ours(_modern(name)))
        reason = next((why for start, why in IGNORED.items() if ours.startswith(start)), "")
        if ours not in expected and reason:
            ignored[name] = reason
        elif ours in weights:
            raise ModelError(f"{path}: {name} is there twice, once under another name; expected it once")
        else:
            weights[ours] = tensor
    _check(weights, expected, path)
    is_empty = all(parameter.is_meta for parameter in model.parameters())  # else an optimiser may hold them
    model.load_state_dict(
        {name: weights[_without_wrapper(name)].float().contiguous() for name in model.state_dict()},
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
        n_bytes=sum(tensor.nbytes for tensor in weights.values()),
        ignored=dict(sorted(ignored.items())),
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or not a safetensors file: {error}") from error


def _read_pickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a pytorch_model.bin; a pickle that would run code is refused without running it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says it
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        call = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it calls {call[1]}" if call else "it is not a file of tensors"
        raise ModelError(
            f"{path} is refused, and nothing in it was run: {what}, expected only tensors; "
            f"get the checkpoint as {WEIGHTS}"
        ) from error
    except Exception as error:  # torch raises many classes for damaged files
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path} is damaged or not a PyTorch file: {reason[0]}") from error
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
    """The present name of a tensor: checkpoints converted from TensorFlow use gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _without_wrapper(name: str) -> str:
    """The name of a tensor without the prefix of the larger model."""
    return name.removeprefix("model.")


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
        return "; it is a cross-encoder: load it with CrossEncoder"
    if "classifier.weight" in missing:
        return "; it is not a cross-encoder: load it with SentenceTransformer"
    return ""


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
