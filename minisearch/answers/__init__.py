"""Answers from an index: both legs of a search, the page they make, and why a file is not on it."""
