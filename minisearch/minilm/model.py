"""MiniLM as a whole: token ids to token vectors (MiniLMModel), texts to unit vectors (SentenceTransformer).

The architecture is a BERT encoder distilled by deep self-attention distillation (Wang et al. 2020,
arXiv 2002.10957); a sentence's vector is the mean of its token vectors, L2-normalised (Reimers and
Gurevych 2019, arXiv 1908.10084).  Which weights and where from is the loader's and the catalog's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader expects

from minisearch.errors import InputError, ModelError
from minisearch.manifest import Dtype
from minisearch.minilm.catalog import locate
from minisearch.minilm.components import Embeddings, TransformerEncoder
from minisearch.minilm.inference import Inference
from minisearch.minilm.loader import load_weights
from minisearch.minilm.pretrained import Pretrained, load_tokenizer
from minisearch.minilm.settings import (
    POOLINGS,
    CheckpointSettings,
    MiniLMConfig,
    Pooling,
    document_prompt,
    fingerprint_of_vectors,
    query_prompt,
    read_settings,
)
from minisearch.minilm.tokenizer import MiniLMTokenizer, checked
from minisearch.minilm.word_vectors import word_vectors
from minisearch.types import FloatArray, IntArray

# Takes positions in the list of texts and their token vectors (G, T, D), float32.
Consumer = Callable[[list[int], Tensor], None]


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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embeddings.segment.weight.device


class SentenceTransformer(Pretrained):
    """Sentences to unit vectors.

    >>> model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2")  # doctest: +SKIP
    >>> model.encode(["How do I retry a failed task?"]).shape  # doctest: +SKIP
    (1, 384)

    ``max_length`` counts tokens with [CLS] and [SEP]; longer texts are cut there, with a logged warning.
    Built directly, the weights are random until `load_pretrained_weights` fills them.
    """

    cure = "SentenceTransformer.from_pretrained(name) or load_pretrained_weights(model, model_name=name)"

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
        if pooling not in POOLINGS:
            raise ModelError(f"unknown pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
        self.model = MiniLMModel(config)
        self._max_length = max_length
        self.pooling: Pooling = pooling
        self.prompts: Mapping[str, str] = {}
        self.default_prompt = ""
        self._compute_in("auto")

    @classmethod
    def _of(cls, name: str, settings: CheckpointSettings, max_length: int) -> SentenceTransformer:
        if settings.n_labels is not None:
            raise ModelError(f"{name} is a cross-encoder: use CrossEncoder.from_pretrained")
        return cls(settings.config, max_length=max_length, pooling=settings.pooling)

    @property
    def _part_with_weights(self) -> nn.Module:
        return self.model

    def _compute_in(self, dtype: Dtype) -> None:
        super()._compute_in(dtype)
        # Float32 unless asked otherwise: a query alone is hardly quicker in fewer bits, and so it has one
        # answer with and without torch (bfloat16 moves scores by up to 0.002).
        self._for_queries = Inference(self.model, "float32") if dtype == "auto" else self.inference

    def _attach(self, name: str, tokenizer: MiniLMTokenizer, settings: CheckpointSettings) -> None:
        super()._attach(name, tokenizer, settings)
        self.prompts, self.default_prompt = settings.prompts, settings.default_prompt

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Unit vectors (B, D) of token ids (B, T); mask (B, T) as in `MiniLMModel`."""
        tokens = self.model(input_ids, attention_mask)  # (B, T, D)
        return F.normalize(pool(tokens, attention_mask, self.pooling), dim=1)

    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["sentences"] = ...,
        normalize: bool = ...,
        prompt_name: str | None = ...,
        batch_tokens: int | None = ...,
        batch_size: int | None = ...,
        show_progress: bool = ...,
    ) -> FloatArray: ...
    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["tokens"],
        normalize: bool = ...,
        prompt_name: str | None = ...,
        batch_tokens: int | None = ...,
        batch_size: int | None = ...,
        show_progress: bool = ...,
    ) -> list[FloatArray]: ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["sentences", "tokens"] = "sentences",
        normalize: bool = True,
        prompt_name: str | None = None,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
        show_progress: bool = False,
    ) -> FloatArray | list[FloatArray]:
        """Unit vectors (n, D) float32 of n texts, in their order.

        ``output="tokens"`` gives the vectors of each text's tokens instead, one (T, D) array a text, those
        of [CLS] and [SEP] included.  Without ``normalize``, vectors keep their length.  ``prompt_name``
        names one of the checkpoint's ``prompts``, to be put before each text.  Texts of like length are
        computed together, in batches of at most ``batch_tokens`` tokens and ``batch_size`` texts.
        """
        return self._encode(
            texts,
            self._prompt(prompt_name),
            output=output,
            normalize=normalize,
            batch_tokens=batch_tokens,
            batch_size=batch_size,
            show_progress=show_progress,
        )

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for queries, if it has one; "auto" is float32 here."""
        prompt = query_prompt(self.prompts, self.default_prompt)
        vectors = self._encode(texts, prompt, what="questions", inference=self._for_queries)
        assert isinstance(vectors, np.ndarray)
        return vectors

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for what is to be found, if it has one."""
        vectors = self._encode(texts, self._document_prompt)
        assert isinstance(vectors, np.ndarray)
        return vectors

    def word_vectors(self, texts: Sequence[str]) -> FloatArray:
        """Vectors by the words alone, (n, dimension) float32: see `minisearch.minilm.word_vectors`."""

        def embedded(ids: IntArray) -> FloatArray:
            rows = self.model.embeddings.token(torch.from_numpy(ids).to(self.model.device))  # (T, D)
            return np.asarray(rows.float().cpu())

        with torch.inference_mode():
            ids = [of_text[1:-1] for of_text in self.tokenizer.ids(checked(texts), what="")]
            return word_vectors(ids, embedded, self.dimension)

    def similarity(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Cosine similarities (n, m) of n vectors and m others."""
        for vectors in (a, b):
            if not isinstance(vectors, np.ndarray) or vectors.ndim != 2:
                raise InputError("expected two arrays of vectors, (n, D) and (m, D): encode the texts first")
        if a.shape[1] != b.shape[1]:
            raise InputError(f"vectors of two models, {a.shape[1]} and {b.shape[1]} wide, have no cosine")
        units = [v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (a, b)]
        return (units[0] @ units[1].T).astype(np.float32)

    def _encode(
        self,
        texts: Sequence[str],
        prompt: str,
        *,
        what: str = "texts",
        inference: Inference | None = None,
        output: str = "sentences",
        normalize: bool = True,
        show_progress: bool = False,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
    ) -> FloatArray | list[FloatArray]:
        if output not in {"sentences", "tokens"}:
            raise InputError(f"unknown output {output!r}: expected 'sentences' or 'tokens'")
        ids = self.tokenizer.ids([prompt + text for text in checked(texts)], what=what)
        start = self._sentence_vectors if output == "sentences" else self._token_vectors
        vectors, keep = start(len(ids), normalize)
        with _progress(len(ids), show_progress) as advance:

            def consume(rows: list[int], tokens: Tensor) -> None:  # (G, T, D)
                keep(rows, tokens.float())
                advance(len(rows))

            (inference or self.inference).run(ids, consume, batch_tokens=batch_tokens, batch_size=batch_size)
        return vectors

    def _sentence_vectors(self, n_texts: int, normalize: bool) -> tuple[FloatArray, Consumer]:
        """Room for (n, D) vectors, and what fills it."""
        vectors = np.empty((n_texts, self.dimension), np.float32)

        def keep(rows: list[int], tokens: Tensor) -> None:  # (G, T, D)
            pooled = pool(tokens, None, self.pooling)
            vectors[rows] = (F.normalize(pooled, dim=1) if normalize else pooled).cpu().numpy()

        return vectors, keep

    def _token_vectors(self, n_texts: int, normalize: bool) -> tuple[list[FloatArray], Consumer]:
        """Room for n arrays (T, D), and what fills it."""
        vectors = [np.empty((0, self.dimension), np.float32)] * n_texts

        def keep(rows: list[int], tokens: Tensor) -> None:  # (G, T, D)
            kept = (F.normalize(tokens, dim=2) if normalize else tokens).cpu().numpy()
            for row, text in zip(rows, kept, strict=True):
                vectors[row] = text.copy()  # a slice would keep the whole batch alive

        return vectors, keep

    @property
    def _document_prompt(self) -> str:
        return document_prompt(self.prompts, self.default_prompt)

    def _prompt(self, name: str | None) -> str:
        if name is None:
            return self.default_prompt
        if name not in self.prompts:
            known = ", ".join(self.prompts) or "none"
            raise InputError(f"unknown prompt_name '{name}': the prompts of {self.name} are: {known}")
        return self.prompts[name]

    @property
    def max_length(self) -> int:
        """Where texts are cut, in tokens, prompts and special tokens included."""
        return self._max_length

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self.model.config.hidden_size

    @property
    def n_weight_bytes(self) -> int:
        """Memory that the weights take, as the model holds them and as they are packed for `encode`."""
        return self.inference.n_bytes

    @property
    def max_tokens(self) -> int:
        """The longest document seen whole, in tokens, beside its prompt and the special tokens."""
        return self.tokenizer.room_after(self._document_prompt)

    @property
    def fingerprint(self) -> str:
        """Differs whenever the vectors would, of the checkpoint as loaded; the dtype has no part in it."""
        if self.report is None:
            raise ModelError("this model has no weights yet, so its vectors have no fingerprint")
        return fingerprint_of_vectors(
            self.report.sha256,
            self.tokenizer.sha256,
            self.model.config,
            pooling=self.pooling,
            max_length=self.max_length,
            document_prompt=self._document_prompt,
        )


@contextmanager
def _progress(n_texts: int, is_shown: bool) -> Iterator[Callable[[int], object]]:
    """A function to be called with the number of texts that were done; it moves a bar, if one is shown."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Encoding", total=n_texts)
        yield lambda n_done: bar.update(task, advance=n_done)


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
    settings = read_settings(located.folder)
    theirs = settings.config
    for name in ("num_attention_heads", "layer_norm_eps"):  # no tensor's shape shows these
        if getattr(model.model.config, name) != getattr(theirs, name):
            raise ModelError(
                f"{located.name} is of another architecture: its {name} is {getattr(theirs, name)}, "
                f"the model's {getattr(model.model.config, name)}"
            )
    tokenizer = load_tokenizer(located, model.model.config, max_length=model.max_length)
    model.report = load_weights(model.model, located)
    model._attach(located.name, tokenizer, settings)
    return model.eval()
