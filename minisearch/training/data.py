"""Texts in; the batches of each training step out.

The texts come in a random order, which is another one each time all texts were seen.  The texts of some
steps, a window, are sorted by length and cut into groups; each step takes some groups of the window at
random, so that the texts of a batch are of similar length.  The batches of a step depend only on the texts,
the settings and the number of the step, so that a run can go on from any step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from minisearch.errors import InputError
from minisearch.evaluation.known_items import HEADING_SEPARATOR, ChunkedDocument
from minisearch.minilm.inference import batches
from minisearch.minilm.settings import CheckpointSettings
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.text import sentence_starts

# The most tokens of a batch, with padding.
BATCH_TOKENS = {"cpu": 2_048, "cuda": 16_384, "mps": 8_192}
WINDOW_STEPS = 32
# Of a step. With padding, 64 passages and sentences are 1.01 times as many tokens in 4 groups, twice in one.
GROUPS = 4
MIN_GROUP = 8  # with which a text is compared by the loss "similarity"
TEXTS_A_CALL = 10_000


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Token ids (B, T) and their mask (B, T), True for tokens and False for padding.

    ``segments`` (B, T) are 0 for the first text of a pair and 1 for the second; None without pairs.
    """

    ids: Tensor
    mask: Tensor
    segments: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_tokens(self) -> int:
        """The tokens, without padding."""
        return int(self.mask.sum())

    def to(self, device: torch.device) -> TextBatch:
        """The same on a device."""
        segments = None if self.segments is None else self.segments.to(device)
        return TextBatch(self.ids.to(device), self.mask.to(device), segments)


class TextData:
    """The batches of texts for each step.

    ``batch_size`` is the number of texts in a step, ``batch_tokens`` the most tokens in a batch, with
    padding.  Of the tokens of each text a random share, at most ``word_noise``, is replaced by random tokens
    of the vocabulary: a teacher has a vector for these texts too, and a student learns words that the corpus
    does not have.  Those of ``prompts`` at the beginning are kept.  InputError for fewer different texts than
    a step takes.
    """

    def __init__(
        self,
        texts: Iterable[str],
        tokenizer: MiniLMTokenizer,
        *,
        batch_size: int,
        batch_tokens: int = BATCH_TOKENS["cpu"],
        word_noise: float = 0.0,
        prompts: Collection[str] = (),
        seed: int = 0,
    ) -> None:
        self.batch_size, self._batch_tokens, self._seed = batch_size, batch_tokens, seed
        self._word_noise, self._words = word_noise, _words_of(tokenizer)
        self._prompts = [np.array(ids[:-1]) for ids in tokenizer.ids(["", *prompts], kind="")]
        self._pad_id = tokenizer.pad_id
        self._ids, self._lengths = _tokenised(texts, tokenizer)  # of N texts
        self._ends = np.cumsum(self._lengths)  # (N,)
        self._starts = self._ends - self._lengths
        check_corpus(len(self), batch_size)
        self._order = EpochOrder(len(self), seed)
        self._window: tuple[int, list[np.ndarray]] = (-1, [])  # the groups of the last one used

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def n_tokens(self) -> int:
        """The tokens of all texts."""
        return len(self._ids)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever the batches would."""
        digest = hashlib.sha256(self._ids.tobytes() + self._ends.tobytes())
        digest.update(repr((self.batch_size, self._batch_tokens, self._word_noise, self._seed)).encode())
        return digest.hexdigest()

    def batches(self, step: int) -> list[TextBatch]:
        """The batches of a step, the first of which is 0."""
        n_steps = max(1, min(WINDOW_STEPS, len(self) // self.batch_size))
        n_groups = max(1, min(GROUPS, self.batch_size // MIN_GROUP))
        n_groups = next(n for n in range(n_groups, 0, -1) if self.batch_size % n == 0)
        window, place = divmod(step, n_steps)
        if self._window[0] != window:
            self._window = window, self._groups(window, n_steps * self.batch_size, n_steps * n_groups)
        found, generator = list[TextBatch](), np.random.default_rng([self._seed, 2, step])
        for group in self._window[1][place * n_groups : (place + 1) * n_groups]:
            cut = batches(self._lengths[group].tolist(), self._batch_tokens, is_padded=True)
            found += [self._batch(group[places].tolist(), generator) for places in cut]
        return found

    def _groups(self, window: int, n_texts: int, n_groups: int) -> list[np.ndarray]:
        """The texts of a window in groups of equal size and similar length, in random order."""
        rows = np.array(self._order.rows(window, n_texts))
        groups = np.split(rows[np.argsort(self._lengths[rows], kind="stable")], n_groups)
        order = np.random.default_rng([self._seed, 1, window]).permutation(n_groups)
        return [groups[number] for number in order]

    def _batch(self, rows: Sequence[int], generator: np.random.Generator) -> TextBatch:
        texts = [self._ids[self._starts[row] : self._ends[row]] for row in rows]
        if self._word_noise:
            texts = [self._with_noise(text, generator) for text in texts]
        return text_batch(texts, self._pad_id)

    def _with_noise(self, text: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The same ids, some of them replaced, but not [CLS], a prompt and [SEP]."""
        is_replaced = generator.random(len(text)) < self._word_noise * generator.random()
        n_kept = max(len(one) for one in self._prompts if np.array_equal(text[: len(one)], one))
        is_replaced[:n_kept] = is_replaced[-1] = False
        # The vocabulary begins with the most frequent words: half of the random ones are of its first eighth.
        places = len(self._words) * generator.random(len(text)) ** 3
        return np.where(is_replaced, self._words[places.astype(np.int64)], text)


