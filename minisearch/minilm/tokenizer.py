"""Text to WordPiece ids and back: a thin coat over the checkpoint's own tokenizer.json.

The work is done by the `tokenizers` library; this module adds what the rest needs: ids cut at the
model's length but never in silence, and every token's place in the text.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tokenizers

from minisearch.config import DEFAULT_MODEL
from minisearch.errors import InputError, ModelError
from minisearch.minilm.catalog import locate
from minisearch.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


class MiniLMTokenizer:
    """A checkpoint's tokenizer.

    >>> tokenizer = MiniLMTokenizer("all-MiniLM-L6-v2", max_length=64)  # doctest: +SKIP
    >>> tokenizer.encode(["hello world"])["input_ids"]  # doctest: +SKIP
    tensor([[ 101, 7592, 2088,  102]])

    ``max_length`` counts [CLS] and [SEP] too.  Raises ModelError when there is no usable tokenizer.json.
    """

    def __init__(
        self, model_name: str = DEFAULT_MODEL, max_length: int = 256, *, offline: bool = False
    ) -> None:
        self._load(locate(model_name, offline=offline).folder / "tokenizer.json", max_length)

    @classmethod
    def from_file(cls, path: Path, *, max_length: int) -> MiniLMTokenizer:
        """The tokenizer in a tokenizer.json file."""
        tokenizer = cls.__new__(cls)
        tokenizer._load(path, max_length)
        return tokenizer

    def _load(self, path: Path, max_length: int) -> None:
        try:
            content = path.read_bytes()
            tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"no usable tokenizer at {path}: {error}") from error
        tokenizer.no_padding()  # the published file pads to 128 and cuts there: both would be silent
        tokenizer.no_truncation()
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.max_length = max_length
        self._tokenizer = tokenizer
        specials = tokenizer.encode("a").special_tokens_mask  # [1, 0, 1] for [CLS] a [SEP]
        self.n_special_tokens = sum(specials)
        self._n_closing = len(specials) - 1 - max(i for i, special in enumerate(specials) if not special)
        self.pad_id = tokenizer.token_to_id("[PAD]") or 0
        self.vocab_size = tokenizer.get_vocab_size()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text with its special tokens, at most ``max_length``; a warning counts what was cut."""
        encodings = self._tokenizer.encode_batch_fast(checked(texts))
        n_cut = 0
        ids = []
        for encoding in encodings:
            text_ids = encoding.ids
            if len(text_ids) > self.max_length:
                n_cut += 1
                keep = self.max_length - self._n_closing
                text_ids = text_ids[:keep] + text_ids[-self._n_closing :]
            ids.append(text_ids)
        if n_cut:
            logger.warning("%d of %d texts were cut at %d tokens", n_cut, len(ids), self.max_length)
        return ids

    def encode(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask``, int64 (B, T), padded to the longest text."""
        # Imported here, because counting and cutting text must not cost a second for torch.
        from minisearch.minilm.inference import pad

        input_ids, mask = pad(self.ids(texts), self.pad_id)
        return {"input_ids": input_ids, "attention_mask": mask}

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; lower-cased, as the vocabulary is."""
        return str(self._tokenizer.decode(list(ids)))

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Character spans of each text's tokens, one (n_tokens, 2) array a text, special tokens left out."""
        encodings = self._tokenizer.encode_batch(checked(texts), add_special_tokens=False)
        return [np.array(encoding.offsets, np.int64).reshape(-1, 2) for encoding in encodings]


def checked(texts: Sequence[str]) -> list[str]:
    """The texts as a list; InputError when they are not texts."""
    if isinstance(texts, str):
        raise InputError("expected a list of texts, got one str: put it in a list")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"expected texts, got {type(text).__name__} at position {position}")
    return list(texts)
