"""Evidence: the sentence of each result that answers the query best, and its place in the file.

The texts of passages come in, with the query and its vector; for each passage the span of one sentence goes
out, with its cosine.  The model sees only a few sentences of a passage, chosen by the words that they share
with the query.  The encoder is handed in; splitting a passage into sentences is left to `sentences`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from minisearch.results import Evidence
from minisearch.search.sentences import LINE_END, sentences_and_code
from minisearch.text import CJK, LETTER_OR_DIGIT, STOP_WORDS, bigrams
from minisearch.types import FloatArray

# How many sentences of a passage the model sees.  Its choice among all sentences is among these in 93% of 442
# passages found for 98 queries (two collections: 94% and 91%), at 65 of 117 tokens per passage; at most three
# give 90% at 58.  By shared words alone, without word vectors, four give 91% at 84.  Of 387 passages found
# for 129 queries (notes, data/) three mark another sentence than four in 15, two in 55.
N_TRIED = 4
MARGIN = 0.15

# A line of code has to be nearer than the sentences around it by more than this.  In 63 of 300 passages found
# for 30 queries about Ansible code was nearest; in the 21 where it was by less, a sentence answered better
# (13) or as well (8), beyond it was mostly the code.
CODE_MARGIN = 0.1

# A title has few words, and is near for that reason; the text below it says more.
TITLE_MARGIN = 0.15

# The weight of the share of the query's rarer words that a sentence has, beside its cosine: the model hardly
# tells 4.11.3 from PostgreSQL 12. Of 786 passages found for 264 queries (four collections) this changes the
# sentence of 40: 18 answer better, 8 worse; where two sentences are tried, of 50, 23 and 7. Between 0.2 and
# 0.3 there is no difference.
WORDS_COUNT = 0.25

# Chosen with WORDS_COUNT, on the same queries.
NAME_WEIGHT = 3.0  # a name or a number has no synonyms
PAIR_WEIGHT = 0.5  # "8 GB" is not in "16 GB; 8 TB"

NEARLY_ALL = 0.8  # of a passage's characters

Encode = Callable[[Sequence[str]], FloatArray]
Anchors = Sequence[tuple[int, int, int]]
Passage = tuple[str, str]  # its text, its heading path

BLANK_LINE = re.compile(r"[ \t]*(\r\n|\r|\n)[ \t]*(\r\n|\r|\n)")
MAX_TITLE_WORDS = 10


def best_sentences(
    query: str,
    passages: Sequence[str],
    encode: Encode,
    query_vector: FloatArray,
    *,
    n_tried: int = N_TRIED,
    headings: Sequence[str] = (),
    found_first: Sequence[Passage] = (),
    cosines: Sequence[float | None] = (),
    word_vectors: Encode | None = None,
) -> list[tuple[int, int, float]]:
    """For each passage the span and the cosine of the sentence that answers best, the first of equals.

    ``encode`` sees at most ``n_tried`` sentences of a passage, in one call for all passages: the nearest by
    ``word_vectors``, cheap unit vectors (n, any), that are less than 0.15 below the nearest one; without word
    vectors those that share the query's rarer words.  The share of these words counts beside the cosine.  The
    cosine of a line of code counts 0.1 less than it is, that of a title 0.15 less.

    Words are rare by the sentences of the passages ``found_first``, or else of ``passages``; with the former
    the choice does not depend on which other passages are shown.  ``headings`` are the heading paths of the
    passages.  A sentence that is nearly all of its passage has the passage's cosine, if it is given in
    ``cosines``.  ``query_vector`` (d,) has unit length.
    """
    sentences = _sentences(query, passages, headings, found_first)
    # A sentence with the very number or name must be tried, however different it is otherwise.
    early = WORDS_COUNT * (2 if has_names(query) else 1)
    if word_vectors is None:
        tried = [_highest(_likeliness(of_text), n_tried) for of_text in sentences]
    else:
        tried = [
            _highest(
                [near - one.handicap + early * one.share for near, one in zip(*both, strict=True)],
                n_tried,
                margin=MARGIN,
            )
            for both in zip(_word_cosines(query, sentences, word_vectors), sentences, strict=True)
        ]
    known = [
        cosine if of_text[0].end - of_text[0].start >= NEARLY_ALL * len(text) else None
        for text, of_text, cosine in zip(passages, sentences, cosines or [None] * len(sentences), strict=True)
    ]
    texts = [sentences[i][n].text for i, cosine in enumerate(known) if cosine is None for n in tried[i]]
    scores = iter(np.einsum("nd,d->n", encode(texts), query_vector).tolist() if texts else [])
    found = []
    for of_text, numbers, cosine in zip(sentences, tried, known, strict=True):
        score_of = {number: cosine if cosine is not None else next(scores) for number in numbers}
        merit = {i: score_of[i] - of_text[i].handicap + WORDS_COUNT * of_text[i].share for i in numbers}
        best = max(numbers, key=lambda number: (merit[number], -number))
        found.append((of_text[best].start, of_text[best].end, float(score_of[best])))
    return found


def likeliest_sentences(
    query: str,
    passages: Sequence[str],
    *,
    headings: Sequence[str] = (),
    found_first: Sequence[Passage] = (),
) -> list[tuple[int, int, None]]:
    """The same without a model: the sentence that shares most of the query's rarer words; no cosine."""
    sentences = _sentences(query, passages, headings, found_first)
    best = [of_text[_highest(_likeliness(of_text), 1)[0]] for of_text in sentences]
    return [(one.start, one.end, None) for one in best]


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a passage: its span, its text, its share of the query's words.

    ``handicap`` is how much nearer than other sentences it has to be.
    """

    start: int
    end: int
    text: str
    share: float
    handicap: float


def _sentences(
    query: str, passages: Sequence[str], headings: Sequence[str], found_first: Sequence[Passage]
) -> list[list[_Sentence]]:
    """Each passage's sentences, at least one."""
    given = [*zip(passages, headings or [""] * len(passages), strict=True)]
    every = [*given, *(one for one in found_first if one not in given)]  # splitting takes time: once each
    split = [
        sentences_and_code(text, heading=heading) or [((0, len(text)), False)] for text, heading in every
    ]
    texts = [
        [" ".join(text[start:end].split()) for (start, end), _ in spans]
        for (text, _), spans in zip(every, split, strict=True)
    ]
    shared = shares(query, texts, among=[every.index(one) for one in found_first])
    return [
        [
            _Sentence(
                start,
                end,
                text,
                share,
                max(CODE_MARGIN * is_code, TITLE_MARGIN * _is_title(whole, start, end)),
            )
            for ((start, end), is_code), text, share in zip(spans, of_text, its_shares, strict=True)
        ]
        for (whole, _), spans, of_text, its_shares in zip(every, split, texts, shared, strict=True)
    ][: len(given)]


