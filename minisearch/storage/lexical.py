"""Full text: which passages hold a question's words, and how well: BM25 over title, heading and text.

A passage is in one of two tables, as it stands or as the words it comes to (see `words` and `cjk`).  FTS5
scores what each table has, and the sum is made here, so that a word counts by its rarity among all passages.
Words are cut out of the question and quoted: no sign of the user's is an operator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from minisearch.storage import cjk
from minisearch.storage.connection import Connection
from minisearch.storage.words import words
from minisearch.types import Hits, IntArray

# How much a word counts in each column.  A title says what the whole is about in a few words.
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 2.0, 1.0, 1.0

# A word in more passages than this tells nothing apart (FTS5 scores it 0.000001) and takes the most time.
COMMON = 0.5

MAX_WORDS = 200  # of a longer text the first: a word takes about half a millisecond

MOST_A_WORD = 2.2  # times its rarity: what BM25 with FTS5's k1 = 1.2 approaches as the word is repeated

# FTS5 scores all words at once in half the time, but by their rarity in one table. In a table with so many
# of the passages the two rarities differ by little (0.1 of some 3 to 8).
NEARLY_ALL = 0.9

LEAST_RARITY = 1e-6  # FTS5's, for a word in more than half of the rows

_BM25 = f"-bm25(%s, {TITLE_WEIGHT}, {HEADING_WEIGHT}, {TEXT_WEIGHT})"
_POSTING = np.dtype([("id", np.int64), ("score", np.float64)])

Postings = npt.NDArray[np.void]  # (n,), of _POSTING


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the question as FTS5 looks it up, and in how many passages of each table it is."""

    match: str
    n_found: dict[str, int]

    @property
    def n(self) -> int:
        return sum(self.n_found.values())


def lexical(connection: Connection, text: str, k: int, among: IntArray | None = None) -> Hits:
    """`Store.lexical`."""
    with connection.transaction():
        ((n_rewritten, n),) = connection.rows(
            "select (select count(*) from chunks where is_rewritten), (select count(*) from chunks)"
        )
        n_rows = {"chunks_fts": n - n_rewritten, "chunks_rewritten": n_rewritten}
        asked = [_counted(connection, match, tables, n_rows) for match, tables in _matches(text)]
        # Words that are nowhere count too: a passage that lacks them answers only a part of the question.
        ceiling = MOST_A_WORD * sum(_rarity(word.n, n) for word in asked)
        asked = [word for word in asked if word.n]
        asked = [word for word in asked if word.n <= COMMON * n] or asked
        found = [postings for table in n_rows for postings in _scored(connection, table, asked, n_rows)]
    return _best(np.concatenate([np.empty(0, _POSTING), *found]), k, among, ceiling)


def _matches(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The first words of a text, each once, as FTS5 strings, and the tables that may have them."""
    seen: set[str] = set()
    for part in chain.from_iterable(map(cjk.parts, words(text))):
        is_run = cjk.RUN.match(part) is not None
        for match in cjk.terms(part) if is_run else [f'"{part}"']:
            if match.lower() not in seen:
                seen.add(match.lower())
                yield match, ("chunks_rewritten",) if is_run else ("chunks_fts", "chunks_rewritten")
            if len(seen) == MAX_WORDS:
                return


def _counted(connection: Connection, match: str, tables: tuple[str, ...], n_rows: dict[str, int]) -> _Word:
    counts = {}
    for table in tables:
        if n_rows[table]:
            sql = f"select count(*) from {table} where {table} match ?"  # noqa: S608 - ours
            ((counts[table],),) = connection.rows(sql, [match])
    return _Word(match, counts)


def _scored(
    connection: Connection, table: str, asked: list[_Word], n_rows: dict[str, int]
) -> Iterator[Postings]:
    """What one table has of the words: each with its rarity in both, if that makes any difference."""
    asked, n = [word for word in asked if word.n_found.get(table)], sum(n_rows.values())
    if asked and n_rows[table] >= NEARLY_ALL * n:
        yield _postings(connection, table, " OR ".join(word.match for word in asked))
        return
    for word in asked:
        postings = _postings(connection, table, word.match)
        postings["score"] *= _rarity(word.n, n) / _rarity(word.n_found[table], n_rows[table])
        yield postings


def _postings(connection: Connection, table: str, match: str) -> Postings:
    """The passages of a table that match, with their BM25 there."""
    sql = f"select rowid, {_BM25 % table} from {table} where {table} match ?"  # noqa: S608 - ours
    return np.fromiter(connection.rows(sql, [match]), _POSTING)


def _rarity(n: int, n_rows: int) -> float:
    """FTS5's inverse document frequency of a word in ``n`` of so many rows."""
    rarity = math.log((n_rows - n + 0.5) / (n + 0.5))
    return rarity if rarity > 0 else LEAST_RARITY


def _best(postings: Postings, k: int, among: IntArray | None, ceiling: float) -> Hits:
    """The k passages with the highest sums, of those asked for."""
    ids, places = np.unique(postings["id"], return_inverse=True)
    scores = np.bincount(places, postings["score"], len(ids)).astype(np.float32)
    if among is not None:
        is_among = np.isin(ids, among)
        ids, scores = ids[is_among], scores[is_among]
    best = np.lexsort((ids, -scores))[:k]
    return Hits(ids[best], scores[best], ceiling)
