"""The sentence of a passage that answers best, and where it stands in its file.

Passages come in as texts, with the question and its vector; for each the span of one sentence goes out, with
its cosine.  The model sees only a few sentences of a passage: those that share the question's rarer words,
chosen without it.  Encoding is handed in; finding passages and showing spans is left to others.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from minisearch.types import Evidence, FloatArray

MAX_CHARACTERS = 300  # a sentence longer than four lines of a terminal points at nothing
N_TRIED = 3

Encode = Callable[[Sequence[str]], FloatArray]
Span = tuple[int, int]
Anchors = Sequence[tuple[int, int, int]]

SENTENCE_END = re.compile(r"(?<![\d.])[.!?][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？][」』”’）]*")
MARKER = re.compile(r"[ \t]*(?:(?:[-*+•>#]|\d{1,9}[.)])[ \t]+|\|[ \t]*)+")
BEGINS_UNIT = re.compile(r"[ \t]*(?:[-*+•][ \t]|\d{1,9}[.)][ \t]|\||>|#)")
LETTER = re.compile(r"[^\W_]")
WORD = re.compile(r"[^\W_]+")
CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
LINE_END = re.compile(r"\r\n|\r|\n")
FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
RULE = re.compile(r"[ \t]*([=\-~^\"'`#*+.:_])\1{2,}[ \t]*")
ATX = re.compile(r" {0,3}#{1,6}[ \t]")
DIRECTIVE = re.compile(r"[ \t]*(?:\.\.[ \t]+(?:_|[\w:-]+::[ \t]*\S*[ \t]*$)|:[\w-]+:[ \t]*\S*[ \t]*$)")


def sentences(text: str, *, heading: str = "") -> list[Span]:
    """The spans of a text's sentences, in order, none empty, without overlap.

    Items of lists, rows of tables and lines of code are sentences of their own; the lines of a wrapped
    paragraph are joined.  Lines that are headings, by their marks or as the last title in ``heading``,
    are left out unless there is nothing else.  Longer ones than 300 characters are cut at a space.
    """
    units, headings = _units(text, heading.rpartition(" > ")[2])
    spans = [span for unit in (units or headings) for span in _split(text, *unit)]
    if not spans and text.strip():
        start = len(text) - len(text.lstrip())
        spans = list(_cut(text, start, len(text.rstrip())))[:1]
    return spans


def _units(text: str, title: str) -> tuple[list[Span], list[Span]]:
    """Paragraphs, items, rows and lines of code; and the headings apart."""
    units: list[Span] = []
    headings: list[Span] = []
    is_fenced = is_open = False
    previous: Span | None = None
    for start, end in _lines(text):
        line = text[start:end]
        if FENCE.match(line):
            is_fenced, is_open, previous = not is_fenced, False, None
            continue
        is_rule = not LETTER.search(line)
        if is_rule:
            if previous and RULE.fullmatch(line) and units and units[-1] == previous:  # underlined: a heading
                headings.append(units.pop())
            is_open, previous = False, None
            continue
        if not is_fenced and (ATX.match(line) or line.strip() == title):
            headings.append((start, end))
            is_open, previous = False, None
            continue
        if not is_fenced and DIRECTIVE.match(line):
            is_open, previous = False, None
            continue
        is_code = is_fenced or (not is_open and _is_indented(line)) or _looks_like_code(line)
        if is_open and not is_code and not BEGINS_UNIT.match(line):
            units[-1] = (units[-1][0], end)
            previous = None
        else:
            units.append((start, end))
            previous = (start, end)
        is_open = not is_code and not line.lstrip().startswith("|")
    return [_trimmed(text, *unit) for unit in units], [_trimmed(text, *unit) for unit in headings]


def _lines(text: str) -> list[Span]:
    ends = [found.span() for found in LINE_END.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def _is_indented(line: str) -> bool:
    return line.startswith(("    ", "\t")) and not BEGINS_UNIT.match(line)


def _looks_like_code(line: str) -> bool:
    return line.rstrip().endswith(("{", "}", ";", "):", ");", "\\"))


def _trimmed(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends and the marks before a heading, an item or a row."""
    found = MARKER.match(text, start, end)
    if found and found.end() < end:
        start = found.end()
    while start < end and text[start].isspace():
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] == "|"):
        end -= 1
    return start, end


def _split(text: str, start: int, end: int) -> list[Span]:
    """A unit's sentences."""
    ends = [found.end() for found in SENTENCE_END.finditer(text, start, end)]
    spans = []
    for a, b in pairwise([start, *ends, end]):
        spans += [span for span in _cut(text, a, b) if LETTER.search(text, *span)]
    return spans


