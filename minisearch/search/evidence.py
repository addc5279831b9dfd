"""The sentence of a passage that answers best, and where it stands in its file.

Passages come in as texts, with the question and its vector; for each the span of one sentence goes out, with
its cosine.  The model sees only a few sentences of a passage: those that share the question's rarer words,
chosen without it.  Encoding is handed in; finding passages and showing spans is left to others.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from minisearch.types import Evidence, FloatArray

MAX_CHARACTERS = 300  # a sentence longer than four lines of a terminal points at nothing

# The model's choice among all sentences is among those tried in 93% of 442 passages found for 98 questions
# (two collections: 94% and 91%), at 68 of their 126 tokens; the three best, however near, give 92% at 73.
# By shared words alone, without word vectors, four give 91% at 89.
N_TRIED = 4
MARGIN = 0.15

Encode = Callable[[Sequence[str]], FloatArray]
Span = tuple[int, int]
Anchors = Sequence[tuple[int, int, int]]

LINE_END = re.compile(r"\r\n|\r|\n")
SENTENCE_END = re.compile(r"(?<![\d.])(?<!\.[a-zA-Z])[.!?][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？][」』”’）]*")
LETTER = re.compile(r"[^\W_]")
WORD = re.compile(r"[^\W_]+")
CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")

FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*(\S*)")
UNDERLINE = re.compile(r"([^\w\s])\1{2,}[ \t]*")
ATX_HEADING = re.compile(r" {0,3}#{1,6}[ \t]")
ITEM_OR_ROW = re.compile(r"[ \t]*(?:(?:[-*+•>]|\d{1,9}[.)])[ \t]|\|)")
MARKS = re.compile(
    r"[ \t]*(?:(?:[-*+•>#]+|\d{1,9}[.)]|//+)[ \t]+|\|[ \t]*)*"
)  # before the words of such a line
DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+([\w:-]+)::(?:[ \t]+\S*)?[ \t]*")  # reStructuredText's
TARGET_OR_OPTION = re.compile(r"[ \t]*(?:\.\.[ \t]+_.*:.*|:[\w-]+:(?:[ \t]+\S*)?[ \t]*)")
PROSE_DIRECTIVES = {
    "note",
    "warning",
    "tip",
    "important",
    "caution",
    "hint",
    "seealso",
    "attention",
    "danger",
}
PROSE_DIRECTIVES |= {
    "versionadded",
    "versionchanged",
    "deprecated",
    "rst-class",
    "container",
    "topic",
    "only",
}

# A line that is code by itself: by its end, as a key or an assignment, by its first word.  Most lines of a
# paragraph have to be, so that prose wrapped at "for" or at a bracket is not taken apart.
CODE_LINE = re.compile(
    r"""\s*(?: .*[{};\\(\[]\s*$ | .*\):?\s*$
      | (?:-[ ])?[\w."'$\[\]-]+ (?: :(?:[ ]+\S+)? | \s*[-+*/|&:]?=\s.* ) \s*$
      | (?:def|class|return|import|from\s\S+\simport|raise|const|let|var|function|func|fn|pub|public|private
          |static|void|int|struct|sudo|export|SELECT|FROM|WHERE|INSERT|CREATE)\b
      | (?:if|elif|else|for|while|try|except|with)\b.*:\s*$
      | [@$]\s?\w | >>> | //|/\*|--\s )""",
    re.VERBOSE,
)


def sentences(text: str, *, heading: str = "") -> list[Span]:
    """The spans of a text's sentences, in order, none empty, without overlap.

    Items of lists, rows of tables and lines of code are sentences of their own, without their marks; the
    lines of a wrapped paragraph are joined.  Headings, known by their marks or as the last title in
    ``heading``, are left out unless there is nothing else.  None is longer than 300 characters.
    """
    units = _Units(text, heading.rpartition(" > ")[2])
    found = [span for unit in (units.prose or units.headings) for span in _split(text, *unit)]
    return found or _pieces(text, 0, len(text))[:1]


class _Units:
    """A text's paragraphs, items, rows and lines of code, and its headings apart, as spans."""

    def __init__(self, text: str, title: str) -> None:
        self.prose: list[Span] = []
        self.headings: list[Span] = []
        self._text = text
        self._title = title
        self._is_open = False  # whether the next line may go on with the last unit
        self._is_fenced = self._begins_fenced()
        self._code_margin: int | None = None  # the indentation that a literal block's lines lie behind
        for paragraph in _paragraphs(text):
            is_code = _is_code([text[start:end] for start, end in paragraph])
            for start, end in paragraph:
                self._add(start, end, is_code)
            self._is_open = False

    def _begins_fenced(self) -> bool:
        """Whether a fence was opened before the passage: an odd number, the first without a language."""
        fences = [
            found for start, end in _lines(self._text) if (found := FENCE.match(self._text, start, end))
        ]
        return len(fences) % 2 == 1 and not fences[0][1]

    def _add(self, start: int, end: int, is_code: bool) -> None:
        line = self._text[start:end]
        was_open, self._is_open = self._is_open, False
        if FENCE.match(line):
            self._is_fenced = not self._is_fenced
        elif not LETTER.search(line):
            if was_open and UNDERLINE.fullmatch(line) and self._is_one_line():
                self.headings.append(self.prose.pop())
        elif self._is_fenced:
            self.prose.append((start, end))
        elif TARGET_OR_OPTION.fullmatch(line):
            return
        elif self._is_literal(line) or is_code:
            self.prose.append((start, end))
        elif ATX_HEADING.match(line) or line.strip() == self._title:
            self.headings.append((start, end))
        elif directive := DIRECTIVE.fullmatch(line):
            self._code_margin = None if directive[1] in PROSE_DIRECTIVES else _indentation(line)
        else:
            self._add_prose(start, end, line, was_open)

    def _add_prose(self, start: int, end: int, line: str, was_open: bool) -> None:
        if was_open and not ITEM_OR_ROW.match(line):
            self.prose[-1] = (self.prose[-1][0], end)
        else:
            self.prose.append((start, end))
        if line.rstrip().endswith("::"):
            self._code_margin = _indentation(line)
        self._is_open = not line.lstrip().startswith("|")  # a row of a table ends with its line

    def _is_one_line(self) -> bool:
        return not LINE_END.search(self._text, *self.prose[-1])

    def _is_literal(self, line: str) -> bool:
        """Whether a line belongs to the literal block that is open."""
        if self._code_margin is not None and _indentation(line) <= self._code_margin:
            self._code_margin = None
        return self._code_margin is not None


def _paragraphs(text: str) -> Iterator[list[Span]]:
    """The lines between blank ones."""
    paragraph: list[Span] = []
    for start, end in _lines(text):
        if text[start:end].strip():
            paragraph.append((start, end))
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _is_code(lines: Sequence[str]) -> bool:
    """Whether most lines of a paragraph are code; what follows # may be a comment, so it does not count."""
    telling = [line for line in lines if LETTER.search(line) and not line.lstrip().startswith("#")]
    return len(lines) > 1 and 2 * sum(CODE_LINE.match(line) is not None for line in telling) > len(telling)


def _lines(text: str) -> list[Span]:
    """The spans of the lines, without their ends."""
    ends = [found.span() for found in LINE_END.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _split(text: str, start: int, end: int) -> list[Span]:
    """A unit's sentences, without the marks before it."""
    marks = MARKS.match(text, start, end)
    assert marks  # it matches the empty string too
    if text[start:end].lstrip().startswith("|"):
        end = start + len(text[start:end].rstrip("| \t"))
    start = marks.end() if marks.end() < end else start
    ends = [found.end() for found in SENTENCE_END.finditer(text, start, end)]
    pieces = [piece for a, b in pairwise([start, *ends, end]) for piece in _pieces(text, a, b)]
    return [piece for piece in pieces if LETTER.search(text, *piece)]


def _pieces(text: str, start: int, end: int) -> list[Span]:
    """What is between without white space around it, in pieces of at most 300 characters, cut at a space."""
    pieces: list[Span] = []
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end - start <= MAX_CHARACTERS:
            return [*pieces, (start, end)] if start < end else pieces
        limit = start + MAX_CHARACTERS
        cut = next((i for i in range(limit, start + MAX_CHARACTERS // 2, -1) if text[i].isspace()), limit)
        stop = cut
        while text[stop - 1].isspace():
            stop -= 1
        pieces.append((start, stop))
        start = cut


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
    word_vectors: Encode | None = None,
) -> list[tuple[int, int, float]]:
    """For each passage the span and the cosine of the sentence nearest to the question, the first of equals.

    At most ``n_tried`` sentences a passage are looked at, in one call of ``encode`` for all passages: those
    nearest by ``word_vectors``, unit vectors (n, any) that cost next to nothing, less than 0.15 below the
    nearest; without these the ones that share the question's rarer words.  ``headings`` are the passages'
    heading paths.  A passage of one sentence is not encoded where its own cosine is given in ``cosines``.
    ``query_vector`` (d,) has unit length.
    """
    spans = _all_sentences(passages, headings)
    texts = [[_plain(text[a:b]) for a, b in of_text] for text, of_text in zip(passages, spans, strict=True)]
    if word_vectors is None:
        tried = [_highest(scores, n_tried) for scores in _shared_words(question, texts)]
    else:
        tried = [_highest(s, n_tried, margin=MARGIN) for s in _word_cosines(question, texts, word_vectors)]
    known = [
        cosine if len(of_text) == 1 else None
        for of_text, cosine in zip(spans, cosines or [None] * len(spans), strict=True)
    ]
    wanted = [texts[i][number] for i, cosine in enumerate(known) if cosine is None for number in tried[i]]
    scores = iter((encode(wanted) @ query_vector).tolist() if wanted else [])
    found = []
    for of_text, numbers, cosine in zip(spans, tried, known, strict=True):
        scored = [(cosine if cosine is not None else next(scores), -number) for number in numbers]
        score, number = max(scored)
        found.append((*of_text[-number], float(score)))
    return found


def likeliest_sentences(
    question: str, passages: Sequence[str], *, headings: Sequence[str] = ()
) -> list[tuple[int, int, None]]:
    """The same without a model: the sentence that shares most of the question's rarer words; no cosine."""
    spans = _all_sentences(passages, headings)
    texts = [[text[a:b] for a, b in of_text] for text, of_text in zip(passages, spans, strict=True)]
    best = [_highest(scores, 1)[0] for scores in _shared_words(question, texts)]
    return [(*of_text[number], None) for of_text, number in zip(spans, best, strict=True)]


def _all_sentences(passages: Sequence[str], headings: Sequence[str]) -> list[list[Span]]:
    """Each passage's sentences, at least one."""
    return [
        sentences(text, heading=heading) or [(0, len(text))]
        for text, heading in zip(passages, headings or [""] * len(passages), strict=True)
    ]


def _highest(scores: Sequence[float], n: int, *, margin: float = math.inf) -> list[int]:
    """Which n scores are highest, in their own order; none that is further than the margin below the best."""
    floor = max(scores) - margin
    numbers = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:n]
    return sorted(number for number in numbers if scores[number] >= floor)


def _word_cosines(question: str, texts: Sequence[Sequence[str]], word_vectors: Encode) -> list[list[float]]:
    """Each sentence's cosine with the question by the words alone."""
    vectors = word_vectors([question, *(sentence for of_text in texts for sentence in of_text)])
    cosines = iter((vectors[1:] @ vectors[0]).tolist())
    return [[next(cosines) for _ in of_text] for of_text in texts]


def _shared_words(question: str, texts: Sequence[Sequence[str]]) -> list[list[float]]:
    """How much each sentence shares with the question: words by rarity; longer and earlier ones first."""
    words = [[set(_words(sentence)) for sentence in of_text] for of_text in texts]
    n_with = Counter(word for of_text in words for of_sentence in of_text for word in of_sentence)
    n = sum(map(len, words))
    rarity = {word: math.log(1 + n / n_with[word]) for word in set(_words(question)) if word in n_with}
    return [
        [
            sum(weight for word, weight in rarity.items() if word in of_sentence)
            + min(len(of_sentence), 12) / 12
            - 0.02 * number
            for number, of_sentence in enumerate(of_text)
        ]
        for of_text in words
    ]


def _words(text: str) -> list[str]:
    """The words in lower case, cut to six letters for their endings; of CJK text pairs of characters."""
    words = []
    for word in WORD.findall(text.casefold()):
        if CJK.search(word):
            words += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            words.append(word[:6])
    return words


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


def evidence(text: str, anchors: Anchors, start: int, end: int, score: float | None) -> Evidence:
    """The sentence at ``start:end`` of a passage, with its place in the file."""
    line, column = place(anchors, text, start)
    end_line, end_column = place(anchors, text, end)
    return Evidence(text[start:end], start, end, line, column, end_line, end_column, score)
