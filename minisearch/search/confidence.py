"""How far an answer rises above what the index says to questions it has no answer for.

The best scores of such questions come in, as a `Null`; a cosine becomes an estimate from 0 to 1, and a page
is confident or not.  That is evidence of relevance, never that an answer exists: a question about a subject
the index is full of scores high whether or not any passage answers it.  Asking those questions, and keeping
what came of it, is left to others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

VERSION = 1

# Where a cosine stands between the generic questions' median (0) and their 95th percentile (1).
MIDDLE = 1.1
STEEPNESS = 4.0

CONFIDENT_FROM = 0.5


_PERCENTILES = np.arange(0, 101, 5)


@dataclass(frozen=True, slots=True)
class Null:
    """The best cosines of an index for questions it has no answer to: percentiles 0, 5, ... 100 of them.

    ``generic`` are those of everyday questions about anything; ``cross`` of sentences of its own documents,
    asked of all the other documents.
    """

    generic: tuple[float, ...]
    cross: tuple[float, ...]

    @classmethod
    def of(cls, generic: Sequence[float], cross: Sequence[float]) -> Null:
        """From the best cosines themselves, in any order and number, above none."""
        return cls(_percentiles(generic), _percentiles(cross))

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps({"version": VERSION, "generic": self.generic, "cross": self.cross})

    @classmethod
    def from_json(cls, text: str) -> Null | None:
        """What `to_json` wrote; None for another version's, which is to be measured again."""
        try:
            held = json.loads(text)
            null = cls(tuple(map(float, held["generic"])), tuple(map(float, held["cross"])))
        except (ValueError, TypeError, KeyError):
            return None
        lengths = {len(null.generic), len(null.cross)}
        return null if held.get("version") == VERSION and lengths == {len(_PERCENTILES)} else None


def relevance(cosine: float, null: Null) -> float:
    """The estimate for a passage with this cosine to the question: in [0, 1], growing with the cosine."""
    median, high = null.generic[10], null.generic[19]
    height = (cosine - median) / max(high - median, 1e-3)
    return 1 / (1 + math.exp(min(-STEEPNESS * (height - MIDDLE), 700.0)))


def is_confident(relevances: Iterable[float | None]) -> bool | None:
    """Whether any result of a page rises above chance; None where none was estimated."""
    known = [one for one in relevances if one is not None]
    return max(known) >= CONFIDENT_FROM if known else None


def _percentiles(scores: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(score), 4) for score in np.percentile(np.asarray(scores), _PERCENTILES))
