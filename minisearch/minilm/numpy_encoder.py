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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minisearch.errors import ModelError
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import Located, locate, verified_sha256
from minisearch.minilm.settings import (
    CheckpointSettings,
    MiniLMConfig,
    document_prompt,
    fingerprint_of_vectors,
    query_prompt,
    read_settings,
)
from minisearch.minilm.tokenizer import MiniLMTokenizer, checked
from minisearch.types import FloatArray, IntArray

Weights = Mapping[str, FloatArray]
Shape = tuple[int, ...]

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


class NumpyEncoder:
    """A checkpoint's sentence vectors in float32, without torch.

    >>> NumpyEncoder.from_pretrained("all-MiniLM-L6-v2").encode(["hello world"]).shape  # doctest: +SKIP
    (1, 384)

    Name, fingerprint and vectors are those of `SentenceTransformer` for the same checkpoint.
    """

    def __init__(
        self,
        name: str,
        settings: CheckpointSettings,
        *,
        weights: Weights,
        tokenizer: MiniLMTokenizer,
        hashing: Hashing,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self._settings = settings
        self._weights = weights
        self._hashing = hashing

    @classmethod
    def from_pretrained(cls, name_or_path: str, *, offline: bool = False) -> NumpyEncoder:
        """The named checkpoint, or the one in a folder.

        Raises UnsupportedCheckpoint unless everything is as expected, with weights in float32; ModelError
        and WeightsNotFound as `SentenceTransformer` does.
        """
        located = locate(name_or_path, offline=offline)
        settings = read_settings(located.folder)
        weights, content = map_weights(located.folder / WEIGHTS, settings.config)
        hashing = Hashing(located, content)
        try:
            tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=settings.max_length)
        except ModelError as error:
            raise UnsupportedCheckpoint(str(error)) from error
        if settings.n_labels is not None or tokenizer.vocab_size > settings.config.vocab_size:
            raise UnsupportedCheckpoint(f"{located.name} is no embedder, or has another model's vocabulary")
        return cls(located.name, settings, weights=weights, tokenizer=tokenizer, hashing=hashing)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, (n, dimension) float32, in the order of the texts; ModelError for a wrong hash."""
        return self._encode(texts, self._settings.default_prompt)

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for queries, if it has one."""
        prompt = query_prompt(self._settings.prompts, self._settings.default_prompt)
        return self._encode(texts, prompt, kind="queries")

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for documents, if it has one."""
        return self._encode(texts, self._document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str, *, kind: str = "texts") -> FloatArray:
        all_ids = self.tokenizer.ids([prompt + text for text in checked(texts)], kind=kind)
        network = Network(self._weights, self._settings)
        vectors = [network.sentence_vectors(batch) for batch in _batches(all_ids)]
        self._hashing.sha256()  # no vector is returned before the weights are verified
        return np.concatenate([np.empty((0, self.dimension), np.float32), *vectors])

    def word_vectors(self, texts: Sequence[str]) -> FloatArray:
        """Approximate vectors from the words alone, (n, dimension) float32: see `word_vectors`."""
        ids = [of_text[1:-1] for of_text in self.tokenizer.ids(checked(texts), kind="")]
        table = self._weights["embeddings.word_embeddings.weight"]
        return word_vectors(ids, lambda of_text: table[of_text], self.dimension)

    @property
    def _document_prompt(self) -> str:
        return document_prompt(self._settings.prompts, self._settings.default_prompt)

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self._settings.config.hidden_size

    @property
    def max_tokens(self) -> int:
        """Length of the longest document that is not cut, in tokens, without prompt and special tokens."""
        return self.tokenizer.room_after(self._document_prompt)

    @property
    def fingerprint(self) -> str:
        """The same as that of `SentenceTransformer`, because the vectors are the same."""
        return fingerprint_of_vectors(
            self._hashing.sha256(),
            self.tokenizer.sha256,
            self._settings.config,
            pooling=self._settings.pooling,
            max_length=self._settings.max_length,
            document_prompt=self._document_prompt,
        )


class Hashing(threading.Thread):
    """Verifies the weights' hash in the background: it takes half as long as all other work for a query."""

    def __init__(self, located: Located, content: memoryview) -> None:
        super().__init__(name="minisearch-hash")
        self._located = located
        self._content = content
        self._outcome: str | BaseException = ModelError(f"{located.weights} was not hashed")
        self.start()

    def run(self) -> None:
        """Hash the content; called by the thread."""
        try:
            self._outcome = verified_sha256(self._located, self._content)
        except BaseException as error:  # `sha256` raises it, so that no vector is returned
            self._outcome = error

    def sha256(self) -> str:
        """The hash, as soon as it is known; ModelError if it is not the expected one."""
        self.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def word_vectors(
    token_ids: Sequence[Sequence[int]], embedded: Callable[[IntArray], FloatArray], dimension: int
) -> FloatArray:
    """Unit vectors (n, D) from word embeddings alone: a fast first guess, not good enough to rank with.

    A vector is the weighted mean of the embeddings, ``embedded`` (T,) -> (T, D), of a text's tokens.  A
    token's weight is the logarithm of its position in the vocabulary, which grows with its rarity (Zipf's
    law).  A text without tokens has the zero vector.
    """
    vectors = np.zeros((len(token_ids), dimension), np.float32)
    for vector, of_text in zip(vectors, token_ids, strict=True):
        if of_text:
            ids = np.array(of_text, np.int64)
            weights = np.log1p(np.maximum(ids - N_SPECIAL, 1)).astype(np.float32)
            vector[:] = weights @ embedded(ids)  # (T,) @ (T, D)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, norms, out=vectors, where=norms > 0)
    return vectors


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
            self._weights["embeddings.word_embeddings.weight"][ids]
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

