"""Reranking: score the best candidates of a search again with a deeper model.

A query and the texts of the candidates come in, the scores of the first of them go out.  `Rerankers`
loads the model when it is first needed: a cross-encoder, a bi-encoder, or the caller's own `Reranker`.  How
many candidates are scored is a depth, or what a time budget allows at the measured speed of the reranker.
Finding and ordering candidates is left to `ranking`, finding
weights to `minilm`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np

from minisearch import minilm
from minisearch.errors import InputError, ModelError, WeightsNotFound
from minisearch.manifest import as_dtype
from minisearch.minilm.hub import locate
from minisearch.minilm.settings import read_settings
from minisearch.threads import Turn
from minisearch.types import Encoder, FloatArray, IntArray, Reranker, Tokenizer

Kind = Literal["cross", "bi"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MODELS: dict[Kind, str] = {"cross": "ms-marco-MiniLM-L12-v2", "bi": "all-MiniLM-L12-v2"}

# To stay within 300 ms on two cores, with 12 layers and chunks of 128 tokens. An estimate: processor time
# on a busy machine, 46 ms a candidate for 10 to 15 of them, halved. `python scripts/rerank.py` measures it.
DEFAULT_DEPTH = 12
MAX_DEPTH = 100

# Scoring the sample costs as much as a few chunks: enough to fill two cores, little to wait for.
SAMPLE_QUERY = "how do I run a failed task again"
SAMPLE_TEXTS = ["the scheduler clears a failed task and runs it again with what it depends on " * 8] * 4
N_TIMED = 3

# The number of tokens that each text costs the reranker, its share of the query included: (n,) int64.
Cost = Callable[[str, Sequence[str]], IntArray]


def rerank_scores(query: str, texts: Sequence[str], reranker: Reranker) -> FloatArray:
    """The reranker's scores, (n,) float32, in the order of the texts; equal texts have equal scores.

    Each distinct text is scored once, since the last bit of a score depends on the batch that a text is in.
    Raises ModelError if the reranker does not give one finite number for each text.
    """
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return np.empty(0, np.float32)
    scores = np.asarray(reranker.score(query, distinct), np.float32)
    n, name = len(distinct), reranker.name
    if scores.shape != (n,):
        raise ModelError(
            f"reranker {name} gave scores of shape {scores.shape}, expected ({n},), one per text"
        )
    n_odd = int(n - np.isfinite(scores).sum())
    if n_odd:
        raise ModelError(
            f"reranker {name} gave {n_odd} of {n} passages a score that is no finite number: its weights are "
            f"damaged, or need float32 to compute in"
        )
    score_of = dict(zip(distinct, scores.tolist(), strict=True))
    return np.array([score_of[text] for text in texts], np.float32)


class BiReranker:
    """Reranks by the cosine of another encoder, a deeper one than the index was made with.

    >>> BiReranker(encoder).score("query", ["a passage", "another"])  # doctest: +SKIP
    array([0.61, 0.13], dtype=float32)
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.encoder.name

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Cosine of each text with the query, (n,) float32, in the order of the texts."""
        if not len(texts):
            return np.empty(0, np.float32)
        (query_vector,) = self.encoder.encode_query([query])  # (D,)
        vectors = self.encoder.encode_document(texts)  # (n, D)
        cosines: FloatArray = vectors @ query_vector
        return cosines


class TimedReranker:
    """A reranker with its speed, which is measured on a small sample when it is first needed."""

    def __init__(
        self, reranker: Reranker, cost: Cost, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.reranker = reranker
        self.cost = cost
        self._clock = clock
        self._tokens_per_s: float | None = None

    @property
    def tokens_per_s(self) -> float:
        """The measured speed, tokenising included."""
        if self._tokens_per_s is None:
            self._time_sample()  # the first run packs weights and allocates memory
            seconds = float(np.median([self._time_sample() for _ in range(N_TIMED)]))
            n_tokens = int(self.cost(SAMPLE_QUERY, SAMPLE_TEXTS).sum())
            self._tokens_per_s = n_tokens / max(seconds, 1e-9)
        return self._tokens_per_s

    def depth(self, query: str, texts: Sequence[str], budget_s: float) -> int:
        """How many of the first texts can be scored within ``budget_s`` seconds, at least 1."""
        if not budget_s > 0:
            raise InputError(f"rerank budget is {budget_s} s: expected more than 0")
        n_tokens = np.cumsum(self.cost(query, texts))
        return max(1, int(np.searchsorted(n_tokens, budget_s * self.tokens_per_s, side="right")))

    def _time_sample(self) -> float:
        started = self._clock()
        self.reranker.score(SAMPLE_QUERY, SAMPLE_TEXTS)
        return self._clock() - started


class Rerankers:
    """The rerankers of one engine, each loaded when it is first needed.

    ``model`` is the name or folder of a checkpoint, None for that of the kind in `MODELS`; ``dtype`` is the
    type to compute in, InputError for an unknown one.  Threads take turns while a model is loaded.
    """

    def __init__(self, *, model: str | None = None, dtype: str = "auto", offline: bool = False) -> None:
        self._model = model
        self._dtype = as_dtype(dtype)
        self._is_offline = offline
        self._loaded: dict[Kind, TimedReranker] = {}
        self._given: TimedReranker | None = None
        self._lock = Turn()

    def scores(
        self,
        which: str | Reranker,
        query: str,
        texts: Sequence[str],
        *,
        depth: int | None = None,
        budget_s: float | None = None,
    ) -> FloatArray:
        """The scores of the first texts by the reranker that ``which`` names ("cross", "bi", "auto") or is.

        It scores the first ``depth`` texts (`DEFAULT_DEPTH` if not given), or as many as it can within
        ``budget_s`` seconds, at most `MAX_DEPTH`.  "auto" is "cross" if its weights are on this machine, else
        "bi" if those are.  Raises InputError for a depth below 1, for an unknown kind and if both depth and
        budget are given, WeightsNotFound and ModelError as the loader does.
        """
        if depth is not None and budget_s is not None:
            raise InputError("rerank depth and rerank budget were both given: expected one of them")
        if depth is not None and depth < 1:
            raise InputError(f"rerank depth is {depth}: expected at least 1 candidate")
        with self._lock:
            timed = self.timed(which)
            if budget_s is not None:
                depth = timed.depth(query, texts[:MAX_DEPTH], budget_s)
        return rerank_scores(query, texts[: depth or DEFAULT_DEPTH], timed.reranker)

    def timed(self, which: str | Reranker) -> TimedReranker:
        """The loaded reranker with its speed; the same object at every call."""
        with self._lock:
            if not isinstance(which, str):
                if self._given is None or self._given.reranker is not which:
                    self._given = TimedReranker(which, _n_characters)
                return self._given
            kind = self.kind(which)
            if kind not in self._loaded:
                self._loaded[kind] = self._load(kind)
            return self._loaded[kind]

    def kind(self, name: str) -> Kind:
        """Which kind is meant; no model is loaded to find out."""
        for kind in KINDS:
            if kind == name:
                return kind
        if name != "auto":
            raise InputError(f"unknown reranker '{name}': expected one of auto, {', '.join(KINDS)}")
        if self._model is not None:
            return self._kind_of(self._model)
        present = next((kind for kind in KINDS if _is_present(MODELS[kind])), None)
        if present is None:
            # Raises, with the places that were searched and the fix: "auto" downloads no model.
            locate(MODELS["cross"], offline=self._is_offline, may_download=False)
        return present or "cross"

    def _kind_of(self, model: str) -> Kind:
        try:
            folder = locate(model, offline=self._is_offline).folder
        except WeightsNotFound:
            raise
        except ModelError as error:
            raise ModelError(f"the reranker's model: {error}") from error
        return "bi" if read_settings(folder).n_labels is None else "cross"

    def _load(self, kind: Kind) -> TimedReranker:
        if self._model is not None and self._kind_of(self._model) != kind:
            other = "cross" if kind == "bi" else "bi"
            raise InputError(
                f"{self._model} is a model for reranker '{other}', not '{kind}': ask for '{other}', or give "
                f"another model, like {MODELS[kind]}"
            )
        name = self._model or MODELS[kind]
        if kind == "cross":
            model = minilm.CrossEncoder.from_pretrained(name, dtype=self._dtype, offline=self._is_offline)
            return TimedReranker(model, _pair_tokens(model.tokenizer, model.max_length))
        encoder = minilm.SentenceTransformer.from_pretrained(
            name, dtype=self._dtype, offline=self._is_offline
        )
        return TimedReranker(BiReranker(encoder), _text_tokens(encoder.tokenizer, encoder.max_length))


def _is_present(name: str) -> bool:
    """Whether a checkpoint's weights are on this machine; nothing is loaded or downloaded."""
    try:
        locate(name, may_download=False)
    except WeightsNotFound:
        return False
    return True


def _pair_tokens(tokenizer: Tokenizer, max_length: int) -> Cost:
    """The cost for a cross-encoder, which reads the query with each text."""

    def cost(query: str, texts: Sequence[str]) -> IntArray:
        n_query = len(tokenizer.spans([query])[0]) + 3  # [CLS] query [SEP] text [SEP]
        return np.minimum(_n_tokens(tokenizer, texts) + n_query, max_length)

    return cost


def _text_tokens(tokenizer: Tokenizer, max_length: int) -> Cost:
    """The cost for an encoder, which reads the query once: that is little beside the texts."""

    def cost(_: str, texts: Sequence[str]) -> IntArray:
        return np.minimum(_n_tokens(tokenizer, texts) + 2, max_length)

    return cost


def _n_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> IntArray:
    return np.array([len(spans) for spans in tokenizer.spans(texts)], np.int64)


def _n_characters(query: str, texts: Sequence[str]) -> IntArray:
    """The cost for a caller's reranker: all that is known is that longer texts take longer."""
    return np.array([len(query) + len(text) for text in texts], np.int64)
