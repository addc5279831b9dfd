"""Full-text search: the chunks that match a query, scored by BM25 over title, heading and text.

A chunk is in one of two FTS5 tables: with its text unchanged, or rewritten as normalised words.  FTS5 scores
the rows of each table; the scores are combined here, with the idf of a word among all chunks.  The words of a
query are extracted and quoted, so no character of the query is an FTS5 operator.

Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese text has no reliable spaces between words, and FTS5
would treat a whole sentence as one word.  A run of such characters is stored as overlapping pairs and a last
single character, so that any part of it can be found, and no phrase matches across two runs:

    "Pythonの入門"  ->  "python の入 入門 門"
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from minisearch.stores.base import LexicalQuery, Term, TermGroup, inverse_document_frequency
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.sqlite import damaged
from minisearch.text import (
    PAIRED_RUN,
    bigrams,
    folded_letters,
    is_mark,
    normalised_words,
    paired_parts,
    visible,
    without_mnemonics,
    words_between_signs,
)
from minisearch.types import Hits, IntArray

_SIGN = re.compile(r"[^\w\s]|_")

# --- what FTS5 stores ------------------------------------------------------------------------------


def is_plain(text: str) -> bool:
    """Whether FTS5 reads the same words in the text itself as in `rewritten`."""
    if without_mnemonics(text) != text:
        return False
    characters = set(text)
    if all(map(_stands_for_itself, characters)):  # most texts: 11 µs for 950 characters, not 420
        return True
    if any(_is_glued(one) or is_mark(one) or not _is_folded_alike(one) for one in characters if visible(one)):
        return False
    found = normalised_words(text)
    return found == words_between_signs(text) and PAIRED_RUN.search(" ".join(found)) is None


def rewritten(text: str) -> str:
    """The normalised words of a text, letters folded, paired runs as pairs, separated by spaces."""
    return marks_as_letters(_as_pairs(folded_letters(" ".join(normalised_words(text)))))


def _as_pairs(text: str) -> str:
    if text.isascii():
        return text
    return PAIRED_RUN.sub(lambda run: f" {' '.join(run[0][i : i + 2] for i in range(len(run[0])))} ", text)


@lru_cache(maxsize=4_096)
def _stands_for_itself(character: str) -> bool:
    """Whether `normalised_words` and FTS5 read a character alike, whatever is beside it."""
    return character.isascii() or not (
        is_mark(character)
        or not visible(character)
        or not _is_folded_alike(character)
        or _is_glued(character)
        or PAIRED_RUN.match(character)
        or normalised_words(character) != words_between_signs(character)
    )


def _is_folded_alike(character: str) -> bool:
    """Whether FTS5 folds a character as `folded_letters` does: it takes accents from A to Z only."""
    if not character.isalnum():
        return True
    first, *marks = list(unicodedata.normalize("NFD", character))
    is_accented = bool(marks) and first.isascii() and all("\u0300" <= mark <= "\u036f" for mark in marks)
    return folded_letters(character) == (first if is_accented else character).lower()


# FTS5 takes marks, such as the vowels of Hindi and Thai, for separators, and private characters for letters.
_MARKS = re.compile(r"[^\w\s]")
_PRIVATE, _N_PRIVATE = 0xE000, 0x1900
_LETTERS_FOR_MARKS = re.compile("[\ue000-\uf8ff]")


def marks_as_letters(words: str) -> str:
    """Words with a private character in place of each mark."""
    if words.isascii():
        return words
    return _MARKS.sub(lambda mark: chr(_PRIVATE + ord(mark[0]) % _N_PRIVATE), words)


def _is_glued(character: str) -> bool:
    """Whether FTS5 may take a sign or mark for a letter: those newer than Unicode 6.1, and private ones."""
    is_new = unicodedata.ucd_3_2_0.category(character) in {"Cn", "Co"}
    return is_new and _SIGN.match(character) is not None


# --- what FTS5 looks up ----------------------------------------------------------------------------


def as_fts5(term: Term) -> str:
    """A term as an FTS5 string: its words quoted, so that no character is an operator."""
    quoted = " + ".join(f'"{marks_as_letters(folded_letters(word))}"' for word in term.words)
    return f"{quoted} *" if term.is_prefix else quoted


def phrase_as_fts5(words: Sequence[str]) -> str:
    """An FTS5 string that finds normalised words in this order; paired text at its end may go on there."""
    text = folded_letters(" ".join(words))
    run, is_paired = (paired_parts(text) or [("", False)])[-1]
    last = bigrams(run) if is_paired else []
    before = _as_pairs(text.removesuffix(run) if is_paired else text)
    end = " *" if is_paired and len(run) == 1 else ""
    return f'"{marks_as_letters(" ".join([before, *last]))}"{end}'


# --- how results are scored ------------------------------------------------------------------------

# FTS5 scores all terms of a group in one query in half the time, but with their idf in one table.  In a table
# with so many of so many chunks, the idf there and the idf among all chunks differ by little (0.1 of some 3
# to 8).
NEARLY_ALL, MANY = 0.9, 1_000

_POSTING = np.dtype([("id", np.int64), ("score", np.float64), ("content", np.float64)])

Postings = npt.NDArray[np.void]  # (n,), of _POSTING


class FullText:
    """Both full-text tables of one database; counts of terms are kept until ``version`` changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version: object = None
        self._n_chunks = 0
        self._n_rows: dict[str, int] = {}
        self._n_with: dict[tuple[str, str], int] = {}

    def term_counts(self, terms: Sequence[Term], version: object) -> list[int]:
        """The number of chunks with each term; inside a transaction."""
        self._refresh(version)
        return [sum(self._n_in(table, as_fts5(term)) for table in self._n_rows) for term in terms]

    def words_with_prefix(self, prefix: str) -> dict[str, int]:
        """The stems that begin with a prefix, as FTS5 keeps them, each with about its number of chunks."""
        found: Counter[str] = Counter()
        for table in ("chunks_fts", "chunks_rewritten"):
            self._connection.rows(
                f"create virtual table if not exists temp.{table}_words using fts5vocab(main, {table}, row)"
            )
            sql = f"select term, doc from temp.{table}_words where term >= ? and term < ?"  # noqa: S608 - ours
            prefix = marks_as_letters(prefix)
            found.update(dict(self._connection.rows(sql, [prefix, prefix + chr(0x10FFFF)])))
        return {
            _LETTERS_FOR_MARKS.sub(lambda one: chr(ord(one[0]) - _PRIVATE), word): n
            for word, n in found.items()
        }

    def search(
        self,
        query: LexicalQuery,
        k: int,
        version: object,
        *,
        where: IntArray | None = None,
        exclude: IntArray | None = None,
    ) -> Hits:
        """`Snapshot.lexical`, inside a transaction."""
        self._refresh(version)
        found = [np.empty(0, _POSTING)]
        for group in query.groups:
            for table in self._n_rows:
                for postings in self._scored(table, group, query.column_weights):
                    postings["score"] *= group.weight
                    postings["content"] = postings["score"] * group.is_content
                    found.append(postings)
        return _best(np.concatenate(found), k, query, where, exclude)

    def _refresh(self, version: object) -> None:
        if version != self._version:
            ((n_rewritten, self._n_chunks),) = self._connection.rows(
                "select n_rewritten, n_chunks from counters"
            )
            if not (isinstance(n_rewritten, int) and isinstance(self._n_chunks, int)):
                raise damaged(self._connection.path, "its counters are no numbers")
            self._n_rows = {"chunks_fts": self._n_chunks - n_rewritten, "chunks_rewritten": n_rewritten}
            self._n_with.clear()
            self._version = version

    def _scored(
        self, table: str, group: TermGroup, column_weights: tuple[float, float, float]
    ) -> Iterator[Postings]:
        """The scores in one table for a group's terms, each weighted by its idf among all chunks."""
        n_rows, terms = self._n_rows[table], [as_fts5(term) for term in group.terms]
        if terms and n_rows >= NEARLY_ALL * self._n_chunks and self._n_chunks >= MANY:
            yield self._postings(table, " OR ".join(terms), column_weights)
            return
        for term, idf in zip(terms, group.idf or [None] * len(terms), strict=True):
            if n_found := self._n_in(table, term):
                postings = self._postings(table, term, column_weights)
                if idf is None:
                    n_with = sum(self._n_in(one, term) for one in self._n_rows)
                    idf = inverse_document_frequency(n_with, self._n_chunks)
                postings["score"] *= idf / inverse_document_frequency(n_found, n_rows)
                yield postings

    def _postings(self, table: str, match: str, column_weights: tuple[float, float, float]) -> Postings:
        """The chunks of a table that match, with their BM25 there."""
        sql = f"select rowid, -bm25({table}, ?, ?, ?), 0 from {table} where {table} match ?"  # noqa: S608 - ours
        return np.fromiter(self._connection.rows(sql, [*column_weights, match]), _POSTING)

    def _n_in(self, table: str, match: str) -> int:
        if not self._n_rows[table]:
            return 0
        if (table, match) not in self._n_with:
            sql = f"select count(*) from {table} where {table} match ?"  # noqa: S608 - ours
            ((self._n_with[table, match],),) = self._connection.rows(sql, [match])
        return self._n_with[table, match]


def _best(
    postings: Postings, k: int, query: LexicalQuery, where: IntArray | None, exclude: IntArray | None
) -> Hits:
    """The k chunks with the highest scores, of those that ``where`` and ``exclude`` allow."""
    ids, places = np.unique(postings["id"], return_inverse=True)
    scores = np.bincount(places, postings["score"], len(ids)).astype(np.float32)
    content = np.bincount(places, postings["content"], len(ids)) / (query.content_ceiling or 1.0)
    if where is not None or exclude is not None:
        is_wanted = np.ones(len(ids), bool) if where is None else np.isin(ids, where)
        if exclude is not None:
            is_wanted &= ~np.isin(ids, exclude)
        ids, scores, content = ids[is_wanted], scores[is_wanted], content[is_wanted]
    best = np.lexsort((ids, -scores))[:k]
    return Hits(ids[best], scores[best], query.ceiling, np.clip(content[best], 0, 1).astype(np.float32))
