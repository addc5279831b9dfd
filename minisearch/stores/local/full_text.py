"""Full-text search: which chunks hold a query's words, and how well (BM25 over title, heading and text).

A chunk is in one of two FTS5 tables: with its text unchanged, or rewritten as normalised words.  FTS5 scores
the rows of each table, and the sums are made here, so that a word counts by its rarity among all chunks.
Words are cut out of the query and quoted, so no character of the query is an operator.

Chinese, Japanese and Korean put no spaces between words, or none that a search could rely on, and FTS5 would
take a whole sentence for one word.  A run of such characters becomes overlapping pairs and a last single
character, so that any part of it can be found, and no phrase reaches across two runs:

    "Pythonの入門"  ->  "Python の入 入門 門"
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from minisearch.stores.local.connection import Connection
from minisearch.text import (
    CJK_RUN,
    STOP_WORDS,
    bigrams,
    is_mark,
    normalised_words,
    without_mnemonics,
    words_between_signs,
)
from minisearch.types import Hits, IntArray

_CJK_END = re.compile(f"({CJK_RUN.pattern})$")
_SIGN = re.compile(r"[^\w\s]|_")

# --- what FTS5 stores ------------------------------------------------------------------------------


def is_plain(text: str) -> bool:
    """Whether FTS5 reads the same words in the text itself as in `rewritten`."""
    if without_mnemonics(text) != text:
        return False
    characters = set(text)
    if all(map(_stands_for_itself, characters)):  # most texts: 11 µs for 950 characters, not 420
        return True
    if any(map(_is_glued, characters)):
        return False
    found = normalised_words(text)
    return found == words_between_signs(text) and CJK_RUN.search(" ".join(found)) is None


def rewritten(text: str) -> str:
    """The normalised words of a text, CJK runs as pairs, separated by spaces."""
    return _cjk_as_pairs(" ".join(normalised_words(text)))


def _cjk_as_pairs(text: str) -> str:
    return CJK_RUN.sub(lambda run: f" {' '.join(run[0][i : i + 2] for i in range(len(run[0])))} ", text)


@lru_cache(maxsize=4_096)
def _stands_for_itself(character: str) -> bool:
    """Whether `normalised_words` and FTS5 read a character alike, whatever is beside it."""
    return character.isascii() or not (
        is_mark(character)
        or _is_glued(character)
        or CJK_RUN.match(character)
        or normalised_words(character) != words_between_signs(character)
    )


def _is_glued(character: str) -> bool:
    """Whether FTS5 may take a sign or mark for a letter: those newer than Unicode 6.1, and private ones."""
    is_new = unicodedata.ucd_3_2_0.category(character) in {"Cn", "Co"}
    return is_new and _SIGN.match(character) is not None


# --- what FTS5 looks up ----------------------------------------------------------------------------


def cjk_parts(word: str) -> list[str]:
    """A word split at the ends of its CJK runs."""
    return [part for part in re.split(f"({CJK_RUN.pattern})", word) if part]


def cjk_terms(run: str) -> list[str]:
    """A CJK run as FTS5 strings: its pairs; for a single character, all words that begin with it."""
    return [f'"{pair}"' for pair in bigrams(run)] if len(run) > 1 else [f'"{run}" *']


def cjk_phrase(text: str) -> str:
    """An FTS5 string that finds a text without signs anywhere; its last run may be longer there."""
    end = _CJK_END.search(text)
    if end is None:
        return f'"{_cjk_as_pairs(text)}"'
    before, run = _cjk_as_pairs(text[: end.start()]), end[0]
    return f'"{before} {run}" *' if len(run) == 1 else f'"{before} {" ".join(bigrams(run))}"'


# --- how results are scored ------------------------------------------------------------------------

# How much a word counts in each column.  A title says what the whole is about in a few words.
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 2.0, 1.0, 1.0

# How much two words count that stand side by side in the query and in the passage, beside what each of
# them counts.  Metzler and Croft, "A Markov random field model for term dependencies", SIGIR 2005.  It lifts
# claims and titles by .02 of nDCG@10 and moves the other four of scripts/fusion.py by .004 at most.
PAIR_WEIGHT = 0.4

# A word in more passages than this tells nothing apart (FTS5 scores it 0.000001) and takes the most time.
COMMON = 0.5

MAX_WORDS = 200  # of a longer text the first, and as many pairs: each takes about half a millisecond

MOST_A_WORD = 2.2  # times its rarity: what BM25 with FTS5's k1 = 1.2 approaches as the word is repeated

# FTS5 scores all words at once in half the time, but by their rarity in one table. In a table with so many
# of the passages the two rarities differ by little (0.1 of some 3 to 8).
NEARLY_ALL = 0.9

# In an index of few passages the rarity of a function word is a guess: it is taken as in so many more, half
# of which have it. A name in one of 20 counts five times as much as "where" and "does" there, not the same.
FEW, MORE = 1_000, 50

LEAST_RARITY = 1e-6  # FTS5's, for a word in more than half of the rows

_BM25 = f"-bm25(%s, {TITLE_WEIGHT}, {HEADING_WEIGHT}, {TEXT_WEIGHT})"
_POSTING = np.dtype([("id", np.int64), ("score", np.float64), ("telling", np.float64)])

Postings = npt.NDArray[np.void]  # (n,), of _POSTING


def lexical(connection: Connection, text: str, k: int, among: IntArray | None = None) -> Hits:
    """`Store.lexical`."""
    asked, pairs = _terms(text)
    with connection.transaction():
        tables = _Tables(connection)
        # Words that are nowhere count too: a passage that lacks them answers only a part of the query.
        most = MOST_A_WORD * sum(map(tables.rarity, asked))
        most_telling = MOST_A_WORD * sum(tables.rarity(word) for word in asked if not _is_function(word))
        there = [word for word in asked if tables.n_with(word)]
        rare = [word for word in there if not tables.is_common(word)]
        side_by_side = [" + ".join(pair) for pair in pairs if _tells(pair, {*there}, {*rare})]
        found = [
            *tables.scored([word for word in rare or there if not _is_function(word)], is_telling=True),
            *tables.scored([word for word in rare or there if _is_function(word)]),
            *tables.scored(side_by_side, weight=PAIR_WEIGHT),
        ]
    return _best(np.concatenate([np.empty(0, _POSTING), *found]), k, among, most, most_telling)


def _is_function(match: str) -> bool:
    return match.strip('"').lower() in STOP_WORDS


def _tells(pair: tuple[str, str], there: set[str], rare: set[str]) -> bool:
    """Whether to look for a pair: "what to" says as little as "what"."""
    return there.issuperset(pair) and not rare.isdisjoint(pair) and not all(map(_is_function, pair))


def _terms(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The first words of a text as FTS5 strings, and which of them stand side by side; each once."""
    asked: dict[str, str] = {}
    pairs: dict[tuple[str, str], None] = {}
    before = ""
    for part in chain.from_iterable(map(cjk_parts, normalised_words(text))):
        is_run = CJK_RUN.match(part) is not None
        for match in cjk_terms(part) if is_run else [f'"{part}"']:
            if len(asked) == MAX_WORDS:
                return [*asked.values()], [*pairs]
            word = asked.setdefault(match.lower(), match)
        if before and not is_run and len(pairs) < MAX_WORDS:
            pairs[before, word] = None
        before = "" if is_run else word
    return [*asked.values()], [*pairs]


