"""Text to ids and back: a thin layer over the checkpoint's own tokenizer.json.

The work is done by the `tokenizers` library; this module adds what the rest needs: ids cut at the
model's length but never in silence, every token's place in the text, and pairs of texts for a
cross-encoder.  A checkpoint of BERT's time has only vocab.txt: its tokenizer is put together from that.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from minisearch.errors import InputError, ModelError
from minisearch.manifest import DEFAULT_MODEL
from minisearch.minilm.catalog import locate
from minisearch.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

PADDING_TOKENS = ("[PAD]", "<pad>")  # BERT's and XLM-R's
# How many texts the library is given at a time: it keeps about 20 KB for each long one until all are done.
MAX_AT_ONCE = 1_024


class MiniLMTokenizer:
    """A checkpoint's tokenizer.

    >>> tokenizer = MiniLMTokenizer("all-MiniLM-L6-v2", max_length=64)  # doctest: +SKIP
    >>> tokenizer.encode(["hello world"])["input_ids"]  # doctest: +SKIP
    tensor([[ 101, 7592, 2088,  102]])

    ``max_length`` counts special tokens ([CLS], [SEP]) too.  Raises ModelError when there is no usable
    tokenizer, InputError for a length that leaves no room for text.
    """

    def __init__(
        self, model_name: str = DEFAULT_MODEL, max_length: int = 256, *, offline: bool = False
    ) -> None:
        self._load(locate(model_name, offline=offline).tokenizer, max_length)

    @classmethod
    def from_folder(cls, folder: Path, *, max_length: int) -> MiniLMTokenizer:
        """The tokenizer of the checkpoint in a folder: its tokenizer.json, else its vocab.txt."""
        tokenizer = cls.__new__(cls)
        tokenizer._load(folder, max_length)
        return tokenizer

    def _load(self, folder: Path, max_length: int) -> None:
        tokenizer, self.sha256 = _read(folder)
        self.pad_id = _padding(tokenizer)
        tokenizer.no_padding()  # the published file pads to 128 and cuts there: both would be silent
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.max_length = max_length
        self.vocab_size = tokenizer.get_vocab_size()
        opening, closing = _around(tokenizer.encode("a").special_tokens_mask)  # [1, 0, 1] for [CLS] a [SEP]
        self.n_special_tokens = opening + closing
        self._n_closing = closing
        if not self.n_special_tokens:  # an empty text would have no tokens, and so no vector
            raise ModelError(f"the tokenizer in {folder} adds no special tokens, expected some like [CLS]")
        if max_length <= self.n_special_tokens:
            raise InputError(f"max_length is {max_length}, expected at least {self.n_special_tokens + 1}")

    def room_after(self, prompt: str) -> int:
        """How many tokens of a text are seen when this prompt goes before it."""
        prompt_ids = self._tokenizer.encode(prompt, add_special_tokens=False).ids if prompt else []
        return max(1, self.max_length - self.n_special_tokens - len(prompt_ids))

    def ids(self, texts: Sequence[str], *, what: str = "texts") -> list[list[int]]:
        """Ids of each text with its special tokens, at most ``max_length``; a warning counts what was cut.

        ``what`` is how it calls the texts; with "" there is none.
        """
        n_cut = 0
        ids = []
        for text_ids in self._ids_uncut(checked(texts), add_special_tokens=True):
            if len(text_ids) > self.max_length:
                n_cut += 1
                keep = self.max_length - self._n_closing
                text_ids = text_ids[:keep] + text_ids[len(text_ids) - self._n_closing :]
            ids.append(text_ids)
        self._warn_of(n_cut, len(ids), what)
        return ids

    def pair_ids(self, query: str, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Ids and segments (0 the query's, 1 the text's) of each text beside a query, for a cross-encoder.

        A pair beyond ``max_length`` loses tokens of its longer text first, as with transformers'
        "longest_first"; a warning counts the pairs that were cut.
        """
        layout = self._pair_layout()
        room = self.max_length - sum(which is None for which, _, _ in layout)
        if room < 2:
            raise InputError(
                f"max_length is {self.max_length}, expected at least {self.max_length - room + 2}"
            )
        (first,) = self._ids_uncut(checked([query]), add_special_tokens=False)
        pairs, n_cut = [], 0
        for second in self._ids_uncut(checked(texts), add_special_tokens=False):
            n_first, n_second = _longest_first(len(first), len(second), room)
            n_cut += n_first + n_second < len(first) + len(second)
            kept = first[:n_first], second[:n_second]
            ids: list[int] = []
            segments: list[int] = []
            for which, special, segment in layout:
                part = [special] if which is None else kept[which]
                ids += part
                segments += [segment] * len(part)
            pairs.append((ids, segments))
        self._warn_of(n_cut, len(pairs), "pairs")
        return pairs

    def _pair_layout(self) -> list[tuple[int | None, int, int]]:
        """The parts of a pair, in order, each with its id and segment.

        A part is 0 for the first text, 1 for the second (their ids mean nothing), None for a special token.
        """
        pair = self._tokenizer.encode("a", "a")
        tokens = list(zip(pair.sequence_ids, pair.ids, pair.type_ids, strict=True))
        return [
            token for n, token in enumerate(tokens) if token[0] is None or tokens[n - 1][0] != token[0]
        ]  # a text that became several tokens is still one part

    def encode(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask``, int64 (B, T), padded to the longest text."""
        # Imported here, because counting and cutting text must not cost a second for torch.
        from minisearch.minilm.inference import pad

        input_ids, mask = pad(self.ids(texts), self.pad_id)
        return {"input_ids": input_ids, "attention_mask": mask}

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids stand for, without special tokens; in lower case if the vocabulary is."""
        return str(self._tokenizer.decode(list(ids)))

    def decode_batch(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text that each list of ids stands for, as from `decode`."""
        return list(self._tokenizer.decode_batch([list(one) for one in ids]))

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Character spans of each text's tokens, one (n_tokens, 2) array a text, special tokens left out."""
        return [
            np.array(encoding.offsets, np.int64).reshape(-1, 2)
            for some in _slices(checked(texts))
            for encoding in self._tokenizer.encode_batch(some, add_special_tokens=False)
        ]

    def _ids_uncut(self, texts: list[str], *, add_special_tokens: bool) -> Iterator[list[int]]:
        """Ids of each text, however long it is."""
        for some in _slices(texts):
            for encoding in self._tokenizer.encode_batch_fast(some, add_special_tokens=add_special_tokens):
                yield encoding.ids

    def _warn_of(self, n_cut: int, n: int, what: str) -> None:
        if n_cut and what:
            logger.warning("%d of %d %s were cut at %d tokens", n_cut, n, what, self.max_length)


def checked(texts: Iterable[str]) -> list[str]:
    """The texts as a list that the tokenizer takes; InputError when they are not texts.

    Half of a surrogate pair, which is no character, becomes "?": one odd text among thousands is no reason
    to stop.
    """
    if isinstance(texts, str | bytes):
        raise InputError(f"expected a list of texts, got one {type(texts).__name__}: put it in a list")
    if not isinstance(texts, Iterable):
        raise InputError(f"expected a list of texts, got {type(texts).__name__}")
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"expected texts, got {type(text).__name__} at position {position}")
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def _slices(texts: list[str]) -> Iterator[list[str]]:
    """The texts in their order, at most `MAX_AT_ONCE` at a time."""
    return (texts[start : start + MAX_AT_ONCE] for start in range(0, len(texts), MAX_AT_ONCE))


def _longest_first(n_first: int, n_second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text stay: the longer loses first, then both are cut to halves of the room."""
    if n_first + n_second <= room:
        return n_first, n_second
    shorter = min(n_first, n_second)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    return (longer, shorter) if n_first > n_second else (shorter, longer)


def _read(folder: Path) -> tuple[tokenizers.Tokenizer, str]:
    """The tokenizer in a checkpoint's folder, and a hash of everything it was made from."""
    path = folder / "tokenizer.json"
    if not path.exists() and (folder / "vocab.txt").exists():
        path = folder / "vocab.txt"
    try:
        content = path.read_bytes()
        if path.name == "vocab.txt":
            tokenizer, extra = _word_piece(
                path.read_text(encoding="utf-8"), _settings(folder / "tokenizer_config.json")
            )
        else:
            tokenizer, extra = tokenizers.Tokenizer.from_str(content.decode()), ""
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"no usable tokenizer at {path}: {error}") from error
    if _settings(folder / "sentence_bert_config.json").get("do_lower_case"):
        extra += "lower"
        tokenizer.normalizer = _lower_first(tokenizer.normalizer)
    return tokenizer, hashlib.sha256(content + extra.encode()).hexdigest()


def _word_piece(vocabulary: str, settings: dict[str, Any]) -> tuple[tokenizers.Tokenizer, str]:
    """BERT's own tokenizer, made of a vocab.txt with one piece a line, and the options it was made with."""
    pieces = {piece: number for number, piece in enumerate(vocabulary.split("\n")) if piece}
    lower, chinese = settings.get("do_lower_case", True), settings.get("tokenize_chinese_chars", True)
    accents = settings.get("strip_accents")  # None: they go where letters are lower-cased
    tokenizer = tokenizers.Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lower, handle_chinese_chars=chinese, strip_accents=accents
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", pieces["[CLS]"]), ("[SEP]", pieces["[SEP]"])],
    )
    tokenizer.decoder = decoders.WordPiece()
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer.add_special_tokens([token for token in special if token in pieces])
    return tokenizer, f"{lower} {chinese} {accents}"


def _lower_first(normalizer: Any) -> Any:  # noqa: ANN401 - the library's classes have no common public type
    """A normalizer that lower-cases before it does what this one does, as in sentence-transformers."""
    steps = [] if normalizer is None else [normalizer]
    return normalizers.Sequence([normalizers.Lowercase(), *steps])


def _padding(tokenizer: tokenizers.Tokenizer) -> int:
    """The id of the padding token: the one the file gives, else the token of the usual name, else 0."""
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    ids = (tokenizer.token_to_id(token) for token in PADDING_TOKENS)
    return next((number for number in ids if number is not None), 0)


def _around(special: list[int]) -> tuple[int, int]:
    """How many special tokens stand before and after a text's own, from a mask that has 1 for special."""
    n_before = special.index(0) if 0 in special else len(special)
    return n_before, sum(special) - n_before


def _settings(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content if isinstance(content, dict) else {}
