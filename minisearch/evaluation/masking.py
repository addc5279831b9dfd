"""Words taken out of a text: every place where they stand in this order, whatever is written between them.

A text and the words to hide come in, the text without them goes out.  "Words in this order" overlooks case,
punctuation, mark-up and line breaks, so that neither a full-text search nor an embedder finds the hidden
words where a reader would say that they are gone.  Which words are to be hidden is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from minisearch.text import UNSPACED

Words = tuple[str, ...]

# Chinese and Japanese are written without spaces: each of their characters counts as a word.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_RULE = re.compile(r"[ \t]*([^\w\s]|_)\1{2,}[ \t]*")  # the line under, or over, a heading

MIN_PART = 3  # words of a sentence cut in two by the edge of a passage that are worth hiding


def words(text: str) -> Words:
    """The text's words in order, their case aside.

    >>> words("Don't *loop*, retry")
    ('don', 't', 'loop', 'retry')
    """
    # All at once, which is quicker; word by word, since "İ" folds to a letter and a mark that is in no word.
    joined = "\0".join(_WORD.findall(text)).casefold()
    return tuple(joined.split("\0")) if joined else ()


def first_words(text: str, n: int) -> str:
    """The text up to the end of its n-th word.

    >>> first_words("Retry a failed task.", 2)
    'Retry a'
    """
    found = next(islice(_WORD.finditer(text), n - 1, None), None)
    return text[: found.end()] if found else text


def has(text: str, run: Words) -> bool:
    r"""Whether these words stand in the text in this order, next to one another.

    >>> has("Retry a\n**failed** task.", ("failed", "task"))
    True
    """
    return next(_found(words(text), run), None) is not None


def without(text: str, run: Words) -> str:
    """The text with these words taken out wherever they stand in this order.

    A line that they leave without a word goes whole, and a heading's rule with it.  Where the text begins
    with the run's end, or ends with its beginning, that part goes too: a passage may have been cut there.
    """
    while _may_hold(text, run) and (spans := _spans(text, run)):
        text = _cut(text, spans)
    return text


def _may_hold(text: str, run: Words) -> bool:
    """False for nearly all texts that hold no part of the run; quicker than looking for it."""
    folded = text.casefold()
    return any(all(word in folded for word in part) for part in (run[:MIN_PART], run[-MIN_PART:]))


def _spans(text: str, run: Words) -> list[tuple[int, int]]:
    """The characters to take out, in order."""
    places = [found.span() for found in _WORD.finditer(text)]
    present = words(text)
    spans = [(places[at][0], places[at + len(run) - 1][1]) for at in _found(present, run)]
    if spans or not places:
        return spans
    for n in range(min(len(run) - 1, len(present)), MIN_PART - 1, -1):
        if present[:n] == run[-n:]:
            return [(places[0][0], places[n - 1][1])]
        if present[-n:] == run[:n]:
            return [(places[-n][0], places[-1][1])]
    return []


def _found(present: Words, run: Words) -> Iterator[int]:
    """Where the run begins among the words present; occurrences do not overlap."""
    if not run:
        return
    at = 0
    while at + len(run) <= len(present):
        if present[at] == run[0] and present[at : at + len(run)] == run:
            yield at
            at += len(run)
        else:
            at += 1


def _cut(text: str, spans: Sequence[tuple[int, int]]) -> str:
    kept, position = [], 0
    for span in spans:
        start, end = _whole_lines(text, *span)
        kept.append(text[position:start])
        position = max(position, end)
    return " ".join([*kept, text[position:]])


def _whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """The span widened to whole lines where nothing else on them is a word, rules above and below too."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if _WORD.search(text, line_start, start) or _WORD.search(text, end, line_end):
        return start, end
    above = text.rfind("\n", 0, max(line_start - 1, 0)) + 1
    if _RULE.fullmatch(text, above, max(line_start - 1, 0)):
        line_start = above
    below = text.find("\n", line_end + 1)
    below = len(text) if below < 0 else below
    if _RULE.fullmatch(text, min(line_end + 1, len(text)), below):
        line_end = below
    return line_start, line_end
