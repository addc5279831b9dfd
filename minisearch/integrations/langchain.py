"""LangChain: a `VectorStore`, a `BaseRetriever` of passages, and the `Embeddings` of the index's model.

It needs langchain-core: pip install 'minisearch-local[langchain]'.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor
from langchain_core.vectorstores import VectorStore

from minisearch.engine import MiniSearch
from minisearch.errors import InputError, short
from minisearch.filters import And, Filter, Not, Or
from minisearch.filters import as_filter as parsed
from minisearch.integrations.documents import (
    AddedDocuments,
    condition,
    exists,
    passage_id,
    passage_metadata,
)
from minisearch.results import By, Mode

OPERATORS = {"$eq": "==", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">=", "$in": "in"}
OPERATORS |= {"$nin": "not in"}


class MiniSearchEmbeddings(Embeddings):
    """The vectors of the index's model, or of the default model if the engine has no index yet."""

    def __init__(self, engine: MiniSearch | None = None) -> None:
        self.engine = engine or MiniSearch.open()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A unit vector for each text."""
        vectors: list[list[float]] = self.engine.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The unit vector of a query."""
        vector: list[float] = self.engine.embed([text], are_queries=True)[0].tolist()
        return vector


class MiniSearchRetriever(BaseRetriever):
    """The k best passages of an index: of its files, and of documents from memory.

    >>> MiniSearchRetriever(engine=MiniSearch.open("."), k=4).invoke("how do I retry?")  # doctest: +SKIP

    Each is a `Document` with the passage as its content; its metadata has the place, the headings and the
    relevance, from 0 to 1.  ``mode``, ``where`` and ``by`` are those of `MiniSearch.query`.
    """

    engine: MiniSearch
    k: int = 10
    mode: Mode = "hybrid"
    where: Filter | str | None = None
    by: By = "passage"

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        k = self.k if k is None else k
        found = self.engine.query(query, k, mode=self.mode, where=self.where, by=self.by)
        return [Document(hit.text, id=passage_id(hit), metadata=passage_metadata(hit)) for hit in found]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return await run_in_executor(
            None, self._get_relevant_documents, query, run_manager=run_manager.get_sync(), k=k
        )


