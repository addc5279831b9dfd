"""MiniLM as a whole: token ids to token vectors (MiniLMModel), texts to unit vectors (SentenceTransformer).

The architecture is a BERT encoder distilled by deep self-attention distillation (Wang et al. 2020,
arXiv 2002.10957); a sentence's vector is the mean of its token vectors, L2-normalised (Reimers and
Gurevych 2019, arXiv 1908.10084).  Which weights and where from is the loader's and the catalog's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader expects

from minisearch.config import fingerprint
from minisearch.errors import ModelError
from minisearch.minilm import inference
from minisearch.minilm.catalog import Located, locate
from minisearch.minilm.components import Embeddings, TransformerEncoder
from minisearch.minilm.loader import LoadReport, load_weights
from minisearch.minilm.settings import MiniLMConfig, Pooling, read_settings
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.types import FloatArray


class MiniLMModel(nn.Module):
    """The encoder: ids (B, T) and mask (B, T) to token vectors (B, T, D)."""

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
        """Token vectors (B, T, D).

        ``attention_mask`` (B, T) is 1 for tokens and 0 for padding; None says that there is no padding.
        ``token_type_ids`` (B, T) is 0 for a pair's first text and 1 for its second; None says that there
        are no pairs.  The vectors at padded places mean nothing.
        """
        mask = None if attention_mask is None else attention_mask.bool()
        return self.encoder(self.embeddings(input_ids, token_type_ids), mask)


class SentenceTransformer(nn.Module):
    """Sentences to unit vectors.

    >>> model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2")  # doctest: +SKIP
    >>> model.encode(["How do I retry a failed task?"]).shape  # doctest: +SKIP
    (1, 384)

    ``max_length`` counts tokens with [CLS] and [SEP]; longer texts are cut there, with a logged warning.
    Built directly, the weights are random until `load_pretrained_weights` fills them.
    """

    def __init__(
        self,
        config: MiniLMConfig | None = None,
        *,
        num_hidden_layers: int | None = None,
        max_length: int = 256,
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        config = config or MiniLMConfig()
        if num_hidden_layers is not None:
            config = replace(config, num_hidden_layers=num_hidden_layers)
        if not 3 <= max_length <= config.max_position_embeddings:
            raise ModelError(f"max_length is {max_length}; expected 3 to {config.max_position_embeddings}")
        self.model = MiniLMModel(config)
        self.max_length = max_length
        self.pooling: Pooling = pooling
        self.report: LoadReport | None = None
        self._name = ""
        self._tokenizer: MiniLMTokenizer | None = None

    @classmethod
    def from_pretrained(
        cls, name_or_path: str, *, device: str | None = None, offline: bool = False
    ) -> SentenceTransformer:
        """The named checkpoint, or the one in a folder, ready to encode.

        Layers, width, pooling and length are the checkpoint's own.  ``device`` is the best one here
        unless given ("cpu", "cuda", "mps"); ``offline`` never opens a socket.  Raises ModelError,
        and WeightsNotFound with the places that were searched and the cure.
        """
        located = locate(name_or_path, offline=offline)
        settings = read_settings(located.folder)
        with torch.device("meta"):  # no memory and no random numbers for weights about to be replaced
            model = cls(settings.config, max_length=settings.max_length, pooling=settings.pooling)
        model.report = load_weights(model.model, located)
        model._attach(located)
        return model.eval().to(device or inference.best_device())

    def _attach(self, located: Located) -> None:
        """Take the tokenizer and the name of the checkpoint whose weights were loaded."""
        path = located.folder / "tokenizer.json"
        tokenizer = MiniLMTokenizer.from_file(path, max_length=self.max_length)
        n_known = self.model.config.vocab_size
        if tokenizer.vocab_size > n_known:
            raise ModelError(
                f"{path} is another model's: its vocabulary has {tokenizer.vocab_size} tokens, "
                f"expected at most the {n_known} that have a vector"
            )
        self._name, self._tokenizer = located.name, tokenizer

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Unit vectors (B, D) of token ids (B, T); mask (B, T) as in `MiniLMModel`."""
        tokens = self.model(input_ids, attention_mask)  # (B, T, D)
        return F.normalize(pool(tokens, attention_mask, self.pooling), dim=1)

    def encode(self, texts: Sequence[str], *, batch_tokens: int = 1_024) -> FloatArray:
        """Unit vectors (n, D) float32 of n texts, in their order.

        Texts of like length share a batch of at most ``batch_tokens`` tokens, padding included.
        """
        # Small batches stay in the processor's cache: on two cores 1,024 run at 1.08 times 2,048's speed.
        return inference.encode(self, texts, batch_tokens=batch_tokens)

    @property
    def tokenizer(self) -> MiniLMTokenizer:
        """The checkpoint's tokenizer, cutting at this model's length."""
        if self._tokenizer is None:
            raise ModelError(
                "this model has no weights yet: use SentenceTransformer.from_pretrained(name) or "
                "load_pretrained_weights(model, model_name=name)"
            )
        return self._tokenizer

    @property
    def name(self) -> str:
        """The checkpoint's name in the catalog, or the absolute path of its folder."""
        return self._name

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self.model.config.hidden_size

    @property
    def max_tokens(self) -> int:
        """The longest text seen whole, in tokens, special tokens left out."""
        return self.max_length - self.tokenizer.n_special_tokens

    @property
    def fingerprint(self) -> str:
        """Differs whenever the vectors would: weights, architecture, vocabulary, pooling, length."""
        if self.report is None:
            raise ModelError("this model has no weights yet, so its vectors have no fingerprint")
        return fingerprint(
            self.report.sha256, self.model.config, self.tokenizer.sha256, self.pooling, self.max_length
        )


def pool(tokens: Tensor, attention_mask: Tensor | None, pooling: Pooling) -> Tensor:
    """One vector a text (B, D) out of token vectors (B, T, D), padding left out by the mask (B, T)."""
    if pooling == "cls":
        return tokens[:, 0]
    if attention_mask is None:
        return tokens.mean(1) if pooling == "mean" else tokens.amax(1)
    kept = attention_mask.bool()[:, :, None]  # (B, T, 1)
    if pooling == "max":
        return tokens.masked_fill(~kept, -torch.inf).amax(1)
    return tokens.masked_fill(~kept, 0.0).sum(1) / kept.sum(1)


def load_pretrained_weights(
    model: SentenceTransformer, model_name: str, *, offline: bool = False
) -> SentenceTransformer:
    """Fill a model built by hand with a checkpoint's weights and tokenizer; the model itself, in eval mode.

    ``model.report`` then says what was loaded.  The model keeps its own ``max_length`` and
    pooling.  Raises ModelError when the checkpoint is of another architecture, naming what differs.
    """
    located = locate(model_name, offline=offline)
    theirs = read_settings(located.folder).config
    for name in ("num_attention_heads", "layer_norm_eps"):  # no tensor's shape shows these
        if getattr(model.model.config, name) != getattr(theirs, name):
            raise ModelError(
                f"{located.name} is of another architecture: its {name} is {getattr(theirs, name)}, "
                f"the model's {getattr(model.model.config, name)}"
            )
    model.report = load_weights(model.model, located)
    model._attach(located)
    return model.eval()
