"""Retry a call that may fail for a moment, without making the outage worse.

A server that has just come back is weakest in its first minute. If ten thousand clients all noticed
the failure together and all wait exactly one second, they return together, knock it over, and wait
exactly two seconds: the thundering herd. Two habits prevent it.

Exponential backoff: each wait may be twice as long as the one before, up to a ceiling, so a long
outage is not hammered.

Full jitter: the actual wait is drawn at random between zero and that bound. The herd spreads out into
a drizzle. Waiting a fixed time plus a small random part is not enough; the peaks stay visible.

Retry only what is safe to do twice. Reading is. Charging a credit card is not, unless the request
carries an idempotency key by which the server recognises the repeat and returns the first answer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Errors that tend to go away by themselves.  A 404 or a wrong password will be just as wrong in a second,
# so everything else is passed on at once.
PASSING_ERRORS: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)


def wait_bound_s(attempt: int, first_s: float = 0.1, ceiling_s: float = 20.0) -> float:
    """The longest wait after attempt number 0, 1, 2 ...: 0.1, 0.2, 0.4 s and so on up to the ceiling."""
    return min(ceiling_s, first_s * 2.0**attempt)


def retry(call: Callable[[], T], *, max_attempts: int = 6, deadline_s: float = 60.0) -> T:
    """The result of the call, tried until it succeeds; raises its last error when patience ends.

    There are two limits.  The number of attempts protects the server.  The deadline protects the person
    who is waiting: nobody wants a page that arrives after five minutes.
    """
    # time.monotonic never jumps, whereas the wall clock is put forward and back by daylight saving and NTP.
    started = time.monotonic()
    for attempt in range(max_attempts):
        try:
            return call()
        except PASSING_ERRORS:  # noqa: PERF203 - a try in a loop is the whole point
            wait_s = random.uniform(0.0, wait_bound_s(attempt))  # noqa: S311 - spreads load, guards no secret
            is_last = attempt + 1 == max_attempts
            if is_last or time.monotonic() - started + wait_s > deadline_s:
                raise
            time.sleep(wait_s)
    raise ValueError(f"max_attempts is {max_attempts}; at least one attempt is needed")


# A word of warning about layers.  If the browser tries three times, the gateway behind it three times and
# the service behind that three times, one click becomes 27 calls to the database, and an overload feeds
# itself.  Retry in one layer only, the outermost that knows whether repeating is safe, or give each client
# a budget: at most one retry for every ten ordinary requests.  When the budget is empty, fail fast.
