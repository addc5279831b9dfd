"""``python -m minisearch`` is the ``minisearch`` command."""

from __future__ import annotations

from minisearch.cli import main

main()
