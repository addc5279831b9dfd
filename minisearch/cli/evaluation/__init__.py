"""``minisearch eval`` and ``selftest``: measure how well an index ranks."""
