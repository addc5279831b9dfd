"""Which reranker looks at a search's candidates, loaded when it is first needed.

A kind comes in ("cross", "bi" or "auto"), or a reranker of the caller's own; the candidates in their new
order go out.  What reranking is, is `search.rerank`'s part; where weights are found is `minilm`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from minisearch import minilm
from minisearch.errors import InputError, ModelError, WeightsNotFound
from minisearch.manifest import as_dtype
from minisearch.minilm.catalog import locate
from minisearch.minilm.settings import read_settings
from minisearch.search.rerank import BiReranker, Cost, Pace, Reranked, rerank
from minisearch.types import IntArray, Reranker, Tokenizer

Kind = Literal["cross", "bi"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MODELS: dict[Kind, str] = {"cross": "ms-marco-MiniLM-L12-v2", "bi": "all-MiniLM-L12-v2"}

# To stay within 300 ms on two cores, with 12 layers and passages of 128 tokens. An estimate: processor time
# on a busy machine, 46 ms a candidate for 10 to 15 of them, halved. `python scripts/rerank.py` measures it.
DEFAULT_DEPTH = 12
MAX_DEPTH = 100


class Rerankers:
    """The rerankers of one engine.

    ``model`` is a checkpoint's name or folder, None for the one that `MODELS` has for the kind; ``dtype``
    is what it computes in, InputError for an unknown one.  Threads take turns while a model is loaded.
    """

    def __init__(self, *, model: str | None = None, dtype: str = "auto", offline: bool = False) -> None:
        self._model = model
        self._dtype = as_dtype(dtype)
        self._is_offline = offline
        self._loaded: dict[Kind, Pace] = {}
        self._given: Pace | None = None
        self._turn = threading.RLock()

    def rerank(
        self,
        asked: str | Reranker,
        query: str,
        texts: Sequence[str],
        *,
        depth: int | None = None,
        budget_s: float | None = None,
    ) -> Reranked:
        """The texts in the order that the reranker ``asked`` for gives them.

        It looks at the first ``depth`` of them (`DEFAULT_DEPTH` unless given), or at as many as it can within
        ``budget_s`` seconds, `MAX_DEPTH` at most.  "auto" is "cross" where its weights are on this machine,
        else "bi" where its are.  Raises InputError for an unknown kind and where both are given,
        WeightsNotFound and ModelError as the loader does.
        """
        if depth is not None and budget_s is not None:
            raise InputError("rerank depth and rerank budget were both given: expected one of them")
        with self._turn:
            pace = self.pace(asked)
            if budget_s is not None:
                depth = pace.depth(query, texts[:MAX_DEPTH], budget_s)
        return rerank(query, texts, pace.reranker, depth=DEFAULT_DEPTH if depth is None else depth)

    def pace(self, asked: str | Reranker) -> Pace:
        """The reranker asked for, loaded, with its speed; the same object when it is asked for again."""
        with self._turn:
            if not isinstance(asked, str):
                if self._given is None or self._given.reranker is not asked:
                    self._given = Pace(asked, _n_characters)
                return self._given
            kind = self.kind(asked)
            if kind not in self._loaded:
                self._loaded[kind] = self._load(kind)
            return self._loaded[kind]

    def kind(self, asked: str) -> Kind:
        """Which kind is meant; nothing is loaded for that."""
        for kind in KINDS:
            if kind == asked:
                return kind
        if asked != "auto":
            raise InputError(f"unknown reranker '{asked}': expected one of auto, {', '.join(KINDS)}")
        if self._model is not None:
            return self._kind_of(self._model)
        here = next((kind for kind in KINDS if _is_here(MODELS[kind])), None)
        if here is None:
            # Raises, with the places that were searched and the cure: nobody named a model to download.
            locate(MODELS["cross"], offline=self._is_offline, may_download=False)
        return here or "cross"

    def _kind_of(self, model: str) -> Kind:
        try:
            folder = locate(model, offline=self._is_offline).folder
        except WeightsNotFound:
            raise
        except ModelError as error:
            raise ModelError(f"the reranker's model: {error}") from error
        return "bi" if read_settings(folder).n_labels is None else "cross"

    def _load(self, kind: Kind) -> Pace:
        if self._model is not None and self._kind_of(self._model) != kind:
            other = "cross" if kind == "bi" else "bi"
            raise InputError(
                f"{self._model} is a model for reranker '{other}', not '{kind}': ask for '{other}', or give "
                f"another model, like {MODELS[kind]}"
            )
        name = self._model or MODELS[kind]
        if kind == "cross":
            model = minilm.CrossEncoder.from_pretrained(name, dtype=self._dtype, offline=self._is_offline)
            return Pace(model, _pair_tokens(model.tokenizer, model.max_length))
        encoder = minilm.SentenceTransformer.from_pretrained(
            name, dtype=self._dtype, offline=self._is_offline
        )
        return Pace(BiReranker(encoder), _text_tokens(encoder.tokenizer, encoder.max_length))


def _is_here(name: str) -> bool:
    """Whether a checkpoint's weights are on this machine; nothing is loaded and nothing fetched."""
    try:
        locate(name, may_download=False)
    except WeightsNotFound:
        return False
    return True


def _pair_tokens(tokenizer: Tokenizer, max_length: int) -> Cost:
    """A cross-encoder reads the query anew with each text."""

    def cost(query: str, texts: Sequence[str]) -> IntArray:
        n_query = len(tokenizer.spans([query])[0]) + 3  # [CLS] query [SEP] text [SEP]
        return np.minimum(_n_tokens(tokenizer, texts) + n_query, max_length)

    return cost


def _text_tokens(tokenizer: Tokenizer, max_length: int) -> Cost:
    """An encoder reads the query once, which is next to nothing beside the texts."""

    def cost(_: str, texts: Sequence[str]) -> IntArray:
        return np.minimum(_n_tokens(tokenizer, texts) + 2, max_length)

    return cost


def _n_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> IntArray:
    return np.array([len(spans) for spans in tokenizer.spans(texts)], np.int64)


def _n_characters(query: str, texts: Sequence[str]) -> IntArray:
    """What is known of a reranker that was given: only that longer texts take longer."""
    return np.array([len(query) + len(text) for text in texts], np.int64)