def _highest(scores: Sequence[float], n: int, *, margin: float = math.inf) -> list[int]:
    """The positions of the n highest scores, ascending; none more than the margin below the best."""
    floor = max(scores) - margin
    numbers = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:n]
    return sorted(number for number in numbers if scores[number] >= floor)


def _word_cosines(
    query: str, sentences: Sequence[Sequence[_Sentence]], word_vectors: Encode
) -> list[list[float]]:
    """Each sentence's cosine with the query by word vectors."""
    vectors = word_vectors([query, *(one.text for of_text in sentences for one in of_text)])
    cosines = iter(np.einsum("nd,d->n", vectors[1:], vectors[0]).tolist())
    return [[next(cosines) for _ in of_text] for of_text in sentences]


def _likeliness(of_text: Sequence[_Sentence]) -> list[float]:
    """How likely each sentence answers by its words alone; longer and earlier ones win over equals."""
    return [
        10 * one.share + min(len(one.text.split()), 12) / 12 - 0.02 * number
        for number, one in enumerate(of_text)
    ]


def _is_title(text: str, start: int, end: int) -> bool:
    """Whether the passage begins with this sentence, a short line with a blank one below it."""
    sentence = text[start:end]
    return (
        not LETTER_OR_DIGIT.search(text, 0, start)
        and BLANK_LINE.match(text, end) is not None
        and not LINE_END.search(sentence)
        and sentence[-1] not in ".!?:;,。！？"
        and len(sentence.split()) <= MAX_TITLE_WORDS
    )


