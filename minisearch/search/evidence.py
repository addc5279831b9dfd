"""Evidence: the sentences of each result that answer the query best, and their place in the file.

The texts of passages come in, with the query; for each passage one span goes out, of up to four sentences.
No model is run: each sentence has a few numbers, such as its share of the query's words and the cosine of its
word vectors, and the weights of these numbers were learnt from judged pairs (`data/evidence`).  Splitting a
passage into sentences is left to `sentences`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from minisearch.results import Evidence
from minisearch.search.sentences import LINE_END, Sentence, kinds_of_sentences
from minisearch.text import CJK_RUN, STOP_WORDS, bigrams
from minisearch.types import FloatArray

Encode = Callable[[Sequence[str]], FloatArray]
Anchors = Sequence[tuple[int, int, int]]

# Learnt by `python scripts/evidence.py --fit`. What each number is, `features` says.
WEIGHTS = {
    "nearness": 3.75,
    "words": 1.37,
    "words around": 2.21,
    "words of the lead-in": 1.90,
    "length": 0.68,
    "is first": -0.92,
    "is code": -1.04,
    "is a question": -2.60,
    "is an example": -1.35,
    "defines": 3.22,
    "counts": 1.39,
    "gives a reason": 2.29,
    "decides": 0.71,
}
TABLE = np.array([*WEIGHTS.values()])

# A mark has at most four sentences in a row, 400 characters and 0.6 of its passage, unless it is one
# sentence, and each further hundred characters must add 0.06 to the probability that it answers. Of 389 pairs
# (`scripts/evidence.py`) it is then right in .812, with 218 characters in the median. One sentence is right
# in .607 (100 characters), up to two in .748, three in .781. Without the limit of 0.6 it is .833, but most of
# a short passage is marked; with a cost of 0.1 it is .779, with 181 characters.
MAX_SENTENCES = 4
MAX_MARK_CHARACTERS = 400
MAX_MARK_SHARE = 0.6
COST_PER_CHARACTER = 0.0006


def best_sentences(
    query: str,
    passages: Sequence[str],
    *,
    headings: Sequence[str] = (),
    word_vectors: Encode | None = None,
) -> list[tuple[int, int, float | None]]:
    """For each passage the span that answers best, the first of equals, and its cosine.

    ``word_vectors`` gives cheap unit vectors (n, any), and the cosine is that of the nearest sentence in the
    span; without it the words alone decide, and there is no cosine.  ``headings`` are the heading paths of
    the passages.  The choice in one passage does not depend on the others.
    """
    sentences = [
        kinds_of_sentences(text, heading=heading)
        or [Sentence(0, min(len(text), MAX_MARK_CHARACTERS), "prose", 0)]
        for text, heading in zip(passages, headings or [""] * len(passages), strict=True)
    ]
    texts = [
        [" ".join(text[one.start : one.end].split()) for one in of_text]
        for text, of_text in zip(passages, sentences, strict=True)
    ]
    cosines = iter(_cosines(query, [text for of_text in texts for text in of_text], word_vectors))
    marks = []
    for of_text, its_texts in zip(sentences, texts, strict=True):
        nearness = np.array([next(cosines) for _ in its_texts])
        first, last = _best_window(of_text, features(query, of_text, its_texts, nearness) @ TABLE)
        score = None if word_vectors is None else float(nearness[first : last + 1].max())
        marks.append((of_text[first].start, of_text[last].end, score))
    return marks


def _cosines(query: str, texts: Sequence[str], word_vectors: Encode | None) -> list[float]:
    if word_vectors is None:
        return [0.0] * len(texts)
    vectors = word_vectors([query, *texts])
    cosines: list[float] = np.einsum("nd,d->n", vectors[1:], vectors[0]).tolist()
    return cosines


def _best_window(sentences: Sequence[Sentence], scores: FloatArray) -> tuple[int, int]:
    """The first and the last of the sentences in a row that most likely hold the answer, for their length."""
    is_answer = [one.kind in {"prose", "code"} for one in sentences]
    can_be_part = [one.kind in {"prose", "code", "question", "lead-in"} for one in sentences]
    if not any(is_answer):  # nothing but questions and lead-ins, or not even those
        is_answer = can_be_part = can_be_part if any(can_be_part) else [True] * len(sentences)
    odds = np.where(can_be_part, np.exp(scores - scores.max()), 0.0)
    odds = odds / odds.sum()
    max_characters = min(MAX_MARK_CHARACTERS, MAX_MARK_SHARE * (sentences[-1].end - sentences[0].start))
    best, highest = (0, 0), -math.inf
    for first in range(len(sentences)):
        probability = 0.0
        for last in range(first, min(first + MAX_SENTENCES, len(sentences))):
            start, end = sentences[first].start, sentences[last].end
            if not can_be_part[last] or (last > first and end - start > max_characters):
                break
            probability += odds[last]
            merit = probability - COST_PER_CHARACTER * (end - start)
            if is_answer[last] and merit > highest:
                best, highest = (first, last), merit
    return best


# --- what is known of a sentence ----------------------------------------------------------------------------


def _any_of(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE)


# English and German, as the stop words.
QUANTITY_QUERY = _any_of(
    r"how\s(?:many|much|long|often|early|hot|old|tall|wide|far|big|fast) when which\s(?:year|version|month)"
    r" what\stime maximum minimum largest smallest number size default phone wie\s(?:viele?|lange|oft) wann"
)
QUANTITY = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|half|hundred|thousand|million)\b",
    re.IGNORECASE,
)
REASON_QUERY = _any_of("why warum wieso weshalb")
REASON = _any_of(
    r"because since so\sthat due\sto caused? otherwise ensures? avoids? problem reason in\sorder\sto weil"
    r" damit denn sonst"
)
YES_NO_QUERY = _any_of("is are can does do may should must will did has have ist sind kann darf muss hat")
DECISION = _any_of(
    "not no never only always yes cannot can't don't doesn't unless must should may can allowed safe nicht"
    " kein keine nie nur immer ja nein darf muss kann"
)
MEANING_QUERY = re.compile(
    r"what (?:is|are|was|does|do)\b(?!.*\b(?:number|size|maximum|default|error)\b)", re.IGNORECASE
)
MEANING = re.compile(r"(.{2,60}?)\b(?:is|are|means|was|contains?|returns?|works?|holds?)\b")
EXAMPLE = _any_of(r"for\sexample for\sinstance e\.g zum\sBeispiel z\.\s?B")
SHORT_CHARACTERS, LONG_CHARACTERS = 80, 300


def features(
    query: str, sentences: Sequence[Sentence], texts: Sequence[str], nearness: FloatArray
) -> FloatArray:
    """The numbers of each sentence of a passage, (n, the number of weights), in the order of `WEIGHTS`.

    ``texts`` are the sentences on one line each, ``nearness`` their cosines with the query.
    """
    n = len(sentences)
    share, around = shares(query, texts)
    wanted = set(_stems(query, without=STOP_WORDS))
    leads = [one.kind in {"question", "lead-in", "title"} for one in sentences]
    columns = [
        nearness,
        share / (share.max() or 1.0),
        around,
        np.concatenate([[0.0], (share * leads)[:-1]]),
        [math.log(min(len(text), LONG_CHARACTERS) / SHORT_CHARACTERS + 0.1) for text in texts],
        [number == 0 for number in range(n)],
        [one.kind == "code" for one in sentences],
        [one.kind == "question" for one in sentences],
        _matching(EXAMPLE, texts),
        _defining(wanted, texts) if MEANING_QUERY.match(query) else np.zeros(n),
        _matching(QUANTITY, texts) if QUANTITY_QUERY.search(query) else np.zeros(n),
        _matching(REASON, texts) if REASON_QUERY.search(query) else np.zeros(n),
        _matching(DECISION, texts) if YES_NO_QUERY.match(query) else np.zeros(n),
    ]
    numbers: FloatArray = np.array(columns, np.float64).T
    return numbers


def _matching(pattern: re.Pattern[str], texts: Sequence[str]) -> list[bool]:
    return [pattern.search(text) is not None for text in texts]


def _defining(wanted: set[str], texts: Sequence[str]) -> list[bool]:
    """Whether each says what something is, and names the query's words before."""
    found = map(MEANING.match, texts)
    return [one is not None and bool(wanted & set(_stems(one[1]))) for one in found]


