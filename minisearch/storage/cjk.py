"""Chinese, Japanese and Korean as words that full text can look up: every character begins a word of two.

These scripts write no spaces, or none that a search could rely on, and `unicode61` takes a whole sentence
for one word.  A run of their characters becomes overlapping pairs and a last single character, so that
any part of it can be found, and a phrase never reaches across two runs:

    "Pythonの入門"  ->  "Python の入 入門 門"

Texts without such characters are left to the main table as they are.
"""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"

RUN = re.compile(f"[{_UNSPACED}{_HANGUL}]+")

# A wrapped line breaks no word in scripts without spaces.
_WRAP = re.compile(rf"(?<=[{_UNSPACED}])[ \t]*\r?\n[ \t]*(?=[{_UNSPACED}])")


def normalised(text: str) -> str:
    """One form for each character (half-width kana, full-width Latin), and lines unwrapped."""
    return text if text.isascii() else _WRAP.sub("", unicodedata.normalize("NFKC", text))


def has_runs(text: str) -> bool:
    """Whether there is anything of these scripts in a text."""
    return RUN.search(normalised(text)) is not None


def spaced(text: str) -> str:
    """The text with every run as words of two characters and a last one of one."""
    return RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", normalised(text))


def parts(word: str) -> list[str]:
    """A word of a normalised text cut at the ends of its runs."""
    return [part for part in re.split(f"({RUN.pattern})", word) if part]


def terms(run: str) -> list[str]:
    """What to look up for a run, as FTS5 strings: its pairs; for a single character all words it begins."""
    return [f'"{pair}"' for pair in _pairs(run)[:-1]] or [f'"{run}" *']


def phrase(text: str) -> str:
    """An FTS5 string that finds a text without quotes wherever it stands, though its last run may go on."""
    text = normalised(text)
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    start = end
    while start and RUN.match(text, start - 1, start):
        start -= 1
    if start == end:
        return f'"{spaced(text)}"'
    before, run = spaced(text[:start]), text[start:end]
    return f'"{before}{run}" *' if len(run) == 1 else f'"{before}{" ".join(_pairs(run)[:-1])}"'


def _pairs(run: str) -> list[str]:
    """Each character with the one after it; the last stands alone."""
    return [run[i : i + 2] for i in range(len(run))]
