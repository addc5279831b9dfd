"""What to mark in a passage: the sentence that matched, and the words it shares with the query.

A query and a passage's text come in, a `Marked` text goes out.  Words match as full-text search would have
them, whatever their case and common English endings; Chinese, Japanese and Korean by pairs of characters.
This only guides the eye: it has no part in what is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from minisearch.cli.terminal import EVIDENCE, EVIDENCE_WORD, PLAIN, WORD, Marked
from minisearch.text import CJK, CJK_RUN, STOP_WORDS, bigrams, stem

A_WORD = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")

Span = tuple[int, int]


def highlighted(text: str, *, words: Iterable[str], evidence: Span | None) -> Marked:
    """The text with its evidence (characters, half-open) and the query's words marked."""
    marks = [PLAIN] * len(text)
    if evidence is not None:
        start, end = evidence
        marks[start:end] = [EVIDENCE] * len(marks[start:end])
    for start, end in shared(text, words):
        for place in range(start, end):
            marks[place] = WORD if marks[place] in {PLAIN, WORD} else EVIDENCE_WORD
    return Marked(text, "".join(marks))


def shared(text: str, words: Iterable[str]) -> Iterator[Span]:
    """Where the text has a word of these texts, in order; pairs of Chinese characters may overlap."""
    wanted = {key for word in words for _, _, key in _keys(word)} - STOP_WORDS
    for start, end, key in _keys(text):
        if key in wanted:
            yield start, end


def _keys(text: str) -> Iterator[tuple[int, int, str]]:
    """What each word is compared by, and where it stands."""
    for match in A_WORD.finditer(text):
        start, end = match.span()
        word = match.group().casefold()
        if not CJK_RUN.match(word):
            yield start, end, word if word in STOP_WORDS else stem(word)
        else:
            for place, key in enumerate(bigrams(word), start):
                yield place, place + len(key), key
