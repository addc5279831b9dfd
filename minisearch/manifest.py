"""What an index was made with: the model behind its vectors, how documents are cut, the kind of vector index.

The first run sets these facts in the store; every later one keeps to them, and an encoder whose vectors do
not go with the stored ones is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from minisearch.config import Settings, ingest_fingerprint
from minisearch.errors import FingerprintMismatch, IndexNotFound
from minisearch.paths import DATABASE, quoted
from minisearch.stores.local import Store
from minisearch.stores.local.sqlite import damaged
from minisearch.types import Encoder

MOST_DIMENSIONS = 1 << 16  # of any model's vectors: a number from elsewhere could ask for all memory


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one index."""

    model: str
    model_fingerprint: str
    dimension: int
    max_tokens: int
    chunk_tokens: int
    overlap_tokens: int
    backend: str

    @classmethod
    def of(cls, encoder: Encoder, settings: Settings, backend: str) -> Manifest:
        """The facts of an index about to be made."""
        return cls(
            model=encoder.name,
            model_fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            max_tokens=encoder.max_tokens,
            chunk_tokens=settings.chunk_tokens(encoder.max_tokens),
            overlap_tokens=settings.overlap_tokens,
            backend=backend,
        )

    @classmethod
    def read(cls, store: Store, folder: Path) -> Manifest:
        """The facts in a store; IndexNotFound while its first run has not got as far as to set them."""
        meta = store.meta()
        if "model" not in meta:
            raise IndexNotFound(f"the index in {folder} is empty: fill it with: minisearch index FOLDER")
        try:
            manifest = cls(
                model=meta["model"],
                model_fingerprint=meta["model_fingerprint"],
                dimension=int(meta["dimension"]),
                max_tokens=int(meta["max_tokens"]),
                chunk_tokens=int(meta["chunk_tokens"]),
                overlap_tokens=int(meta["overlap_tokens"]),
                backend=meta["backend"],
            )
        except (KeyError, ValueError) as error:
            raise damaged(folder / DATABASE, f"what it was made with: {error}") from error
        if not 0 < manifest.dimension <= MOST_DIMENSIONS:
            raise damaged(folder / DATABASE, f"its vectors have {manifest.dimension} dimensions")
        return manifest

    def write(self, store: Store) -> None:
        """Set them in a store."""
        store.set_meta(**{name: str(value) for name, value in asdict(self).items()})

    @property
    def settings(self) -> Settings:
        """How documents are cut."""
        return Settings(max_tokens=self.chunk_tokens, overlap_tokens=self.overlap_tokens)

    def cut_by(self, settings: Settings) -> Manifest:
        """The same, but for how documents are cut."""
        chunk_tokens = settings.chunk_tokens(self.max_tokens)
        return replace(self, chunk_tokens=chunk_tokens, overlap_tokens=settings.overlap_tokens)

    @property
    def ingest(self) -> str:
        """The fingerprint of how documents are cut."""
        return ingest_fingerprint(self.settings, self.max_tokens)

    def check(self, encoder: Encoder, folder: Path) -> None:
        """FingerprintMismatch unless the encoder's vectors go with the stored ones."""
        if encoder.fingerprint == self.model_fingerprint:
            return
        if encoder.name == self.model:
            raise FingerprintMismatch(
                f"{folder} was made with other weights of {encoder.name} than are here now (fingerprint "
                f"{self.model_fingerprint}, here {encoder.fingerprint}): bring the old ones back, or make a "
                f"new index: minisearch index PATH --index NEW_FOLDER"
            )
        raise FingerprintMismatch(
            f"{folder} was made with {self.model}, and vectors of {encoder.name} do not go with it: leave "
            f"out --model, or make a new index: "
            f"minisearch index PATH --index NEW_FOLDER --model {quoted(encoder.name)}"
        )
