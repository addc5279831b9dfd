"""The same vectors without torch: BERT's forward in NumPy, over the weights where they lie in their file.

Texts go in, unit vectors come out, without padding: texts lie end to end, and each attends to itself.  It
serves the first short queries of a process, which would wait a hundred times longer for the import of torch.
`SentenceTransformer` is the truth and tests hold this equal to it; whatever is not plainly readable here is
left to it, errors too.

Shapes: T tokens, of all texts that go through together, H heads, D hidden width, d = D / H the width of a
head, F the inner width.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from minisearch.errors import ModelError
from minisearch.minilm.catalog import Located, locate, verified_sha256
from minisearch.minilm.checkpoints import WEIGHTS
from minisearch.minilm.mapped import NotForCold, Weights, map_weights
from minisearch.minilm.settings import (
    CheckpointSettings,
    MiniLMConfig,
    document_prompt,
    fingerprint_of_vectors,
    query_prompt,
    read_settings,
)
from minisearch.minilm.tokenizer import MiniLMTokenizer, checked
from minisearch.minilm.word_vectors import word_vectors
from minisearch.types import FloatArray, IntArray

# Numerator and denominator of erf(x) / x in powers of x², highest first.
ERF_ABOVE = [-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05]
ERF_ABOVE += [-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02]
ERF_BELOW = [-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03]
ERF_BELOW += [-1.42647390514189e-02]

# Of the texts that go through the layers together: 28 sentences of a page take 0.6 of their time alone.
TOKENS_AT_ONCE = 512


class ColdEncoder:
    """A checkpoint's sentence vectors in float32, without torch.

    >>> ColdEncoder.from_pretrained("all-MiniLM-L6-v2").encode(["hello world"]).shape  # doctest: +SKIP
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
    def from_pretrained(cls, name_or_path: str, *, offline: bool = False) -> ColdEncoder:
        """The named checkpoint, or the one in a folder.

        Raises NotForCold unless all it needs is there as expected, weights in float32; ModelError and
        WeightsNotFound as `SentenceTransformer` does.
        """
        located = locate(name_or_path, offline=offline)
        settings = read_settings(located.folder)
        weights, content = map_weights(located.folder / WEIGHTS, settings.config)
        hashing = Hashing(located, content)
        try:
            tokenizer = MiniLMTokenizer.from_folder(located.tokenizer, max_length=settings.max_length)
        except ModelError as error:
            raise NotForCold(str(error)) from error
        if settings.n_labels is not None or tokenizer.vocab_size > settings.config.vocab_size:
            raise NotForCold(f"{located.name} is no embedder, or its vocabulary is another model's")
        return cls(located.name, settings, weights=weights, tokenizer=tokenizer, hashing=hashing)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, (n, dimension) float32, in the order of the texts; ModelError for a wrong hash."""
        return self._encode(texts, self._settings.default_prompt)

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for queries, if it has one."""
        prompt = query_prompt(self._settings.prompts, self._settings.default_prompt)
        return self._encode(texts, prompt, what="questions")

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for what is to be found, if it has one."""
        return self._encode(texts, self._document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str, *, what: str = "texts") -> FloatArray:
        all_ids = self.tokenizer.ids([prompt + text for text in checked(texts)], what=what)
        vectors = [sentence_vectors(self._weights, self._settings, texts) for texts in _together(all_ids)]
        self._hashing.sha256()  # nothing goes out before it is known whose weights these are
        return np.concatenate([np.empty((0, self.dimension), np.float32), *vectors])

    def word_vectors(self, texts: Sequence[str]) -> FloatArray:
        """Vectors by the words alone, (n, dimension) float32: see `minisearch.minilm.word_vectors`."""
        ids = [of_text[1:-1] for of_text in self.tokenizer.ids(checked(texts), what="")]
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
        """The longest document seen whole, in tokens, beside its prompt and the special tokens."""
        return self.tokenizer.room_after(self._document_prompt)

    @property
    def fingerprint(self) -> str:
        """That of `SentenceTransformer`: the vectors are the same."""
        settings = self._settings
        return fingerprint_of_vectors(
            self._hashing.sha256(),
            self.tokenizer.sha256,
            settings.config,
            pooling=settings.pooling,
            max_length=settings.max_length,
            document_prompt=self._document_prompt,
        )


class Hashing(threading.Thread):
    """The check of the weights' hash, beside the rest of the work: it takes half as long as all of that."""

    def __init__(self, located: Located, content: memoryview) -> None:
        super().__init__(name="minisearch-hash")
        self._located = located
        self._content = content
        self._outcome: str | BaseException = ModelError(f"{located.weights} was not hashed")
        self.start()

    def run(self) -> None:
        """What the thread does."""
        try:
            self._outcome = verified_sha256(self._located, self._content)
        except BaseException as error:  # whatever went wrong, `sha256` raises it: no vector may go out
            self._outcome = error

    def sha256(self) -> str:
        """The hash, once it is there; ModelError when it is not the one that the weights must have."""
        self.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