def _cut(text: str, start: int, end: int) -> list[Span]:
    """Pieces of 300 characters at most, cut at white space where there is some in the second half."""
    pieces = []
    while start < end:
        stop = end
        if end - start > MAX_CHARACTERS:
            stop = start + MAX_CHARACTERS
            stop = next((i for i in range(stop, stop - MAX_CHARACTERS // 2, -1) if text[i].isspace()), stop)
        a, b = start, stop
        while a < b and text[a].isspace():
            a += 1
        while b > a and text[b - 1].isspace():
            b -= 1
        if a < b:
            pieces.append((a, b))
        start = stop
    return pieces


# --- which of them matched -----------------------------------------------------------------------------


def best_sentences(
    question: str,
    passages: Sequence[str],
    encode: Encode,
    query_vector: FloatArray,
    *,
    n_tried: int = N_TRIED,
    headings: Sequence[str] = (),
    cosines: Sequence[float | None] = (),
) -> list[tuple[int, int, float]]:
    """For each passage the span and the cosine of the sentence nearest to the question.

    At most ``n_tried`` sentences a passage are looked at, in one call of ``encode`` for all passages; equal
    ones in their order.  ``headings`` are the passages' heading paths.  A passage of one sentence is not
    encoded where its own cosine is given in ``cosines``.  ``query_vector`` (d,) has unit length.
    """
    spans = [
        sentences(text, heading=heading) or [(0, len(text))]
        for text, heading in zip(passages, headings or [""] * len(passages), strict=True)
    ]
    known = list(cosines) or [None] * len(passages)
    rarity = _rarity([text[a:b] for text, of_text in zip(passages, spans, strict=True) for a, b in of_text])
    tried = [
        _promising(question, text, of_text, rarity, n_tried)
        for text, of_text in zip(passages, spans, strict=True)
    ]
    is_settled = [
        len(of_text) == 1 and cosine is not None for of_text, cosine in zip(spans, known, strict=True)
    ]
    wanted = [
        _plain(text[a:b])
        for text, of_text, settled in zip(passages, tried, is_settled, strict=True)
        if not settled
        for a, b in of_text
    ]
    scores = iter((encode(wanted) @ query_vector).tolist() if wanted else [])
    found = []
    for of_text, settled, cosine in zip(tried, is_settled, known, strict=True):
        if settled and cosine is not None:
            found.append((*of_text[0], float(cosine)))
            continue
        scored = [(span, next(scores)) for span in of_text]
        (start, end), score = max(scored, key=lambda one: (one[1], -one[0][0]))
        found.append((start, end, score))
    return found


def _promising(question: str, text: str, spans: list[Span], rarity: dict[str, float], n: int) -> list[Span]:
    """The n sentences likeliest to be the model's choice, in the order of the text."""
    asked = set(_words(question))
    scored = []
    for number, (start, end) in enumerate(spans):
        words = set(_words(text[start:end]))
        shared = sum(rarity.get(word, 0.0) for word in asked & words)
        length = min(len(words), 12) / 12
        scored.append((-(shared + length - 0.02 * number), start, end))
    return sorted((start, end) for _, start, end in sorted(scored)[:n])


def _words(text: str) -> list[str]:
    """The words in lower case, cut to six letters for their endings; of CJK text pairs of characters."""
    words = []
    for word in WORD.findall(text.casefold()):
        if CJK.search(word):
            words += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            words.append(word[:6])
    return words


def _rarity(texts: Sequence[str]) -> dict[str, float]:
    """How much a word says: ln(1 + n / n of the sentences with it)."""
    n_with = Counter(word for text in texts for word in set(_words(text)))
    return {word: math.log(1 + len(texts) / n) for word, n in n_with.items()}


def _plain(text: str) -> str:
    return " ".join(text.split())


# --- where it stands -----------------------------------------------------------------------------------


def place(anchors: Anchors, text: str, position: int) -> tuple[int, int]:
    r"""Line and column (from 1) in the file of a position in a passage's text; see `Chunk.anchors`.

    Between an anchor and the position a line ends with ``\n``, ``\r\n`` or a lone ``\r``.
    """
    anchor, line, column = max((a for a in anchors if a[0] <= position), default=(0, 1, 1))
    ends = [found.end() for found in LINE_END.finditer(text, anchor, position)]
    if not ends:
        return line, column + position - anchor
    return line + len(ends), position - ends[-1] + 1


def evidence(text: str, anchors: Anchors, start: int, end: int, score: float) -> Evidence:
    """The sentence at ``start:end`` of a passage, with its place in the file."""
    line, column = place(anchors, text, start)
    end_line, end_column = place(anchors, text, end)
    return Evidence(text[start:end], start, end, line, column, end_line, end_column, score)
