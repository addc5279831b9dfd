"""The ``minisearch`` command, and ``python -m minisearch``.

It imports next to nothing itself, so that Ctrl-C is answered while the rest is still being imported.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
AGAIN_S = 0.1


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and `&` may have it ignored
        signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    try:
        from minisearch.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(EXIT_INTERRUPTED)
    finally:
        # All is said: another one changes nothing any more.
        for one in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)


def _end(signum: int, _frame: FrameType | None) -> NoReturn:
    """End the command, whoever swallows what is raised here.

    Cython's modules do, for one, while they register their types: numpy.random lost one Ctrl-C of a
    thousand that came as a command began, and it ran on to its end.
    """

    def again(_signum: int, _frame: FrameType | None) -> None:
        if not _is_ending():
            _raise(signum)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
    _raise(signum)


def _raise(signum: int) -> NoReturn:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(EXIT_TERMINATED)


def _is_ending() -> bool:
    """Whether what runs now runs because of an exception that ends the command."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        error = error.__context__
    return error is not None


if __name__ == "__main__":
    main()
