"""Evidence: the sentences of each result that answer the query best, and their place in the file.

The texts of passages come in, with the query; for each passage one span goes out: up to four sentences, or a
short paragraph.  No model is run: each sentence has a few numbers, such as its share of the query's words,
and the weights of these numbers were learnt from judged pairs (`data/evidence`).  Words are compared by their
stems and by their word vectors.  Splitting a passage into sentences is left to `sentences`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np

from minisearch.results import Evidence
from minisearch.search.sentences import Sentence, kinds_of_sentences
from minisearch.stores.terms import further_words
from minisearch.text import LINE_BREAK, STOP_WORDS, bigrams, folded_letters, paired_parts, visible
from minisearch.types import FloatArray, Tokenizer

Encode = Callable[[Sequence[str]], FloatArray]
Vectors = Mapping[str, FloatArray]
Anchors = Sequence[tuple[int, int, int]]

# Learnt by `python scripts/evidence.py --fit`. What each number is, `features` says.
WEIGHTS = {
    "nearness": 3.06,
    "words": 2.35,
    "words around": 2.04,
    "words before, for a reason": 3.56,
    "length": 0.30,
    "is first": -1.03,
    "is a question": -2.11,
    "is code": -0.36,
    "is an example": -0.70,
    "defines": 2.45,
    "counts": 1.46,
    "gives a reason": 2.60,
    "decides": 0.90,
}
TABLE = np.array([*WEIGHTS.values()])

# Each further hundred characters of a mark must add 0.04 to the probability that it answers.  A mark has at
# most four sentences in a row, 400 characters and, in a passage that is not short, 0.8 of it, unless it is
# one sentence.  Then a short paragraph around it is marked whole.  Of 616 pairs (`scripts/evidence.py`) it
# is then right in .812, with 184 characters in the median.
MAX_SENTENCES = 4
MAX_MARK_CHARACTERS = 400
MAX_MARK_SHARE = 0.8
SHORT_TEXT = 250  # characters
COST_PER_CHARACTER = 0.0004


def best_sentences(
    query: str,
    passages: Sequence[str],
    *,
    headings: Sequence[str] = (),
    word_vectors: Encode | None = None,
    tokenizer: Tokenizer | None = None,
) -> list[tuple[int, int, float | None]]:
    """For each passage the span that answers best, the first of equals, and its cosine.

    ``word_vectors`` gives cheap unit vectors (n, any), and the cosine is that of the nearest sentence in the
    span; without it the words alone decide, and there is no cosine.  ``headings`` are the heading paths of
    the passages.  ``tokenizer`` tells rare words from others.  The choice in one passage does not depend on
    the others.
    """
    split = [
        kinds_of_sentences(text, heading=heading)
        or [Sentence(0, min(len(text), MAX_MARK_CHARACTERS), "prose", 0)]
        for text, heading in zip(passages, headings or [""] * len(passages), strict=True)
    ]
    texts = [
        [" ".join(text[one.start : one.end].split()) for one in sentences]
        for text, sentences in zip(passages, split, strict=True)
    ]
    vectors = word_vectors and vectors_of(
        query, [text for of_text in texts for text in of_text], word_vectors
    )
    rare = rare_words(query, tokenizer)
    marks = []
    for sentences, its_texts in zip(split, texts, strict=True):
        known = features(query, sentences, its_texts, vectors, rare)
        first, last = _best_window(sentences, its_texts, known @ TABLE)
        score = None if vectors is None else float(known[first : last + 1, 0].max())
        marks.append((sentences[first].start, sentences[last].end, score))
    return marks


def vectors_of(query: str, texts: Sequence[str], word_vectors: Encode) -> Vectors:
    """The vector of each word of the query and the texts, by one call."""
    words = [*dict.fromkeys(word for text in (query, *texts) for word in _words(text))]
    return dict(zip(words, word_vectors(words), strict=True))


def _best_window(sentences: Sequence[Sentence], texts: Sequence[str], scores: FloatArray) -> tuple[int, int]:
    """The first and the last of the sentences in a row that most likely hold the answer, for their length.

    They stand in one block, or the first is a question or a lead-in and the others are in the next block.
    """
    is_answer = [one.kind in {"prose", "code"} for one in sentences]
    can_be_part = [one.kind in {"prose", "code", "question", "lead-in"} for one in sentences]
    if not any(is_answer):  # nothing but questions and lead-ins, or not even those
        is_answer = can_be_part = can_be_part if any(can_be_part) else [True] * len(sentences)
    odds = np.where(can_be_part, np.exp(scores - scores.max()), 0.0)
    odds = odds / odds.sum()
    best, highest = (0, 0), -math.inf
    for first in range(len(sentences)):
        probability = 0.0
        for last in range(first, min(first + MAX_SENTENCES, len(sentences))):
            if not can_be_part[last] or not _is_one_mark(sentences, first, last):
                break
            probability += odds[last]
            merit = probability - COST_PER_CHARACTER * (sentences[last].end - sentences[first].start)
            if is_answer[last] and merit > highest:
                best, highest = (first, last), merit
    return _completed(sentences, texts, can_be_part, *best)


def _completed(
    sentences: Sequence[Sentence], texts: Sequence[str], can_be_part: Sequence[bool], first: int, last: int
) -> tuple[int, int]:
    """The window with what it does not stand without, and a short paragraph whole."""
    if first and REFERS_BACK.match(texts[first]) and can_be_part[first - 1]:
        is_short = _is_one_mark(sentences, first - 1, last)
        first -= is_short and sentences[first - 1].block == sentences[first].block
    block = [number for number, one in enumerate(sentences) if one.block == sentences[last].block]
    whole = min(first, block[0]), max(last, block[-1])
    if sentences[last].kind == "code":
        if sentences[first].kind == "lead-in" and _is_one_mark(sentences, first, block[-1]):
            return first, block[-1]
        is_open = last < block[-1] and texts[last].endswith(("(", "[", "{"))
        last += is_open and _is_one_mark(sentences, first, last + 1)
    elif all(can_be_part[whole[0] : whole[1] + 1]):
        is_short = sentences[whole[1]].end - sentences[whole[0]].start <= SHORT_TEXT
        return whole if is_short else (first, last)
    return first, last


def _is_one_mark(sentences: Sequence[Sentence], first: int, last: int) -> bool:
    """Whether the sentences are not too long together, and in one block but for what leads into it."""
    if last == first:
        return True
    length = sentences[-1].end - sentences[0].start
    share = 1.0 if length <= SHORT_TEXT else MAX_MARK_SHARE
    max_characters = min(MAX_MARK_CHARACTERS, share * length)
    leads = sentences[first].kind in {"question", "lead-in"}
    n_borders = sentences[last].block - sentences[first].block
    n_led_to = sentences[first + 1].block - sentences[first].block
    is_one_block = n_borders == 0 or (leads and n_borders == n_led_to == 1)
    return is_one_block and sentences[last].end - sentences[first].start <= max_characters


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
# A sentence that begins so does not stand alone.
REFERS_BACK = re.compile(
    r"(?:It|They|This|These|That|Those|He|She|Such|Otherwise|However|But|So|Then|Therefore|Er|Es|Sie|Dies\w*)\b"
)
EXAMPLE = _any_of(r"for\sexample for\sinstance e\.g zum\sBeispiel z\.\s?B")
SHORT_CHARACTERS, LONG_CHARACTERS = 80, 300


def features(
    query: str,
    sentences: Sequence[Sentence],
    texts: Sequence[str],
    vectors: Vectors | None = None,
    rare: Collection[str] = (),
) -> FloatArray:
    """The numbers of each sentence of a passage, (n, the number of weights), in the order of `WEIGHTS`.

    ``texts`` are the sentences on one line each.  The first number is the cosine with the query; without
    ``vectors`` it is the share of the query's words.
    """
    n = len(sentences)
    nearness, has = compare(query, texts, vectors, rare)
    share, around = shares(has)
    if vectors is None:
        nearness = share
    wanted = set(map(_stem, _query_words(query)))
    continues = [0, *(one.block == before.block for before, one in pairwise(sentences))]
    columns = [
        nearness,
        share / (share.max() or 1.0),
        around,
        np.concatenate([[0.0], share[:-1]]) * continues if REASON_QUERY.match(query) else np.zeros(n),
        [math.log(min(len(text), LONG_CHARACTERS) / SHORT_CHARACTERS + 0.1) for text in texts],
        [number == 0 for number in range(n)],
        [one.kind == "question" for one in sentences],
        [one.kind == "code" for one in sentences],
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
    return [one is not None and bool(wanted & set(map(_stem, _words(one[1])))) for one in found]


# --- shared words ------------------------------------------------------------------------------------------

WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+")  # numbers such as 4.11.3 stay whole
N_STEM_CHARACTERS = 6
RARE_TOKENS = 3  # of the model in one word


def rare_words(query: str, tokenizer: Tokenizer | None) -> set[str]:
    """The query's words with a digit, and those that the model splits: their vectors tell little apart."""
    words = _query_words(query)
    n_tokens = [1] * len(words) if tokenizer is None else [len(spans) for spans in tokenizer.spans(words)]
    return {word for word, n in zip(words, n_tokens, strict=True) if n >= RARE_TOKENS or not word.isalpha()}


