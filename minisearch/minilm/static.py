"""A static model: one vector for each token, and a text's vector is their mean, of length 1.

Texts go in, unit vectors come out, without torch and hundreds of times as fast as from a transformer, whose
understanding of context is lost.  The folder of such a model is in the format of sentence-transformers'
``StaticEmbedding`` or of ``model2vec`` (Minish Lab 2024), and the vectors are those of these libraries;
tests compare them.  `saving` writes such a folder, `training.static` makes one.

Shapes: V tokens of the vocabulary, D the width of the vectors, T tokens of a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from minisearch.errors import ModelError
from minisearch.manifest import fingerprint
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import locate, verified_sha256
from minisearch.minilm.settings import check_static, static_folder
from minisearch.minilm.tokenizer import LoadedTokenizer, checked
from minisearch.types import FloatArray

# Nothing limits the length of a text, but the mean of a longer one says less about each of its subjects. With
# this length an index has the passages that it has with all-MiniLM-L6-v2.
MAX_TOKENS = 254
# The names of the table of sentence-transformers and of model2vec, which leaves out unknown tokens.
TABLE, TABLE_WITHOUT_UNKNOWN = "embedding.weight", "embeddings"
DTYPES = ("float32", "float16", "float64", "int8")
MAX_KEPT_CHARACTERS = 2_000_000  # of words whose ids are kept: at most 60 MB


class StaticEncoder:
    """A static model; ``table`` (V, D) float32 holds the vectors of the tokens, weights included.

    >>> StaticEncoder.from_pretrained("./my-static").encode(["hello world"]).shape  # doctest: +SKIP
    (1, 256)

    A text is never cut.  One without any known token gets the last axis as its vector: it must have a
    direction too, and the last axis has the smallest variance if the axes are principal components.
    """

    max_tokens = MAX_TOKENS

    def __init__(
        self, table: FloatArray, tokenizer: LoadedTokenizer, *, name: str = "", weights_sha256: str = ""
    ) -> None:
        self.table, self.tokenizer, self.name = table, tokenizer, name
        self.weights_sha256 = weights_sha256
        self._word_ids = WordIds(tokenizer)

    @classmethod
    def from_pretrained(cls, folder: str) -> StaticEncoder:
        """The static model in a folder; ModelError, with file and reason, for a damaged or another model."""
        located = locate(folder, may_download=False)
        if static_folder(located.folder) is None:
            raise ModelError(f"{folder} holds no static model: use SentenceTransformer.from_pretrained")
        check_static(located.folder)
        path = located.weights
        if path.name != WEIGHTS:
            raise ModelError(f"{path}: expected {WEIGHTS}: save the static model in that format")
        try:
            content = path.read_bytes()
            tensors = load(content)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is damaged or not a safetensors file: {error}") from error
        except KeyError as error:  # a dtype that NumPy does not have
            raise ModelError(f"{path} has tensors of {error}, expected {', '.join(DTYPES)}") from error
        tokenizer = LoadedTokenizer(located.tokenizer)
        table = _table(tensors, tokenizer, path)
        digest = verified_sha256(located, memoryview(content))
        return cls(table, tokenizer, name=located.name, weights_sha256=digest)

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return int(self.table.shape[1])

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever vectors would."""
        if not self.weights_sha256:
            raise ModelError("this model was not loaded from a folder, so its vectors have no fingerprint")
        return fingerprint("static", self.weights_sha256, self.tokenizer.sha256)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, (n, D) float32, in the order of the texts; InputError if they are not texts."""
        vectors = self.word_vectors(texts)
        vectors[~vectors.any(axis=1), -1] = 1.0
        return vectors

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`."""
        return self.encode(texts)

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`."""
        return self.encode(texts)

    def word_vectors(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, but the zero vector for a text without known tokens, as in `SentenceEncoder`."""
        all_ids = self._word_ids(checked(texts))
        vectors = np.empty((len(all_ids), self.dimension), np.float32)
        for vector, ids in zip(vectors, all_ids, strict=True):
            self.table.take(ids, axis=0).sum(axis=0, out=vector)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return vectors


def _table(tensors: Mapping[str, Any], tokenizer: LoadedTokenizer, path: Path) -> FloatArray:
    """The vectors of the tokens (V, D), times their weights; ModelError if the tensors do not fit."""
    names = [name for name in (TABLE, TABLE_WITHOUT_UNKNOWN) if name in tensors]
    if len(names) != 1:
        found = ", ".join(sorted(tensors)) or "none"
        raise ModelError(f"{path}: its tensors are {found}, expected one of {TABLE}, {TABLE_WITHOUT_UNKNOWN}")
    table, mapping, weights = tensors[names[0]], tensors.get("mapping"), tensors.get("weights")
    if table.ndim != 2 or not table.shape[1] or str(table.dtype) not in DTYPES:
        raise ModelError(
            f"{path}: {names[0]} is {table.dtype} of shape {table.shape}, expected a table (tokens, width) "
            f"of {', '.join(DTYPES)}"
        )
    if mapping is not None:  # of tokens to rows: similar tokens share one
        if mapping.ndim != 1 or not _is_within(mapping, len(table)):
            raise ModelError(f"{path}: mapping does not name rows of {names[0]}, which has {len(table)}")
        table = table[mapping]
    table = table.astype(np.float32)
    if weights is not None:
        if weights.shape != table.shape[:1]:
            raise ModelError(f"{path}: weights has shape {weights.shape}, expected {table.shape[:1]}")
        table *= weights.astype(np.float32)[:, None]
    if tokenizer.vocab_size > len(table):
        raise ModelError(
            f"the tokenizer in {path.parent} belongs to another model: its vocabulary has "
            f"{tokenizer.vocab_size} tokens, expected at most {len(table)}, the number of vectors"
        )
    if not np.isfinite(table).all():
        raise ModelError(f"{path}: {names[0]} holds values that are no numbers: get the model again")
    if names[0] == TABLE_WITHOUT_UNKNOWN:
        table[[one for one in tokenizer.unknown_ids if one < len(table)]] = 0.0
    result: FloatArray = table
    return result


def _is_within(mapping: Any, n: int) -> bool:  # noqa: ANN401 - an array of any dtype
    return mapping.dtype.kind in "iu" and bool(((mapping >= 0) & (mapping < n)).all())


class WordIds:
    """Texts to token ids, from the ids of their words, which are kept: five times as fast as the tokenizer.

    Words are the parts of a text between spaces.  A tokenizer that does not split there is called for whole
    texts.  Several threads may call it at the same time.
    """

    def __init__(self, tokenizer: LoadedTokenizer) -> None:
        self._tokenizer = tokenizer
        self._is_by_word = tokenizer.splits_at_spaces
        self._ids: dict[str, tuple[int, ...]] = {}
        self._n_characters = 0

    def __call__(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, without special tokens."""
        if not self._is_by_word:
            return self._tokenizer.plain_ids(texts)
        # Not at other white space, which not every tokenizer splits at.
        words = [text.replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ") for text in texts]
        if self._n_characters > MAX_KEPT_CHARACTERS:
            self._ids, self._n_characters = {}, 0
        known = self._ids  # of this call, whatever another thread does
        if new := list(set().union(*words) - known.keys()):
            known.update(zip(new, map(tuple, self._tokenizer.plain_ids(new)), strict=True))
            self._n_characters += sum(map(len, new))
        return [list(chain.from_iterable(map(known.__getitem__, of_text))) for of_text in words]
