"""Keep an index up to date: plan a run, read what changed, store it, and watch for more."""
