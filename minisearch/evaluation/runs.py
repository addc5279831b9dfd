"""Rankings, and the TREC run files that carry them from one program to another.

A line of such a file is ``query Q0 document rank score tag``, separated by white space.  As in trec_eval, a
reader ignores the ranks and sorts by score, highest first, and equal scores by the greater document id.
Therefore a writer makes sure that the scores decrease.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.collection import lines_of


@dataclass(frozen=True, slots=True)
class RankedDocuments:
    """The documents found for one query, best first, each once, and their scores."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]


Rankings = Mapping[str, RankedDocuments]  # by the query's id


def read_run(path: Path, *, ids: Iterable[str] = ()) -> dict[str, RankedDocuments]:
    """The rankings in a TREC run file; InputError, with the line, if one is invalid.

    Known ``ids`` of queries and documents come back as they are, even if `write_run` had to encode their
    white space.
    """
    known = {_column(id_): id_ for id_ in ids}
    scores: dict[str, dict[str, float]] = {}
    for line_number, line in lines_of(path):
        place = f"{path}, line {line_number}"
        query, document, score = _parsed(line, place)
        document = known.get(document, document)
        of_query = scores.setdefault(known.get(query, query), {})
        if document in of_query:
            raise InputError(f"{place}: {document} is ranked twice for query {query}")
        of_query[document] = score
    if not scores:
        raise InputError(f"{path} is empty: expected lines of: query Q0 document rank score tag")
    return {query: _ranked(of_query) for query, of_query in scores.items()}


def _parsed(line: str, place: str) -> tuple[str, str, float]:
    columns = line.split()
    if len(columns) != 6:
        raise InputError(
            f"{place}: expected 6 columns (query Q0 document rank score tag), got {len(columns)}: "
            f"{line[:60]!r}"
        )
    query, _, document, _, written, _ = columns
    try:
        score = float(written)
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise InputError(f"{place}: expected a number as score, got {written!r}")
    return query, document, score


def _ranked(scores: Mapping[str, float]) -> RankedDocuments:
    ids = sorted(scores, key=lambda id_: (scores[id_], id_), reverse=True)
    return RankedDocuments(tuple(ids), tuple(scores[id_] for id_ in ids))


def write_run(path: Path, rankings: Rankings, tag: str) -> None:
    """Write a TREC run file; each score is lowered, if need be, to just below the one before.

    White space in ids and tag would read as more columns, so it is percent-encoded (%20).
    """
    tag = _column(tag)
    with path.open("w", encoding="utf-8") as file:
        for query, ranking in rankings.items():
            scores = descending(ranking.scores)
            for rank, (document, score) in enumerate(zip(ranking.ids, scores, strict=True), start=1):
                file.write(f"{_column(query)} Q0 {_column(document)} {rank} {score!r} {tag}\n")


def descending(scores: tuple[float, ...]) -> list[float]:
    """The scores, each below the one before even in trec_eval's 32 bits."""
    lowered: list[float] = []
    below = np.float32(np.inf)
    for score in np.array(scores, np.float32):
        below = score if score < below else np.nextafter(below, np.float32(-np.inf))
        lowered.append(float(below))
    return lowered


def _column(text: str) -> str:
    return re.sub(r"\s", lambda found: quote(found[0]), text)
