"""Haystack: a document store, a retriever, and embedders for texts and documents.

It needs haystack-ai 3: pip install 'minisearch-local[haystack]'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy, apply_filter_policy
from haystack.errors import FilterError

from minisearch.engine import MiniSearch
from minisearch.errors import InputError, short
from minisearch.filters import And, Filter, Not, Or
from minisearch.integrations.documents import (
    AddedDocuments,
    condition,
    passage_id,
    passage_metadata,
)
from minisearch.results import Mode
from minisearch.types import TextDocument

ORDER = {"<", "<=", ">", ">="}
COMPARISONS = {"==", "!=", "in", "not in", *ORDER}
LOGIC = ("AND", "OR", "NOT")


class MiniSearchDocumentStore:
    """The Haystack documents in an index.

    >>> store = MiniSearchDocumentStore(".")  # doctest: +SKIP
    >>> store.write_documents([Document(content="Hold reset for ten seconds.")])  # doctest: +SKIP

    ``path`` and ``options`` are those of `MiniSearch.open`.  A document comes back as it was written, but
    without its embedding: the index embeds each passage with its own model, and does not use those of other
    components.  Its ``meta`` is what JSON can hold; texts, numbers, true or false, and lists of these, can be
    filtered by, those of inner dicts as "meta.outer.inner".  A text "title" in ``meta`` is the title of the
    document.  A document without text is refused.  Keys and tokens in a text are not blanked.

    Texts are compared exactly, dates as ISO texts; of a list one value must match.  Files and documents of
    other frameworks in the same index are not in the store.  A passage of document
    1 has the ``path`` "haystack/1".
    """

    def __init__(self, path: str = ".", **options: Any) -> None:
        self.path = path
        self.options = options
        self.engine = MiniSearch.open(path, **options)
        self._documents = AddedDocuments(self.engine, "haystack")

    def to_dict(self) -> dict[str, Any]:
        """The path and the options, for a pipeline in a file."""
        return default_to_dict(self, path=self.path, **self.options)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MiniSearchDocumentStore:
        """The store with these options."""
        store: MiniSearchDocumentStore = default_from_dict(cls, data)
        return store

    def count_documents(self) -> int:
        """How many documents there are."""
        return len(self._documents.ids())

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """The documents that match, in the order of writing; FilterError for a wrong filter."""
        return list(map(Document.from_dict, self._documents.sources(as_filter(filters)).values()))

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents; returns how many.

        Raises DuplicateDocumentError for an id that is there already, unless the policy is to skip or to
        overwrite; then nothing is written.
        """
        if not isinstance(documents, list) or not all(isinstance(one, Document) for one in documents):
            raise InputError(f"expected a list of Haystack documents, got {short(repr(documents))}")
        is_overwriting = policy == DuplicatePolicy.OVERWRITE
        known = set() if is_overwriting else set(self._documents.known(one.id for one in documents))
        written = []
        for one in documents:
            if one.id not in known:
                written.append(one)
            elif policy != DuplicatePolicy.SKIP:
                raise DuplicateDocumentError(f"there is a document {one.id!r} already: overwrite or skip it")
            if not is_overwriting:
                known.add(one.id)
        self._documents.add(map(self._given, written))
        return len(written)

    def _given(self, document: Document) -> TextDocument:
        source = replace(document, embedding=None, sparse_embedding=None, score=None).to_dict(flatten=False)
        title = document.meta.get("title")
        return self._documents.document(
            document.id, document.content or "", document.meta, source, title=title
        )

    def delete_documents(self, document_ids: list[str]) -> None:
        """Remove the documents with these ids; unknown ids are ignored."""
        self._documents.remove(document_ids)

    def delete_all_documents(self) -> None:
        """Remove all documents; files of the same index stay."""
        self._documents.remove(self._documents.ids())

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Remove the documents that match; returns how many."""
        return self._documents.remove(self._documents.ids(as_filter(filters)))

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set values of ``meta`` in the documents that match; returns how many."""
        found = self.filter_documents(filters)
        changed = [replace(one, meta={**one.meta, **meta}) for one in found]
        return self.write_documents(changed, DuplicatePolicy.OVERWRITE)

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """How many documents match."""
        return len(self._documents.ids(as_filter(filters)))

    async def count_documents_async(self) -> int:
        """As `count_documents`, in a thread."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """As `filter_documents`, in a thread."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """As `write_documents`, in a thread."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """As `delete_documents`, in a thread."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    def search(
        self, query: str, k: int, filters: dict[str, Any] | None = None, *, mode: Mode = "hybrid"
    ) -> list[Document]:
        """The k best documents for a query; their scores are relevances, from 0 to 1."""
        found = self._documents.search(query, k, where=as_filter(filters), mode=mode)
        return [Document.from_dict({**source, "score": hit.relevance}) for source, hit in found]


