"""Fusion against numbers worked out by hand, and what must hold of any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.filters import Path
from minisearch.results import Trace
from minisearch.search.ranking import NAME_SHARE, Ranking, fuse, lexical_query, reranked
from minisearch.search.words import EXACT_TOKEN, exact_hits, with_names_first
from minisearch.stores.base import FileStamp, StoredChunk, StoredDocument
from minisearch.types import Chunk
from tests.stores.memory_store import MemoryStore

STAMP = FileStamp(0, 0, 0, 0)


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_the_sum_is_the_hand_worked_one() -> None:
    fused = fuse(f32(0.8, 0.4, 0.2), f32(0, 5, 40), ceiling=20)
    assert fused == pytest.approx([1 / 2.8, (0.5 + 0.25) / 2.8, (0.25 + 1.8) / 2.8], rel=1e-6)
    assert fused.dtype == np.float32


def test_a_passage_that_is_best_in_meaning_and_words_scores_one() -> None:
    assert fuse(f32(0.5, 0.1), f32(21.6, 3), ceiling=12)[0] == pytest.approx(1)


def test_without_a_word_in_common_the_cosines_decide() -> None:
    cosines = f32(0.1, 0.7, 0.3)
    assert np.argsort(-fuse(cosines, f32(0, 0, 0), ceiling=0)).tolist() == [1, 2, 0]


def test_a_weak_match_of_words_does_not_lift_what_is_far_in_meaning() -> None:
    """The best BM25 of the page is no reason by itself: it may share only a common word."""
    near, far = fuse(f32(0.6, 0.2), f32(0, 2), ceiling=40)
    assert near > far


def test_where_nothing_is_near_in_meaning_words_may_decide() -> None:
    fused = fuse(f32(0.15, 0.06), f32(0, 8), ceiling=20)  # shares of .3, not of .15
    assert fused == pytest.approx([0.5 / 2.8, (0.2 + 0.4) / 2.8])


def test_nothing_gives_nothing() -> None:
    assert fuse(f32(), f32(), ceiling=3).tolist() == []


scores = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=20), st.integers(0, 19))
def test_more_in_meaning_or_words_never_scores_less(pairs: list[tuple[float, float]], position: int) -> None:
    position %= len(pairs)
    cosines, bm25 = f32(*(c for c, _ in pairs)), f32(*(b for _, b in pairs))
    before = fuse(cosines, bm25, ceiling=1)
    assert ((before >= 0) & (before <= 1 + 1e-6)).all()
    bm25[position] = 1
    assert fuse(cosines, bm25, ceiling=1)[position] >= before[position]
    higher = cosines.copy()
    higher[position] = max(cosines[position], 0.9 * cosines.max())  # below the highest, which sets the scale
    assert fuse(higher, f32(*(b for _, b in pairs)), ceiling=1)[position] >= before[position] - 1e-6


@given(st.lists(st.floats(-8, 8, width=32), max_size=12), st.integers(0, 12))
def test_reranked_candidates_come_first_and_the_others_keep_their_order(scores: list[float], n: int) -> None:
    ids = np.arange(100, 100 + len(scores) + n)
    traces = tuple(Trace(fused=1 / id_) for id_ in ids.tolist())
    ranking = Ranking(ids, f32(*(1 / ids)), traces, is_complete=True)
    best_first = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    found = reranked(ranking, {100 + i: scores[i] for i in best_first})
    assert found.ids.tolist() == [*(100 + i for i in best_first), *ids[len(scores) :].tolist()]
    rest = ranking.scores[len(scores) :].tolist()
    last = f32(min(scores, default=np.inf)).item()
    assert found.scores.tolist() == [*(scores[i] for i in best_first), *(min(last, score) for score in rest)]
    for trace, id_ in zip(found.traces, found.ids.tolist(), strict=True):
        is_seen = id_ < 100 + len(scores)
        assert trace.fused == 1 / id_
        assert (trace.rank_before_rerank, trace.rerank) == (
            (id_ - 99, scores[id_ - 100]) if is_seen else (None, None)
        )
    assert found.is_complete


# --- the words of a query ----------------------------------------------------------------------------------


@pytest.fixture
def store() -> MemoryStore:
    """Documents of one chunk each, none of which is about anything."""
    filled = MemoryStore()
    texts = [
        "call atomic_write_json to save",
        "write the json file in one atomic step",
        "error HTTPSConnectionPool in requests",
        "the SHP-7 valve",
        *(f"filler number{n} of the store" for n in range(30)),
    ]
    for n, text in enumerate(texts):
        chunk = Chunk(0, len(text), text, 0, len(text), 1, 1, "", 9)
        vector = np.eye(len(texts), dtype=np.float32)[n : n + 1]
        filled.put(StoredDocument(f"{n}.md", "markdown", "", STAMP, b"", ""), [chunk], vector)
    return filled


def test_a_word_repeated_in_the_query_counts_as_often(store: MemoryStore) -> None:
    once, twice = (lexical_query(text, store) for text in ("valve json", "valve json valve"))
    weights = {term.words: group.weight for group in twice.groups for term in group.terms}
    assert weights["valve",] == 2 and weights["json",] == 1
    scores = [store.lexical(query, 9).scores.max() for query in (once, twice)]
    assert scores[1] == pytest.approx(2 * scores[0], rel=1e-5)


@pytest.mark.parametrize(("n", "share"), [(1, 5**0.3), (5, 1.0), (10, 0.5**1.3), (40, 0.125**1.3)])
def test_a_longer_query_expects_a_smaller_share_of_its_words(
    store: MemoryStore, n: int, share: float
) -> None:
    query = lexical_query(" ".join(f"unknown{i}" for i in range(n)), store)
    assert query.ceiling == pytest.approx(share * query.content_ceiling)


@pytest.mark.parametrize(
    "token",
    [
        *("atomic_write_json", "__init__", "os.path", "std::vector", "config.toml", "HTTPSConnectionPool"),
        *("HTTPError", "FooBarError", "SHP-7", "CVE-2021-44228", "0x80070005", "deadbeef1", "4.11.3"),
        *("v1.2.3", "INV-2024-0031", "KB5034441"),
    ],
)
def test_identifiers_codes_versions_and_file_names_are_exact_tokens(token: str) -> None:
    assert EXACT_TOKEN.fullmatch(token)


@pytest.mark.parametrize(
    "word",
    [
        *("passport", "2024", "3.5", "well-known", "don't", "U.S.", "Paris", "NASA", "50degree", "3-year"),
        *("I", "é", "検索", "e.g", "feedback", "and/or", "GitHub", "macOS", "covid-19", "top-10", "YouTube"),
    ],
)
def test_words_and_plain_numbers_are_no_exact_tokens(word: str) -> None:
    assert not EXACT_TOKEN.fullmatch(word)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atomic_write_json", {1: 1.0}),
        ("what does `atomic_write_json()` do?", {1: 1.0}),
        ("(HTTPSConnectionPool, SHP-7)", {3: 0.5, 4: 0.5}),
        ("no_such_name", None),
        ("SHP-7 valve", {4: 1.0}),
        ("a_" * 40_000 + "!", None),
        ("write the file", None),
    ],
)
def test_exact_hits_hold_the_tokens_as_phrases(
    store: MemoryStore, text: str, expected: dict[int, float] | None
) -> None:
    hits = exact_hits(text, store)
    assert (hits and dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))) == expected


def test_a_name_that_may_be_a_word_is_exact_only_in_a_short_query(store: MemoryStore) -> None:
    chunk = Chunk(0, 20, "Somebody uses macOS.", 0, 20, 1, 1, "", 9)
    row = StoredDocument("printer.md", "markdown", "", STAMP, b"", "")
    store.put(row, [chunk], np.eye(1, 34, dtype=np.float32))
    assert exact_hits("printer on macOS", store) is not None
    assert exact_hits("how do I keep my sourdough alive on macOS", store) is None


def test_a_token_that_many_chunks_have_is_not_exact(store: MemoryStore) -> None:
    for n in range(4):
        chunk = Chunk(0, 11, "SHP-7 again", 0, 11, 1, 1, "", 9)
        row = StoredDocument(f"more{n}.md", "markdown", "", STAMP, b"", "")
        store.put(row, [chunk], np.eye(1, 34, dtype=np.float32))
    assert exact_hits("SHP-7", store) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timer2.py", ["src/timer2.py", "tests/timer2.py"]),
        ("src/timer2.py", ["src/timer2.py"]),
        ("rc/timer2.py", None),
        ("timer2", ["src/timer2.py", "tests/timer2.py"]),
        ("the file timer2.py", None),
        ("timer*.py", ["src/timer2.py", "tests/timer2.py"]),
        ("timer*.txt", None),
    ],
)
def test_a_query_that_is_the_name_of_a_file_finds_its_passages(text: str, expected: list[str] | None) -> None:
    store = MemoryStore()
    paths = ["src/timer2.py", "tests/timer2.py", "src/other.py"]
    for n, path in enumerate(paths):
        row = StoredDocument(path, "code", "", STAMP, b"", "")
        store.put(row, [Chunk(0, 5, f"line{n}", 0, 5, 1, 1, "", 9)], np.eye(3, dtype=np.float32)[n : n + 1])
    hits = exact_hits(text, store)
    found = hits and [chunk.path for chunk in store.chunks(hits.ids.tolist()).values()]
    assert found == expected
    only = exact_hits("timer2.py", store, where=Path("src/**"))
    assert only is not None and only.scores.tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gate code", [1]),  # side by side
        ("what is the gate code", [1]),
        ("code gate", [0, 1]),  # all words, in a text without any other
        ("what code does the gate have", None),
        ("gate code fence", None),
        ("status 451", [3]),
        ("which error has the status 451", [3]),
    ],
)
def test_the_words_of_a_short_text_together_and_rare_numbers_come_first(
    text: str, expected: list[int] | None
) -> None:
    store = MemoryStore()
    texts = [
        "The code of the gate.",
        "A new gate code.",
        "The gate is green.",
        "Status 451 is legal.",
        "A code.",
    ]
    texts += [f"Status of item {letter}" for letter in "abcdefgh"]
    for n, one in enumerate(texts):
        row = StoredDocument(f"{n}.md", "markdown", "", STAMP, b"", "")
        vectors = np.eye(len(texts), dtype=np.float32)[n : n + 1]
        store.put(row, [Chunk(0, len(one), one, 0, len(one), 1, 1, "", 9)], vectors)
    hits = exact_hits(text, store)
    found = hits and [int(chunk.path[:-3]) for chunk in store.chunks(hits.ids.tolist()).values()]
    assert found == expected
    assert hits is None or max(hits.scores) <= NAME_SHARE + 1e-6


def test_a_document_named_as_the_query_comes_first() -> None:
    names = [("Other", "a.md"), ("Getting Things Done", "b.md"), ("", "notes/getting-things-done.txt")]
    chunks = {n: StoredChunk(n, n, path, 1, 1, "", "", title) for n, (title, path) in enumerate(names)}
    ranking = Ranking(np.arange(3), f32(0.9, 0.5, 0.4), (Trace(),) * 3, is_complete=True)
    found = with_names_first(ranking, chunks, "getting things done")
    assert found.ids.tolist() == [1, 2, 0]
    assert found.scores == pytest.approx([0.9, 0.9, 0.9])
    assert [trace.exact for trace in found.traces] == [1, 1, None]
    assert with_names_first(ranking, chunks, "getting things").ids.tolist() == [2, 0, 1]  # in a file's name
    assert with_names_first(ranking, chunks, "things getting") is ranking
    many = {n: StoredChunk(n, n, "x/index.md", 1, 1, "", "") for n in range(4)}
    four = Ranking(np.arange(4), f32(4, 3, 2, 1), (Trace(),) * 4, is_complete=True)
    assert with_names_first(four, many, "index") is four
