"""LangChain's own standard suites, and what they do not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from minisearch import MiniSearch
from minisearch.errors import InputError
from minisearch.filters import Field
from minisearch.integrations.documents import AddedDocuments
from minisearch.integrations.langchain import (
    MiniSearchEmbeddings,
    MiniSearchRetriever,
    MiniSearchVectorStore,
    as_filter,
)
from tests.fakes import HashingEncoder
from tests.integrations.samples import AUTHORS, OWN, YEARS, metadata, texts

pytestmark = pytest.mark.anyio


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, engine: MiniSearch) -> VectorStore:
        return MiniSearchVectorStore(engine)


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _engine(self, notes: MiniSearch) -> None:
        self.engine = notes

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MiniSearchRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"engine": self.engine}

    @property
    def retriever_query_example(self) -> str:
        return "how to care for it"


class OurEmbeddings:
    @pytest.fixture(autouse=True)
    def _engine(self, engine: MiniSearch) -> None:
        self.engine = engine

    @property
    def embeddings_class(self) -> type[MiniSearchEmbeddings]:
        return MiniSearchEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"engine": self.engine}


class TestEmbeddings(OurEmbeddings, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsUnit(OurEmbeddings, EmbeddingsUnitTests):
    pass


@pytest.fixture
def store(engine: MiniSearch) -> MiniSearchVectorStore:
    return MiniSearchVectorStore(engine)


# --- what comes back -------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.lists(st.tuples(texts, metadata), min_size=1, max_size=8))
def test_documents_come_back_as_they_were(shared_store: MiniSearchVectorStore, given_: Any) -> None:
    documents = [Document(text, metadata=own) for text, own in given_]
    ids = shared_store.add_documents(documents)
    for id_, before, after in zip(ids, documents, shared_store.get_by_ids(ids), strict=True):
        assert after == Document(before.page_content, id=id_, metadata=before.metadata)


def test_a_long_document_is_found_once_and_whole(store: MiniSearchVectorStore) -> None:
    text = "\n\n".join(f"Paragraph {n} of {'many words ' * 12}about kelp." for n in range(30)) + "\n  "
    store.add_documents([Document(text, id="long"), Document("Bread.", id="short")])
    assert store.engine.status().n_chunks > 10
    found = store.similarity_search("kelp", k=10)
    assert [one.id for one in found] == ["long", "short"]
    assert found[0].page_content == text
    (passage,) = MiniSearchRetriever(engine=store.engine, k=1, mode="lexical").invoke("paragraph 17 kelp")
    assert "Paragraph 17" in passage.page_content
    assert len(passage.page_content) < len(text) / 5
    assert passage.metadata["path"] == "langchain/long"


def test_keys_in_a_document_are_not_blanked(store: MiniSearchVectorStore) -> None:
    document = Document("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", id="a")
    store.add_documents([document])
    assert store.get_by_ids(["a"]) == [document]


def test_of_two_documents_with_one_id_the_last_counts(store: MiniSearchVectorStore) -> None:
    assert store.add_texts(["bread", "kelp"], ids=["a", "a"]) == ["a", "a"]
    assert store.get_by_ids(["a"]) == [Document("kelp", id="a")]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document(" \n", id="a"), "document 'a': its text is empty"),
        (
            Document("x", id="a", metadata={"at": datetime(2024, 5, 1)}),
            "document 'a': expected metadata as in JSON",
        ),
        (Document("x", id="a\n"), "control characters"),
    ],
)
def test_a_document_that_cannot_be_kept_is_refused(
    store: MiniSearchVectorStore, document: Document, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        store.add_documents([document])
    assert store.get_by_ids(["a"]) == []


# --- beside files ----------------------------------------------------------------------------------------


def test_files_and_documents_of_others_are_not_in_the_store(tmp_path: Path, engine: MiniSearch) -> None:
    (tmp_path / "bread.md").write_text("# Bread\n\nBake it.\n")
    engine.index(tmp_path)
    engine.add([{"id": "other", "text": "Bake a cake."}])
    store = MiniSearchVectorStore(engine)
    store.add_texts(["Bake a pie."], ids=["pie"])
    assert [one.id for one in store.similarity_search("bake", k=10)] == ["pie"]
    assert store.get_by_ids([str(tmp_path / "bread.md"), "other", "pie"]) == store.get_by_ids(["pie"])
    store.delete([str(tmp_path / "bread.md"), str(tmp_path), "other"])
    store.delete()
    assert store.get_by_ids(["pie"]) == []
    assert {one.metadata["path"] for one in MiniSearchRetriever(engine=engine).invoke("bake")} == {
        str(tmp_path / "bread.md"),
        "other",
    }


def test_a_file_is_not_taken_for_a_document_of_its_name(tmp_path: Path, engine: MiniSearch) -> None:
    (tmp_path / "bread.md").write_text("# Bread\n\nBake the bread.\n")
    engine.index(tmp_path)
    store = MiniSearchVectorStore(engine)
    name = str(tmp_path / "bread.md")
    store.add_texts(["Moss", "Bake the pie"], ids=[name, "pie"])
    assert [one.page_content for one in store.similarity_search("bake the bread", k=1)] == ["Bake the pie"]
    assert len(store.similarity_search("bake the bread", k=5)) == 2


def test_a_file_with_the_field_of_the_store_is_not_in_it(tmp_path: Path, engine: MiniSearch) -> None:
    (tmp_path / "victim.md").write_text("# Bread\n\nBake the bread.\n")
    (tmp_path / "forger.md").write_text("---\nlangchain_id: victim.md\n---\nBake the bread.\n")
    engine.index(tmp_path)
    store = MiniSearchVectorStore(engine)
    store.add_documents([Document("Bake the pie.", id="pie")])
    assert store.get_by_ids(["victim.md", "pie"]) == store.get_by_ids(["pie"])
    assert [one.id for one in store.similarity_search("bake the bread", k=1)] == ["pie"]
    store.delete(["victim.md", str(tmp_path / "victim.md")])
    store.delete()
    assert store.similarity_search("bake the bread") == []
    assert engine.status().n_documents == 2


def test_a_document_of_another_framework_or_program_is_not_in_the_store(engine: MiniSearch) -> None:
    engine.add([{"id": "1", "text": "kelp", "fields": {"langchain_id": "1"}, "data": b"{}"}])
    haystack = AddedDocuments(engine, "haystack")
    haystack.add([haystack.document("1", "kelp", {"langchain_id": "1"}, {"own": 1})])
    store = MiniSearchVectorStore(engine)
    assert store.get_by_ids(["1"]) == []
    store.add_texts(["moss"], ids=["1"])
    assert store.get_by_ids(["1"]) == [Document("moss", id="1")]
    assert haystack.sources() == {"1": {"own": 1}}
    store.delete()
    assert haystack.ids() == ["1"]
    assert engine.get("1").text == "kelp"


def test_a_filter_may_list_thousands_of_values(store: MiniSearchVectorStore) -> None:
    store.add_texts(["kelp", "moss"], [{"n": 1, "lot": "x"}, {"n": 2, "lot": "X"}], ids=["a", "b"])
    many = [f"lot {n}" for n in range(5_000)]
    for where, left in (
        ({"lot": {"$in": [*many, "x"]}}, {"a"}),
        ({"lot": {"$nin": [*many, "x"]}}, {"b"}),
        ({"n": {"$in": list(range(2, 5_000))}}, {"b"}),
    ):
        assert {one.id for one in store.similarity_search("kelp", filter=where)} == left
    assert [one.id for one in store.get_by_ids([*many, "b", "a"])] == ["b", "a"]


# --- LangChain's index() ---------------------------------------------------------------------------------


def test_indexing_twice_changes_nothing_and_cleans_up(store: MiniSearchVectorStore) -> None:
    records = InMemoryRecordManager(namespace="notes")
    records.create_schema()

    def run(*texts_: str, cleanup: Any = "full") -> tuple[int, int, int, int]:
        documents = [Document(text, metadata={"source": text[0]}) for text in texts_]
        done = index(documents, records, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
        return done["num_added"], done["num_updated"], done["num_skipped"], done["num_deleted"]

    assert run("a bread", "b kelp") == (2, 0, 0, 0)
    generation = store.engine.status().generation
    assert run("a bread", "b kelp") == (0, 0, 2, 0)
    assert store.engine.status().generation == generation
    assert run("a cake", cleanup="incremental") == (1, 0, 0, 1)
    assert {one.page_content for one in store.similarity_search("bread", k=9)} == {"a cake", "b kelp"}
    assert run("a cake") == (0, 0, 1, 1)
    assert [one.page_content for one in store.similarity_search("bread", k=9)] == ["a cake"]


# --- searching -------------------------------------------------------------------------------------------


def test_scores_are_relevances_that_fall(store: MiniSearchVectorStore) -> None:
    store.add_texts(["kelp in the sea", "kelp", "bread and butter"])
    found = store.similarity_search_with_relevance_scores("kelp in the sea", k=3)
    scores = [score for _, score in found]
    assert found[0][0].page_content == "kelp in the sea"
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert store.similarity_search_with_relevance_scores("kelp in the sea", k=3, score_threshold=scores[0])


def test_operators_are_words_for_the_store(store: MiniSearchVectorStore) -> None:
    store.add_texts(["kelp", "bread"], ids=["a", "b"])
    assert {one.id for one in store.similarity_search('"lava" -kelp', k=2)} == {"a", "b"}


def test_marginal_relevance_prefers_what_differs(store: MiniSearchVectorStore) -> None:
    store.add_texts(["kelp lava moss", "kelp lava moss!", "kelp bread"], ids=["a", "copy", "b"])
    plain = store.as_retriever(search_kwargs={"k": 2}).invoke("kelp lava")
    diverse = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "lambda_mult": 0.1})
    assert {one.id for one in plain} == {"a", "copy"}
    assert "b" in {one.id for one in diverse.invoke("kelp lava")}


def test_only_the_embeddings_of_the_index_are_taken(engine: MiniSearch) -> None:
    store = MiniSearchVectorStore.from_texts(["kelp"], MiniSearchEmbeddings(engine), ids=["a"])
    assert [one.id for one in store.similarity_search("kelp")] == ["a"]
    with pytest.raises(InputError, match="got DeterministicFakeEmbedding: expected MiniSearchEmbeddings"):
        MiniSearchVectorStore.from_texts(["kelp"], DeterministicFakeEmbedding(size=6))


def test_the_number_of_passages_can_be_given_to_an_awaited_call(notes: MiniSearch) -> None:
    retriever = MiniSearchRetriever(engine=notes)
    assert len(asyncio.run(retriever.ainvoke("how to care for it", k=1))) == 1


def test_many_ids_are_found_and_removed(store: MiniSearchVectorStore) -> None:
    ids = store.add_texts([f"note {n}" for n in range(450)], ids=[f"n{n}" for n in range(450)])
    assert [one.id for one in store.get_by_ids(ids[::-1])] == ids[::-1]
    store.delete(ids[1:])
    assert [one.id for one in store.similarity_search("note", k=9)] == ["n0"]


# --- filters, against LangChain's own store --------------------------------------------------------------

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda own, value: own == value,
    "$ne": lambda own, value: own != value,
    "$lt": lambda own, value: own is not None and own < value,
    "$lte": lambda own, value: own is not None and own <= value,
    "$gt": lambda own, value: own is not None and own > value,
    "$gte": lambda own, value: own is not None and own >= value,
    "$in": lambda own, value: own in value,
    "$nin": lambda own, value: own not in value,
    "$exists": lambda own, value: (own is not None) == value,
}


def matches(where: dict[str, Any], own: dict[str, Any]) -> bool:
    """What a filter means, in plain Python."""
    for name, value in where.items():
        if name == "$and":
            holds = all(matches(one, own) for one in value)
        elif name == "$or":
            holds = any(matches(one, own) for one in value)
        elif name == "$not":
            holds = not matches(value, own)
        else:
            tests = value if isinstance(value, dict) else {"$eq": value}
            holds = all(COMPARE[operator](own.get(name), other) for operator, other in tests.items())
        if not holds:
            return False
    return True


def comparisons(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.sampled_from(["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"])
    tests = st.one_of(
        st.dictionaries(one, values, min_size=1, max_size=2),
        st.builds(
            lambda operator, some: {operator: some}, st.sampled_from(["$in", "$nin"]), st.lists(values)
        ),
        st.builds(lambda is_there: {"$exists": is_there}, st.booleans()),
        values,
    )
    return st.builds(lambda test: {name: test}, tests)


leaves = comparisons("author", st.sampled_from(AUTHORS)) | comparisons("year", st.sampled_from(YEARS))
leaves |= st.builds(lambda value: {"draft": value}, st.sampled_from([True, False, None]))
wheres = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda some: {"$and": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda some: {"$or": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"$not": one}, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=80)
@given(wheres)
def test_a_filter_leaves_what_langchains_own_store_leaves(
    shared_store: MiniSearchVectorStore, own_store: InMemoryVectorStore, where: dict[str, Any]
) -> None:
    expected = own_store.similarity_search("kelp", k=99, filter=lambda one: matches(where, one.metadata))
    found = shared_store.similarity_search("kelp", k=99, filter={"$and": [{"lot": "filters"}, where]})
    assert {one.id for one in found} == {one.id for one in expected}


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniSearchVectorStore]:
    with MiniSearch.open(tmp_path_factory.mktemp("shared"), encoder=HashingEncoder()) as ms:
        store = MiniSearchVectorStore(ms)
        store.add_documents(documents_to_filter())
        yield store


@pytest.fixture(scope="module")
def own_store() -> InMemoryVectorStore:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=6))
    store.add_documents(documents_to_filter())
    return store


def documents_to_filter() -> list[Document]:
    return [Document(f"kelp {n}", id=f"f{n}", metadata=own | {"lot": "filters"}) for n, own in enumerate(OWN)]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (lambda document: True, "expected a dict such as"),
        ({"year": {"$near": 2020}}, "unknown operator \\$near for year"),
        ({"$nor": []}, "unknown operator \\$nor"),
        ({"$or": {"year": 1}}, "\\$or has .*: expected a list"),
        ({"year": {"$in": 5}}, "year in 5: expected a list of values"),
        ({"year": [1]}, "expected a text, a number, True or False"),
    ],
)
def test_a_filter_that_makes_no_sense_is_an_error(where: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_filter(where)


def test_conditions_of_minisearch_are_filters_too(store: MiniSearchVectorStore) -> None:
    store.add_texts(["kelp", "bread"], [{"by": {"name": "Ada"}, "tags": ["x", "y"]}, {}], ids=["a", "b"])
    for where in ('by.name = "ada"', Field("tags", "=", "y"), {"by.name": "Ada"}, {"tags": "x"}):
        assert [one.id for one in store.similarity_search("kelp", filter=where)] == ["a"]
