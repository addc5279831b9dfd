"""The ``minisearch`` command, and ``python -m minisearch``.

It imports next to nothing itself, so that Ctrl-C is answered while the rest is still being imported.
"""

from __future__ import annotations

import signal
import sys

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        from minisearch.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(EXIT_INTERRUPTED)
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):  # all is said: a second one changes nothing any more
            signal.signal(one, signal.SIG_IGN)


if __name__ == "__main__":
    main()
