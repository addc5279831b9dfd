"""Texts of chosen lengths for measuring: runs of consecutive words out of a folder's files.

Lengths are counted in tokens, [CLS] and [SEP] included.  The same folder and seed give the same texts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from minisearch.errors import InputError
from minisearch.minilm.tokenizer import MiniLMTokenizer

N_SPECIAL = 2
MAX_WORD_TOKENS = 8  # more is an address or a ruled line, not a word


def read_words(folder: Path, tokenizer: MiniLMTokenizer) -> tuple[list[str], list[int]]:
    """The words of a folder's files in the order of their paths, and how many tokens each has."""
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
    """Runs of consecutive words, each as long as fits a number of tokens drawn from low to high."""
    random_ = random.Random(seed)  # noqa: S311 - it draws samples, not secrets
    ends = list(accumulate(counts, initial=0))
    texts: list[str] = []
    while len(texts) < n:
        start = last = random_.randrange(len(words))
        room = random_.randint(low, high) - N_SPECIAL
        while last < len(words) and ends[last + 1] - ends[start] <= room:
            last += 1
        if last < len(words):  # otherwise the words ran out before the length was reached
            texts.append(" ".join(words[start:last]))
    return texts
