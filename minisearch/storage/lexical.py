"""Full text: which passages hold a question's words, and how well: BM25 over title, heading and text.

A passage is in one of two tables, with or without Chinese, Japanese or Korean in it (see `cjk`).  FTS5 scores
each word by itself, and the sum is made here, with each word's rarity counted over both tables.  Every word
is cut out of the question character by character and quoted, so no sign of the user's is an operator.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minisearch.filters import Filter
from minisearch.storage import cjk
from minisearch.storage.connection import Connection
from minisearch.storage.selection import EVERYTHING, select
from minisearch.types import FloatArray, Hits, IntArray

# How much a word counts in each column.  A title says what the whole is about in a few words.
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 2.0, 1.0, 1.0

# A word in more passages than this tells nothing apart (FTS5 scores it 0.000001) and takes the most time.
COMMON = 0.5

MAX_WORDS = 200  # a longer question is a text; a word more takes about 0.5 ms

_LEAST_RARITY = 1e-6  # FTS5's

_BM25 = f"-bm25(%s, {TITLE_WEIGHT}, {HEADING_WEIGHT}, {TEXT_WEIGHT})"
_POSTING = np.dtype([("id", np.int64), ("score", np.float64)])


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the question as FTS5 looks it up, and in how many passages of each table it is."""

    match: str
    n_plain: int
    n_cjk: int

    @property
    def n(self) -> int:
        return self.n_plain + self.n_cjk


def lexical(connection: Connection, text: str, k: int, where: Filter = EVERYTHING) -> Hits:
    """`Store.lexical`."""
    with connection.transaction():
        ((n_cjk, n_chunks),) = connection.rows(
            "select (select count(*) from chunks where is_cjk), (select count(*) from chunks)"
        )
        words = [_word(connection, match, is_cjk, n_cjk) for match, is_cjk in _matches(text)]
        found = [word for word in words if word.n]
        postings: list[np.ndarray] = []
        for word in [word for word in found if word.n <= COMMON * n_chunks] or found:
            rarity = _rarity(word.n, n_chunks)
            postings.append(
                _postings(connection, "chunks_fts", word.match, word.n_plain, n_chunks - n_cjk, rarity)
            )
            postings.append(_postings(connection, "chunks_cjk", word.match, word.n_cjk, n_cjk, rarity))
        allowed = None if where == EVERYTHING else select(connection, where)
    return _best(np.concatenate([np.empty(0, _POSTING), *postings]), k, allowed)


def _matches(text: str) -> Iterator[tuple[str, bool]]:
    """The first words of a text, each once, as FTS5 strings; whether only the table of pairs has it."""
    matches: dict[tuple[str, bool], None] = {}
    for word in _words(cjk.normalised(text)):
        position = 0
        for run in cjk.RUN.finditer(word):
            matches.update(
                dict.fromkeys([(f'"{word[position : run.start()]}"', False)] * (run.start() > position))
            )
            matches.update(dict.fromkeys((term, True) for term in cjk.terms(run[0])))
            position = run.end()
        if position < len(word):
            matches[f'"{word[position:]}"', False] = None
        if len(matches) >= MAX_WORDS:
            break
    yield from list(matches)[:MAX_WORDS]


def _words(text: str) -> list[str]:
    """Runs of letters, digits and their marks; one that `unicode61` parts further is a phrase."""
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text.lower())
    return "".join(kept).split()


def _word(connection: Connection, match: str, is_cjk: bool, n_cjk: int) -> _Word:
    return _Word(
        match,
        0 if is_cjk else _count(connection, "chunks_fts", match),
        _count(connection, "chunks_cjk", match) if n_cjk else 0,
    )


def _count(connection: Connection, table: str, match: str) -> int:
    ((n,),) = connection.rows(f"select count(*) from {table} where {table} match ?", [match])  # noqa: S608 - ours
    return int(n)


def _rarity(n: int, n_passages: int) -> float:
    """FTS5's inverse document frequency of a word in ``n`` of so many passages."""
    return max(math.log((n_passages - n + 0.5) / (n + 0.5)), _LEAST_RARITY)


def _postings(
    connection: Connection, table: str, match: str, n: int, n_rows: int, rarity: float
) -> np.ndarray:
    """The passages of one table that have a word, and their scores, with its rarity in both tables."""
    if not n:
        return np.empty(0, _POSTING)
    sql = f"select rowid, {_BM25 % table} from {table} where {table} match ?"  # noqa: S608 - ours
    postings = np.fromiter(connection.cursor(sql, [match]), _POSTING, n)
    postings["score"] *= rarity / _rarity(n, n_rows)
    return postings


def _best(postings: np.ndarray, k: int, allowed: IntArray | None) -> Hits:
    """The k passages with the highest sums, of those allowed."""
    ids, places = np.unique(postings["id"], return_inverse=True)
    scores: FloatArray = np.bincount(places, postings["score"], len(ids)).astype(np.float32)
    if allowed is not None:
        is_allowed = np.isin(ids, allowed, assume_unique=True)
        ids, scores = ids[is_allowed], scores[is_allowed]
    best = np.lexsort((ids, -scores))[:k]
    return Hits(ids[best], scores[best])
