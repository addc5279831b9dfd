"""Choose the encoder of an index: the caller's own, or a checkpoint's, with or without torch.

Both encoders of a checkpoint give vectors with the same fingerprint.  `SentenceTransformer` is fast, but
loading it takes over a second, mostly for the import of torch.  `NumpyEncoder` is ready at once.  A static
model has one encoder, which is both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from minisearch import minilm
from minisearch.errors import ModelError
from minisearch.manifest import as_dtype
from minisearch.minilm.catalog import find
from minisearch.minilm.numpy_encoder import NumpyEncoder, UnsupportedCheckpoint
from minisearch.minilm.settings import static_folder
from minisearch.minilm.static import StaticEncoder
from minisearch.threads import Turn
from minisearch.types import Encoder

# A process encodes with NumPy until that has taken as long as loading torch, so it never takes more than
# twice the least possible time. On one core a query takes 15 ms and 0.6 ms per token (20 ms for 12 tokens,
# 0.16 s for 256), with torch almost nothing; loading torch and the model takes 1.7 s. In tokens:
NUMPY_TOKENS = 2_800  # 75 queries of 12 tokens
TOKENS_PER_QUERY = 25  # the fixed cost of a query


class Encoders:
    """The encoders of one index, each loaded when it is first needed.

    ``given`` replaces any checkpoint.  ``model`` is the checkpoint that the caller chose, None for the one
    of the index; ``check_model`` is called with the latter before it is loaded, and may refuse it.
    ``dtype`` is that of `SentenceTransformer`; InputError for an unknown one.  If ``is_numpy_kept``, the
    encoder without torch is used for any number of queries.
    """

    def __init__(
        self,
        *,
        given: Encoder | None,
        model: str | None,
        dtype: str = "auto",
        offline: bool = False,
        check_model: Callable[[str], None] = lambda _: None,
        is_numpy_kept: bool = False,
    ) -> None:
        self.model = model
        self._check_model = check_model
        self._given = given
        self._dtype = as_dtype(dtype)
        self._is_offline = offline
        self._is_numpy_kept = is_numpy_kept
        self._loaded = given
        self._numpy: NumpyEncoder | None = None
        self._n_numpy_tokens = 0
        self._lock = Turn()

    def of_a_new_process(self) -> Encoders:
        """Encoders of the same choice that give a query the vector, to the last bit, of a new process."""
        return Encoders(
            given=self._given,
            model=self.model,
            dtype=self._dtype,
            offline=self._is_offline,
            check_model=self._check_model,
            is_numpy_kept=True,
        )

    def is_chosen(self, model: str) -> bool:
        """Whether the caller chose an encoder that may differ from this checkpoint's."""
        return self._given is not None or self.model not in {None, model}

    def to_index(self, model: str) -> Encoder:
        """The encoder for many texts: the given one, the chosen checkpoint's, or else that of ``model``."""
        with self._lock:
            if self._loaded is None:
                name = self._checkpoint(model)
                if _is_static(name):
                    self._loaded = StaticEncoder.from_pretrained(name)
                else:
                    self._loaded = minilm.SentenceTransformer.from_pretrained(
                        name, dtype=self._dtype, offline=self._is_offline
                    )
                self._numpy = None
            return self._loaded

    def to_query(self, model: str, text: str) -> Encoder:
        """The encoder that encodes this query soonest."""
        with self._lock:
            encoder = self._numpy_encoder(model)
            if encoder is None:
                return self.to_index(model)
            n_tokens = min(len(encoder.tokenizer.spans([text])[0]), encoder.max_tokens)
            return self.to_add(model, TOKENS_PER_QUERY + n_tokens)

    def to_add(self, model: str, n_tokens: int) -> Encoder:
        """The encoder that encodes ``n_tokens`` in all soonest; with 0, the one that loads soonest."""
        with self._lock:
            encoder = self._numpy_encoder(model)
            is_enough = self._n_numpy_tokens + n_tokens > NUMPY_TOKENS and not self._is_numpy_kept
            if encoder is None or is_enough:
                return self.to_index(model)
            self._n_numpy_tokens += n_tokens
            return encoder

    def _numpy_encoder(self, model: str) -> NumpyEncoder | None:
        """The encoder without torch; None if it is not possible, or if torch is loaded already."""
        has_torch = "torch" in sys.modules and not self._is_numpy_kept
        if self._loaded is not None or has_torch or self._dtype not in {"auto", "float32"}:
            return None
        if self._numpy is None:
            name = self._checkpoint(model)
            if _is_static(name):
                return None
            try:
                self._numpy = NumpyEncoder.from_pretrained(name, offline=self._is_offline)
            except UnsupportedCheckpoint:
                return None
        return self._numpy

    def _checkpoint(self, model: str) -> str:
        """The name or folder to load; ModelError if the index's own folder does not exist any more."""
        if self.model is not None:
            return self.model
        if Path(model).is_absolute() and not Path(model).is_dir():
            raise ModelError(
                f"this index was made with the model in {model}, and that folder does not exist any more: "
                f"restore it, or give its present path: minisearch index PATH --model FOLDER"
            )
        self._check_model(model)
        return model


def _is_static(name: str) -> bool:
    """Whether a checkpoint is a static model: none of the catalog is."""
    return find(name) is None and static_folder(Path(name).expanduser()) is not None
