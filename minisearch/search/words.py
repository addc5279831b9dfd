"""Words of a query, looked up in the index: exact tokens and names, words that are not in it, misspelt ones.

A text and a snapshot come in.  `exact_hits` returns the chunks with the text's identifiers, codes and file
names, for `ranking` to put first; `with_names_first` does so with documents and sections that are named as
the query.  `unknown_words` are those that no chunk has, and `corrected` replaces them: a word is replaced if
the model does not know it either, and if a word of the index with the same first letter is one edit away, two
for a long word.  Edits are an insertion, a deletion, a substitution, or two letters swapped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from minisearch.filters import Path
from minisearch.search.ranking import LOOKED_AT, NAME_SHARE, Ranking
from minisearch.stores.base import (
    LexicalQuery,
    Snapshot,
    StoredChunk,
    Term,
    TermGroup,
    Where,
    inverse_document_frequency,
)
from minisearch.stores.terms import numbers_in, words_of_name
from minisearch.text import PAIRED_RUN, content_words, folded_letters, normalised_words, stem
from minisearch.types import Hits, IntArray, Tokenizer

# A token that only a machine or its user writes: an identifier, an error code, a version, a file name.
EXACT_TOKEN = re.compile(
    r"""
      [^\W\d]\w*(?:(?:\.|::|->)[^\W\d]\w+)+                 # os.path, std::vector, config.toml
    | \w*[^\W_]_\w+ | _+[^\W_]\w*                          # snake_case, __init__
    | [A-Z]{2,}[a-z]\w+ | (?:[A-Z][a-z]+){3,}               # HTTPError, FooBarError
    | (?=.*\d)(?=.*[A-Z])[^\W\d_]\w*(?:-\w+)+              # SHP-7, CVE-2021-44228
    | [A-Z]{1,4}\d{2,}                                       # KB5034441, E1234, F22
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
MAX_WORDS_TOGETHER = 3  # of a text that is found by chunks with all its words
SURROUNDING_SIGNS = ".,;:!?()[]{}<>'\"`“”‘’«»"
NUMBER = re.compile(r"(?<![\w.,-])\d{3,}(?![\w.,-]\w)(?!\w)")
MAX_EXACT, MAX_TOKEN_CHARACTERS = 4, 100
MAX_NAMED = 3

# A query that is nothing but the name of a file, or the end of its path.
FILE_NAME = re.compile(r"(?:[\w.+@-]+/)*[\w+@-][\w.+@-]*\.[A-Za-z]\w{0,9}")
MAX_IN_FILES = 300  # chunks of the files with the name; a name of more files says little

# A chunk with such a token comes before all without any, if so few chunks have it.
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


def _rare_words(text: str) -> list[Term]:
    """A text's only word, or its long numbers."""
    words = content_words(text)
    if len(words) == 1:
        return [Term((words[0],))] if PAIRED_RUN.search(words[0]) is None else []
    return [Term((number,)) for number in NUMBER.findall(text)][:MAX_EXACT]


def _names(text: str, snapshot: Snapshot) -> list[str]:
    """The capitalised words within a short text that the index has with a capital only."""
    words, within = content_words(text), normalised_words(text)[1:]
    if not 2 <= len(words) <= MAX_WORDS_WITH_NAME:
        return []
    capitalised = [one for one in words if one in within and one[0].isupper() and one[1:].islower()]
    return [one for one in capitalised if not any(map(str.islower, _forms_of(one, snapshot)))]


def _forms_of(word: str, snapshot: Snapshot) -> list[str]:
    """How some chunks write a word, with its endings."""
    wanted = stem(folded_letters(word))
    return [one for one in _words_with(Term((word,)), snapshot) if stem(folded_letters(one)) == wanted]


def with_known_numbers(text: str, snapshot: Snapshot) -> str:
    """The text with each date and long number in the form in which the index has it in any spelling."""
    for number, forms in numbers_in(text):
        terms = [Term(tuple(normalised_words(one))) for one in (number, *forms)]
        given, *counts = snapshot.term_counts(terms)
        if any(counts) and max(counts) >= given:
            text = text.replace(number, forms[counts.index(max(counts))])
    return text


def lacks_exact_token(text: str, snapshot: Snapshot) -> bool:
    """Whether a text has an exact token or a number that no chunk has, such as an unknown error code."""
    numbers = [Term((number,)) for number in NUMBER.findall(text)]
    return 0 in snapshot.term_counts([*_exact_terms(text, is_strict=True), *numbers])


