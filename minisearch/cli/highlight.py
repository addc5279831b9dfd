"""What to mark in a passage: the sentence that matched, and the words it shares with the query.

A query and a passage's text come in, a `Marked` text goes out.  Words match as full-text search would have
them, whatever their case and common English endings; Chinese, Japanese and Korean by pairs of characters.
This only guides the eye: it has no part in what is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from minisearch.cli.terminal import EVIDENCE, EVIDENCE_WORD, PLAIN, WIDE_CHARACTERS, WORD, Marked

WIDE = WIDE_CHARACTERS.pattern
A_WORD = re.compile(rf"(?:(?={WIDE})\w)+|(?:(?!{WIDE})\w)+")
ENDINGS = re.compile("(?:ing|ed|es|s)$"), re.compile("[eiy]$")  # retries, retrying, retry: retr
SHORTEST_STEM = 3
# English words that every passage has; underlining them would only be noise.
COMMON = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does for from had has have how i if in
    into is it its me my no not of on or our should so than that the their them then there these they this to
    up was we were what when where which who why will with would you your
    """.split()  # noqa: SIM905 - words are read more easily without their quotes
)

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
    wanted = {key for word in words for _, _, key in _keys(word)} - COMMON
    for start, end, key in _keys(text):
        if key in wanted:
            yield start, end


def _keys(text: str) -> Iterator[tuple[int, int, str]]:
    """What each word is compared by, and where it stands."""
    for match in A_WORD.finditer(text):
        start, end = match.span()
        word = match.group().casefold()
        if not WIDE_CHARACTERS.match(word):
            yield start, end, word if word in COMMON else _stem(word)
        elif end - start == 1:
            yield start, end, word
        else:
            yield from ((place, place + 2, text[place : place + 2]) for place in range(start, end - 1))


def _stem(word: str) -> str:
    for ending in ENDINGS:
        stem = ending.sub("", word)
        word = stem if len(stem) >= SHORTEST_STEM else word
    return word
