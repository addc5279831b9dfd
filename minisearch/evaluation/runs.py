"""Rankings, and the TREC run files that carry them from one program to another.

A line of such a file is ``query Q0 document rank score tag``, by white space.  As trec_eval does, a reader
goes by the scores, highest first and equal ones by the greater document id, and ignores the ranks; so a
writer has to see to it that the scores tell the order.
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


@dataclass(frozen=True, slots=True)
class RankedDocuments:
    """The documents found for one query, best first, no one twice, and their scores."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]


Rankings = Mapping[str, RankedDocuments]  # by the query's id


def read_run(path: Path, *, ids: Iterable[str] = ()) -> dict[str, RankedDocuments]:
    """The rankings in a TREC run file; InputError with the line that is none.

    ``ids`` of queries and documents that are known come back as they are, though `write_run` had to write
    their white space otherwise.
    """
    known = {_column(id_): id_ for id_ in ids}
    scores: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line_number, line in enumerate(file, start=1):
                if line.strip():
                    query, document, score = _parsed(line, f"{path}, line {line_number}")
                    document = known.get(document, document)
                    of_query = scores.setdefault(known.get(query, query), {})
                    if document in of_query:
                        raise InputError(
                            f"{path}, line {line_number}: {document} is ranked twice for query {query}"
                        )
                    of_query[document] = score
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
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
    """Write a TREC run file; a score not below the one before is lowered by a hair, so that the order holds.

    White space in ids and tag would read as more columns, so it is written as in an address (%20).
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
