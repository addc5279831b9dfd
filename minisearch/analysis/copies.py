"""Copies: documents, and parts of documents, that say the same in the same words.

The texts of an index go in; no model runs.  Each text leaves a fingerprint of its runs of `N_WORDS` words by
winnowing (Schleimer, Wilkerson, Aiken 2003): of each `WINDOW` runs in a row the one with the least hash, so
that equal texts of `N_WORDS + WINDOW - 1` words or more always share one.  Time and memory grow with the
words of the index.  Paraphrases and translations are no copies; `MiniSearch.similar` finds them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from minisearch.errors import InputError
from minisearch.rag import continued
from minisearch.search.evidence import line_and_column
from minisearch.search.pipeline import anchors_of
from minisearch.stores.base import Snapshot, StoredChunk
from minisearch.text import folded, paired_parts, words_between_signs
from minisearch.types import IntArray

N_WORDS, WINDOW = 4, 6
MAX_PAIRED = 10  # documents with the same run that are all compared; of more, each with the next one
MAX_GAP = 3  # fingerprints between two shared ones of a span
LEAST_SHARE = 0.6
LEAST_WORDS = 40
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, with bits evenly spread

Hashes = npt.NDArray[np.uint64]
Hit = tuple[int, int]  # places in the fingerprints of two documents


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of a document, both included, and those of another one with the same words."""

    line: int
    end_line: int
    other_line: int
    other_end_line: int


