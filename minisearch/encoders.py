"""Which encoder an index uses: the one handed in, or a checkpoint's; and for a few words, the soonest.

Both encoders of a checkpoint give vectors of one fingerprint.  `SentenceTransformer` is fast once it is
up, which takes over a second, nearly all of it the import of torch; `ColdEncoder` is up at once.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from minisearch import minilm
from minisearch.errors import ModelError
from minisearch.manifest import Manifest, as_dtype
from minisearch.minilm.checkpoints import find
from minisearch.minilm.cold import ColdEncoder
from minisearch.minilm.mapped import NotForCold
from minisearch.paths import IndexLocation, check_model_folder
from minisearch.stores.local import Store
from minisearch.types import Encoder

# A process asks without torch until that has cost it as much as loading torch would have, so that it never
# waits for more than twice what it had to. On one core a query takes 15 ms and 0.6 ms a token (20 ms for
# 12 tokens, 0.16 s for 256), with torch next to nothing; torch and the model take 1.7 s to load. In tokens:
COLD_TOKENS = 2_800  # 75 queries of 12 tokens
TOKENS_A_QUERY = 25


class Encoders:
    """The encoders of one index, each loaded when it is first needed.

    ``given`` takes the place of any checkpoint; ``model`` is the checkpoint asked for, None for the one the
    index was made with; ``dtype`` what `SentenceTransformer` computes in, InputError for an unknown one.
    ``location`` is the index, where it exists already: a model folder that only it names may be refused.
    """

    def __init__(
        self,
        *,
        given: Encoder | None,
        model: str | None,
        dtype: str = "auto",
        offline: bool = False,
        location: IndexLocation | None = None,
    ) -> None:
        self.model = model
        self._location = location
        self._given = given
        self._dtype = as_dtype(dtype)
        self._is_offline = offline
        self._loaded = given
        self._cold: ColdEncoder | None = None
        self._n_cold_tokens = 0
        self._turn = threading.RLock()

    def is_asked_for(self, model: str) -> bool:
        """Whether the caller asked for an encoder that may be another than this checkpoint's."""
        return self._given is not None or self.model not in {None, model}

    def to_index(self, model: str) -> Encoder:
        """The encoder for many texts: the one given, the checkpoint asked for, or else ``model``."""
        with self._turn:
            if self._loaded is None:
                self._loaded = minilm.SentenceTransformer.from_pretrained(
                    self._to_load(model), dtype=self._dtype, offline=self._is_offline
                )
                self._cold = None
            return self._loaded

    def to_ask(self, model: str, text: str) -> Encoder:
        """The encoder that answers this query soonest, of those that `to_index` might give."""
        with self._turn:
            cold = self._to_be_cold(model)
            if cold is None:
                return self.to_index(model)
            n_tokens = len(cold.tokenizer.spans([text])[0])
            self._n_cold_tokens += TOKENS_A_QUERY + min(n_tokens, cold.max_tokens)
            return cold if self._n_cold_tokens <= COLD_TOKENS else self.to_index(model)

    def to_add(self, model: str, n_tokens: int) -> Encoder:
        """The encoder that is done soonest with texts of so many tokens in all; with 0, soonest there."""
        with self._turn:
            cold = self._to_be_cold(model)
            if cold is None or self._n_cold_tokens + n_tokens > COLD_TOKENS:
                return self.to_index(model)
            self._n_cold_tokens += n_tokens
            return cold

    def _to_be_cold(self, model: str) -> ColdEncoder | None:
        """The encoder without torch, where it can be used and nothing better is there."""
        if self._loaded is not None or "torch" in sys.modules or self._dtype not in {"auto", "float32"}:
            return None
        try:
            self._cold = self._cold or ColdEncoder.from_pretrained(
                self._to_load(model), offline=self._is_offline
            )
        except NotForCold:
            return None
        return self._cold

    def _to_load(self, model: str) -> str:
        """The checkpoint's name or folder; ModelError when the index's own is a folder that is gone."""
        if self.model is None and Path(model).is_absolute() and not Path(model).is_dir():
            raise ModelError(
                f"this index was made with the model in {model}, and there is no such folder any more: bring "
                f"it back, or say where it is now with --model FOLDER"
            )
        if self.model is None and self._location is not None and self._location.exists():
            self._check_folder(model, self._location)
        return self.model or model

    def _check_folder(self, model: str, location: IndexLocation) -> None:
        """InputError when the index names a model folder that it is not trusted to open."""
        if find(model) is not None:  # a name, which means the same everywhere
            return
        with Store(location.database) as store:
            trusted = Manifest.read(store, location.folder).trusted
        check_model_folder(trusted, location, model)
