"""Look after an index: coverage, verification, rollback, backup, and how files are split."""
