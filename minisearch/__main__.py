"""The ``minisearch`` command, and ``python -m minisearch``.

It imports next to nothing itself, so that Ctrl-C is answered while the rest is still being imported.
"""

from __future__ import annotations

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from minisearch.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
