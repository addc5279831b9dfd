"""Texts of given lengths for measurements: consecutive words from the files of a folder.

Lengths are in tokens, including [CLS] and [SEP].  The same folder and seed give the same texts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from minisearch.errors import InputError
from minisearch.minilm.tokenizer import MiniLMTokenizer

N_SPECIAL = 2
MAX_WORD_TOKENS = 8  # more is a URL or a ruled line, not a word


def read_words(folder: Path, tokenizer: MiniLMTokenizer) -> tuple[list[str], list[int]]:
    """The words of a folder's files, sorted by path, and the number of tokens of each."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    words = " ".join(path.read_text(encoding="utf-8", errors="ignore") for path in paths).split()
    counts = [len(ids) - N_SPECIAL for ids in tokenizer.ids(words)]
    kept = [i for i, count in enumerate(counts) if 1 <= count <= MAX_WORD_TOKENS]
    if len(kept) < 1_000:
        raise InputError(f"{folder} holds {len(kept)} words, expected 1,000 or more; give another folder")
    return [words[i] for i in kept], [counts[i] for i in kept]


def cut(
    words: Sequence[str], counts: Sequence[int], low: int, high: int, *, n: int, seed: int = 0
) -> list[str]:
    """``n`` texts of consecutive words, with a random number of tokens from ``low`` to ``high`` each."""
    random_ = random.Random(seed)  # noqa: S311 - it draws samples, not secrets
    ends = list(accumulate(counts, initial=0))
    texts: list[str] = []
    while len(texts) < n:
        start = last = random_.randrange(len(words))
        room = random_.randint(low, high) - N_SPECIAL
        while last < len(words) and ends[last + 1] - ends[start] <= room:
            last += 1
        if last < len(words):  # else the words ended before the length was reached
            texts.append(" ".join(words[start:last]))
    return texts
