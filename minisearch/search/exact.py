"""Exact tokens and names: the passages that have the query's identifiers, codes, file names and rare names.

A text and a snapshot come in, the chunks with its exact tokens go out, for `ranking` to put first.  Documents
and sections that are named as the query are put first by `with_names_first`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from minisearch.filters import Path
from minisearch.search.ranking import LOOKED_AT, Ranking
from minisearch.stores.base import (
    LexicalQuery,
    Snapshot,
    StoredChunk,
    Term,
    TermGroup,
    Where,
    inverse_document_frequency,
)
from minisearch.text import CJK_RUN, content_words, normalised_words
from minisearch.types import Hits, IntArray

# A token that only a machine or its user writes: an identifier, an error code, a version, a file name.
EXACT_TOKEN = re.compile(
    r"""
      [^\W\d]\w*(?:(?:\.|::|->)[^\W\d]\w+)+                 # os.path, std::vector, config.toml
    | \w*[^\W_]_\w+ | _+[^\W_]\w*                          # snake_case, __init__
    | [A-Z]{2,}[a-z]\w+ | (?:[A-Z][a-z]+){3,}               # HTTPError, FooBarError
    | (?=.*\d)(?=.*[A-Z])[^\W\d_]\w*(?:-\w+)+              # SHP-7, CVE-2021-44228
    | [A-Z]{1,4}\d{3,}                                       # KB5034441, E1234
    | (?=(?:.*\d){2})(?=(?:.*[A-Z]){2})[A-Z\d]{5,}           # 6KQ2VN
    | 0x[0-9a-fA-F]+ | (?=.*[a-f])(?=.*\d)[0-9a-f]{7,}       # addresses and hashes
    | v?\d+(?:\.\d+){2,}                                    # 4.11.3
    """,
    re.VERBOSE,
)
# Often names that everyone knows (GitHub, covid-19): exact only in a query of hardly any other words.
MAYBE_EXACT_TOKEN = re.compile(r"[^\W\d_]*[a-z][A-Z]\w*|(?=.*\d)[^\W\d_]\w*(?:-\w+)*")
MAX_OTHER_WORDS = 1
MAX_WORDS_WITH_NAME = 6  # of a query in which a rare capitalised word may be a name
NAME_SHARE = 0.1
SURROUNDING_SIGNS = ".,;:!?()[]{}<>'\"`“”‘’«»"
NUMBER = re.compile(r"(?<![\w.,-])\d{3,}(?![\w.,-]\w)(?!\w)")
MAX_EXACT, MAX_TOKEN_CHARACTERS = 4, 100
MAX_NAMED = 3

# A query that is nothing but the name of a file, or the end of its path.
FILE_NAME = re.compile(r"(?:[\w.+@-]+/)*[\w+@-][\w.+@-]*\.[A-Za-z]\w{0,9}")
MAX_IN_FILES = 300  # passages of the files with the name; a name of more files says little

# A passage with such a token comes before all without any, if so few passages have it.
FEW_PASSAGES, SHARE_OF_PASSAGES = 3, 0.002


def _exact_terms(text: str, *, is_strict: bool) -> list[Term]:
    """The exact tokens of a text; without ``is_strict`` also those that may be names."""
    words = content_words(text)
    tokens = [token.strip(SURROUNDING_SIGNS) for token in text.split() if len(token) <= MAX_TOKEN_CHARACTERS]
    return [
        Term(parts)
        for token in dict.fromkeys(tokens)
        if (parts := tuple(normalised_words(token)))
        and (
            EXACT_TOKEN.fullmatch(token)
            or (
                not is_strict
                and MAYBE_EXACT_TOKEN.fullmatch(token)
                and len(words) - len(parts) <= MAX_OTHER_WORDS
            )
        )
    ][:MAX_EXACT]


def _rare_names(text: str) -> list[Term]:
    """A text's only word, or the capitalised words within it: a model splits rare names into pieces."""
    words = content_words(text)
    if len(words) == 1:
        return [Term((words[0],))] if CJK_RUN.search(words[0]) is None else []
    if len(words) > MAX_WORDS_WITH_NAME:
        return []
    inner = normalised_words(text)[1:]
    return [Term((word,)) for word in words if word in inner and word[0].isupper() and word[1:].islower()]


