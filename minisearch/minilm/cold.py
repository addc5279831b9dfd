"""The same vectors without torch: BERT's forward in NumPy, over the weights where they lie in their file.

Texts go in, unit vectors come out, one text after another.  It serves the first short queries of a
process, which would wait a hundred times longer for the import of torch.  `SentenceTransformer` is the
truth and tests hold this equal to it; whatever is not plainly readable here is left to it, errors too.

Shapes: T tokens, H heads, D hidden width, d = D / H the width of a head, F the inner width.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

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
        """As `encode`, with the checkpoint's prompt for questions, if it has one."""
        prompt = query_prompt(self._settings.prompts, self._settings.default_prompt)
        return self._encode(texts, prompt, what="questions")

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for what is to be found, if it has one."""
        return self._encode(texts, self._document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str, *, what: str = "texts") -> FloatArray:
        all_ids = self.tokenizer.ids([prompt + text for text in checked(texts)], what=what)
        vectors = np.empty((len(all_ids), self.dimension), np.float32)
        for row, ids in enumerate(all_ids):
            vectors[row] = sentence_vector(self._weights, self._settings, np.array(ids))
        self._hashing.sha256()  # nothing goes out before it is known whose weights these are
        return vectors

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


def sentence_vector(weights: Weights, settings: CheckpointSettings, ids: IntArray) -> FloatArray:
    """The unit vector (D,) of one text's token ids (T,)."""
    config = settings.config
    x = embeddings(weights, config, ids)  # (T, D)
    for number in range(config.num_hidden_layers):
        x = layer(weights, config, f"encoder.layer.{number}", x)
    pooled = {"mean": x.mean(0), "cls": x[0], "max": x.max(0)}[settings.pooling]  # (D,)
    unit: FloatArray = pooled / max(np.linalg.norm(pooled), 1e-12)
    return unit


def embeddings(weights: Weights, config: MiniLMConfig, ids: IntArray) -> FloatArray:  # (T,) -> (T, D)
    """Token ids to vectors: token + position + segment embedding, LayerNorm."""
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    return layer_norm(weights, config, "embeddings.LayerNorm", x)


def layer(weights: Weights, config: MiniLMConfig, name: str, x: FloatArray) -> FloatArray:  # (T, D) -> (T, D)
    """Self-attention, then the feed-forward network with GELU, each with residual and LayerNorm."""
    context = attention(weights, config, f"{name}.attention.self", x)
    x = x + linear(weights, f"{name}.attention.output.dense", context)
    x = layer_norm(weights, config, f"{name}.attention.output.LayerNorm", x)
    inner = gelu(linear(weights, f"{name}.intermediate.dense", x))  # (T, F)
    x = x + linear(weights, f"{name}.output.dense", inner)
    return layer_norm(weights, config, f"{name}.output.LayerNorm", x)


def attention(
    weights: Weights, config: MiniLMConfig, name: str, x: FloatArray
) -> FloatArray:  # (T, D) -> (T, D)
    """Multi-head attention: softmax(Q Kᵀ / √d) V, the heads side by side."""
    n_tokens, width = x.shape
    q, k, v = (
        linear(weights, f"{name}.{part}", x).reshape(n_tokens, config.num_attention_heads, -1).swapaxes(0, 1)
        for part in ("query", "key", "value")
    )  # (H, T, d)
    scores = q @ k.swapaxes(1, 2) / np.float32(math.sqrt(q.shape[2]))  # (H, T, T)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    context: FloatArray = scores @ v / scores.sum(-1, keepdims=True)  # (H, T, d)
    side_by_side: FloatArray = context.swapaxes(0, 1).reshape(n_tokens, width)
    return side_by_side


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