class MiniSearchVectorStore(VectorStore):
    """The LangChain documents in an index.

    >>> store = MiniSearchVectorStore(MiniSearch.open("."))  # doctest: +SKIP
    >>> store.add_documents([Document("Hold reset for ten seconds.", id="faq-7")])  # doctest: +SKIP
    >>> store.similarity_search("reset", k=1, filter={"product": "router"})  # doctest: +SKIP

    A document comes back whole, as it was added, whichever of its passages was found; `MiniSearchRetriever`
    finds the passages themselves.  Metadata are what JSON can hold.  Values that are texts, numbers, true or
    false, and lists of these, can be filtered by, those of inner dicts as "outer.inner".  A text "title" is
    the title of the document.  Files and documents of other frameworks in the same index are not in the
    store.  A passage has the ``path`` "langchain/faq-7".

    The index embeds each passage with its own model, so there is no search by a vector.  ``mode`` is that of
    `MiniSearch.query`.  Scores are relevances, from 0 to 1.  Keys and tokens in a text are not blanked.
    """

    def __init__(self, engine: MiniSearch, *, mode: Mode = "hybrid") -> None:
        self.engine = engine
        self.mode: Mode = mode
        self._documents = AddedDocuments(engine, "langchain")

    @property
    def embeddings(self) -> MiniSearchEmbeddings:
        """The model of the index."""
        return MiniSearchEmbeddings(self.engine)

    def add_documents(
        self, documents: list[Document], ids: list[str | None] | None = None, **_: Any
    ) -> list[str]:
        """Add documents, or replace those with the same ids; returns the ids, some of them new."""
        given = ids or [one.id for one in documents]
        if len(given) != len(documents):
            raise InputError(f"{len(given)} ids for {len(documents)} documents: expected one for each")
        names = [id_ or str(uuid.uuid4()) for id_ in given]
        self._documents.add(
            self._documents.document(
                id_,
                one.page_content,
                one.metadata,
                {"id": id_, "text": one.page_content, "metadata": one.metadata},
                title=one.metadata.get("title"),
            )
            for id_, one in zip(names, documents, strict=True)
        )
        return names

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; unknown ids are left out."""
        return list(map(_document, self._documents.named(ids).values()))

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Remove the documents with these ids, or all without ``ids``; unknown ids are ignored."""
        self._documents.remove(self._documents.ids() if ids is None else ids)
        return True

    def similarity_search(
        self, query: str, k: int = 4, filter: object = None, **options: Any
    ) -> list[Document]:
        """The k best documents; ``filter`` as in `as_filter`, further options as in `MiniSearch.query`."""
        return [one for one, _ in self.similarity_search_with_score(query, k, filter, **options)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: object = None, **options: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, with the relevance of each, from 0 to 1."""
        options.setdefault("mode", self.mode)
        found = self._documents.search(query, k, where=as_filter(filter), **options)
        return [(_document(source), hit.relevance or 0.0) for source, hit in found]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[Document, float]]:
        return self.similarity_search_with_score(query, k, **options)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """The k best documents that differ from each other; ``fetch_k`` is not needed."""
        return self.similarity_search(query, k, diverse=1 - lambda_mult, **options)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **options: Any,
    ) -> MiniSearchVectorStore:
        """A store of these texts, in the index of a `MiniSearchEmbeddings`; other embeddings are refused."""
        if not isinstance(embedding, MiniSearchEmbeddings):
            raise InputError(
                f"the index embeds with its own model, got {type(embedding).__name__}: "
                f"expected MiniSearchEmbeddings(engine)"
            )
        store = cls(embedding.engine, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store


def as_filter(given: object) -> Filter | None:
    """A filter in the usual form of LangChain's stores, as conditions.

    >>> as_filter({"year": {"$gte": 2020}, "$or": [{"lang": "en"}, {"lang": "de"}]})  # doctest: +SKIP

    A dict of names and values, or of names and comparisons: $eq, $ne, $lt, $lte, $gt, $gte, $in, $nin and
    $exists; joined with $and, $or and $not.  Texts are compared exactly.  Conditions of `minisearch.filters`
    and their text form are taken as well.  Raises InputError for anything else, such as a function.
    """
    if not isinstance(given, Mapping):
        if given is None or isinstance(given, Filter | str):
            return parsed(given)
        raise InputError(
            f"filter is {short(repr(given))}: expected a dict such as {{'year': {{'$gte': 2020}}}}"
        )
    parts = tuple(_part(name, value) for name, value in given.items())
    return parts[0] if len(parts) == 1 else And(parts)


def _part(name: str, value: Any) -> Filter:
    if name in {"$and", "$or"}:
        if not isinstance(value, list):
            raise InputError(f"{name} has {short(repr(value))}: expected a list of dicts")
        parts = tuple(one for one in map(as_filter, value) if one is not None)
        return And(parts) if name == "$and" else Or(parts)
    if name == "$not":
        return Not(as_filter(value) or And(()))
    if name.startswith("$"):
        raise InputError(f"unknown operator {name}: expected $and, $or, $not or the name of a field")
    comparisons = value if isinstance(value, Mapping) else {"$eq": value}
    return reduce(And.__and__, (_comparison(name, *one) for one in comparisons.items()), And(()))


def _comparison(name: str, operator: str, value: Any) -> Filter:
    if operator == "$exists":
        return exists(name) if value else Not(exists(name))
    if operator not in OPERATORS:
        raise InputError(
            f"unknown operator {operator} for {name}: expected {', '.join(OPERATORS)} or $exists"
        )
    return condition(name, OPERATORS[operator], value)


def _document(source: Mapping[str, Any]) -> Document:
    return Document(source["text"], id=source["id"], metadata=source["metadata"])