# --- shared words ------------------------------------------------------------------------------------------

WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+")  # numbers such as 4.11.3 stay whole
N_STEM_CHARACTERS = 6
NAME_WEIGHT = 3.0  # a name or a number has no synonyms
ADJACENT_WEIGHT = 0.5  # "8 GB" is not in "16 GB; 8 TB"

Term = str | tuple[str, str]  # a word, or two words in a row


def shares(query: str, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """The share of the query's words and pairs of words that each sentence has, weighted by their rarity.

    Two arrays (n,): of each sentence, and of each with its two neighbours.  Rarity is that among the
    sentences, squared, so that words that distinguish them count.  Words in no sentence count as the rarest.
    Stop words count only if the query has no others.
    """
    stems = [_stems(text) for text in texts]
    terms: list[set[Term]] = [{*of_sentence, *pairwise(of_sentence)} for of_sentence in stems]
    weights = _weights(query, terms)
    has = np.array([[term in one for one in terms] for term in weights], bool).reshape(
        len(weights), len(terms)
    )
    around = has.copy()
    around[:, 1:] |= has[:, :-1]
    around[:, :-1] |= has[:, 1:]
    weighed = np.array([*weights.values()], np.float64)
    weighed /= weighed.sum() or 1.0
    return weighed @ has, weighed @ around


def _weights(query: str, terms: Sequence[set[Term]]) -> dict[Term, float]:
    n_with = Counter(term for of_sentence in terms for term in of_sentence)
    stems, names = _stems(query), _names(query)
    counted = set(_stems(query, without=STOP_WORDS)) or set(stems)
    weights: dict[Term, float] = {
        stem: math.log(1 + len(terms) / max(1, n_with[stem])) ** 2 * (NAME_WEIGHT if stem in names else 1)
        for stem in sorted(counted)
    }
    pairs = {
        pair: ADJACENT_WEIGHT * min(map(weights.__getitem__, pair))
        for pair in pairwise(stems)
        if {*pair} <= counted
    }
    return weights | pairs


def _names(query: str) -> set[str]:
    words = WORD.findall(query)
    names = [word for i, word in enumerate(words) if _has_digit(word) or (i and word[0].isupper())]
    return {stem for word in names for stem in _stems(word, without=STOP_WORDS)}  # "I" is no name


def _has_digit(word: str) -> bool:
    return not word.isalpha() and any(character.isdigit() for character in word)


def _stems(text: str, *, without: frozenset[str] = frozenset()) -> list[str]:
    """The first letters of the words, which stand for their stems; CJK text as pairs of characters."""
    stems = []
    for word in WORD.findall(text.casefold()):
        if word in without:
            continue
        if CJK_RUN.search(word):
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
    # The numbers of paragraphs and rows may begin again, at a sheet or a comment.
    return min([found, *(one for one in following[:1] if one >= (line, column))])


def evidence(text: str, anchors: Anchors, start: int, end: int, score: float | None) -> Evidence:
    """The sentences at ``start:end`` of a passage, with their place in the file."""
    line, column = place(anchors, text, start)
    end_line, end_column = place(anchors, text, end)
    return Evidence(text[start:end], start, end, line, column, end_line, end_column, score)