class _Tables:
    """Both tables of words: in how many passages a word is, each counted once, and how well they match."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._n: int
        ((n_rewritten, self._n),) = connection.rows("select n_rewritten, n_chunks from counters")
        self._n_rows = {"chunks_fts": self._n - n_rewritten, "chunks_rewritten": n_rewritten}
        self._n_with: dict[tuple[str, str], int] = {}

    def n_with(self, match: str) -> int:
        return sum(self._n_in(table, match) for table in self._n_rows)

    def is_common(self, match: str) -> bool:
        return self.n_with(match) > COMMON * self._n

    def rarity(self, match: str) -> float:
        if self._n < FEW and _is_function(match):
            return _rarity(self.n_with(match) + MORE / 2, self._n + MORE)
        return _rarity(self.n_with(match), self._n)

    def scored(
        self, asked: Collection[str], *, weight: float = 1.0, is_telling: bool = False
    ) -> Iterator[Postings]:
        """What the tables have of these words: each with its rarity in both, if that makes any difference."""
        for table in self._n_rows:
            for postings in self._scored(table, asked):
                postings["score"] *= weight
                postings["telling"] = postings["score"] * is_telling
                yield postings

    def _scored(self, table: str, asked: Collection[str]) -> Iterator[Postings]:
        n_rows = self._n_rows[table]
        if asked and n_rows >= NEARLY_ALL * self._n and self._n >= FEW:
            yield self._postings(table, " OR ".join(asked))
            return
        for match in asked:
            if n_found := self._n_in(table, match):
                postings = self._postings(table, match)
                postings["score"] *= self.rarity(match) / _rarity(n_found, n_rows)
                yield postings

    def _postings(self, table: str, match: str) -> Postings:
        """The passages of a table that match, with their BM25 there."""
        sql = f"select rowid, {_BM25 % table}, 0 from {table} where {table} match ?"  # noqa: S608 - ours
        return np.fromiter(self._connection.rows(sql, [match]), _POSTING)

    def _n_in(self, table: str, match: str) -> int:
        if not self._n_rows[table]:
            return 0
        if (table, match) not in self._n_with:
            sql = f"select count(*) from {table} where {table} match ?"  # noqa: S608 - ours
            ((self._n_with[table, match],),) = self._connection.rows(sql, [match])
        return self._n_with[table, match]


def _rarity(n: float, n_rows: float) -> float:
    """FTS5's inverse document frequency of a word in ``n`` of so many rows."""
    rarity = math.log((n_rows - n + 0.5) / (n + 0.5))
    return rarity if rarity > 0 else LEAST_RARITY


def _best(postings: Postings, k: int, among: IntArray | None, most: float, most_telling: float) -> Hits:
    """The k passages with the highest sums, of those asked for."""
    ids, places = np.unique(postings["id"], return_inverse=True)
    scores = np.bincount(places, postings["score"], len(ids)).astype(np.float32)
    telling = np.bincount(places, postings["telling"], len(ids)) / (most_telling or 1.0)
    if among is not None:
        is_among = np.isin(ids, among)
        ids, scores, telling = ids[is_among], scores[is_among], telling[is_among]
    best = np.lexsort((ids, -scores))[:k]
    return Hits(ids[best], scores[best], most, np.clip(telling[best], 0, 1).astype(np.float32))