def compare(
    query: str, texts: Sequence[str], vectors: Vectors | None = None, rare: Collection[str] = ()
) -> tuple[FloatArray, FloatArray]:
    """The cosine of each text with the query, (n,), and how much it has of the query's words, (n, Q).

    The vector of a text is the sum of those of its words.  It has a word wholly if it has one with the same
    stem, else as much as the square of the cosine with the nearest of its words; not at all of a ``rare``
    word that another text has: E07 is no E31.
    """
    of_texts = [_words(text) for text in texts]
    words = [*dict.fromkeys(word for of_text in of_texts for word in of_text)]
    number = {word: i for i, word in enumerate(words)}
    rows = [[number[word] for word in of_text] for of_text in of_texts]
    wanted = {_stem(word): word for word in reversed(_query_words(query))}
    stems = [_stem(word) for word in words]
    likeness = np.array([[one == stem for one in stems] for stem in wanted], float)
    likeness = likeness.reshape(len(wanted), len(words))
    nearness: FloatArray = np.zeros(len(texts), np.float32)
    if vectors and wanted and words:  # by einsum: BLAS would give other bits for other shapes
        of_words = np.array([vectors[word] for word in words])
        of_query = _unit(np.array([vectors[word] for word in _words(query)]).sum(axis=0))
        sums = np.array([_unit(of_words[of_text].sum(axis=0)) for of_text in rows])
        nearness = np.einsum("nd,d->n", sums, of_query)
        of_wanted = np.array([vectors[word] for word in wanted.values()])
        alike = np.maximum(np.einsum("qd,wd->qw", of_wanted, of_words), 0.0) ** 2
        is_rare = np.array([word in rare for word in wanted.values()])
        alike[likeness.any(axis=1) & is_rare] = 0.0
        likeness = np.maximum(likeness, alike)
    has = [likeness[:, of_text].max(axis=1, initial=0.0) for of_text in rows]
    return nearness, np.array(has).reshape(len(texts), len(wanted))


