"""Normalised text for FTS5: its words (see `text.normalised_words`) separated by spaces.

A text comes in; what FTS5 is to store goes out.  A query or phrase is looked up in the same form.  FTS5 reads
the same words in most texts as they are; `is_plain` says which.  Case, accents and endings are left to FTS5.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from minisearch.stores.local import cjk
from minisearch.text import CJK_RUN, is_mark, normalised_words, without_mnemonics, words_between_signs

_SIGN = re.compile(r"[^\w\s]|_")


def is_plain(text: str) -> bool:
    """Whether FTS5 reads the same words in the text as it stands as in `spaced`."""
    if without_mnemonics(text) != text:
        return False
    characters = set(text)
    if all(map(_stands_for_itself, characters)):  # most texts: 11 µs for 950 characters, not 420
        return True
    if any(map(_is_glued, characters)):
        return False
    found = normalised_words(text)
    return found == words_between_signs(text) and CJK_RUN.search(" ".join(found)) is None


def spaced(text: str) -> str:
    """The words of a text, runs of Chinese, Japanese or Korean as pairs, parted by spaces."""
    return cjk.spaced(" ".join(normalised_words(text)))


@lru_cache(maxsize=4_096)
def _stands_for_itself(character: str) -> bool:
    """Whether `normalised_words` and FTS5 read a character alike, whatever stands beside it."""
    return character.isascii() or not (
        is_mark(character)
        or _is_glued(character)
        or CJK_RUN.match(character)
        or normalised_words(character) != words_between_signs(character)
    )


def _is_glued(character: str) -> bool:
    """Whether FTS5 may take a sign or mark for a letter: those younger than Unicode 6.1, private ones."""
    is_young = unicodedata.ucd_3_2_0.category(character) in {"Cn", "Co"}
    return is_young and _SIGN.match(character) is not None