def exact_hits(
    text: str,
    snapshot: Snapshot,
    tokenizer: Tokenizer | None = None,
    *,
    where: Where | None = None,
    exclude: IntArray | None = None,
) -> Hits | None:
    """The chunks with a rare exact token of the text; None if it has none.

    The scores are shares of the tokens, weighted by their idf: 1 for a chunk with all of them, and for those
    of a file whose name is the text.  If there are none, rare names that the model does not know count in
    their place, and so do all words of a short text together, with `NAME_SHARE` of the score: they come first
    too, but are less of an answer.  ``tokenizer`` tells which words the model knows.
    """
    in_files = _ids_in_files(text, snapshot, where, exclude)
    if len(in_files):
        return Hits(in_files, np.ones(len(in_files), np.float32))
    tokens = _exact_terms(text, is_strict=False)
    names = [] if tokens else _names(text, snapshot)
    # Of the vector of a word that it splits, such as a surname, the model knows little.
    terms = tokens or [*_rare_words(text), *(Term((one,)) for one in names if not _is_known(one, tokenizer))]
    _, n_chunks = snapshot.counts()
    limit = max(FEW_PASSAGES, SHARE_OF_PASSAGES * n_chunks)
    rare = {
        term: inverse_document_frequency(count, n_chunks)
        for term, count in zip(terms, snapshot.term_counts(terms), strict=True)
        if 0 < count <= limit
    }

    def ids_with(term: Term) -> list[int]:
        query = LexicalQuery(text, (TermGroup((term,)),), (1.0, 1.0, 1.0), 1.0, 1.0)
        found: list[int] = snapshot.lexical(query, n_chunks, where=where, exclude=exclude).ids.tolist()
        return found

    scores: dict[int, float] = {}
    total = sum(rare.values()) / (1.0 if tokens else NAME_SHARE)
    for term, idf in rare.items():
        for id_ in ids_with(term):
            scores[id_] = scores.get(id_, 0.0) + idf / total
    if not tokens:
        with_all = _with_all_words(text, ids_with, has_name=bool(names))
        if len(with_all) <= limit:
            scores |= dict.fromkeys(with_all, NAME_SHARE)
    if not scores:
        return None
    ids = np.array(sorted(scores), np.int64)
    return Hits(ids, np.array([scores[id_] for id_ in ids.tolist()], np.float32))


def _with_all_words(text: str, ids_with: Callable[[Term], list[int]], *, has_name: bool) -> set[int]:
    """The chunks with the two or three words of a short text, side by side if there are such; else none.

    In a text with stop words, a sentence, they must be side by side.  With a name all words are enough.
    """
    words, every = content_words(text), normalised_words(text)
    is_short = 2 <= len(words) <= (MAX_WORDS_WITH_NAME if has_name else MAX_WORDS_TOGETHER)
    if not is_short or PAIRED_RUN.search(text):
        return set()
    with_all = set.intersection(*(set(ids_with(Term((word,)))) for word in words))
    if with_all and f" {' '.join(words)} " in f" {' '.join(every)} ":
        side_by_side = with_all & set(ids_with(Term(tuple(words))))
    else:
        side_by_side = set()
    return side_by_side or (with_all if has_name or len(words) == len(every) else set())


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


# A word in so many of the chunks is common, such as the name of a project in its documentation.
COMMON_SHARE, MIN_COMMON = 0.2, 50


def without_common_words(text: str, snapshot: Snapshot) -> str:
    """The text without words that a fifth of the chunks have; the same text if no other content is left."""
    words = content_words(text)
    counts = snapshot.term_counts([Term((word,)) for word in words])
    least = max(MIN_COMMON, COMMON_SHARE * snapshot.counts()[1])
    common = {word for word, count in zip(words, counts, strict=True) if count >= least}
    return text if common.issuperset(words) else without_words(text, common)


def without_words(text: str, words: Collection[str]) -> str:
    """The text without the tokens that have one of these words; the same text if there are none."""
    kept = [token for token in text.split() if {*normalised_words(token)}.isdisjoint(words)]
    return " ".join(kept) if words else text


def with_names_first(ranking: Ranking, chunks: Mapping[int, StoredChunk], text: str) -> Ranking:
    """Move the best candidate of each document whose name equals the query to the top.

    A document's names are its title and its file name, with and without suffix.  A section among the first
    candidates, such as a function, has the name of its heading.  If no document has the name, those count
    whose file name holds the query.  If more than `MAX_NAMED` do, the order stays.
    """
    wanted = _normalised_name(text)
    within = f" {folded_letters(' '.join(normalised_words(text)))} " if content_words(text) else "\0"
    first: dict[int, int] = {}  # by document with the name, the position of its best candidate
    others_named: dict[int, int] = {}
    seen: set[int] = set()
    for n, id_ in enumerate(ranking.ids.tolist() if wanted else []):
        chunk = chunks[id_]
        names = [chunk.heading.rpartition(" > ")[2]] if n < LOOKED_AT else []
        if chunk.document_id not in seen:
            file_name = os.path.basename(chunk.path)  # noqa: PTH119
            names += [chunk.title, os.path.splitext(file_name)[0], file_name]  # noqa: PTH122
            if within in _words_within(file_name):
                others_named[chunk.document_id] = n
        seen.add(chunk.document_id)
        if any(_has_name(name, wanted) for name in names):
            first.setdefault(chunk.document_id, n)
    first = first or others_named
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
    return len(wanted) <= 2 * len(text) <= 4 * len(wanted) + 20 and _normalised_name(text) == wanted


