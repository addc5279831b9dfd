"""The ``minisearch`` command, and ``python -m minisearch``.

It imports next to nothing itself, so that Ctrl-C is answered while the rest is still being imported.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
AGAIN_S = 0.5  # what is cleaned up meanwhile is let finish, even where Python does not show that it is


def main() -> None:
    """Run the command line."""
    end = _End()
    sys.unraisablehook = end.tell_of
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and `&` may have it ignored
        signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        from minisearch.cli import main as run

        run()
    except KeyboardInterrupt:
        end.is_over = True
        print("Interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as error:
        end.is_over = True
        # A second Ctrl-C, as the first is answered, is click's to answer: by "Aborted!" and code 1.
        sys.exit(end.code or error.code)
    finally:
        end.is_over = True
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(one, signal.SIG_IGN)


class _End:
    """Ends the command when a signal comes, whoever swallows what is raised here.

    Cython's modules do, for one, while they register their types: numpy.random lost one Ctrl-C of a
    thousand that came as a command began, and it ran on to its end.  Python does where an object is done
    with, and would tell of it.
    """

    def __init__(self) -> None:
        self.code = 0  # that of the first signal
        self.is_over = False  # all is said: another one changes nothing any more

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        self.code = self.code or (EXIT_INTERRUPTED if signum == signal.SIGINT else EXIT_TERMINATED)
        signal.signal(signal.SIGALRM, self._again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
        self._raise()

    def _again(self, _signum: int, _frame: FrameType | None) -> None:
        if not _is_ending():
            self._raise()

    def tell_of(self, lost: sys.UnraisableHookArgs) -> None:
        """Tell of an error that nobody can catch, but for what was raised here: it is raised again."""
        if not (self.code and isinstance(lost.exc_value, (KeyboardInterrupt, SystemExit))):
            sys.__unraisablehook__(lost)

    def _raise(self) -> None:
        if self.is_over:
            return
        if self.code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(self.code)


def _is_ending() -> bool:
    """Whether what runs now runs because of an exception that ends the command."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        error = error.__context__
    return error is not None


if __name__ == "__main__":
    main()
