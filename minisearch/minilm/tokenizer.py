"""Texts to token ids, token positions and back, with the checkpoint's own tokenizer.

The `tokenizers` library does the work.  This module cuts at the model's length and logs it, gives the span
of each token in its text, and builds the pairs of a cross-encoder.  Old BERT checkpoints have only a
vocab.txt; their tokenizer is built from that.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers
from tokenizers import normalizers

from minisearch.errors import InputError, ModelError
from minisearch.manifest import DEFAULT_MODEL
from minisearch.minilm.hub import locate
from minisearch.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

UNKNOWN_TOKENS = {"[UNK]", "<unk>"}
PADDING_TOKENS = ("[PAD]", "<pad>")  # of BERT and of XLM-R
# Steps that split texts at spaces and, as normalizers, never look beyond a space.
SPLITTING = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
BY_CHARACTER = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}
# Texts in one call of the library, which needs about 20 KB for each long text until the call returns.
MAX_TEXTS_PER_CALL = 1_024


class LoadedTokenizer:
    """The tokenizer in a checkpoint's folder, which never cuts or pads; ModelError if it is not usable."""

    def __init__(self, folder: Path) -> None:
        tokenizer, self.sha256 = _read(folder)
        self.pad_id = _padding_id(tokenizer)
        tokenizer.no_padding()  # the published file pads and cuts at 128 without a message
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()

    def save(self, folder: Path) -> None:
        """Write tokenizer.json; OSError if it cannot."""
        (folder / "tokenizer.json").write_text(self._tokenizer.to_str(), encoding="utf-8")

    def plain_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without special tokens, of any length."""
        encodings = self._encodings(checked(texts), add_special_tokens=False, only_ids=True)
        return [encoding.ids for encoding in encodings]

    @property
    def unknown_ids(self) -> list[int]:
        """The ids of tokens that stand for what the vocabulary does not have."""
        names = UNKNOWN_TOKENS | {getattr(self._tokenizer.model, "unk_token", None) or ""}
        ids = (self._tokenizer.token_to_id(name) for name in sorted(names))
        return [number for number in ids if number is not None]

    @property
    def splits_at_spaces(self) -> bool:
        """Whether the ids of a text are those of its parts between spaces, one after the other."""
        tokenizer = self._tokenizer
        first, *_ = _steps(tokenizer.pre_tokenizer) or [""]
        has_space = any(" " in token.content for token in tokenizer.get_added_tokens_decoder().values())
        is_by_character = set(_steps(tokenizer.normalizer)) <= BY_CHARACTER
        return first in SPLITTING and is_by_character and not has_space

    def unknown_share(self, text: str) -> float:
        """The share of a text's tokens that the vocabulary does not have; 1 for a text without tokens."""
        tokens = self._tokenizer.encode(text, add_special_tokens=False).tokens
        return sum(token in UNKNOWN_TOKENS for token in tokens) / len(tokens) if tokens else 1.0

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """The start and end characters of each text's tokens: arrays (n_tokens, 2), no special tokens."""
        encodings = self._encodings(checked(texts), add_special_tokens=False)
        return [np.array(encoding.offsets, np.int64).reshape(-1, 2) for encoding in encodings]

    def _encodings(
        self, texts: list[str], *, add_special_tokens: bool, only_ids: bool = False
    ) -> Iterator[tokenizers.Encoding]:
        encode = self._tokenizer.encode_batch_fast if only_ids else self._tokenizer.encode_batch
        for start in range(0, len(texts), MAX_TEXTS_PER_CALL):
            some = texts[start : start + MAX_TEXTS_PER_CALL]
            yield from encode(some, add_special_tokens=add_special_tokens)


