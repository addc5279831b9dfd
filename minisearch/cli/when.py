"""Moments as people write them: a date, a date and time, or how long ago; text in, a datetime out."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from minisearch.errors import InputError, short

# Months and years are of 30 and 365 days: nobody looks for a file by the hour of a month ago.
UNITS = {
    **dict.fromkeys(["min", "minute", "minutes"], timedelta(minutes=1)),
    **dict.fromkeys(["h", "hour", "hours"], timedelta(hours=1)),
    **dict.fromkeys(["d", "day", "days"], timedelta(days=1)),
    **dict.fromkeys(["w", "week", "weeks"], timedelta(weeks=1)),
    **dict.fromkeys(["month", "months"], timedelta(days=30)),
    **dict.fromkeys(["y", "year", "years"], timedelta(days=365)),
}
SPAN = re.compile(r"(\d+)\s*([a-z]+)(?:\s+ago)?")
EXPECTED = (
    "expected a date like 2024-01-31 or 2024-01, a time like 2024-01-31T18:30, or 7d, '2 weeks', yesterday"
)


def parse_moment(text: str, *, now: datetime | None = None) -> datetime:
    """The moment that a text names; without a zone it is local time. InputError where it names none.

    >>> parse_moment("2 weeks", now=datetime(2024, 3, 15))
    datetime.datetime(2024, 3, 1, 0, 0)

    A date is its first moment, so "today" and "yesterday" begin at midnight.
    """
    now = now or datetime.now()
    wanted = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if wanted in {"today", "yesterday"}:
        return midnight - timedelta(days=wanted == "yesterday")
    try:
        if span := SPAN.fullmatch(wanted):
            return now - int(span[1]) * UNITS[span[2]]
        if re.fullmatch(r"\d{4}(-\d\d)?", wanted):
            wanted += "-01" if "-" in wanted else "-01-01"
        return datetime.fromisoformat(re.sub("z$", "+00:00", wanted))  # Python 3.10 knows no Z
    except (ValueError, KeyError, OverflowError) as error:
        raise InputError(f"'{short(text)}' is no moment: {EXPECTED}") from error
