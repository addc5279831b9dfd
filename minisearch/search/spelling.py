"""Words of a query that are not in the index: which they are, and near ones that are in it.

A text and a snapshot come in; the text with such words replaced goes out.  A word is replaced if no chunk has
it, if the model does not know it either, and if a word of the index with the same first letter is one edit
away, two for a long word.  Edits are an insertion, a deletion, a substitution, or two letters swapped.
"""

from __future__ import annotations

import re
import unicodedata

from minisearch.search.exact import EXACT_TOKEN, SURROUNDING_SIGNS
from minisearch.stores.base import LexicalQuery, Snapshot, Term, TermGroup
from minisearch.text import CJK_RUN, content_words, normalised_words
from minisearch.types import Tokenizer

A_WORD = re.compile(r"(?<![\w./:@-])[^\W\d_]{5,}(?![\w/@]|[.-]\w)")
LONG = 8  # letters: two edits are allowed; without a model only such words are replaced
LONGEST_ENDING = 5  # letters that the store may have cut off
MAX_MISSPELT = 3  # words; a text with more is in another language
N_PER_EDIT = 3  # missing letters that weigh as much as an edit
MAX_CANDIDATES = 8
EXAMPLES = 10  # chunks in which the whole word is looked up
MAX_UNKNOWN = 3  # words that are named; a text with more is in another language, or a paraphrase


def unknown_words(text: str, snapshot: Snapshot) -> tuple[str, ...]:
    """The words and exact tokens that no chunk has, without stop words; none if they are many, or all."""
    tokens = [token.strip(SURROUNDING_SIGNS) for token in text.split()]
    parts_of = {token: tuple(normalised_words(token)) for token in tokens if EXACT_TOKEN.fullmatch(token)}
    in_tokens = {part for parts in parts_of.values() for part in parts}
    for word in content_words(text):
        if word not in in_tokens and not CJK_RUN.search(word):
            parts_of.setdefault(word, (word,))
    counts = snapshot.term_counts([*map(Term, parts_of.values())])
    unknown = [word for word, count in zip(parts_of, counts, strict=True) if not count]
    return tuple(unknown) if len(unknown) <= min(MAX_UNKNOWN, len(parts_of) - 1) else ()


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
    near = {word: _nearest(_folded(word), snapshot) for word in unknown}
    return A_WORD.sub(lambda found: near.get(found[0]) or found[0], text)


def _folded(word: str) -> str:
    """A word in lower case, without accents, as a store may keep it."""
    parts = unicodedata.normalize("NFD", word.lower())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _is_known(word: str, tokenizer: Tokenizer | None) -> bool:
    """Whether a word is one token of the model; without a model, whether it is short."""
    return len(word) < LONG if tokenizer is None else len(tokenizer.spans([word])[0]) == 1


def _nearest(word: str, snapshot: Snapshot) -> str | None:
    """The word of the index nearest to one that it does not have; the most frequent of several."""
    limit = 2 if len(word) >= LONG else 1
    letters = set(word)
    candidates = []
    for stem, n_chunks in snapshot.words_with_prefix(word[0]).items():
        if len(word) - LONGEST_ENDING <= len(stem) <= len(word) + limit and len({*stem} - letters) <= limit:
            starts = {word, word[: len(stem) - 1], word[: len(stem)], word[: len(stem) + 1]}
            n_edits = min(edits(stem, start) for start in starts)
            if n_edits <= limit:
                n_missing = max(0, len(word) - len(stem))  # a short stem is rarely the one
                candidates.append((n_edits + n_missing / N_PER_EDIT, -n_chunks, stem))
    whole = [
        (edits(_folded(found), word), rank, found)
        for _, rank, stem in sorted(candidates)[:MAX_CANDIDATES]
        for found in _whole_words(stem, snapshot)
    ]
    n_edits, _, found = min(whole, default=(limit + 1, 0, ""))
    return found if n_edits <= limit else None


def _whole_words(stem: str, snapshot: Snapshot) -> set[str]:
    """Words with this beginning in some chunks of the index, in lower case."""
    query = LexicalQuery(stem, (TermGroup((Term((stem,), is_prefix=True),)),), (1.0, 1.0, 1.0), 1.0, 1.0)
    chunks = snapshot.chunks(snapshot.lexical(query, EXAMPLES).ids.tolist()).values()
    texts = (f"{chunk.title} {chunk.heading} {chunk.text}" for chunk in chunks)
    return {
        word.lower()
        for text in texts
        for word in normalised_words(text)
        if _folded(word).startswith(stem[:-1])
    }


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
