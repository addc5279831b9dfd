"""The sentence of a passage that answers best, and where it stands in its file.

Passages come in as texts, with the question and its vector; for each the span of one sentence goes out, with
its cosine.  The model sees only a few sentences of a passage: those that share the question's rarer words,
chosen without it.  Encoding is handed in; finding passages and showing spans is left to others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from minisearch.results import Evidence
from minisearch.search.sentences import LETTER, LINE_END, Span, sentences_and_code
from minisearch.search.shared_words import has_names, shares
from minisearch.types import FloatArray

# The model's choice among all sentences is among those tried in 93% of 442 passages found for 98 questions
# (two collections: 94% and 91%), at 65 of 117 tokens a passage; at most three give 90% at 58.  By shared
# words alone, without word vectors, four give 91% at 84.
N_TRIED = 4
MARGIN = 0.15

# A line of code has to be nearer than the sentences around it by more than this. In 63 of 300 passages found
# for 30 questions about Ansible code was nearest; in the 21 where by less, a sentence answered better (13) or
# as well (8), beyond it was mostly the code.
CODE_MARGIN = 0.1

# A title has few words, and is near for that; what stands below it says more.
TITLE_MARGIN = 0.15

# How much the share of the question's rarer words counts that a sentence holds, beside its cosine: the model
# hardly tells 4.11.3 from PostgreSQL 12. Of 420 passages found for 140 questions (three collections) this and
# the margin of titles change 16: 12 answered better, 2 worse; of 25 where two sentences are tried 16 and 2.
# At 0.2 cats that "are allowed" win over dogs; from 0.3 on what repeats the question over what answers it.
WORDS_COUNT = 0.25

NEARLY_ALL = 0.8  # of a passage's characters

Encode = Callable[[Sequence[str]], FloatArray]
Anchors = Sequence[tuple[int, int, int]]

BLANK_LINE = re.compile(r"[ \t]*(\r\n|\r|\n)[ \t]*(\r\n|\r|\n)")
MOST_WORDS_OF_A_TITLE = 10


def best_sentences(
    question: str,
    passages: Sequence[str],
    encode: Encode,
    query_vector: FloatArray,
    *,
    n_tried: int = N_TRIED,
    headings: Sequence[str] = (),
    cosines: Sequence[float | None] = (),
    word_vectors: Encode | None = None,
) -> list[tuple[int, int, float]]:
    """For each passage the span and the cosine of the sentence that answers best, the first of equals.

    At most ``n_tried`` sentences a passage are looked at, in one call of ``encode`` for all passages: those
    nearest by ``word_vectors``, unit vectors (n, any) that cost next to nothing, less than 0.15 below the
    nearest; without these the ones that share the question's rarer words.  The share of these that a sentence
    holds counts beside its cosine.  A line of code counts as 0.1 further away than it is, a title as 0.15.
    ``headings`` are the passages' heading paths.  A sentence that is nearly all of its passage has the
    passage's cosine, where that is given in ``cosines``.  ``query_vector`` (d,) has unit length.
    """
    spans, handicaps = _all_sentences(passages, headings)
    texts = [[_plain(text[a:b]) for a, b in of_text] for text, of_text in zip(passages, spans, strict=True)]
    shared = shares(question, texts)
    # a sentence with the very number has to be among the tried, however unlike it is otherwise
    early = WORDS_COUNT * (2 if has_names(question) else 1)
    if word_vectors is None:
        tried = [_highest(_likeliness(*both), n_tried) for both in zip(texts, shared, strict=True)]
    else:
        cosines_of_words = _word_cosines(question, texts, word_vectors)
        tried = [
            _highest(
                [cosine - less + early * share for cosine, less, share in zip(*all_three, strict=True)],
                n_tried,
                margin=MARGIN,
            )
            for all_three in zip(cosines_of_words, handicaps, shared, strict=True)
        ]
    known = [
        cosine if of_text[0][1] - of_text[0][0] >= NEARLY_ALL * len(text) else None
        for text, of_text, cosine in zip(passages, spans, cosines or [None] * len(spans), strict=True)
    ]
    wanted = [texts[i][number] for i, cosine in enumerate(known) if cosine is None for number in tried[i]]
    scores = iter(np.einsum("nd,d->n", encode(wanted), query_vector).tolist() if wanted else [])
    found = []
    for of_text, less, share, numbers, cosine in zip(spans, handicaps, shared, tried, known, strict=True):
        of_number = {number: cosine if cosine is not None else next(scores) for number in numbers}
        merit = {i: of_number[i] - less[i] + WORDS_COUNT * share[i] for i in numbers}
        best = max(numbers, key=lambda number: (merit[number], -number))
        found.append((*of_text[best], float(of_number[best])))
    return found


def likeliest_sentences(
    question: str, passages: Sequence[str], *, headings: Sequence[str] = ()
) -> list[tuple[int, int, None]]:
    """The same without a model: the sentence that shares most of the question's rarer words; no cosine."""
    spans, _ = _all_sentences(passages, headings)
    texts = [[text[a:b] for a, b in of_text] for text, of_text in zip(passages, spans, strict=True)]
    both = zip(texts, shares(question, texts), strict=True)
    best = [_highest(_likeliness(*of_text), 1)[0] for of_text in both]
    return [(*of_text[number], None) for of_text, number in zip(spans, best, strict=True)]


def _all_sentences(
    passages: Sequence[str], headings: Sequence[str]
) -> tuple[list[list[Span]], list[list[float]]]:
    """Each passage's sentences, at least one; and how much nearer than others each has to be."""
    told = [
        sentences_and_code(text, heading=heading) or [((0, len(text)), False)]
        for text, heading in zip(passages, headings or [""] * len(passages), strict=True)
    ]
    return (
        [[span for span, _ in of_text] for of_text in told],
        [
            [max(CODE_MARGIN * is_code, TITLE_MARGIN * _is_title(text, *span)) for span, is_code in of_text]
            for text, of_text in zip(passages, told, strict=True)
        ],
    )


def _highest(scores: Sequence[float], n: int, *, margin: float = math.inf) -> list[int]:
    """Which n scores are highest, in their own order; none that is further than the margin below the best."""
    floor = max(scores) - margin
    numbers = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:n]
    return sorted(number for number in numbers if scores[number] >= floor)


def _word_cosines(question: str, texts: Sequence[Sequence[str]], word_vectors: Encode) -> list[list[float]]:
    """Each sentence's cosine with the question by the words alone."""
    vectors = word_vectors([question, *(sentence for of_text in texts for sentence in of_text)])
    cosines = iter(np.einsum("nd,d->n", vectors[1:], vectors[0]).tolist())
    return [[next(cosines) for _ in of_text] for of_text in texts]


def _likeliness(of_text: Sequence[str], shared: Sequence[float]) -> list[float]:
    """How likely each sentence answers, by its words alone: of equals longer and earlier ones."""
    return [
        10 * share + min(len(sentence.split()), 12) / 12 - 0.02 * number
        for number, (sentence, share) in enumerate(zip(of_text, shared, strict=True))
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


def _plain(text: str) -> str:
    return " ".join(text.split())


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