# --- shared words ------------------------------------------------------------------------------------------

WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+")  # numbers such as 4.11.3 stay whole
HAS_CJK = re.compile(f"[{CJK}]")
N_STEM_CHARACTERS = 6

Term = str | tuple[str, str]  # a word, or two words in a row


def shares(query: str, texts: Sequence[Sequence[str]], *, among: Sequence[int] = ()) -> list[list[float]]:
    """The share of the query's words and pairs of words that each sentence has, weighted by their rarity.

    Rarity is that among the sentences of the passages with the numbers ``among``, or else of all passages,
    squared, so that words that distinguish sentences count.  Words in no sentence count as the rarest.  Stop
    words count only if the query has no others.
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
    """Whether the query has a number, or a capital after its first word."""
    return bool(_names(query))


def _weights(query: str, terms: Sequence[Sequence[set[Term]]]) -> dict[Term, float]:
    n = sum(map(len, terms))
    n_with = Counter(term for of_text in terms for of_sentence in of_text for term in of_sentence)
    stems, names = _stems(query), _names(query)
    counted = set(_stems(query, without=STOP_WORDS)) or set(stems)
    weights: dict[Term, float] = {
        stem: math.log(1 + n / max(1, n_with[stem])) ** 2 * (NAME_WEIGHT if stem in names else 1)
        for stem in sorted(counted)
    }
    pairs = {
        pair: PAIR_WEIGHT * min(map(weights.__getitem__, pair))
        for pair in pairwise(stems)
        if {*pair} <= counted
    }
    return weights | pairs


def _terms(stems: Sequence[str]) -> set[Term]:
    return {*stems, *pairwise(stems)}


def _names(query: str) -> set[str]:
    words = WORD.findall(query)
    names = [word for i, word in enumerate(words) if _has_digit(word) or (i and word[0].isupper())]
    return {stem for word in names for stem in _stems(word, without=STOP_WORDS)}  # "I" is no name


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _stems(text: str, *, without: frozenset[str] = frozenset()) -> list[str]:
    """The first letters of the words, which stand for their stems; CJK text as pairs of characters."""
    stems = []
    for word in WORD.findall(text.casefold()):
        if word in without:
            continue
        if HAS_CJK.search(word):
            stems += bigrams(word)
        else:
            stems.append(word if _has_digit(word) else word[:N_STEM_CHARACTERS])
    return stems


# --- places ------------------------------------------------------------------------------------------------


def place(anchors: Anchors, text: str, position: int) -> tuple[int, int]:
    r"""Line and column (from 1) in the file of a position in a passage's text; see `Chunk.anchors`.

    Between an anchor and the position a line ends with ``\n``, ``\r\n`` or a lone ``\r``.
    """
    anchor, line, column = max((a for a in anchors if a[0] <= position), default=(0, 1, 1))
    ends = [found.end() for found in LINE_END.finditer(text, anchor, position)]
    found = (line + len(ends), position - ends[-1] + 1) if ends else (line, column + position - anchor)
    following = [(line, column) for start, line, column in anchors if start > position]
    return min([found, *following[:1]])


def evidence(text: str, anchors: Anchors, start: int, end: int, score: float | None) -> Evidence:
    """The sentence at ``start:end`` of a passage, with its place in the file."""
    line, column = place(anchors, text, start)
    end_line, end_column = place(anchors, text, end)
    return Evidence(text[start:end], start, end, line, column, end_line, end_column, score)
