"""The ``minisearch`` command, and ``python -m minisearch``: runs the command line, and ends it on a signal.

Ctrl-C ends a command with exit code 130, SIGTERM with 143.  Until `main` is called, Ctrl-C prints a
traceback, so this module and the package import nothing that Python has not loaded when it starts.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's, whose import takes 3 ms
if TYPE_CHECKING:
    import signal
    from types import FrameType
else:
    import _signal as signal  # the built-in part: signal itself imports enum, and that re

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
RETRY_S = 0.5  # time for the cleanup before the exception is raised again
N_RETRIES = 3  # then the process exits at once, but for a cleanup that is under way
N_RETRIES_CLEANUP = 20  # then it exits in any case


def main() -> None:
    """Run the command line."""
    handler = _SignalHandler()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and `&` may have it ignored
        signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)
    try:
        from minisearch.cli import main as run

        run()
    except KeyboardInterrupt:
        handler.is_over = True
        print("Interrupted", file=sys.stderr)  # noqa: T201 - click may not be imported yet
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as error:
        handler.is_over = True
        # A second Ctrl-C, while the first is handled, makes click print "Aborted!" and exit with 1.
        sys.exit(handler.code or error.code)
    finally:
        handler.is_over = True
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        import atexit

        # After a signal the timer ends the process if a thread, for which Python waits now, does not end.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)


class _SignalHandler:
    """Raises KeyboardInterrupt or SystemExit on a signal, and again until the command ends.

    Some code swallows these exceptions: Cython modules do while they register their types (numpy.random lost
    one Ctrl-C of a thousand), and Python does in destructors.  A timer therefore raises again, unless a
    cleanup is under way, and at last ends the process without any cleanup: an index survives that.
    """

    def __init__(self) -> None:
        self.code = 0  # of the first signal
        self.is_over = False  # the command has ended: further signals change nothing
        self._n_retries = 0

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        self.code = self.code or (EXIT_INTERRUPTED if signum == signal.SIGINT else EXIT_TERMINATED)
        sys.unraisablehook = lambda _: None  # what a destructor swallows is raised again: no traceback
        signal.signal(signal.SIGALRM, self._retry)
        signal.setitimer(signal.ITIMER_REAL, RETRY_S, RETRY_S)
        self._raise()

    def _retry(self, _signum: int, _frame: FrameType | None) -> None:
        self._n_retries += 1
        if self._n_retries >= N_RETRIES_CLEANUP or (self._n_retries >= N_RETRIES and not _is_cleanup()):
            os._exit(self.code)
        if not _is_cleanup():
            self._raise()

    def _raise(self) -> None:
        if self.is_over:
            return
        if self.code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(self.code)


def _is_cleanup() -> bool:
    """Whether the current code runs because of an exception that ends the command."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        error = error.__context__
    return error is not None


if __name__ == "__main__":
    main()