class MiniLMTokenizer(LoadedTokenizer):
    """The tokenizer of a checkpoint with special tokens.

    >>> tokenizer = MiniLMTokenizer("all-MiniLM-L6-v2", max_length=64)  # doctest: +SKIP
    >>> tokenizer.encode(["hello world"])["input_ids"]  # doctest: +SKIP
    tensor([[ 101, 7592, 2088,  102]])

    ``max_length`` includes the special tokens ([CLS], [SEP]).  Raises ModelError if there is no usable
    tokenizer, InputError for a length without room for text.
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
        super().__init__(folder)
        self.max_length = max_length
        is_special = self._tokenizer.encode("a").special_tokens_mask  # [1, 0, 1] for [CLS] a [SEP]
        n_before = is_special.index(0) if 0 in is_special else len(is_special)
        self.n_special_tokens = sum(is_special)
        self._n_closing = self.n_special_tokens - n_before
        if not self.n_special_tokens:  # an empty text would have no token and no vector
            raise ModelError(f"the tokenizer in {folder} adds no special tokens, expected some like [CLS]")
        if max_length <= self.n_special_tokens:
            raise InputError(f"max_length is {max_length}, expected at least {self.n_special_tokens + 1}")

    def cut_at(self, max_length: int) -> MiniLMTokenizer:
        """The same tokenizer with another ``max_length``."""
        other = copy.copy(self)
        other.max_length = max_length
        return other

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, as `transformers` reads them; OSError if it cannot.

        An index of the saved model has another fingerprint: the files are not those it was read from.
        """
        tokens = self._tokenizer.encode("").tokens  # only special ones
        vocabulary = self._tokenizer.get_vocab()
        special = {
            "cls_token": tokens[0],
            "sep_token": tokens[-1],
            "pad_token": self._tokenizer.id_to_token(self.pad_id),
            "unk_token": next((token for token in sorted(UNKNOWN_TOKENS) if token in vocabulary), None),
            "mask_token": next((token for token in ("[MASK]", "<mask>") if token in vocabulary), None),
        }
        inputs = ["input_ids", "token_type_ids", "attention_mask"]  # types tell the texts of a pair apart
        settings: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        settings |= {"model_max_length": self.max_length, "model_input_names": inputs}
        settings |= {name: token for name, token in special.items() if token is not None}
        super().save(folder)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")

    def room_after(self, prompt: str) -> int:
        """The number of tokens that a text may have if this prompt precedes it."""
        prompt_ids = self._tokenizer.encode(prompt, add_special_tokens=False).ids if prompt else []
        return max(1, self.max_length - self.n_special_tokens - len(prompt_ids))

    def ids(self, texts: Sequence[str], *, kind: str = "texts") -> list[list[int]]:
        """The ids of each text with special tokens, at most ``max_length``.

        A warning says how many texts were cut; ``kind`` is its word for the texts, "" for no warning.
        """
        n_cut = 0
        ids = []
        for encoding in self._encodings(checked(texts), add_special_tokens=True, only_ids=True):
            text_ids = encoding.ids
            if len(text_ids) > self.max_length:
                n_cut += 1
                keep = self.max_length - self._n_closing
                text_ids = text_ids[:keep] + text_ids[len(text_ids) - self._n_closing :]
            ids.append(text_ids)
        self._warn(n_cut, len(ids), kind)
        return ids

    def one_token_ids(self, prompt: str = "") -> list[list[int]]:
        """The ids of a text of one token, for each of the vocabulary, with prompt and special tokens."""
        ids = self.ids([prompt], kind="")[0]
        end = len(ids) - self._n_closing
        return [[*ids[:end], token, *ids[end:]] for token in range(self.vocab_size)]

    def pair_ids(
        self, query: str, texts: Sequence[str], *, kind: str = "pairs"
    ) -> list[tuple[list[int], list[int]]]:
        """Ids and segments (0 query, 1 text) of the query with each text, for a cross-encoder.

        A pair beyond ``max_length`` loses tokens of its longer part first, as with "longest_first" of
        transformers.  A warning says how many pairs were cut, as in `ids`.
        """
        room = self.max_length - self._tokenizer.num_special_tokens_to_add(is_pair=True)
        if room < 2:
            raise InputError(
                f"max_length is {self.max_length}, expected at least {self.max_length - room + 2}"
            )
        texts, (query,) = checked(texts), checked([query])
        pairs, n_cut = [], 0
        for second in self._encodings(texts, add_special_tokens=False):
            first = self._tokenizer.encode(query, add_special_tokens=False)
            n_first, n_second = _longest_first(len(first), len(second), room)
            n_cut += n_first + n_second < len(first) + len(second)
            first.truncate(n_first)
            second.truncate(n_second)
            pair = self._tokenizer.post_process(first, second)
            pairs.append((pair.ids, pair.type_ids))
        self._warn(n_cut, len(pairs), kind)
        return pairs

    def encode(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask``, int64 (B, T), padded to the longest text."""
        import torch  # here, because tokenising alone must not take a second for it

        ids = self.ids(texts)
        input_ids = torch.full((len(ids), max(map(len, ids), default=0)), self.pad_id, dtype=torch.int64)
        mask = torch.zeros_like(input_ids)
        for row, text_ids in enumerate(ids):
            input_ids[row, : len(text_ids)] = torch.tensor(text_ids)
            mask[row, : len(text_ids)] = 1
        return {"input_ids": input_ids, "attention_mask": mask}

    @property
    def vocabulary(self) -> list[str]:
        """The tokens by id."""
        return [
            self._tokenizer.id_to_token(number) or "" for number in range(self._tokenizer.get_vocab_size())
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens; in lower case if the vocabulary is."""
        return str(self._tokenizer.decode(list(ids)))

    def decode_batch(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of ids, as from `decode`."""
        return list(self._tokenizer.decode_batch([list(one) for one in ids]))

    def _warn(self, n_cut: int, n: int, kind: str) -> None:
        if n_cut and kind:
            logger.warning("%d of %d %s were cut at %d tokens", n_cut, n, kind, self.max_length)


def checked(texts: Iterable[str]) -> list[str]:
    """The texts as a list for the tokenizer; InputError if they are not texts.

    Half of a surrogate pair is not a character and becomes "?", so that one bad text does not stop the rest.
    """
    if isinstance(texts, str | bytes):
        raise InputError(f"expected a list of texts, got one {type(texts).__name__}: put it in a list")
    if not isinstance(texts, Iterable):
        raise InputError(f"expected a list of texts, got {type(texts).__name__}")
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"expected a list of texts, got {type(text).__name__} at position {position}")
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def _longest_first(n_first: int, n_second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text to keep: the longer loses tokens first, then both get half of the room."""
    if n_first + n_second <= room:
        return n_first, n_second
    shorter = min(n_first, n_second)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    return (longer, shorter) if n_first > n_second else (shorter, longer)


# --- reading a tokenizer's files --------------------------------------------------------------------


def _read(folder: Path) -> tuple[tokenizers.Tokenizer, str]:
    """The tokenizer in a checkpoint's folder, and a hash of everything that defines it."""
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
        # As sentence-transformers does: lower case before anything else.
        extra += "lower"
        steps = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
    return tokenizer, hashlib.sha256(content + extra.encode()).hexdigest()


def _word_piece(vocabulary: str, settings: dict[str, Any]) -> tuple[tokenizers.Tokenizer, str]:
    """BERT's tokenizer for a vocab.txt with one piece a line, and its options as a string."""
    pieces = {piece: number for number, piece in enumerate(vocabulary.split("\n")) if piece}
    lower, chinese = settings.get("do_lower_case", True), settings.get("tokenize_chinese_chars", True)
    accents = settings.get("strip_accents")  # None: stripped if lower-casing
    tokenizer = tokenizers.BertWordPieceTokenizer(
        pieces, lowercase=lower, handle_chinese_chars=chinese, strip_accents=accents
    )
    return tokenizer._tokenizer, f"{lower} {chinese} {accents}"


def _padding_id(tokenizer: tokenizers.Tokenizer) -> int:
    """The id of the padding token: as the file says, else of the usual name, else 0."""
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    ids = (tokenizer.token_to_id(token) for token in PADDING_TOKENS)
    return next((number for number in ids if number is not None), 0)


def _steps(part: object) -> list[str]:
    """The kinds of steps of a normalizer or a pre-tokenizer, in order."""
    content = json.loads(part.__getstate__()) if part is not None else {}  # type: ignore[attr-defined]
    parts = content.get("normalizers") or content.get("pretokenizers") or [content]
    return [one["type"] for one in parts if one]


def _settings(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content if isinstance(content, dict) else {}
