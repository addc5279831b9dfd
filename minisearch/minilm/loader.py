"""Load a checkpoint: read its weights, rename them, check them and put them into a model.

A checkpoint's name or folder goes in; a model that is ready to compute, with a `LoadReport`, comes out of
`Pretrained.from_pretrained`.  A missing, surplus or misshapen tensor is an error that names it, and so is a
file with an unexpected hash.  The report lists the tensors that were left out.  `hub` finds the folder; the
models themselves are in `models`.
"""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from minisearch.errors import ModelError
from minisearch.manifest import Dtype, as_dtype
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import Located, locate, verified_sha256
from minisearch.minilm.inference import Inference, as_device
from minisearch.minilm.settings import CheckpointSettings
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.minilm.transformer import MiniLMModel, quantize

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound="Pretrained")

# Patterns of our names, and what they are in Hugging Face's; applied in this order.
RENAMES = [
    (r"^model\.", "bert."),  # the encoder as part of a larger model, such as a cross-encoder
    (r"^pooler\.", "bert.pooler.dense."),
    (r"(embeddings\.)token\.", r"\1word_embeddings."),
    (r"(embeddings\.)position\.", r"\1position_embeddings."),
    (r"(embeddings\.)segment\.", r"\1token_type_embeddings."),
    (r"(embeddings\.)norm\.", r"\1LayerNorm."),
    (r"layers(\.\d+\.)attention\.", r"layer\1attention.self."),
    (r"layers(\.\d+\.)attention_output\.dense\.", r"layer\1attention.output.dense."),
    (r"layers(\.\d+\.)attention_output\.norm\.", r"layer\1attention.output.LayerNorm."),
    (r"layers(\.\d+\.)expand\.", r"layer\1intermediate.dense."),
    (r"layers(\.\d+\.)contract\.", r"layer\1output.dense."),
    (r"layers(\.\d+\.)norm\.", r"layer\1output.LayerNorm."),
]

# Beginnings of Hugging Face's names of tensors that a model without such a part leaves out, and why.
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
    settings: CheckpointSettings

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
        settings = located.settings
        if max_length is not None:
            settings = replace(settings, max_length=max_length)
        with torch.device("meta"):  # do not allocate and initialise weights that are replaced below
            model = cls._of(located.name, settings)
        model._load(located, settings)
        if dtype == "int8":
            quantize(model.model)
        model._compute_in(dtype)
        return model.eval().to(where)

    @classmethod
    def _of(cls: type[Model], name: str, settings: CheckpointSettings) -> Model:
        """A model of this architecture without weights; ModelError for a checkpoint of another kind."""
        raise NotImplementedError

    def _load(self, located: Located, settings: CheckpointSettings) -> None:
        """Load tokenizer and weights; ModelError for more tokens than embeddings."""
        tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=settings.max_length)
        n_embeddings = self.model.config.vocab_size
        if tokenizer.vocab_size > n_embeddings:
            raise ModelError(
                f"the tokenizer in {located.tokenizer} belongs to another model: its vocabulary has "
                f"{tokenizer.vocab_size} tokens, expected at most {n_embeddings}, the number of embeddings"
            )
        self.report = load_weights(self, located)
        self.name, self._tokenizer, self.settings = located.name, tokenizer, settings

    def _compute_in(self, dtype: Dtype) -> None:
        self.inference = Inference(self.model, dtype)

    @property
    def tokenizer(self) -> MiniLMTokenizer:
        """The checkpoint's tokenizer, which cuts at this model's length."""
        if self._tokenizer is None:
            raise ModelError(
                f"this model has no weights yet: use {type(self).__name__}.from_pretrained, or for a "
                f"SentenceTransformer load_pretrained_weights"
            )
        return self._tokenizer


def load_weights(model: nn.Module, located: Located) -> LoadReport:
    """Put the weights of a checkpoint into a model, either all of its tensors or none.

    Raises ModelError if the file is damaged or has an unexpected hash, or if its tensors do not fit the
    model: the message names the first difference.
    """
    path = located.weights
    digest = verified_sha256(located)
    stored = _read_safetensors(path) if path.name == WEIGHTS else _read_pickled(path)
    expected = {in_bare_encoder(to_hugging_face(name)): tensor for name, tensor in model.state_dict().items()}
    ignored: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    for stored_name, tensor in stored.items():
        name = in_bare_encoder(stored_name)
        reason = next((why for start, why in IGNORED.items() if name.startswith(start)), "")
        if name not in expected and reason:
            ignored[stored_name] = reason
        elif name in weights:
            raise ModelError(
                f"{path}: {stored_name} is there twice, once under another name; expected it once"
            )
        else:
            weights[name] = tensor
    _check(weights, expected, path)
    is_empty = all(parameter.is_meta for parameter in model.parameters())  # else an optimiser may hold them
    model.load_state_dict(
        {
            name: weights[in_bare_encoder(to_hugging_face(name))].float().contiguous()
            for name in model.state_dict()
        },
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
    except Exception as error:  # torch raises many classes for damaged files
        if call := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ModelError(
                f"{path} is refused, and nothing in it was run: it calls {call[1]}, expected only tensors; "
                f"get the checkpoint as {WEIGHTS}"
            ) from error
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path} is damaged or not a PyTorch file: {reason[0]}") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(one, Tensor) for name, one in content.items()
    ):
        raise ModelError(f"{path} holds {type(content).__name__}, expected tensors by name")
    return content


def to_hugging_face(name: str) -> str:
    """Hugging Face's name of a tensor, from ours.

    >>> to_hugging_face("encoder.layers.3.attention.query.weight")
    'encoder.layer.3.attention.self.query.weight'
    >>> to_hugging_face("pooler.bias")
    'bert.pooler.dense.bias'
    """
    for ours, theirs in RENAMES:
        name = re.sub(ours, theirs, name)
    return name


def in_bare_encoder(name: str) -> str:
    """Hugging Face's name in a bare encoder; checkpoints converted from TensorFlow use gamma and beta."""
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return name.removeprefix("bert.")


def _check(weights: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """ModelError unless names, shapes and dtypes are the expected ones."""
    missing, surplus = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or surplus:
        hint = ""
        if "classifier.weight" in surplus:
            hint = "; it is a cross-encoder: load it with CrossEncoder"
        if "classifier.weight" in missing:
            hint = "; it is not a cross-encoder: load it with SentenceTransformer"
        raise ModelError(
            f"{path} is of another architecture: missing {missing[:3] or 'none'} ({len(missing)}), "
            f"surplus {surplus[:3] or 'none'} ({len(surplus)}){hint}"
        )
    for name, tensor in sorted(weights.items()):
        shape = tuple(expected[name].shape)
        if tensor.shape != shape:
            raise ModelError(f"{path}: {name} has shape {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype not in STORED_DTYPES:
            expected_dtypes = ", ".join(map(_word, STORED_DTYPES))
            raise ModelError(f"{path}: {name} is {_word(tensor.dtype)}, expected {expected_dtypes}")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
