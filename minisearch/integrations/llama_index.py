"""LlamaIndex: a vector store, a retriever of passages, and the embeddings of the index's model.

It needs llama-index-core: pip install 'minisearch-local[llama-index]'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from minisearch.engine import MiniSearch
from minisearch.errors import InputError, short
from minisearch.filters import And, Field, Filter, Not, Or
from minisearch.integrations.documents import (
    AddedDocuments,
    condition,
    exists,
    passage_id,
    passage_metadata,
)
from minisearch.results import By, Mode
from minisearch.types import TextDocument

NODE_KEYS = ("_node_content", "_node_type")  # of LlamaIndex's own form of a node
SHOWN_TO_MODELS = ("place", "heading")  # of the metadata of a passage
MODES: dict[VectorStoreQueryMode, Mode] = {
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.SEMANTIC_HYBRID: "hybrid",
    VectorStoreQueryMode.TEXT_SEARCH: "lexical",
    VectorStoreQueryMode.SPARSE: "lexical",
}


class MiniSearchEmbedding(BaseEmbedding):
    """The vectors of the index's model, or of the default model if the engine has no index yet."""

    _engine: MiniSearch = PrivateAttr()

    def __init__(
        self, engine: MiniSearch | None = None, *, embed_batch_size: int = 256, **options: Any
    ) -> None:
        super().__init__(model_name="minisearch", embed_batch_size=embed_batch_size, **options)
        self._engine = engine or MiniSearch.open()

    @classmethod
    def class_name(cls) -> str:
        """The name in LlamaIndex's events."""
        return "MiniSearchEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._engine.embed([query], are_queries=True)[0].tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._engine.embed(texts).tolist()
        return vectors

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class MiniSearchRetriever(BaseRetriever):
    """The k best passages of an index: of its files, and of documents from memory.

    >>> MiniSearchRetriever(MiniSearch.open("."), k=4).retrieve("how do I retry?")  # doctest: +SKIP

    Each is a `TextNode` whose metadata has the place, the headings and how it was ranked; its score is the
    relevance, from 0 to 1.  ``mode``, ``where`` and ``by`` are those of `MiniSearch.query`.
    """

    def __init__(
        self,
        engine: MiniSearch,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        where: Filter | str | None = None,
        by: By = "passage",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._engine = engine
        self._k = k
        self._options = {"mode": mode, "where": where, "by": by}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._engine.query(query_bundle.query_str, self._k, **cast("Any", self._options))
        nodes = []
        for hit in found:
            metadata = passage_metadata(hit)
            node = TextNode(id_=passage_id(hit), text=hit.text, metadata=metadata)
            node.excluded_llm_metadata_keys = [name for name in metadata if name not in SHOWN_TO_MODELS]
            nodes.append(NodeWithScore(node=node, score=hit.relevance))
        return nodes

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class MiniSearchVectorStore(BasePydanticVectorStore):
    """The LlamaIndex nodes in an index.

    >>> store = MiniSearchVectorStore(MiniSearch.open("."))  # doctest: +SKIP
    >>> model = MiniSearchEmbedding(store.client)  # doctest: +SKIP
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=model)  # doctest: +SKIP
    >>> index.as_retriever(similarity_top_k=3).retrieve("how do I retry?")  # doctest: +SKIP

    A node comes back as it was added, whole, whichever of its passages was found.  What is searched is its
    text with the metadata that it shows to embedding models.  Values of its metadata that are texts, numbers,
    true or false, and lists of these, can be filtered by.  Files and documents of other frameworks in the
    same index are not in the store.  A passage of node 1 has the ``path`` "llama_index/1".

    The index embeds each passage with its own model.  So embeddings of nodes and queries are not used: they
    may be of another model, and a passage may be shorter than a node.  A query needs ``query_str``, which
    LlamaIndex's retrievers give.  ``mode`` is that of `MiniSearch.query` for the default query mode.
    Similarities are relevances, from 0 to 1.  Keys and tokens in a text are not blanked.
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    mode: Mode = "hybrid"
    _nodes: AddedDocuments = PrivateAttr()

    def __init__(self, engine: MiniSearch, *, mode: Mode = "hybrid") -> None:
        super().__init__(stores_text=True, is_embedding_query=False)
        self.mode = mode
        self._nodes = AddedDocuments(engine, "llama_index")

    @classmethod
    def class_name(cls) -> str:
        """The name in LlamaIndex's events."""
        return "MiniSearchVectorStore"

    @property
    def client(self) -> MiniSearch:
        """The engine."""
        return self._nodes.engine

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Add nodes, or replace those with the same ids; returns the ids."""
        self._nodes.add(map(self._document, nodes))
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        """As `add`, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **options)

    def _document(self, node: BaseNode) -> TextDocument:
        metadata = node_to_metadata_dict(node)
        source = {name: metadata.pop(name) for name in NODE_KEYS}
        text = node.get_content(metadata_mode=MetadataMode.EMBED)
        return self._nodes.document(node.node_id, text, metadata, source)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids that match the filters."""
        sources = self._nodes.named(self._matching(node_ids, filters))
        return [metadata_dict_to_node(source) for source in sources.values()]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Remove the nodes of a LlamaIndex document."""
        self._nodes.remove(self._nodes.ids(condition("ref_doc_id", "==", ref_doc_id)))

    async def adelete(self, ref_doc_id: str, **options: Any) -> None:
        """As `delete`, in a thread."""
        await asyncio.to_thread(self.delete, ref_doc_id, **options)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any
    ) -> None:
        """Remove the nodes with these ids that match the filters."""
        self._nodes.remove(self._matching(node_ids, filters))

    def clear(self) -> None:
        """Remove all nodes."""
        self._nodes.remove(self._nodes.ids())

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """The best nodes for ``query.query_str``; InputError without one, or for an unknown mode."""
        if not query.query_str:
            raise InputError(
                "the query has an embedding and no query_str: expected a text, which this index embeds itself"
            )
        options: dict[str, Any] = {"mode": MODES.get(query.mode, self.mode)}
        k = query.similarity_top_k
        if query.mode == VectorStoreQueryMode.MMR:
            options["diverse"] = 1 - (0.5 if query.mmr_threshold is None else query.mmr_threshold)
        elif query.mode == VectorStoreQueryMode.HYBRID:
            k = query.hybrid_top_k or k
        elif query.mode not in {VectorStoreQueryMode.DEFAULT, *MODES}:
            raise InputError(f"query mode {query.mode.value}: expected default, hybrid, text_search or mmr")
        where = as_filter(query.filters)
        if query.node_ids:  # LlamaIndex gives an empty list where it means all
            where = And((where, self._nodes.with_ids(query.node_ids)))
        if query.doc_ids:
            where = And((where, condition("ref_doc_id", "in", query.doc_ids)))
        found = self._nodes.search(query.query_str, k, where=where, **options)
        nodes = [metadata_dict_to_node(source) for source, _ in found]
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[hit.relevance or 0.0 for _, hit in found],
            ids=[node.node_id for node in nodes],
        )

    async def aquery(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """As `query`, in a thread."""
        return await asyncio.to_thread(self.query, query, **options)

    def _matching(self, ids: list[str] | None, filters: MetadataFilters | None) -> list[str]:
        """Of these ids, or all, those of nodes that match the filters."""
        where = as_filter(filters)
        return self._nodes.ids(where if ids is None else And((where, self._nodes.with_ids(ids))))


def as_filter(given: MetadataFilters | None) -> Filter:
    """LlamaIndex's filters as conditions; texts are compared exactly, of a list one value must match.

    Raises InputError for a comparison with None; ``is_empty`` asks for that.
    """
    if given is None:
        return And(())
    parts = tuple(as_filter(one) if isinstance(one, MetadataFilters) else _part(one) for one in given.filters)
    if given.condition == FilterCondition.OR and parts:
        return Or(parts)
    return Not(Or(parts)) if given.condition == FilterCondition.NOT and parts else And(parts)


def _part(given: MetadataFilter) -> Filter:
    name, operator, value = given.key, given.operator, given.value
    if operator == FilterOperator.IS_EMPTY:
        return Not(exists(name)) | condition(name, "==", "")
    if value is None:
        raise InputError(f"{name} {operator.value} None: expected a value, or the operator is_empty")
    if operator in {FilterOperator.ANY, FilterOperator.ALL}:
        if not isinstance(value, list):
            raise InputError(f"{name} {operator.value} {short(repr(value))}: expected a list of values")
        ones = tuple(condition(name, "==", one) for one in value)
        return Or(ones) if operator == FilterOperator.ANY else And(ones)
    if operator == FilterOperator.CONTAINS:  # "metadata array contains value"
        return condition(name, "==", value)
    if operator == FilterOperator.TEXT_MATCH:
        return condition(name, "contains", value)
    if operator == FilterOperator.TEXT_MATCH_INSENSITIVE:
        return Field(name, "contains", cast("str", value), is_optional=True)
    return condition(name, "not in" if operator == FilterOperator.NIN else operator.value, value)