# --- the forward, as in components.py ---------------------------------------------------------------


def _together(all_ids: Sequence[Sequence[int]]) -> Iterator[list[IntArray]]:
    """The texts in their order, as many at a time as go through the layers together."""
    texts: list[IntArray] = []
    for ids in map(np.array, all_ids):
        if texts and sum(map(len, texts)) + len(ids) > TOKENS_AT_ONCE:
            yield texts
            texts = []
        texts.append(ids)
    if texts:
        yield texts


def sentence_vectors(
    weights: Weights, settings: CheckpointSettings, texts: Sequence[IntArray]
) -> FloatArray:  # n of (T,) -> (n, D)
    """The unit vectors of some texts, at least one, by their token ids."""
    config = settings.config
    ends = np.cumsum([0, *map(len, texts)]).tolist()
    spans = [slice(start, end) for start, end in pairwise(ends)]
    x = np.concatenate([embeddings(weights, config, ids) for ids in texts])  # (T, D), T of all texts
    for number in range(config.num_hidden_layers):
        x = layer(weights, config, f"encoder.layer.{number}", x, spans)
    pooled = np.stack([_pooled(x[span], settings.pooling) for span in spans])  # (n, D)
    unit: FloatArray = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    return unit


def _pooled(x: FloatArray, pooling: str) -> FloatArray:  # (T, D) of one text -> (D,)
    vector: FloatArray = {"mean": x.mean(0), "cls": x[0], "max": x.max(0)}[pooling]
    return vector


def embeddings(weights: Weights, config: MiniLMConfig, ids: IntArray) -> FloatArray:  # (T,) -> (T, D)
    """Token ids to vectors: token + position + segment embedding, LayerNorm."""
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    return layer_norm(weights, config, "embeddings.LayerNorm", x)


def layer(
    weights: Weights, config: MiniLMConfig, name: str, x: FloatArray, spans: Sequence[slice]
) -> FloatArray:  # (T, D) -> (T, D)
    """Self-attention, then the feed-forward network with GELU, each with residual and LayerNorm."""
    context = attention(weights, config, f"{name}.attention.self", x, spans)
    x = x + linear(weights, f"{name}.attention.output.dense", context)
    x = layer_norm(weights, config, f"{name}.attention.output.LayerNorm", x)
    inner = gelu(linear(weights, f"{name}.intermediate.dense", x))  # (T, F)
    x = x + linear(weights, f"{name}.output.dense", inner)
    return layer_norm(weights, config, f"{name}.output.LayerNorm", x)


def attention(
    weights: Weights, config: MiniLMConfig, name: str, x: FloatArray, spans: Sequence[slice]
) -> FloatArray:  # (T, D) -> (T, D)
    """Multi-head attention: softmax(Q Kᵀ / √d) V within each text, the heads side by side."""
    n_tokens, width = x.shape
    q, k, v = (
        linear(weights, f"{name}.{part}", x).reshape(n_tokens, config.num_attention_heads, -1).swapaxes(0, 1)
        for part in ("query", "key", "value")
    )  # (H, T, d)
    q = q / np.float32(math.sqrt(q.shape[2]))
    context = np.empty((n_tokens, config.num_attention_heads, q.shape[2]), np.float32)  # (T, H, d)
    for span in spans:
        scores = q[:, span] @ k[:, span].swapaxes(1, 2)  # (H, t, t), t of this text
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        context[span] = (scores @ v[:, span] / scores.sum(-1, keepdims=True)).swapaxes(0, 1)
    return context.reshape(n_tokens, width)


def linear(weights: Weights, name: str, x: FloatArray) -> FloatArray:  # (T, n_in) -> (T, n_out)
    """``x Wᵀ + b``."""
    y: FloatArray = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return y


def layer_norm(weights: Weights, config: MiniLMConfig, name: str, x: FloatArray) -> FloatArray:  # (T, D)
    """Each token's vector at mean 0 and variance 1, then scaled and shifted."""
    x = x - x.mean(-1, keepdims=True)
    variance = (x * x).mean(-1, keepdims=True)  # (T, 1)
    x = x / np.sqrt(variance + np.float32(config.layer_norm_eps))
    scaled: FloatArray = x * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return scaled


def gelu(x: FloatArray) -> FloatArray:
    """``x Φ(x)``, Φ the normal distribution: the exact form, with erf by `erf`."""
    y: FloatArray = np.float32(0.5) * x * (1 + erf(x * np.float32(math.sqrt(0.5))))
    return y


def erf(x: FloatArray) -> FloatArray:
    """The error function to 5e-7, which NumPy lacks: the rational approximation of Eigen and XLA, |x| ≤ 4."""
    x = np.clip(x, -4, 4)
    return x * polynomial(x * x, ERF_ABOVE) / polynomial(x * x, ERF_BELOW)


def polynomial(x: FloatArray, coefficients: Sequence[float]) -> FloatArray:
    """By Horner's rule, the highest power's coefficient first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + np.float32(coefficient)
    return total