@dataclass(frozen=True, slots=True)
class SharedText:
    """What two documents share: ``share`` is the part of the shorter one, from 0 to 1."""

    path: str
    other: str
    share: float
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """A document to keep, and its near copies.

    The one to keep has the most words, and of several it was changed last.  Of the same text it is the one
    with the shortest path.
    """

    keep: str
    copies: tuple[SharedText, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Near copies as ``groups``; ``parts`` are other documents that share lines, the most words first."""

    groups: tuple[CopyGroup, ...]
    parts: tuple[SharedText, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """The fingerprint of a document: hashes, the place of each run; and the hash and line of each word."""

    path: str
    order: tuple[int, int, int, str]  # that in which documents are kept
    hashes: Hashes
    places: IntArray
    words: Hashes
    lines: IntArray


def duplicates(
    snapshot: Snapshot,
    display_path: Callable[[str], str],
    *,
    least_share: float = LEAST_SHARE,
    least_words: int = LEAST_WORDS,
) -> Duplicates:
    """Documents of which at least ``least_share`` is in another one, and shared spans of ``least_words``.

    Raises InputError for a share that is not above 0 and up to 1, and for less than one word.
    """
    if not 0 < least_share <= 1:
        raise InputError(f"the share is {least_share}: expected a number above 0 and up to 1")
    if least_words < 1:
        raise InputError(f"the number of words is {least_words}: expected at least 1")
    texts = sorted(_texts(snapshot, display_path), key=lambda one: one.order)
    hits = _hits(texts)
    groups, group_of = _groups(texts, hits, least_share, least_words)
    parts = []
    for (a, b), pairs in hits.items():
        if group_of.get(a, a) != group_of.get(b, b):
            spans, n_words = _spans(texts[a], texts[b], pairs, least_words)
            if spans:
                shared = SharedText(texts[a].path, texts[b].path, _share(texts[a], texts[b]), spans)
                parts.append((-n_words, shared.path, shared.other, shared))
    return Duplicates(tuple(groups), tuple(one[-1] for one in sorted(parts, key=lambda one: one[:-1])))


# --- fingerprints ----------------------------------------------------------------------------------------


def fingerprint(words: Sequence[str]) -> tuple[Hashes, IntArray]:
    """The chosen runs of a text of words: their hashes, and the numbers of their first words, ascending.

    A text of fewer than ``N_WORDS + WINDOW - 1`` words has one run, one of fewer than `N_WORDS` has none.
    """
    return _fingerprint(hashed(words))


def _fingerprint(of_words: Hashes) -> tuple[Hashes, IntArray]:
    """The same from the hashes of the words."""
    if len(of_words) < N_WORDS:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    n = len(of_words) - N_WORDS + 1
    runs = np.zeros(n, np.uint64)
    for place in range(N_WORDS):
        runs = (runs ^ of_words[place : place + n]) * np.uint64(MULTIPLIER)
        runs ^= runs >> np.uint64(29)
    windows = np.lib.stride_tricks.sliding_window_view(runs, min(WINDOW, n))
    chosen = np.unique(windows.argmin(axis=1) + np.arange(len(windows)))
    return runs[chosen], chosen


def hashed(words: Sequence[str]) -> Hashes:
    """A hash for each word, the same in every process."""
    return np.array([_hash(word) for word in words], np.uint64)


@lru_cache(maxsize=200_000)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _texts(snapshot: Snapshot, display_path: Callable[[str], str]) -> Iterator[_Text]:
    for key, document in snapshot.documents().items():
        words, lines = _words(snapshot.chunks_of(key))
        of_words = hashed(words)
        hashes, places = _fingerprint(of_words)
        if len(hashes):
            path = display_path(key)
            order = (-len(words), -document.stamp.mtime_ns, len(path), path)
            yield _Text(path, order, hashes, places, of_words, np.array(lines, np.int64))


def _words(chunks: Sequence[StoredChunk]) -> tuple[list[str], list[int]]:
    """The words of a document, and the line of each; what two passages share counts once."""
    words: list[str] = []
    lines: list[int] = []
    starts = [0, *(continued(above, below)[1] for above, below in pairwise(chunks))]
    for chunk, start in zip(chunks, starts, strict=True):
        for text in chunk.text[start:].splitlines(keepends=True):
            line, _ = line_and_column(anchors_of(chunk), chunk.text, start)
            start += len(text)
            found = [part for word in words_between_signs(folded(text)) for part in _parts(word)]
            words += found
            lines += [line] * len(found)
    return words, lines


def _parts(word: str) -> list[str]:
    """A word, or the characters of a text in a script without spaces."""
    return [one for part, is_paired in paired_parts(word) for one in (part if is_paired else [part])]


# --- pairs of documents ----------------------------------------------------------------------------------


def _hits(texts: Sequence[_Text]) -> dict[tuple[int, int], list[Hit]]:
    """For each pair of documents the places of the runs that both have, ascending."""
    if not texts:
        return {}
    hashes = np.concatenate([one.hashes for one in texts])
    owners = np.repeat(np.arange(len(texts)), [len(one.hashes) for one in texts])
    places = np.concatenate([np.arange(len(one.hashes)) for one in texts])
    order = np.lexsort((places, owners, hashes))
    hashes, owners, places = hashes[order], owners[order], places[order]
    borders = np.flatnonzero(np.diff(hashes)) + 1
    found: defaultdict[tuple[int, int], list[Hit]] = defaultdict(list)
    for start, end in pairwise([0, *borders.tolist(), len(hashes)]):
        if end - start == 1:
            continue
        of_owner = dict(zip(owners[start:end].tolist(), places[start:end].tolist(), strict=True))
        pairs = combinations(of_owner, 2) if len(of_owner) <= MAX_PAIRED else pairwise(of_owner)
        for a, b in pairs:
            found[a, b].append((of_owner[a], of_owner[b]))
    return {pair: sorted(hits) for pair, hits in sorted(found.items())}


def _share(one: _Text, other: _Text) -> float:
    """The share of the shorter one's runs that the other has; if it is very short, of all runs of both."""
    short, long = sorted((one, other), key=lambda text: len(text.hashes))
    n_shared = int(np.isin(short.hashes, long.hashes).sum())
    n_runs = len(short.hashes)
    if len(short.lines) < LEAST_WORDS:
        n_runs += len(long.hashes) - n_shared
    return round(n_shared / n_runs, 3)


def _spans(one: _Text, other: _Text, hits: Sequence[Hit], least_words: int) -> tuple[tuple[Span, ...], int]:
    """The shared lines, and how many words they have; runs that follow one another in both make a span."""
    spans: list[Span] = []
    n_words, start = 0, 0
    for place in range(1, len(hits) + 1):
        if place < len(hits):
            (a, b), (next_a, next_b) = hits[place - 1], hits[place]
            if next_a - a <= MAX_GAP and 0 < next_b - b <= MAX_GAP:
                continue
        (first_a, first_b), (last_a, last_b) = hits[start], hits[place - 1]
        start = place
        (begin, other_begin), (end, other_end) = (
            _extended(one.words, other.words, int(one.places[a]), int(other.places[b]), step)
            for a, b, step in ((first_a, first_b, -1), (last_a, last_b, 1))
        )
        if end - begin + 1 >= least_words:
            n_words += end - begin + 1
            ends = (one.lines[begin], one.lines[end], other.lines[other_begin], other.lines[other_end])
            spans.append(Span(*map(int, ends)))
    return tuple(spans), n_words


def _extended(one: Hashes, other: Hashes, place: int, other_place: int, step: int) -> tuple[int, int]:
    """The last places to the left or right of these at which both still have the same words."""
    while (
        0 <= place + step < len(one)
        and 0 <= other_place + step < len(other)
        and one[place + step] == other[other_place + step]
    ):
        place, other_place = place + step, other_place + step
    return place, other_place


def _groups(
    texts: Sequence[_Text], hits: dict[tuple[int, int], list[Hit]], least_share: float, least_words: int
) -> tuple[list[CopyGroup], dict[int, int]]:
    """Groups of near copies, the largest first, and the first document of each document's group."""
    near: defaultdict[int, set[int]] = defaultdict(set)
    for a, b in hits:
        near[a].add(b)
        near[b].add(a)
    group_of: dict[int, int] = {}
    found: list[CopyGroup] = []
    for first in sorted(near):
        if first in group_of:
            continue
        waiting, seen, members = [first], {first}, [first]
        while waiting:  # also those that share nothing rare with the first one but with a copy of it
            for other in sorted(n for n in near[waiting.pop()] - seen if n not in group_of):
                seen.add(other)
                if _share(texts[first], texts[other]) >= least_share:
                    waiting.append(other)
                    members.append(other)
        if len(members) > 1:
            group_of.update(dict.fromkeys(members, first))
            same = [texts[n] for n in members if _is_same(texts[n], texts[first])]
            keep = min(same, key=lambda one: (len(one.path), one.path))
            others = [texts[n] for n in sorted(members) if texts[n] is not keep]
            found.append(CopyGroup(keep.path, tuple(_copy(keep, one, least_words) for one in others)))
    return sorted(found, key=lambda one: (-len(one.copies), one.keep)), group_of


def _is_same(one: _Text, other: _Text) -> bool:
    return len(one.lines) == len(other.lines) and np.array_equal(one.hashes, other.hashes)


def _copy(keep: _Text, copy: _Text, least_words: int) -> SharedText:
    place_of = {int(value): place for place, value in enumerate(keep.hashes.tolist())}
    hits = [(place_of[h], place) for place, h in enumerate(copy.hashes.tolist()) if h in place_of]
    spans, _ = _spans(keep, copy, sorted(hits), least_words)
    return SharedText(keep.path, copy.path, _share(keep, copy), spans)
