"""Sentence vectors without torch: BERT's forward pass in NumPy, on the memory-mapped weights.

Texts go in, the unit vectors of `SentenceTransformer` come out; tests compare the two.  It encodes the first
queries of a process, which would otherwise wait for the import of torch, a hundred times as long.  A
checkpoint that is not exactly as expected is an `UnsupportedCheckpoint`: `SentenceTransformer` then loads it
or explains what is wrong with it.

Shapes: T tokens of all texts that are computed together, H heads, D hidden width, d = D / H the width of a
head, F the inner width.  Texts are concatenated without padding, and each attends to itself only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from minisearch.errors import ModelError
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import Located, locate, verified_sha256
from minisearch.minilm.settings import (
    WORD_EMBEDDINGS,
    CheckpointSettings,
    MiniLMConfig,
    shapes,
)
from minisearch.minilm.tokenizer import MiniLMTokenizer, checked
from minisearch.types import FloatArray, IntArray

Weights = Mapping[str, FloatArray]

# Numerator and denominator of erf(x) / x in powers of x², highest first.
ERF_NUMERATOR = [-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05]
ERF_NUMERATOR += [-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02]
ERF_DENOMINATOR = [-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03]
ERF_DENOMINATOR += [-7.37332916720468e-03, -1.42647390514189e-02]

# Tokens of texts that are computed together: 28 sentences then take 0.6 of their time one by one.
BATCH_TOKENS = 512
N_SPECIAL = 996  # BERT's vocabulary begins with unused and special tokens; frequent words follow


class UnsupportedCheckpoint(Exception):
    """A checkpoint that `NumpyEncoder` does not support; `SentenceTransformer` loads or refuses it."""


class SentenceEncoder:
    """What every encoder of a checkpoint derives from its settings, its tokenizer and its embeddings."""

    settings: CheckpointSettings
    tokenizer: MiniLMTokenizer

    def _embedded(self, ids: IntArray) -> FloatArray:  # (T,) -> (T, D)
        """The rows of the word embeddings."""
        raise NotImplementedError

    def _weights_sha256(self) -> str:
        raise NotImplementedError

    def word_vectors(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (n, D) from word embeddings alone: a fast first guess, not good enough to rank with.

        A vector is the weighted mean of the embeddings of a text's tokens.  A token's weight is the logarithm
        of its position in the vocabulary, which grows with its rarity (Zipf's law).  A text without tokens
        has the zero vector.
        """
        all_ids = [of_text[1:-1] for of_text in self.tokenizer.ids(checked(texts), kind="")]
        n_tokens = np.array([len(of_text) for of_text in all_ids], np.int64)
        vectors = np.zeros((len(all_ids), self.dimension), np.float32)
        if n_tokens.any():
            ids, places = np.unique(np.array([*chain(*all_ids)], np.int64), return_inverse=True)
            weights = np.log1p(np.maximum(ids - N_SPECIAL, 1)).astype(np.float32)
            weighted = weights[:, None] * self._embedded(ids)  # (U, D) for U different tokens
            starts = (n_tokens.cumsum() - n_tokens)[n_tokens > 0]
            vectors[n_tokens > 0] = np.add.reduceat(weighted[places], starts)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return vectors

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self.settings.config.hidden_size

    @property
    def max_tokens(self) -> int:
        """Length of the longest document that is not cut, in tokens, without prompt and special tokens."""
        return self.tokenizer.room_after(self.settings.document_prompt)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever document vectors would; it does not depend on the dtype."""
        return self.settings.fingerprint(self._weights_sha256(), self.tokenizer.sha256)


class NumpyEncoder(SentenceEncoder):
    """A checkpoint's sentence vectors in float32, without torch.

    >>> NumpyEncoder.from_pretrained("all-MiniLM-L6-v2").encode(["hello world"]).shape  # doctest: +SKIP
    (1, 384)

    Name, fingerprint and vectors are those of `SentenceTransformer` for the same checkpoint.
    """

    def __init__(
        self, located: Located, settings: CheckpointSettings, tokenizer: MiniLMTokenizer, mapped: Mapped
    ) -> None:
        self.name = located.name
        self.settings = settings
        self.tokenizer = tokenizer
        self._weights = mapped.weights
        # In the background, because it takes half as long as all other work for a query.
        self._hash = ThreadPoolExecutor(1, "minisearch-hash").submit(verified_sha256, located, mapped.content)

    @classmethod
    def from_pretrained(cls, name_or_path: str, *, offline: bool = False) -> NumpyEncoder:
        """The named checkpoint, or the one in a folder.

        Raises UnsupportedCheckpoint unless everything is as expected, with weights in float32 or float16;
        ModelError and WeightsNotFound as `SentenceTransformer` does.
        """
        located = locate(name_or_path, offline=offline)
        settings = located.settings
        mapped = map_weights(located.folder / WEIGHTS, settings.config)
        try:
            tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=settings.max_length)
        except ModelError as error:
            raise UnsupportedCheckpoint(str(error)) from error
        if settings.n_labels is not None or tokenizer.vocab_size > settings.config.vocab_size:
            raise UnsupportedCheckpoint(f"{located.name} is no embedder, or has another model's vocabulary")
        return cls(located, settings, tokenizer, mapped)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, (n, dimension) float32, in the order of the texts; ModelError for a wrong hash."""
        return self._encode(texts, self.settings.default_prompt)

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for queries, if it has one."""
        return self._encode(texts, self.settings.query_prompt, kind="queries")

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for documents, if it has one."""
        return self._encode(texts, self.settings.document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str, *, kind: str = "texts") -> FloatArray:
        all_ids = self.tokenizer.ids([prompt + text for text in checked(texts)], kind=kind)
        network = Network(self._weights, self.settings)
        vectors = [network.sentence_vectors(batch) for batch in _batches(all_ids)]
        self._weights_sha256()  # no vector is returned before the weights are verified
        return np.concatenate([np.empty((0, self.dimension), np.float32), *vectors])

    def _embedded(self, ids: IntArray) -> FloatArray:
        return self._weights[WORD_EMBEDDINGS][ids]

    def _weights_sha256(self) -> str:
        """The hash, as soon as it is known; ModelError if it is not the expected one."""
        return self._hash.result()


