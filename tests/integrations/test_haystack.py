"""Haystack's own test kit, and what it does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("haystack")

from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
from haystack.errors import FilterError
from haystack.testing.document_store import CountDocumentsByFilterTest, DocumentStoreBaseExtendedTests
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    WriteDocumentsAsyncTest,
)

from minisearch import MiniSearch
from minisearch.errors import InputError
from minisearch.integrations.documents import AddedDocuments
from minisearch.integrations.haystack import (
    MiniSearchDocumentEmbedder,
    MiniSearchDocumentStore,
    MiniSearchRetriever,
    MiniSearchTextEmbedder,
)
from tests.fakes import HashingEncoder
from tests.integrations.samples import AUTHORS, OWN, YEARS, metadata, texts

pytestmark = pytest.mark.anyio


@pytest.fixture
def document_store(tmp_path: Path) -> Iterator[MiniSearchDocumentStore]:
    store = MiniSearchDocumentStore(str(tmp_path), encoder=HashingEncoder())
    yield store
    store.engine.close()


class WithoutEmbeddings:
    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        """The embeddings of other components are not kept."""
        assert received == [replace(one, embedding=None) for one in expected]


class TestStore(WithoutEmbeddings, DocumentStoreBaseExtendedTests, CountDocumentsByFilterTest):
    @pytest.fixture
    def document_store(self, document_store: MiniSearchDocumentStore) -> MiniSearchDocumentStore:
        return document_store

    def test_write_documents(self, document_store: Any) -> None:
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError, match="overwrite or skip it"):
            document_store.write_documents([document])


class TestStoreAsync(
    WithoutEmbeddings,
    CountDocumentsAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    WriteDocumentsAsyncTest,
):
    async def test_write_documents_async(self, document_store: Any) -> None:
        assert await document_store.write_documents_async([Document(content="test doc")]) == 1


# --- documents -----------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.lists(st.tuples(texts, metadata), min_size=1, max_size=8))
def test_documents_come_back_as_they_were(shared_store: MiniSearchDocumentStore, given_: Any) -> None:
    documents = {one.id: one for one in (Document(content=text, meta=own) for text, own in given_)}
    shared_store.write_documents(list(documents.values()), DuplicatePolicy.OVERWRITE)
    where = {"field": "id", "operator": "in", "value": list(documents)}
    assert {one.id: one for one in shared_store.filter_documents(where)} == documents


def test_a_policy_holds_within_one_call(document_store: MiniSearchDocumentStore) -> None:
    twice = [Document(id="a", content="kelp"), Document(id="a", content="bread")]
    with pytest.raises(DuplicateDocumentError, match="there is a document 'a' already"):
        document_store.write_documents(twice)
    assert document_store.count_documents() == 0
    assert document_store.write_documents(twice, DuplicatePolicy.SKIP) == 1
    assert document_store.filter_documents() == twice[:1]
    assert document_store.write_documents(twice, DuplicatePolicy.OVERWRITE) == 2
    assert document_store.filter_documents() == twice[1:]


def test_another_framework_may_have_the_same_ids(document_store: MiniSearchDocumentStore) -> None:
    langchain = AddedDocuments(document_store.engine, "langchain")
    langchain.add([langchain.document("1", "moss", {}, {"own": 1})])
    document_store.engine.add([{"id": "1", "text": "lava"}])
    document = Document(id="1", content="kelp")
    assert document_store.write_documents([document]) == 1
    with pytest.raises(DuplicateDocumentError, match="there is a document '1' already"):
        document_store.write_documents([document])
    assert document_store.filter_documents() == [document]
    document_store.delete_all_documents()
    assert langchain.sources() == {"1": {"own": 1}}
    assert document_store.engine.get("1").text == "lava"


def test_the_blob_of_a_document_comes_back_too(document_store: MiniSearchDocumentStore) -> None:
    document = Document(content="kelp", blob=ByteStream(b"\xff\0", meta={"a": 1}, mime_type="image/png"))
    document_store.write_documents([document])
    assert document_store.filter_documents() == [document]


def test_a_document_without_text_is_refused(document_store: MiniSearchDocumentStore) -> None:
    with pytest.raises(InputError, match="its text is empty"):
        document_store.write_documents([Document(blob=ByteStream(b"x"))])


def test_files_stay_when_all_documents_are_removed(
    document_store: MiniSearchDocumentStore, tmp_path: Path
) -> None:
    (tmp_path / "bread.md").write_text("# Bread\n\nBake it.\n")
    document_store.engine.index(tmp_path)
    document_store.write_documents([Document(content="Bake a pie.", id="pie")])
    assert document_store.count_documents() == 1
    document_store.delete_documents(["bread.md", str(tmp_path / "bread.md"), str(tmp_path)])
    document_store.delete_all_documents()
    assert document_store.count_documents() == 0
    assert document_store.engine.status().n_documents == 1


# --- filters, against Haystack's own store -------------------------------------------------------------

DATES = ["1969-07-21T20:17:40", "1972-12-11T19:54:58"]


def comparisons(field: str, operators: list[str], values: st.SearchStrategy[Any]) -> Any:
    return st.builds(
        lambda operator, value: {"field": field, "operator": operator, "value": value},
        st.sampled_from(operators),
        values,
    )


authors, years = st.sampled_from([*AUTHORS, None]), st.sampled_from([*YEARS, None])
wheres = st.recursive(
    st.one_of(
        comparisons("meta.author", ["==", "!="], authors),
        comparisons("meta.year", ["==", "!=", "<", "<=", ">", ">="], years),
        comparisons("meta.date", ["==", "!=", "<", "<=", ">", ">="], st.sampled_from(DATES)),
        comparisons("meta.author", ["in", "not in"], st.lists(authors)),
        comparisons("meta.place.name", ["==", "!="], st.sampled_from(["Rome", "rome", None])),
        comparisons("year", ["=="], years),
        comparisons("meta.draft", ["==", "!="], st.sampled_from([True, False, None])),
        comparisons("id", ["==", "in"], st.just("f3") | st.just(["f3", "f4"])).filter(
            lambda one: (one["operator"] == "in") == isinstance(one["value"], list)
        ),
    ),
    lambda inner: st.builds(
        lambda operator, some: {"operator": operator, "conditions": some},
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=80)
@given(wheres)
def test_a_filter_leaves_what_haystacks_own_store_leaves(
    shared_store: MiniSearchDocumentStore, own_store: InMemoryDocumentStore, where: dict[str, Any]
) -> None:
    lot = {"field": "meta.lot", "operator": "==", "value": "filters"}
    both = {"operator": "AND", "conditions": [lot, where]}
    assert shared_store.filter_documents(both) == own_store.filter_documents(where)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniSearchDocumentStore]:
    store = MiniSearchDocumentStore(str(tmp_path_factory.mktemp("shared")), encoder=HashingEncoder())
    store.write_documents(documents_to_filter())
    yield store
    store.engine.close()


@pytest.fixture(scope="module")
def own_store() -> InMemoryDocumentStore:
    store = InMemoryDocumentStore()
    store.write_documents(documents_to_filter())
    return store


def documents_to_filter() -> list[Document]:
    return [
        Document(
            content=f"kelp {n}",
            id=f"f{n}",
            meta=own | {"lot": "filters"} | ({"date": DATES[n % 2]} if n % 3 else {}),
        )
        for n, own in enumerate(OWN)
    ]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"field": "meta.a", "operator": "near", "value": 1}, "unknown operator 'near'"),
        ({"field": "embedding", "operator": "==", "value": 1}, "'embedding' cannot be filtered by"),
        ({"field": "meta.a", "operator": "<", "value": "x"}, "a < 'x': expected a number or an ISO date"),
        ({"operator": "NOR", "conditions": []}, "unknown operator 'NOR'"),
    ],
)
def test_a_filter_that_makes_no_sense_is_an_error(
    document_store: MiniSearchDocumentStore, where: dict[str, Any], message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        document_store.filter_documents(where)


# --- in pipelines --------------------------------------------------------------------------------------


def test_a_pipeline_writes_and_another_retrieves_after_a_round_trip(tmp_path: Path, monkeypatch: Any) -> None:
    opened = MiniSearch.open
    monkeypatch.setattr(MiniSearch, "open", lambda path, **kw: opened(path, encoder=HashingEncoder(), **kw))
    store = MiniSearchDocumentStore(str(tmp_path), offline=True)
    writing = Pipeline()
    writing.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.SKIP))
    documents = [
        Document(content="Kelp grows in the sea.", meta={"lot": "x"}),
        Document(content="Bread is baked.", meta={"lot": "y"}),
    ]
    assert writing.run({"writer": {"documents": documents}})["writer"] == {"documents_written": 2}
    asking = Pipeline()
    lot = {"field": "meta.lot", "operator": "==", "value": "x"}
    retriever = MiniSearchRetriever(store, filters=lot, top_k=5, filter_policy=FilterPolicy.MERGE)
    asking.add_component("retriever", retriever)
    again = Pipeline.loads(asking.dumps(), allowed_modules=["minisearch.integrations.haystack"])
    for pipeline in (asking, again):
        (best,) = pipeline.run({"retriever": {"query": "where does kelp grow?"}})["retriever"]["documents"]
        assert replace(best, score=None) == documents[0]
        assert 0 <= best.score <= 1


def test_a_retriever_is_made_from_a_dict_with_its_store_alone(tmp_path: Path) -> None:
    pipeline, modules = Pipeline(), ["minisearch.integrations.haystack"]
    store = MiniSearchDocumentStore(str(tmp_path))
    pipeline.add_component("retriever", MiniSearchRetriever(store, filter_policy=FilterPolicy.MERGE))
    saved = pipeline.to_dict()
    before = deepcopy(saved)
    again = Pipeline.from_dict(saved, allowed_modules=modules)
    assert again.get_component("retriever").filter_policy == FilterPolicy.MERGE
    assert saved == before
    saved["components"]["retriever"]["init_parameters"] = {"document_store": store.to_dict()}
    again = Pipeline.from_dict(saved, allowed_modules=modules)
    assert again.get_component("retriever").filter_policy == FilterPolicy.REPLACE


def test_passages_of_files_are_retrieved(document_store: MiniSearchDocumentStore, tmp_path: Path) -> None:
    (tmp_path / "bread.md").write_text("# Bread\n\n## Baking\n\nBake the loaf.\n")
    document_store.engine.index(tmp_path)
    retriever = MiniSearchRetriever(document_store, passages=True)
    (passage,) = retriever.run("bake the loaf", top_k=3)["documents"]
    assert passage.content.endswith("Bake the loaf.")
    assert passage.meta["heading"] == "Bread > Baking"
    assert MiniSearchRetriever(document_store).run("bake the loaf")["documents"] == []


def test_embedders_give_the_vectors_of_the_index(tmp_path: Path) -> None:
    ms = MiniSearch.open(tmp_path, encoder=HashingEncoder())
    text_embedder = MiniSearchTextEmbedder(str(tmp_path), encoder=HashingEncoder())
    assert text_embedder.run("kelp") == {"embedding": ms.embed(["kelp"])[0].tolist()}
    embedder = MiniSearchDocumentEmbedder(
        str(tmp_path), encoder=HashingEncoder(), meta_fields_to_embed=["title", "none"]
    )
    given_ = [Document(content="kelp", meta={"title": "Sea"}), Document(content="bread")]
    embedded = embedder.run(given_)["documents"]
    assert [one.embedding for one in embedded] == ms.embed(["Sea\nkelp", "bread"]).tolist()
    assert [one.embedding for one in given_] == [None, None]
    assert embedder.run([]) == {"documents": []}
    restored = MiniSearchDocumentEmbedder(".", meta_fields_to_embed=["a"], offline=True)
    assert restored.to_dict()["init_parameters"] == {
        "path": ".",
        "offline": True,
        "meta_fields_to_embed": ["a"],
        "embedding_separator": "\n",
    }
