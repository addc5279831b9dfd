"""LlamaIndex: nodes come back, are filtered as by LlamaIndex's own store, and work in its indexes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llama_index.core")

from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import (
    BaseNode,
    IndexNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
)
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from minisearch import MiniSearch
from minisearch.errors import InputError
from minisearch.integrations.llama_index import (
    MiniSearchEmbedding,
    MiniSearchRetriever,
    MiniSearchVectorStore,
    as_filter,
)
from tests.fakes import HashingEncoder
from tests.integrations.samples import AUTHORS, OWN, YEARS, metadata, texts


@pytest.fixture
def store(engine: MiniSearch) -> MiniSearchVectorStore:
    return MiniSearchVectorStore(engine)


def a_node(text: str, id_: str, *, document: str = "", **own: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)} if document else {}
    return TextNode(id_=id_, text=text, metadata=own, relationships=source)


def found(store: MiniSearchVectorStore, text: str, k: int = 9, **query: Any) -> list[str]:
    asked = VectorStoreQuery(query_str=text, similarity_top_k=k, **query)
    return store.query(asked).ids or []


def equals(**own: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=name, value=value) for name, value in own.items()])


# --- nodes ---------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.lists(st.tuples(texts, metadata), min_size=1, max_size=8))
def test_nodes_come_back_as_they_were(shared_store: MiniSearchVectorStore, given_: Any) -> None:
    nodes: list[BaseNode] = [TextNode(text=text, metadata=own) for text, own in given_]
    nodes.append(IndexNode(text="another index", index_id="x", metadata={"a": {"b": [1, 2.5]}}))
    ids = shared_store.add(nodes)
    assert shared_store.get_nodes(ids) == nodes
    shared_store.delete_nodes(ids)
    assert shared_store.get_nodes(ids) == []


def test_embeddings_of_others_are_neither_used_nor_kept(store: MiniSearchVectorStore) -> None:
    node = a_node("kelp", "a")
    node.embedding = [1.0, 2.0]
    store.add([node])
    (again,) = store.get_nodes(["a"])
    assert again.embedding is None
    assert found(store, "kelp", query_embedding=[3.0]) == ["a"]
    with pytest.raises(InputError, match="an embedding and no query_str"):
        store.query(VectorStoreQuery(query_embedding=[3.0]))


def test_what_a_node_shows_to_embedding_models_is_searched(store: MiniSearchVectorStore) -> None:
    shown, hidden = a_node("a text", "a", summary="kelp"), a_node("a text", "b", summary="kelp")
    hidden.excluded_embed_metadata_keys = ["summary"]
    store.add([shown, hidden])
    assert found(store, "kelp", mode=VectorStoreQueryMode.TEXT_SEARCH) == ["a"]


def test_the_nodes_of_a_document_are_removed_together(store: MiniSearchVectorStore) -> None:
    store.add([a_node("kelp", "a", document="one"), a_node("moss", "b", document="one"), a_node("lava", "c")])
    store.delete("ONE")
    assert len(store.get_nodes()) == 3
    assert found(store, "kelp", doc_ids=["one"]) in (["a", "b"], ["b", "a"])
    store.delete("one")
    assert [node.node_id for node in store.get_nodes()] == ["c"]
    store.clear()
    assert store.get_nodes() == []
    assert found(store, "kelp") == []


def test_ids_and_filters_restrict_nodes_together(store: MiniSearchVectorStore) -> None:
    store.add([a_node("kelp", "a", lot="x"), a_node("moss", "b", lot="x"), a_node("lava", "c", lot="y")])
    assert [one.node_id for one in store.get_nodes(["a", "c", "d"], equals(lot="x"))] == ["a"]
    assert [one.node_id for one in store.get_nodes(filters=equals(lot="x"))] == ["a", "b"]
    store.delete_nodes(["b", "c"], equals(lot="y"))
    assert {one.node_id for one in store.get_nodes()} == {"a", "b"}


def test_modes_and_node_ids_are_respected(store: MiniSearchVectorStore) -> None:
    store.add([a_node("kelp lava moss", "a"), a_node("kelp lava moss!", "copy"), a_node("kelp bread", "b")])
    for mode in (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.DEFAULT):
        assert set(found(store, "kelp lava", 2, mode=mode)) == {"a", "copy"}
    assert "b" in found(store, "kelp lava", 2, mode=VectorStoreQueryMode.MMR, mmr_threshold=0.1)
    assert found(store, "kelp", node_ids=["b", "other"]) == ["b"]
    assert len(found(store, "kelp", node_ids=[])) == 3
    with pytest.raises(InputError, match="query mode svm: expected default"):
        found(store, "kelp", mode=VectorStoreQueryMode.SVM)


def test_a_query_may_name_thousands_of_nodes_and_documents(store: MiniSearchVectorStore) -> None:
    store.add([a_node("kelp", "a", document="one"), a_node("moss", "b", document="two"), a_node("lava", "c")])
    many = [f"x{n}" for n in range(5_000)]
    assert set(found(store, "kelp", node_ids=[*many, "a", "c"])) == {"a", "c"}
    assert found(store, "kelp", doc_ids=[*many, "two"]) == ["b"]
    lists = [
        MetadataFilter(key="ref_doc_id", operator=operator, value=[*many, "one"])
        for operator in (FilterOperator.IN, FilterOperator.ANY)
    ]
    assert found(store, "kelp", filters=MetadataFilters(filters=lists)) == ["a"]
    assert [one.node_id for one in store.get_nodes([*many, "c"])] == ["c"]
    store.delete_nodes([*many, "a", "b"])
    assert [one.node_id for one in store.get_nodes()] == ["c"]


# --- filters, against LlamaIndex's own store -----------------------------------------------------------

ORDER = [FilterOperator.LT, FilterOperator.LTE, FilterOperator.GT, FilterOperator.GTE]
ALIKE = [FilterOperator.EQ, FilterOperator.NE]
ONE_OF = [FilterOperator.IN, FilterOperator.NIN]
IN_LIST = [FilterOperator.ANY, FilterOperator.ALL]
MATCH = [FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE]


def filters(key: str, operators: list[FilterOperator], values: st.SearchStrategy[Any]) -> Any:
    return st.builds(
        lambda operator, value: MetadataFilter(key=key, operator=operator, value=value),
        st.sampled_from(operators),
        values,
    )


authors, years, tags = map(st.sampled_from, (AUTHORS, YEARS, ["x", "Y", "y", "z"]))
leaves = st.one_of(
    filters("author", ALIKE + ORDER + MATCH, authors),
    filters("year", ALIKE + ORDER, years),
    filters("author", ONE_OF, st.lists(authors, min_size=1)),
    filters("tags", IN_LIST, st.lists(tags, min_size=1)),
    filters("tags", [FilterOperator.CONTAINS], tags),
    st.sampled_from(["author", "tags", "year"]).flatmap(
        lambda key: filters(key, [FilterOperator.IS_EMPTY], st.none())
    ),
)
wheres = st.builds(
    lambda some, condition: MetadataFilters(filters=some, condition=condition),
    st.lists(leaves, min_size=1, max_size=3),
    st.sampled_from(list(FilterCondition)),
)


@settings(max_examples=80)
@given(wheres)
def test_a_filter_leaves_what_llama_indexes_own_store_leaves(
    shared_store: MiniSearchVectorStore, own_store: SimpleVectorStore, where: MetadataFilters
) -> None:
    query = VectorStoreQuery(query_str="kelp", query_embedding=[1.0], similarity_top_k=99, filters=where)
    expected = own_store.query(query).ids or []
    query.filters = MetadataFilters(filters=[equals(lot="filters"), where])
    assert set(shared_store.query(query).ids or []) == set(expected)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniSearchVectorStore]:
    with MiniSearch.open(tmp_path_factory.mktemp("shared"), encoder=HashingEncoder()) as ms:
        store = MiniSearchVectorStore(ms)
        store.add(nodes_to_filter())
        yield store


@pytest.fixture(scope="module")
def own_store() -> SimpleVectorStore:
    store = SimpleVectorStore()
    store.add(nodes_to_filter())
    return store


def nodes_to_filter() -> list[TextNode]:
    nodes = [a_node(f"kelp {n}", f"f{n}", lot="filters", **own) for n, own in enumerate(OWN)]
    for node in nodes:
        node.embedding = [1.0]
    return nodes


def test_a_comparison_with_none_is_an_error() -> None:
    with pytest.raises(InputError, match="year == None: expected a value, or the operator is_empty"):
        as_filter(equals(year=None))


# --- in LlamaIndex's own index -------------------------------------------------------------------------


def test_it_works_in_a_vector_store_index(store: MiniSearchVectorStore) -> None:
    context = StorageContext.from_defaults(vector_store=store)
    nodes: list[BaseNode] = [
        a_node("kelp in the sea", "a", lot="x"),
        a_node("bread and butter", "b", lot="y"),
    ]
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=MiniSearchEmbedding(store.client))
    (best,) = index.as_retriever(similarity_top_k=1).retrieve("where is kelp in the sea?")
    assert best.node == nodes[0]
    assert best.score is not None
    assert 0 <= best.score <= 1
    again = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(embed_dim=3))
    filtered = again.as_retriever(similarity_top_k=5, filters=equals(lot="y"))
    assert [one.node_id for one in filtered.retrieve("kelp")] == ["b"]
    again.delete_nodes(["b"])
    assert [one.node_id for one in asyncio.run(again.as_retriever().aretrieve("kelp"))] == ["a"]


def test_all_of_it_can_be_awaited(store: MiniSearchVectorStore) -> None:
    async def run() -> list[str]:
        await store.async_add([a_node("kelp", "a", document="one"), a_node("bread", "b")])
        await store.adelete("one")
        query = VectorStoreQuery(query_str="kelp", similarity_top_k=3)
        return (await store.aquery(query)).ids or []

    assert asyncio.run(run()) == ["b"]


def test_an_ingestion_pipeline_fills_it(store: MiniSearchVectorStore) -> None:
    pipeline = IngestionPipeline(transformations=[MiniSearchEmbedding(store.client)], vector_store=store)
    for _ in range(2):
        pipeline.run(nodes=[a_node("kelp", "a"), a_node("bread", "b")])
    assert {one.node_id for one in store.get_nodes()} == {"a", "b"}


# --- passages and embeddings ---------------------------------------------------------------------------


def test_the_retriever_finds_passages_of_files(notes: MiniSearch) -> None:
    retriever = MiniSearchRetriever(notes, k=2)
    nodes = retriever.retrieve("how to care for the compost")
    assert nodes[0].node.metadata["path"].endswith("compost.md")
    assert len(nodes) == 2
    assert nodes[0].node.metadata["heading"] == "Compost > Care"
    assert (
        nodes[0]
        .node.get_content(metadata_mode=MetadataMode.LLM)
        .startswith("heading: Compost > Care\nplace: ")
    )
    assert [one.node_id for one in asyncio.run(retriever.aretrieve("how to care for the compost"))] == [
        one.node_id for one in nodes
    ]


def test_embeddings_are_those_of_the_index(notes: MiniSearch) -> None:
    model = MiniSearchEmbedding(notes)
    expected = notes.embed(["kelp", "bread"]).tolist()
    assert model.get_text_embedding_batch(["kelp", "bread"]) == expected
    assert model.get_text_embedding("kelp") == expected[0]
    assert model.get_query_embedding("kelp") == expected[0]

    async def run() -> list[Any]:
        return [
            await model.aget_query_embedding("kelp"),
            await model.aget_text_embedding("kelp"),
            *await model.aget_text_embedding_batch(["kelp"]),
        ]

    assert asyncio.run(run()) == [expected[0]] * 3
    (node,) = model([a_node("kelp", "a")])
    assert node.embedding == expected[0]