def lacks_exact_token(text: str, snapshot: Snapshot) -> bool:
    """Whether a text has an exact token or a number that no chunk has, such as an unknown error code."""
    numbers = [Term((number,)) for number in NUMBER.findall(text)]
    return 0 in snapshot.term_counts([*_exact_terms(text, is_strict=True), *numbers])


def exact_hits(
    text: str, snapshot: Snapshot, *, where: Where | None = None, exclude: IntArray | None = None
) -> Hits | None:
    """The chunks with a rare exact token of the text; None if it has none.

    The scores are shares of the tokens, weighted by their idf: 1 for a chunk with all of them, and for those
    of a file whose name is the text.  Rare words that may be names count in their place if there are none,
    with `NAME_SHARE` of the score: they come first too, but are less of an answer.
    """
    in_files = _ids_in_files(text, snapshot, where, exclude)
    if len(in_files):
        return Hits(in_files, np.ones(len(in_files), np.float32))
    tokens = _exact_terms(text, is_strict=False)
    terms = tokens or _rare_names(text)
    _, n_chunks = snapshot.counts()
    limit = max(FEW_PASSAGES, SHARE_OF_PASSAGES * n_chunks)
    rare = {
        term: inverse_document_frequency(count, n_chunks)
        for term, count in zip(terms, snapshot.term_counts(terms), strict=True)
        if 0 < count <= limit
    }
    scores: dict[int, float] = {}
    total = sum(rare.values()) / (1.0 if tokens else NAME_SHARE)
    for term, idf in rare.items():
        query = LexicalQuery(text, (TermGroup((term,)),), (1.0, 1.0, 1.0), 1.0, 1.0)
        for id_ in snapshot.lexical(query, n_chunks, where=where, exclude=exclude).ids.tolist():
            scores[id_] = scores.get(id_, 0.0) + idf / total
    if not scores:
        return None
    ids = np.array(sorted(scores), np.int64)
    return Hits(ids, np.array([scores[id_] for id_ in ids.tolist()], np.float32))


def _ids_in_files(text: str, snapshot: Snapshot, where: Where | None, exclude: IntArray | None) -> IntArray:
    """The ids (n,) of the chunks in files of this name; none if it is no such name, or that of many files."""
    if not FILE_NAME.fullmatch(text.strip()):
        return np.empty(0, np.int64)
    named = Path(f"**/{text.strip()}")
    if isinstance(where, np.ndarray):
        ids = np.intersect1d(snapshot.select(named), where)
    else:
        ids = snapshot.select(named if where is None else where & named)
    ids = ids if exclude is None else np.setdiff1d(ids, exclude)
    return ids if len(ids) <= MAX_IN_FILES else ids[:0]


def with_names_first(ranking: Ranking, chunks: Mapping[int, StoredChunk], text: str) -> Ranking:
    """Move the best candidate of each document whose name equals the query to the top.

    A document's names are its title and its file name without suffix.  A section among the first candidates,
    such as a function, has the name of its heading.  If more than `MAX_NAMED` documents have the name, the
    order stays.
    """
    wanted = _plain(text)
    first: dict[int, int] = {}  # by document with the name, the position of its best candidate
    seen: set[int] = set()
    for n, id_ in enumerate(ranking.ids.tolist() if wanted else []):
        chunk = chunks[id_]
        names = [chunk.heading.rpartition(" > ")[2]] if n < LOOKED_AT else []
        if chunk.document_id not in seen:
            names += [chunk.title, os.path.splitext(os.path.basename(chunk.path))[0]]  # noqa: PTH119, PTH122
        seen.add(chunk.document_id)
        if any(_has_name(name, wanted) for name in names):
            first.setdefault(chunk.document_id, n)
    if not 0 < len(first) <= MAX_NAMED:
        return ranking
    others = [n for n in range(len(ranking.ids)) if n not in first.values()]
    order = np.array([*first.values(), *others], np.int64)
    traces = [ranking.traces[n] for n in order.tolist()]
    for n in range(len(first)):
        traces[n] = replace(traces[n], exact=1.0)
    scores = ranking.scores[order]
    scores[: len(first)] = scores.max()
    return replace(ranking, ids=ranking.ids[order], scores=scores, traces=tuple(traces))


def _has_name(text: str, wanted: str) -> bool:
    # A text of quite another length need not be normalised.
    return len(wanted) <= 2 * len(text) <= 4 * len(wanted) + 20 and _plain(text) == wanted


def _plain(text: str) -> str:
    return " ".join(normalised_words(text)).casefold()
