"""How much of a query's words the sentences of some passages hold.

A query and the passages' sentences come in; for each sentence a share from 0 to 1 goes out.  No model is
asked: which sentence answers is left to `evidence`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from minisearch.text import CJK, STOP_WORDS, bigrams

# Chosen with `evidence.WORDS_COUNT`, on the same queries.
NAME_WEIGHT = 3.0  # a name or a number has no other words
PAIR_WEIGHT = 0.5  # "8 GB" is not in "16 GB; 8 TB"

WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+")
HAS_CJK = re.compile(f"[{CJK}]")

Term = str | tuple[str, str]


def shares(query: str, texts: Sequence[Sequence[str]], *, among: Sequence[int] = ()) -> list[list[float]]:
    """For each sentence the share of the query that it holds, words and pairs of them by their rarity.

    Rarity is that among the sentences of the passages with these numbers, or else of all, squared: what tells
    them apart counts.  Words that none of them holds count as the rarest; stop words count only where
    there are no others.
    """
    terms = [[_terms(_stems(sentence)) for sentence in of_text] for of_text in texts]
    weights = _weights(query, [terms[number] for number in among] or terms)
    total = sum(weights.values()) or 1.0
    return [
        [
            sum(weight for term, weight in weights.items() if term in of_sentence) / total
            for of_sentence in of_text
        ]
        for of_text in terms
    ]


def has_names(query: str) -> bool:
    """Whether it holds a number, or a capital behind its first word."""
    return bool(_names(query))


def _weights(query: str, terms: Sequence[Sequence[set[Term]]]) -> dict[Term, float]:
    n = sum(map(len, terms))
    n_with = Counter(term for of_text in terms for of_sentence in of_text for term in of_sentence)
    stems, names = _stems(query), _names(query)
    told = set(_stems(query, but=STOP_WORDS)) or set(stems)
    weights: dict[Term, float] = {
        stem: math.log(1 + n / max(1, n_with[stem])) ** 2 * (NAME_WEIGHT if stem in names else 1)
        for stem in sorted(told)
    }
    pairs = {
        pair: PAIR_WEIGHT * min(map(weights.__getitem__, pair)) for pair in pairwise(stems) if {*pair} <= told
    }
    return weights | pairs


def _terms(stems: Sequence[str]) -> set[Term]:
    return {*stems, *pairwise(stems)}


def _names(query: str) -> set[str]:
    words = WORD.findall(query)
    told = [word for i, word in enumerate(words) if _has_digit(word) or (i and word[0].isupper())]
    return {stem for word in told for stem in _stems(word, but=STOP_WORDS)}  # "I" is none


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _stems(text: str, *, but: frozenset[str] = frozenset()) -> list[str]:
    """The words in lower case, cut to six letters for their endings; of CJK text pairs of characters."""
    stems = []
    for word in WORD.findall(text.casefold()):
        if word in but:
            continue
        if HAS_CJK.search(word):
            stems += bigrams(word)
        else:
            stems.append(word if _has_digit(word) else word[:6])
    return stems