METADATA = "__metadata__"
# May be in the file too, but sentence vectors do not need them.
UNUSED = {METADATA, "embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}

LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
FLOAT32 = np.dtype("<f4")


class Mapped(NamedTuple):
    """Weights by Hugging Face's names, and the mapped file that they are views of.

    Hashing the mapped file verifies exactly the bytes that are used.
    """

    weights: Weights
    content: memoryview


def map_weights(path: Path, config: MiniLMConfig) -> Mapped:
    """Map the float32 tensors of an embedder's safetensors file, without a copy.

    (safetensors' own NumPy reader copies, which takes 0.1 s.)  Raises UnsupportedCheckpoint if a tensor is
    missing, surplus, of another shape or dtype, or not exactly where the header says.
    """
    try:
        content = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
        data_start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES].tobytes(), "little")
        header = json.loads(content[LENGTH_BYTES:data_start].tobytes())
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    expected = shapes(config)
    if not isinstance(header, dict) or header.keys() - UNUSED != expected.keys():
        raise UnsupportedCheckpoint(f"{path} does not hold the tensors of an embedder")
    data = content[data_start:]
    bounds = {name: _bounds(entry) for name, entry in header.items() if name != METADATA}
    if sum(end - start for start, end in bounds.values()) != len(data):
        raise UnsupportedCheckpoint(f"{path} has fewer or more bytes than its tensors")
    weights = {
        name: _tensor(data, *bounds[name], shape, name=name, entry=header[name])
        for name, shape in expected.items()
    }
    return Mapped(weights, content.data)


def _bounds(entry: object) -> tuple[int, int]:
    """The first and last byte of a tensor; an empty range if its entry is malformed."""
    match entry:
        case {"data_offsets": [int(start), int(end)]}:
            return start, end
    return 0, 0


def _tensor(
    data: npt.NDArray[np.uint8], start: int, end: int, shape: Shape, *, name: str, entry: dict[str, object]
) -> FloatArray:
    """A view of one tensor; ``data`` are the bytes after the header."""
    is_inside = 0 <= start <= end <= len(data) and end - start == math.prod(shape) * FLOAT32.itemsize
    if not is_inside or entry.get("dtype") != "F32" or entry.get("shape") != list(shape):
        raise UnsupportedCheckpoint(f"{name} is {entry}, expected float32 of shape {shape}")
    tensor: FloatArray = data[start:end].view(FLOAT32).reshape(shape)
    if not tensor.flags.aligned:
        raise UnsupportedCheckpoint(f"{name} does not begin at a multiple of {FLOAT32.itemsize} bytes")
    return tensor


def shapes(config: MiniLMConfig) -> dict[str, Shape]:
    """The shapes of an embedder's tensors, by Hugging Face's names."""
    width, inner = config.hidden_size, config.intermediate_size
    tensors: dict[str, Shape] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, width),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, width),
    }
    modules: dict[str, Shape] = {"embeddings.LayerNorm": (width,)}  # shapes of the weights
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
