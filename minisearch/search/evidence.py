"""The sentence of a passage that answers best, and where it stands in its file.

Passages come in as texts, with the query and its vector; for each the span of one sentence goes out, with
its cosine.  The model sees only a few sentences of a passage: those that share the query's rarer words,
chosen without it.  Encoding is handed in; finding passages and showing spans is left to others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minisearch.results import Evidence
from minisearch.search.sentences import LETTER, LINE_END, sentences_and_code
from minisearch.search.shared_words import has_names, shares
from minisearch.types import FloatArray

# The model's choice among all sentences is among those tried in 93% of 442 passages found for 98 queries
# (two collections: 94% and 91%), at 65 of 117 tokens a passage; at most three give 90% at 58.  By shared
# words alone, without word vectors, four give 91% at 84.  Of 387 passages found for 129 queries (notes,
# data/) three mark another sentence than four in 15, two in 55.
N_TRIED = 4
MARGIN = 0.15

# A line of code has to be nearer than the sentences around it by more than this. In 63 of 300 passages found
# for 30 queries about Ansible code was nearest; in the 21 where by less, a sentence answered better (13) or
# as well (8), beyond it was mostly the code.
CODE_MARGIN = 0.1

# A title has few words, and is near for that; what stands below it says more.
TITLE_MARGIN = 0.15

# How much the share of the query's rarer words counts that a sentence holds, beside its cosine: the model
# hardly tells 4.11.3 from PostgreSQL 12. Of 786 passages found for 264 queries (four collections) this
# changes the sentence of 40: 18 answer better, 8 worse; where two sentences are tried, of 50, 23 and 7. From
# 0.2 to 0.3 no difference could be told.
WORDS_COUNT = 0.25

NEARLY_ALL = 0.8  # of a passage's characters

Encode = Callable[[Sequence[str]], FloatArray]
Anchors = Sequence[tuple[int, int, int]]
Passage = tuple[str, str]  # its text, its heading path

BLANK_LINE = re.compile(r"[ \t]*(\r\n|\r|\n)[ \t]*(\r\n|\r|\n)")
MOST_WORDS_OF_A_TITLE = 10


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

    At most ``n_tried`` sentences a passage are looked at, in one call of ``encode`` for all passages: those
    nearest by ``word_vectors``, unit vectors (n, any) that cost next to nothing, less than 0.15 below the
    nearest; without these the ones that share the query's rarer words.  The share of these that a sentence
    holds counts beside its cosine.  A line of code counts as 0.1 further away than it is, a title as 0.15.
    Words are rare among the sentences of the passages ``found_first``, or else of those given: with these at
    hand, an answer does not depend on what stands beside it on the page.
    ``headings`` are the passages' heading paths.  A sentence that is nearly all of its passage has the
    passage's cosine, where that is given in ``cosines``.  ``query_vector`` (d,) has unit length.
    """
    told = _sentences(query, passages, headings, found_first)
    # a sentence with the very number has to be among the tried, however unlike it is otherwise
    early = WORDS_COUNT * (2 if has_names(query) else 1)
    if word_vectors is None:
        tried = [_highest(_likeliness(of_text), n_tried) for of_text in told]
    else:
        tried = [
            _highest(
                [near - one.handicap + early * one.share for near, one in zip(*both, strict=True)],
                n_tried,
                margin=MARGIN,
            )
            for both in zip(_word_cosines(query, told, word_vectors), told, strict=True)
        ]
    known = [
        cosine if of_text[0].end - of_text[0].start >= NEARLY_ALL * len(text) else None
        for text, of_text, cosine in zip(passages, told, cosines or [None] * len(told), strict=True)
    ]
    wanted = [told[i][number].text for i, cosine in enumerate(known) if cosine is None for number in tried[i]]
    scores = iter(np.einsum("nd,d->n", encode(wanted), query_vector).tolist() if wanted else [])
    found = []
    for of_text, numbers, cosine in zip(told, tried, known, strict=True):
        of_number = {number: cosine if cosine is not None else next(scores) for number in numbers}
        merit = {i: of_number[i] - of_text[i].handicap + WORDS_COUNT * of_text[i].share for i in numbers}
        best = max(numbers, key=lambda number: (merit[number], -number))
        found.append((of_text[best].start, of_text[best].end, float(of_number[best])))
    return found


def likeliest_sentences(
    query: str,
    passages: Sequence[str],
    *,
    headings: Sequence[str] = (),
    found_first: Sequence[Passage] = (),
) -> list[tuple[int, int, None]]:
    """The same without a model: the sentence that shares most of the query's rarer words; no cosine."""
    told = _sentences(query, passages, headings, found_first)
    best = [of_text[_highest(_likeliness(of_text), 1)[0]] for of_text in told]
    return [(one.start, one.end, None) for one in best]


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Where it stands in its passage, and what speaks for it but the model.

    ``handicap`` is how much nearer than others it has to be.
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
    asked = [*zip(passages, headings or [""] * len(passages), strict=True)]
    every = [*asked, *(one for one in found_first if one not in asked)]  # each cut once: that takes its time
    cut = [sentences_and_code(text, heading=heading) or [((0, len(text)), False)] for text, heading in every]
    texts = [
        [" ".join(text[start:end].split()) for (start, end), _ in spans]
        for (text, _), spans in zip(every, cut, strict=True)
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
        for (whole, _), spans, of_text, its_shares in zip(every, cut, texts, shared, strict=True)
    ][: len(asked)]


def _highest(scores: Sequence[float], n: int, *, margin: float = math.inf) -> list[int]:
    """Which n scores are highest, in their own order; none that is further than the margin below the best."""
    floor = max(scores) - margin
    numbers = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:n]
    return sorted(number for number in numbers if scores[number] >= floor)


def _word_cosines(query: str, told: Sequence[Sequence[_Sentence]], word_vectors: Encode) -> list[list[float]]:
    """Each sentence's cosine with the query by the words alone."""
    vectors = word_vectors([query, *(one.text for of_text in told for one in of_text)])
    cosines = iter(np.einsum("nd,d->n", vectors[1:], vectors[0]).tolist())
    return [[next(cosines) for _ in of_text] for of_text in told]


def _likeliness(of_text: Sequence[_Sentence]) -> list[float]:
    """How likely each sentence answers, by its words alone: of equals longer and earlier ones."""
    return [
        10 * one.share + min(len(one.text.split()), 12) / 12 - 0.02 * number
        for number, one in enumerate(of_text)
    ]


def _is_title(text: str, start: int, end: int) -> bool:
    """Whether a passage begins with this, a few words on a line, and goes on below a blank one."""
    said = text[start:end]
    return (
        not LETTER.search(text, 0, start)
        and BLANK_LINE.match(text, end) is not None
        and not LINE_END.search(said)
        and said[-1] not in ".!?:;,。！？"
        and len(said.split()) <= MOST_WORDS_OF_A_TITLE
    )


# --- where it stands -----------------------------------------------------------------------------------


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