class EpochOrder:
    """The examples of each step: all of them in a random order, then again in another one."""

    def __init__(self, n: int, seed: int) -> None:
        self._n, self._seed = n, seed
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))  # an epoch and its order

    def rows(self, step: int, batch_size: int) -> list[int]:
        """The examples of a step, the first of which is 0."""
        return [self._row(number) for number in range(step * batch_size, (step + 1) * batch_size)]

    def _row(self, number: int) -> int:
        epoch, place = divmod(number, self._n)
        if self._last[0] != epoch:
            self._last = epoch, np.random.default_rng([self._seed, epoch]).permutation(self._n)
        return int(self._last[1][place])


def text_batch(texts: Sequence[ArrayLike], pad_id: int) -> TextBatch:
    """The ids of some texts, padded to the longest."""
    rows = [torch.as_tensor(np.asarray(text)).long() for text in texts]
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
    return TextBatch(ids, torch.arange(ids.shape[1]) < lengths[:, None])


def _words_of(tokenizer: MiniLMTokenizer) -> np.ndarray:
    """The ids of words and pieces of words, without special tokens and single characters."""
    ids = [
        number
        for number, token in enumerate(tokenizer.vocabulary)
        if len(token.removeprefix("##")) > 1 and (token[0], token[-1]) not in {("[", "]"), ("<", ">")}
    ]
    return np.array(ids, np.int32)


def _tokenised(texts: Iterable[str], tokenizer: MiniLMTokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The ids of all texts, joined, and their lengths; each text once."""
    seen: set[bytes] = set()
    parts, lengths = [np.empty(0, np.int32)], []
    stream = iter(texts)
    while some := list(islice(stream, TEXTS_A_CALL)):
        for one in tokenizer.ids(some, kind=""):
            ids = np.array(one, np.int32)
            key = hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
            if key not in seen and len(ids) > tokenizer.n_special_tokens:
                seen.add(key)
                parts.append(ids)
                lengths.append(len(ids))
    return np.concatenate(parts), np.array(lengths, np.int64)


def pair_batch(pairs: Sequence[tuple[list[int], list[int]]], pad_id: int) -> TextBatch:
    """The ids and segments of some pairs, or of single texts, padded to the longest."""
    texts = text_batch([ids for ids, _ in pairs], pad_id)
    return replace(texts, segments=text_batch([segments for _, segments in pairs], 0).ids)


def check_enough(what: str, n: int, batch_size: int) -> None:
    """InputError for fewer examples than a step takes."""
    if n < batch_size:
        raise InputError(
            f"there are too few {what}: {n:,}, expected at least {batch_size:,}, the batch size: give more, "
            f"or a smaller batch size"
        )


def check_corpus(n_texts: int, batch_size: int) -> None:
    """InputError for fewer different texts than a step takes."""
    if n_texts < batch_size:
        raise InputError(
            f"the corpus is too small: it has {n_texts:,} different texts (passages, headings and "
            f"sentences), expected at least {batch_size:,}, the batch size: give more documents, or a "
            f"smaller batch size"
        )


def texts_of(documents: Iterable[ChunkedDocument], settings: CheckpointSettings) -> Iterator[str]:
    """The texts of the documents with the model's prompts: short ones get that for queries."""
    for text, is_short in passages_and_parts(documents):
        yield (settings.query_prompt if is_short else settings.document_prompt) + text


def passages_and_parts(documents: Iterable[ChunkedDocument]) -> Iterator[tuple[str, bool]]:
    """What an index of the documents would embed, and shorter texts, since queries are short.

    Each chunk with the title before it comes with False; titles, headings and the sentences of each chunk
    come with True.
    """
    for document in documents:
        short = [document.title]
        for chunk in document.chunks:
            yield f"{document.title} {chunk.text}".strip(), False
            starts = [0, *sentence_starts(chunk.text, 0, len(chunk.text)), len(chunk.text)]
            short += [chunk.heading.split(HEADING_SEPARATOR)[-1]]
            short += [chunk.text[start:end] for start, end in pairwise(starts)]
        yield from ((text.strip(), True) for text in short if text.strip())
