"""Texts as the words that full text keeps of them: one form for each word, whoever writes it how.

A text comes in, its words go out, in NFKC (CO₂ is CO2, full-width Latin is Latin) and without signs, or what
FTS5 is to be given for them.  A text is kept, and a query or phrase looked up, in the same form.  Most
texts mean the same to FTS5 as they stand; `is_plain` says which.  Case, accents and endings are left to FTS5.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from minisearch.stores.local import cjk
from minisearch.types import without_mnemonics

_SIGN = re.compile(r"[^\w\s]|_")  # and marks, which belong to the letter before them
_LETTER = re.compile(r"[^\W_]")
_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # how a character is drawn, not which it is

# A wrapped line breaks no word in scripts without spaces.
_WRAP = re.compile(rf"(?<=[{cjk.UNSPACED}])[ \t]*\r?\n[ \t]*(?=[{cjk.UNSPACED}])")


def words(text: str) -> list[str]:
    """The words of a text in one form, in their order: letters and digits with their marks, nothing else."""
    text = without_mnemonics(text)
    if text.isascii():
        return _between_signs(text)
    # A sign stands apart, though NFKC make letters of it: Python™ is two words, and so is 20℃.
    plain = _SELECTOR.sub("", text)
    apart = _SIGN.sub(lambda found: found[0] if _is_mark(found[0]) else f" {found[0]} ", plain)
    return _between_signs(_WRAP.sub("", unicodedata.normalize("NFKC", apart)))


def is_plain(text: str) -> bool:
    """Whether FTS5 reads the same words in the text as it stands as in `spaced`."""
    if without_mnemonics(text) != text:
        return False
    characters = set(text)
    if all(map(_stands_for_itself, characters)):  # most texts: 11 µs for 950 characters, not 420
        return True
    if any(map(_is_glued, characters)):
        return False
    found = words(text)
    return found == _between_signs(text) and cjk.RUN.search(" ".join(found)) is None


def spaced(text: str) -> str:
    """The words of a text, runs of Chinese, Japanese or Korean as pairs, parted by spaces."""
    return cjk.spaced(" ".join(words(text)))


def _between_signs(text: str) -> list[str]:
    parted = _SIGN.sub(lambda found: found[0] if _is_mark(found[0]) else " ", text)
    return [word for word in parted.split() if _LETTER.search(word)]


@lru_cache(maxsize=4_096)
def _stands_for_itself(character: str) -> bool:
    """Whether `words` and FTS5 make the same of a character, whatever stands beside it."""
    return character.isascii() or not (
        _is_mark(character)
        or _is_glued(character)
        or cjk.RUN.match(character)
        or words(character) != _between_signs(character)
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_glued(character: str) -> bool:
    """Whether FTS5 may take a sign or mark for a letter: those younger than Unicode 6.1, private ones."""
    is_young = unicodedata.ucd_3_2_0.category(character) in {"Cn", "Co"}
    return is_young and _SIGN.match(character) is not None