@lru_cache(maxsize=10_000)
def _words_within(file_name: str) -> str:
    """The words of a file's name as they are compared, with a space around each."""
    return f" {folded_letters(words_of_name(file_name))} "


def _normalised_name(text: str) -> str:
    """Without spaces, so that "capacity limiter" is the name CapacityLimiter."""
    return folded_letters("".join(normalised_words(text)))


# --- spelling -----------------------------------------------------------------------------------------------

A_WORD = re.compile(r"(?<![\w./:@-])[^\W\d_]{5,}(?![\w/@]|[.-]\w)")
LONG = 8  # letters: two edits are allowed; without a model only such words are replaced
LONGEST_ENDING = 5  # letters that the store may have cut off
MAX_MISSPELT = 3  # words; a text with more is in another language
N_PER_EDIT = 3  # missing letters that weigh as much as an edit
MAX_CANDIDATES = 8
EXAMPLES = 10  # chunks in which the whole word is looked up
MAX_UNKNOWN = 3  # words that are named; a text with more is in another language, or a paraphrase


def unknown_words(text: str, snapshot: Snapshot) -> tuple[str, ...]:
    """The words and exact tokens that no chunk has, without stop words; none if they are many."""
    tokens = [token.strip(SURROUNDING_SIGNS) for token in text.split()]
    parts_of = {
        token: tuple(normalised_words(token))
        for token in tokens
        if len(token) <= MAX_TOKEN_CHARACTERS and EXACT_TOKEN.fullmatch(token)
    }
    in_tokens = {part for parts in parts_of.values() for part in parts}
    for word in content_words(text):
        if word not in in_tokens and not PAIRED_RUN.search(word):
            parts_of.setdefault(word, (word,))
    counts = snapshot.term_counts([*map(Term, parts_of.values())])
    unknown = [word for word, count in zip(parts_of, counts, strict=True) if not count]
    return tuple(unknown) if len(unknown) <= MAX_UNKNOWN else ()


def corrected(text: str, snapshot: Snapshot, tokenizer: Tokenizer | None) -> str:
    """The text with misspelt words replaced, or the same text."""
    words = list(dict.fromkeys(found[0] for found in A_WORD.finditer(text) if found[0][1:].islower()))
    counts = snapshot.term_counts([Term((word,)) for word in words])
    unknown = [
        word
        for word, count in zip(words, counts, strict=True)
        if not count and not _is_known(word, tokenizer)
    ]
    if not 0 < len(unknown) <= MAX_MISSPELT:
        return text
    near = {word: _nearest(folded_letters(word), snapshot) for word in unknown}
    return A_WORD.sub(lambda found: near.get(found[0]) or found[0], text)


def _is_known(word: str, tokenizer: Tokenizer | None) -> bool:
    """Whether a word is one token of the model, but for a plural; without a model, whether it is short."""
    if tokenizer is None:
        return len(word) < LONG
    return any(len(spans) == 1 for spans in tokenizer.spans([word, word.removesuffix("s")]))


def _nearest(word: str, snapshot: Snapshot) -> str | None:
    """The word of the index nearest to one that it does not have; the most frequent of several."""
    limit = 2 if len(word) >= LONG else 1
    letters = set(word)
    candidates = []
    for found, n_chunks in snapshot.words_with_prefix(word[0]).items():
        n = len(found)
        if len(word) - LONGEST_ENDING <= n <= len(word) + limit and len({*found} - letters) <= limit:
            starts = {word, word[: n - 1], word[:n], word[: n + 1]}
            n_edits = min(edits(found, start) for start in starts)
            if n_edits <= limit:
                n_missing = max(0, len(word) - n)  # a short stem is rarely the one
                candidates.append((n_edits + n_missing / N_PER_EDIT, -n_chunks, found))
    whole = [
        (edits(folded_letters(found), word), rank, found)
        for _, rank, beginning in sorted(candidates)[:MAX_CANDIDATES]
        for found in _whole_words(beginning, snapshot)
    ]
    n_edits, _, found = min(whole, default=(limit + 1, 0, ""))
    return found if n_edits <= limit else None


def _whole_words(beginning: str, snapshot: Snapshot) -> set[str]:
    """Words with this beginning in some chunks of the index, in lower case."""
    words = _words_with(Term((beginning,), is_prefix=True), snapshot)
    return {word.lower() for word in words if folded_letters(word).startswith(beginning[:-1])}


def _words_with(term: Term, snapshot: Snapshot) -> set[str]:
    """All words of some chunks of the index that have a term."""
    query = LexicalQuery("", (TermGroup((term,)),), (1.0, 1.0, 1.0), 1.0, 1.0)
    chunks = snapshot.chunks(snapshot.lexical(query, EXAMPLES).ids.tolist()).values()
    return set(normalised_words("\n".join(f"{one.title} {one.heading} {one.text}" for one in chunks)))


def edits(one: str, other: str) -> int:
    """The number of edits between two words: optimal string alignment.

    >>> edits("passport", "passprot"), edits("renewal", "renewl"), edits("cat", "dog")
    (1, 1, 3)
    """
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
