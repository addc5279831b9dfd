"""What every model shares that has a checkpoint's weights: how it gets them, its tokenizer and its name.

A checkpoint's name or folder comes in, a model ready to compute goes out.  Where the folder is, the catalog
knows; how weights are read, the loader; what a model does with its token vectors is its own affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from torch import nn

from minisearch.errors import ModelError
from minisearch.manifest import Dtype, as_dtype
from minisearch.minilm.catalog import Located, locate
from minisearch.minilm.inference import Inference, as_device
from minisearch.minilm.loader import LoadReport, load_weights
from minisearch.minilm.quantized import quantize
from minisearch.minilm.settings import CheckpointSettings, MiniLMConfig, read_settings
from minisearch.minilm.tokenizer import MiniLMTokenizer

if TYPE_CHECKING:
    from minisearch.minilm.model import MiniLMModel

Model = TypeVar("Model", bound="Pretrained")


class Pretrained(nn.Module):
    """A model around the encoder ``model``, with `from_pretrained`; ``report`` says what was loaded."""

    model: MiniLMModel
    cure: ClassVar[str]  # how such a model gets weights, in words

    def __init__(self) -> None:
        super().__init__()
        self.report: LoadReport | None = None
        self._name = ""
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

        Layers, width, pooling, prompts and length are the checkpoint's own, unless ``max_length`` is given.
        ``device`` is the best one here unless given ("cpu", "cuda", "mps").  ``dtype`` is what the encoder
        computes in: bfloat16 where the device has it and float32 elsewhere ("auto"), one of the two, or
        with the weights in 8 bits ("int8"); a cross-encoder's pooler and classifier always compute in
        float32.  ``offline`` never opens a socket.  Raises ModelError, also for a checkpoint of the other
        kind, and WeightsNotFound with the places that were searched and the cure.
        """
        dtype, where = as_dtype(dtype), as_device(device)
        located = locate(name_or_path, offline=offline)
        settings = read_settings(located.folder)
        length = settings.max_length if max_length is None else max_length
        with torch.device("meta"):  # no memory and no random numbers for weights about to be replaced
            model = cls._of(located.name, settings, length)
        tokenizer = load_tokenizer(located, settings.config, max_length=length)
        model.report = load_weights(model._part_with_weights, located)
        model._attach(located.name, tokenizer, settings)
        if dtype == "int8":
            quantize(model.model)
        model._compute_in(dtype)
        return model.eval().to(where)

    @classmethod
    def _of(cls: type[Model], name: str, settings: CheckpointSettings, max_length: int) -> Model:
        """A model of this architecture without its weights; ModelError when it is of another kind."""
        raise NotImplementedError

    @property
    def _part_with_weights(self) -> nn.Module:
        """What a checkpoint of this kind fills."""
        return self

    def _attach(self, name: str, tokenizer: MiniLMTokenizer, _: CheckpointSettings) -> None:
        """Take what comes with the weights that were loaded."""
        self._name, self._tokenizer = name, tokenizer

    def _compute_in(self, dtype: Dtype) -> None:
        self.inference = Inference(self.model, dtype)

    @property
    def tokenizer(self) -> MiniLMTokenizer:
        """The checkpoint's tokenizer, cutting at this model's length."""
        if self._tokenizer is None:
            raise ModelError(f"this model has no weights yet: use {self.cure}")
        return self._tokenizer

    @property
    def name(self) -> str:
        """The checkpoint's name in the catalog, or the absolute path of its folder."""
        return self._name


def load_tokenizer(located: Located, config: MiniLMConfig, *, max_length: int) -> MiniLMTokenizer:
    """A checkpoint's tokenizer; ModelError when it has more tokens than this config's model has vectors."""
    tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=max_length)
    if tokenizer.vocab_size > config.vocab_size:
        raise ModelError(
            f"the tokenizer in {located.tokenizer} is another model's: its vocabulary has "
            f"{tokenizer.vocab_size} tokens, expected at most the {config.vocab_size} that have a vector"
        )
    return tokenizer
