"""Whatever is asked: results, or one named error, soon."""

from __future__ import annotations

import contextlib
import random
import time

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.errors import InputError, MinisearchError
from minisearch.filters import parse_where
from minisearch.results import Query
from tests.fakes import HashingEncoder
from tests.faults.invariants import write_documents

# Full-text operators, quotes, SQL, and characters that break what is not ready for them.
PIECES = [
    *('"', "'", "''", '""', "(", ")", "*", "^", "^2"),
    *("^1e999", "-", "--", "+", ":", "{", "}", "[", "]", "\\"),
    *("AND", "OR", "NOT", "NEAR", "NEAR(", "NEAR/2"),
    *("text:", "title:", "rowid", "chunks_fts", "a-b", "who's"),
    *("; drop table chunks; --", "' or 1=1 --", "select", "%s", "%", "_"),
    *("?", "?1", ":name", "@x", "$1", "{0}"),
    *("\0", "\x1b[31m", "\n", "\r", "\t", "\u202e"),
    *("\ud800", "\udfff", "\ufeff", "\u0301" * 20, "t:who", "/"),
    *("日本語", "río", "ﬁ", "İ", "ß", "नमस्ते"),
    *("مرحبا", "w1", "w2 w3", "river", "stone", "\U0001f469\u200d\U0001f680"),
    *("-w1", '-"w1 w2"', '"w1 w2"', "+w3", "+w3^-2", "+^"),
    *("-+", "+-", "^^^", "nan", "inf", "1e309", "0"),
    *("x" * 300, "(" * 200, '"a' * 50),
]  # fmt: skip


@pytest.fixture(scope="module")
def ms(tmp_path_factory):
    root = tmp_path_factory.mktemp("queries")
    write_documents(root / "docs", 30, seed=1)
    with MiniSearch(root / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(root / "docs")
        yield ms


def test_ten_thousand_hostile_queries_are_answered_or_refused(ms, often, fault_seed, tell):
    rng = random.Random(fault_seed)
    n, n_refused, longest_s = often(1_000, 10_000), 0, 0.0
    for number in range(n):
        glue = rng.choice(["", " ", " ", "  "])
        text = glue.join(rng.choices(PIECES, k=rng.randint(0, 8)))
        if rng.random() < 0.1:
            text = "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 30)))
        mode = ("hybrid", "dense", "lexical")[number % 3]
        started_s = time.perf_counter()
        try:
            results = ms.query(text, rng.choice([1, 10, 100]), mode=mode)
            assert all(np.isfinite(result.score) for result in results), repr(text)
        except InputError as error:
            n_refused += 1
            assert str(error), repr(text)
        longest_s = max(longest_s, time.perf_counter() - started_s)
    assert n_refused < n / 2, "most of them say something, and get an answer"
    assert longest_s < 1.0
    tell(
        "hostile questions",
        f"{n:,}, of which {n_refused:,} refused by name; longest {longest_s * 1000:.0f} ms",
    )


def test_hostile_filters_are_taken_or_refused(ms, often, fault_seed):
    rng = random.Random(fault_seed)
    pieces = [
        *PIECES,
        "=",
        "!=",
        "contains",
        "and",
        "or",
        "not",
        "<",
        ">=",
        '"x"',
        "author",
        "tags",
        "1",
        "true",
    ]
    for _ in range(often(500, 10_000)):
        text = " ".join(rng.choices(pieces, k=rng.randint(0, 7)))
        try:
            ms.query("river", where=parse_where(text))
        except InputError as error:
            assert str(error)


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "a" * 1_000_000, "word " * 200_000, '"' * 10_001, "(" * 100_000]
)
def test_extreme_queries(ms, text):
    started_s = time.process_time()  # whatever else the machine has to do
    with contextlib.suppress(MinisearchError):
        ms.query(text)
    assert time.process_time() - started_s < 15  # a megabyte goes through the encoder's tokenizer


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", None, True])
def test_a_k_that_makes_no_sense_is_refused(ms, k):
    with pytest.raises(InputError, match="k is"):
        ms.query("river", k)


def test_a_k_beyond_all_counting_gives_every_match(ms):
    assert len(ms.query("river", 10**9, by="chunk")) == ms.status().n_chunks


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_weights_that_are_no_numbers_are_refused_or_harmless(ms, weight):
    try:
        results = ms.query(Query("river", steers=(("stone", weight),)))
    except InputError:
        return
    assert all(np.isfinite(result.score) for result in results)