def _unit(vector: FloatArray) -> FloatArray:
    return vector / (np.linalg.norm(vector) or 1.0)


def shares(has: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The share of the query's words that each sentence has, (n,), and that it has with its two neighbours.

    ``has`` says how much each sentence has of each word, (n, Q).  A word counts by the square of the
    logarithm of its rarity among the sentences; words in no sentence count as the rarest.
    """
    weights = np.log1p(len(has) / np.maximum(has.sum(axis=0), 1.0)) ** 2
    weights /= weights.sum() or 1.0
    around = has.copy()
    around[1:] = np.maximum(around[1:], has[:-1])
    around[:-1] = np.maximum(around[:-1], has[1:])
    return has @ weights, around @ weights


def _query_words(query: str) -> list[str]:
    """The query's words but for stop words, unless there are no others."""
    words = _words(query)
    return [word for word in words if word not in STOP_WORDS] or words


def _words(text: str) -> list[str]:
    """The words of a text in lower case, with the parts of names; paired text as pairs of characters."""
    words: list[str] = []
    for word in WORD.findall(visible(text).casefold()):
        for part, is_paired in paired_parts(word):
            words += bigrams(part) if is_paired else [part]
    return words + further_words(text).casefold().split()


def _stem(word: str) -> str:
    """The first letters, which stand for the stem; all of a word with a digit."""
    word = folded_letters(word)
    return word[:N_STEM_CHARACTERS] if word.isalpha() else word


# --- places ------------------------------------------------------------------------------------------------


def line_and_column(anchors: Anchors, text: str, position: int) -> tuple[int, int]:
    r"""Line and column (from 1) in the file of a position in a passage's text; see `Chunk.anchors`.

    Between an anchor and the position a line ends with ``\n``, ``\r\n`` or a lone ``\r``.
    """
    anchor, line, column = max((a for a in anchors if a[0] <= position), default=(0, 1, 1))
    ends = [found.end() for found in LINE_BREAK.finditer(text, anchor, position)]
    found = (line + len(ends), position - ends[-1] + 1) if ends else (line, column + position - anchor)
    following = [(line, column) for start, line, column in anchors if start > position]
    # The numbers of paragraphs and rows may begin again, at a sheet or a comment.
    return min([found, *(one for one in following[:1] if one >= (line, column))])


def evidence(text: str, anchors: Anchors, start: int, end: int, score: float | None) -> Evidence:
    """The sentences at ``start:end`` of a passage, with their place in the file."""
    line, column = line_and_column(anchors, text, start)
    end_line, end_column = line_and_column(anchors, text, end)
    return Evidence(text[start:end], start, end, line, column, end_line, end_column, score)
