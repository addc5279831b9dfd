"""Misspelt words of a query are replaced by words of the index; others stay."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch import MiniSearch
from minisearch.minilm import SentenceTransformer
from minisearch.search.query import literal_query
from minisearch.search.words import corrected, edits, unknown_words, without_common_words
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, IntArray
from tests.stores.memory_store import MemoryStore

TEXTS = [
    "Passport renewal takes six weeks.",
    "The organisation renews passports by post.",
    "Kubernetes was not installed.",
    "Ein Reisepass aus dem Jahr 1999",
    "Sora, Sorb, Sorg, Sork, Sorm, Sorn, Sorp, Sort, Sorv and Sorz baked sourdough.",
]


class Pieces:
    """A tokenizer that knows these words whole, and no others."""

    def __init__(self, *known: str) -> None:
        self._known = known

    def spans(self, texts: list[str]) -> list[IntArray]:
        return [np.zeros((1 if text in self._known else 3, 2), np.int64) for text in texts]


def a_chunk(text: str) -> Chunk:
    return Chunk(0, len(text), text, 0, len(text), 1, 1, "", 9)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for n, text in enumerate(TEXTS):
        row = StoredDocument(f"{n}.md", "markdown", "", FileStamp(0, 0, 0, 0), b"", "")
        store.put(row, [a_chunk(text)], np.eye(len(TEXTS), dtype=np.float32)[n : n + 1])
    return store


CASES = [
    ("passprot renewl", "passport renewal"),
    ("Pasport renewal", "passport renewal"),
    ("sordough", "sourdough"),  # not one of the many short words that it begins like
    ("how does the organisaton work?", "how does the organisation work?"),
    ("passport renewal", "passport renewal"),
    ("postprot", "postprot"),  # three edits
    ("rassport", "rassport"),  # another first letter
    ("renewl.md pass_prot", "renewl.md pass_prot"),  # a file, an identifier
    ("PASSPROT", "PASSPROT"),
    ("passprot1", "passprot1"),
    ("kuberntes", "kubernetes"),
    ("Reisepas", "reisepass"),
    ("罚款 passprot", "罚款 passport"),
]


@pytest.mark.parametrize(("typed", "expected"), CASES)
def test_a_word_that_stands_nowhere_becomes_the_nearest_that_does(
    store: MemoryStore, typed: str, expected: str
) -> None:
    assert corrected(typed, store, Pieces()) == expected


def test_a_word_that_the_model_knows_is_not_misspelt(store: MemoryStore) -> None:
    assert corrected("renewed renewl", store, Pieces("renewl")) == "renewed renewl"


def test_without_a_model_only_long_words_are_replaced(store: MemoryStore) -> None:
    assert corrected("renewl passprot", store, None) == "renewl passport"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("passport renewal in Lisbon", ("Lisbon",)),
        ("how was kubernetes installed with helm on arm64", ("helm", "arm64")),
        ("passport TX-40917-C", ("TX-40917-C",)),
        ("the passport", ()),
        ("who is Napoleon", ("Napoleon",)),
        ("passport two three four five", ()),
        ("passport 罚款", ()),
    ],
)
def test_words_that_no_passage_has_are_named_if_they_are_few(
    store: MemoryStore, text: str, expected: tuple[str, ...]
) -> None:
    assert unknown_words(text, store) == expected


def test_words_that_a_fifth_of_the_chunks_have_are_common() -> None:
    store = MemoryStore()
    texts = ["Celery retries tasks."] * 60 + ["Redis keeps the queue."] * 49 + ["A note."] * 91
    for n, text in enumerate(texts):
        row = StoredDocument(f"{n}.md", "markdown", "", FileStamp(0, 0, 0, 0), b"", "")
        store.put(row, [a_chunk(text)], np.eye(2, dtype=np.float32)[:1])
    assert without_common_words("does Celery run on a console?", store) == "does run on a console?"
    assert without_common_words("how are Celery's tasks retried", store) == "how are Celery's tasks retried"
    assert without_common_words("redis on a console", store) == "redis on a console"  # 49 are too few


@cache
def reference(one: str, other: str) -> int:
    """Optimal string alignment by its recursive definition."""
    if not one or not other:
        return len(one) + len(other)
    found = min(
        reference(one[1:], other) + 1,
        reference(one, other[1:]) + 1,
        reference(one[1:], other[1:]) + (one[0] != other[0]),
    )
    if len(one) > 1 < len(other) and (one[0], one[1]) == (other[1], other[0]):
        found = min(found, reference(one[2:], other[2:]) + 1)
    return found


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_those_of_the_definition(one: str, other: str) -> None:
    assert edits(one, other) == edits(other, one) == reference(one, other)


def test_an_index_says_what_it_searched_for_and_literal_text_stays(
    tmp_path: Path, minilm: SentenceTransformer
) -> None:
    for n, text in enumerate(TEXTS):
        (tmp_path / f"{n}.md").write_text(text)
    with MiniSearch.open(tmp_path, encoder=minilm) as engine:
        engine.index(tmp_path)
        found = engine.query("passprot renewl")
        assert (found.query.text, found.typed) == ("passport renewal", "passprot renewl")
        assert found[0].path.endswith("0.md")
        context = engine.context("passprot renewl")
        assert (context.question, context.searched) == ("passprot renewl", "passport renewal")
        assert engine.query("passport renewal").typed == ""
        clear = engine.query(literal_query("the organisaton renews passports by post"))
        clearer = engine.query("the organisaton renews passports by post")
        assert clear.is_confident and clearer.typed
        assert (clearer[0].relevance or 0) > (clear[0].relevance or 0)
        as_typed = engine.query(literal_query("passprot renewl"))
        assert (as_typed.query.text, as_typed.typed) == ("passprot renewl", "")
        assert engine.query('"passprot" renewl').typed == ""
        assert engine.query("passport renewal in Lisbon").unknown_words == ("Lisbon",)
        assert engine.query("passport renewal in Lisbon", mode="dense").unknown_words == ()
        assert engine.query("passport renewal 0.md").unknown_words == ()  # the name of a file that was found
        lexical = engine.query("passprot", mode="lexical")
        assert lexical and lexical.query.text == "passport"
    with LocalStore(tmp_path / ".minisearch" / "minisearch.db") as local, local.snapshot():
        assert dict(local.words_with_prefix("passp")) == {"passport": 2}
        assert local.words_with_prefix("%") == {}
