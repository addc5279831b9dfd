"""Chinese, Japanese and Korean as words that full text can look up: every character begins a word of two.

These scripts write no spaces, or none that a search could rely on, and `unicode61` takes a whole sentence
for one word.  A run of their characters becomes overlapping pairs and a last single character, so that
any part of it can be found, and a phrase never reaches across two runs:

    "Pythonの入門"  ->  "Python の入 入門 門"

Which characters these are, and one form for each, is left to `text`.
"""

from __future__ import annotations

import re

from minisearch.text import CJK_RUN, bigrams

_END = re.compile(f"({CJK_RUN.pattern})$")


def spaced(text: str) -> str:
    """The text with every run as words of two characters and a last one of one."""
    return CJK_RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


def parts(word: str) -> list[str]:
    """A word cut at the ends of its runs."""
    return [part for part in re.split(f"({CJK_RUN.pattern})", word) if part]


def terms(run: str) -> list[str]:
    """What to look up for a run, as FTS5 strings: its pairs; for a single character all words it begins."""
    return [f'"{pair}"' for pair in bigrams(run)] if len(run) > 1 else [f'"{run}" *']


def phrase(text: str) -> str:
    """An FTS5 string that finds a text without signs wherever it stands, though its last run may go on."""
    end = _END.search(text)
    if end is None:
        return f'"{spaced(text)}"'
    before, run = spaced(text[: end.start()]), end[0]
    return f'"{before} {run}" *' if len(run) == 1 else f'"{before} {" ".join(bigrams(run))}"'


def _pairs(run: str) -> list[str]:
    """Each character with the one after it; the last stands alone."""
    return [run[i : i + 2] for i in range(len(run))]