# --- the forward pass, as in transformer.py ---------------------------------------------------------


def _batches(all_ids: Sequence[Sequence[int]]) -> Iterator[list[IntArray]]:
    """The texts in their order, in batches of at most `BATCH_TOKENS` tokens, or one text."""
    texts: list[IntArray] = []
    for ids in map(np.array, all_ids):
        if texts and sum(map(len, texts)) + len(ids) > BATCH_TOKENS:
            yield texts
            texts = []
        texts.append(ids)
    if texts:
        yield texts


class Network:
    """BERT's forward pass on NumPy arrays."""

    def __init__(self, weights: Weights, settings: CheckpointSettings) -> None:
        self._weights = weights
        self._config = settings.config
        self._pooling = settings.pooling

    def sentence_vectors(self, texts: Sequence[IntArray]) -> FloatArray:  # n of (T,) -> (n, D)
        """The unit vectors of one or more texts, from their token ids."""
        ends = np.cumsum([0, *map(len, texts)]).tolist()
        spans = [slice(start, end) for start, end in pairwise(ends)]
        x = np.concatenate([self._embeddings(ids) for ids in texts])  # (T, D), T of all texts
        for number in range(self._config.num_hidden_layers):
            x = self._layer(f"encoder.layer.{number}", x, spans)
        pooled = np.stack([self._pooled(x[span]) for span in spans])  # (n, D)
        unit: FloatArray = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return unit

    def _pooled(self, x: FloatArray) -> FloatArray:  # (T, D) of one text -> (D,)
        vector: FloatArray = {"mean": x.mean(0), "cls": x[0], "max": x.max(0)}[self._pooling]
        return vector

    def _embeddings(self, ids: IntArray) -> FloatArray:  # (T,) -> (T, D)
        x = (
            self._weights[WORD_EMBEDDINGS][ids]
            + self._weights["embeddings.position_embeddings.weight"][: len(ids)]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        return self._layer_norm("embeddings.LayerNorm", x)

    def _layer(self, name: str, x: FloatArray, spans: Sequence[slice]) -> FloatArray:  # (T, D) -> (T, D)
        context = self._attention(f"{name}.attention.self", x, spans)
        x = x + self._linear(f"{name}.attention.output.dense", context)
        x = self._layer_norm(f"{name}.attention.output.LayerNorm", x)
        inner = gelu(self._linear(f"{name}.intermediate.dense", x))  # (T, F)
        x = x + self._linear(f"{name}.output.dense", inner)
        return self._layer_norm(f"{name}.output.LayerNorm", x)

    def _attention(self, name: str, x: FloatArray, spans: Sequence[slice]) -> FloatArray:  # (T, D) -> (T, D)
        n_tokens, width = x.shape
        q, k, v = (
            self._linear(f"{name}.{part}", x)
            .reshape(n_tokens, self._config.num_attention_heads, -1)
            .swapaxes(0, 1)
            for part in ("query", "key", "value")
        )  # (H, T, d)
        q = q / np.float32(math.sqrt(q.shape[2]))
        context = np.empty((n_tokens, *q.shape[::2]), np.float32)  # (T, H, d)
        for span in spans:
            scores = q[:, span] @ k[:, span].swapaxes(1, 2)  # (H, t, t), t of this text
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            context[span] = (scores @ v[:, span] / scores.sum(-1, keepdims=True)).swapaxes(0, 1)
        return context.reshape(n_tokens, width)

    def _linear(self, name: str, x: FloatArray) -> FloatArray:  # (T, n_in) -> (T, n_out)
        y: FloatArray = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return y

    def _layer_norm(self, name: str, x: FloatArray) -> FloatArray:  # (T, D) -> (T, D)
        x = x - x.mean(-1, keepdims=True)
        variance = (x * x).mean(-1, keepdims=True)  # (T, 1)
        x = x / np.sqrt(variance + np.float32(self._config.layer_norm_eps))
        scaled: FloatArray = x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return scaled


def gelu(x: FloatArray) -> FloatArray:
    """``x Φ(x)`` with the normal distribution Φ: the exact form."""
    y: FloatArray = np.float32(0.5) * x * (1 + erf(x * np.float32(math.sqrt(0.5))))
    return y


def erf(x: FloatArray) -> FloatArray:
    """The error function to 5e-7: the rational approximation of Eigen and XLA, for |x| ≤ 4."""
    x = np.clip(x, -4, 4)
    return x * polynomial(x * x, ERF_NUMERATOR) / polynomial(x * x, ERF_DENOMINATOR)


def polynomial(x: FloatArray, coefficients: Sequence[float]) -> FloatArray:
    """Horner's rule, beginning with the coefficient of the highest power."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + np.float32(coefficient)
    return total


# --- the weights as arrays --------------------------------------------------------------------------

# May be in the file too, but sentence vectors do not need them.
UNUSED = {"__metadata__", "embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
DTYPES = [{"F32"}, {"F16"}]  # of all tensors of a file


class Mapped(NamedTuple):
    """Weights by Hugging Face's names, and the mapped file that float32 weights are views of.

    Hashing the mapped file verifies exactly the bytes that are used.
    """

    weights: Weights
    content: memoryview


def map_weights(path: Path, config: MiniLMConfig) -> Mapped:
    """Map the float32 tensors of an embedder's safetensors file, without a copy; copy those in float16.

    (safetensors' own NumPy reader copies, which takes 0.1 s; it only validates the file here.)  Raises
    UnsupportedCheckpoint if the file is damaged or does not have exactly the expected tensors.
    """
    try:
        with safe_open(path, framework="np"):
            content = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    except (SafetensorError, OSError) as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")  # the file begins with its header's length
    header = json.loads(content[8:start].tobytes())
    expected = {name: list(shape) for name, shape in shapes(config).items()}
    entries = {name: entry for name, entry in header.items() if name not in UNUSED}
    dtypes = {entry["dtype"] for entry in entries.values()}
    if {name: entry["shape"] for name, entry in entries.items()} != expected or dtypes not in DTYPES:
        raise UnsupportedCheckpoint(f"{path} does not hold the float32 or float16 tensors of an embedder")
    dtype = "<f4" if dtypes == {"F32"} else "<f2"
    weights = {}
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        weights[name] = (
            content[start + begin : start + end].view(dtype).reshape(entry["shape"]).astype("<f4", copy=False)
        )
    return Mapped(weights, content.data)
