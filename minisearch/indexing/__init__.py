"""Runs over the files: which have changed, what each has for the index now, and the changes themselves."""