@component
class MiniSearchRetriever:
    """The best documents of a `MiniSearchDocumentStore`, or the best passages of its index.

    >>> MiniSearchRetriever(store, top_k=3).run("how do I retry?")["documents"]  # doctest: +SKIP

    ``mode`` is that of `MiniSearch.query`.  Scores are relevances, from 0 to 1.  With ``passages`` it finds
    passages in place of whole documents, also those of files: ``meta`` has the place, the headings and how
    each was ranked.
    """

    def __init__(
        self,
        document_store: MiniSearchDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        mode: Mode = "hybrid",
        passages: bool = False,
        filter_policy: FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.mode: Mode = mode
        self.passages = passages
        self.filter_policy = filter_policy

    def to_dict(self) -> dict[str, Any]:
        """The options, for a pipeline in a file."""
        return default_to_dict(
            self,
            document_store=self.document_store,
            filters=self.filters,
            top_k=self.top_k,
            mode=self.mode,
            passages=self.passages,
            filter_policy=self.filter_policy.value,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MiniSearchRetriever:
        """The retriever with these options."""
        options = dict(data["init_parameters"])
        if "filter_policy" in options:
            options["filter_policy"] = FilterPolicy.from_str(options["filter_policy"])
        retriever: MiniSearchRetriever = default_from_dict(cls, {**data, "init_parameters": options})
        return retriever

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best documents or passages, best first."""
        filters = apply_filter_policy(self.filter_policy, self.filters, filters)
        k = self.top_k if top_k is None else top_k
        if not self.passages:
            return {"documents": self.document_store.search(query, k, filters, mode=self.mode)}
        found = self.document_store.engine.query(query, k, mode=self.mode, where=as_filter(filters))
        return {
            "documents": [
                Document(
                    id=passage_id(hit), content=hit.text, meta=passage_metadata(hit), score=hit.relevance
                )
                for hit in found
            ]
        }


@component
class MiniSearchTextEmbedder:
    """The vector of a query by the model of an index.

    ``path`` and ``options`` are those of `MiniSearch.open`.
    """

    def __init__(self, path: str = ".", **options: Any) -> None:
        self.path = path
        self.options = options
        self.engine = MiniSearch.open(path, **options)

    def to_dict(self) -> dict[str, Any]:
        """The path and the options, for a pipeline in a file."""
        return default_to_dict(self, path=self.path, **self.options)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """The unit vector of a text as a query."""
        return {"embedding": self.engine.embed([text], are_queries=True)[0].tolist()}


@component
class MiniSearchDocumentEmbedder:
    """The vectors of documents by the model of an index, for the stores of others.

    ``path`` and ``options`` are those of `MiniSearch.open`.  The ``meta_fields_to_embed`` precede the text.
    """

    def __init__(
        self,
        path: str = ".",
        *,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,
    ) -> None:
        self.path = path
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator
        self.options = options
        self.engine = MiniSearch.open(path, **options)

    def to_dict(self) -> dict[str, Any]:
        """The path and the options, for a pipeline in a file."""
        return default_to_dict(
            self,
            path=self.path,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            **self.options,
        )

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """The documents with their unit vectors."""
        vectors = self.engine.embed([self._text(one) for one in documents]).tolist()
        embedded = [replace(one, embedding=own) for one, own in zip(documents, vectors, strict=True)]
        return {"documents": embedded}

    def _text(self, document: Document) -> str:
        chosen = (document.meta.get(name) for name in self.meta_fields_to_embed)
        parts = [*(str(value) for value in chosen if value is not None), document.content or ""]
        return self.embedding_separator.join(parts)


def as_filter(given: Mapping[str, Any] | None) -> Filter | None:
    """Haystack's filters as conditions; FilterError for a wrong one."""
    if not given:
        return None
    if "field" in given:
        return _comparison(given)
    for name in ("operator", "conditions"):
        if name not in given:
            raise FilterError(f"'{name}' is missing in {short(repr(given))}")
    if given["operator"] not in LOGIC:
        raise FilterError(f"unknown operator {given['operator']!r}: expected one of {', '.join(LOGIC)}")
    parts = tuple(one for one in map(as_filter, given["conditions"]) if one is not None)
    if given["operator"] == "OR":
        return Or(parts)
    return And(parts) if given["operator"] == "AND" else Not(And(parts))


def _comparison(given: Mapping[str, Any]) -> Filter:
    for name in ("operator", "value"):
        if name not in given:
            raise FilterError(f"'{name}' is missing in {short(repr(given))}")
    name, operator, value = given["field"].removeprefix("meta."), given["operator"], given["value"]
    if operator not in COMPARISONS:
        raise FilterError(f"unknown operator {operator!r}: expected one of {', '.join(sorted(COMPARISONS))}")
    if given["field"] in {"content", "blob", "score", "embedding", "sparse_embedding"}:
        raise FilterError(f"field {name!r} cannot be filtered by: expected id or meta.NAME")
    if operator in ORDER:
        if value is None:
            return Or(())
        if isinstance(value, str) and not _is_date(value):
            raise FilterError(f"{name} {operator} {short(repr(value))}: expected a number or an ISO date")
    try:
        return condition("haystack_id" if name == "id" else name, operator, value)
    except InputError as error:
        raise FilterError(str(error)) from error


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
