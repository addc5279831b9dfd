"""MiniSearch: the one class most users meet; its verbs are done in `asking` and `writing`.

    from minisearch import MiniSearch
    ms = MiniSearch.open(".")
    ms.index("docs")
    ms.query("how do I retry a failed task")

An index is a folder, ``.minisearch`` by default: the database, one file of the vector index, a lock.
Opening creates nothing, asking writes nothing, and only one process writes at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from minisearch.asking import Asking
from minisearch.config import Settings
from minisearch.encoders import Encoders
from minisearch.home import INDEX_FOLDER, Home
from minisearch.types import Encoder, IndexProgress, IndexStatus, IngestReport, SearchResult

if TYPE_CHECKING:
    from minisearch.writing import Writing


class MiniSearch:
    """An index over files, and the answers it gives.

    >>> ms = MiniSearch.open(".")  # doctest: +SKIP
    >>> ms.index("docs").added  # doctest: +SKIP
    465
    >>> ms.query("how do I retry a failed task", k=3)[0].path  # doctest: +SKIP
    'docs/playbook_guide/playbooks_loops.rst'

    Results' paths open from the folder that ``path`` was relative to.  Use it as a context manager, or
    `close` it.  One object may be used from several threads; they take turns.
    """

    def __init__(
        self,
        index_folder: Path,
        *,
        model: str | None = None,
        encoder: Encoder | None = None,
        settings: Settings | None = None,
        dtype: str = "auto",
        offline: bool = False,
    ) -> None:
        self._settings = settings
        self._home = Home(index_folder)
        self._encoders = Encoders(given=encoder, model=model, dtype=dtype, offline=offline)
        self._asking = Asking(self._home, self._encoders)
        self._writing_half: Writing | None = None
        self._turn = threading.Lock()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        index: str | os.PathLike[str] | None = None,
        model: str | None = None,
        encoder: Encoder | None = None,
        settings: Settings | None = None,
        dtype: str = "auto",
        offline: bool = False,
    ) -> MiniSearch:
        """The index in ``path/.minisearch``, or in the folder ``index``, whether or not it exists yet.

        ``model`` is a checkpoint's name or folder; an existing index brings its own.  ``encoder`` takes
        any other `Encoder` in its place.  ``settings`` say how documents are cut; without them, as before.
        ``dtype`` is what the model computes in: "auto", "float32", "bfloat16" or "int8"; an index may
        hold vectors of all of them.  ``offline`` never opens a socket.
        """
        folder = Path(index) if index is not None else Path(path) / INDEX_FOLDER
        return cls(folder, model=model, encoder=encoder, settings=settings, dtype=dtype, offline=offline)

    def __enter__(self) -> MiniSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, if it is open."""
        self._asking.close()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders: new, changed and vanished ones.

        Documents of other folders stay.  The first run creates the index.  Interrupted at any moment, the
        index keeps every document stored so far and the next run goes on from there.  Raises IngestError
        for a path that is not there or holds nothing to index; then nothing was changed.
        """
        return self._writing().index(*paths, backend=backend, on_progress=on_progress)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Take documents out of the index, whole folders of them too; how many. The files stay.

        Raises InputError when nothing in the index is at or below these paths.
        """
        return self._writing().remove(*paths)

    def rebuild(self, backend: str | None = None) -> None:
        """Build the vector index again from the stored vectors, with another backend if one is named.

        Nothing is embedded again.  Raises BackendUnavailable when the backend's library is not installed.
        """
        self._writing().rebuild(backend)

    def query(self, text: str, k: int = 10) -> list[SearchResult]:
        """The k passages nearest in meaning, best first; all of them where the index holds fewer.

        Raises InputError for an empty query or k below 1, IndexNotFound before anything was indexed.
        """
        return self._asking.query(text, k)

    def status(self) -> IndexStatus:
        """What the index holds, and how its last run ended."""
        return self._asking.status()

    def _writing(self) -> Writing:
        # Here, because asking must not cost the import of all that reads, cuts and stores files.
        from minisearch.writing import Writing

        with self._turn:
            self._writing_half = self._writing_half or Writing(self._home, self._encoders, self._settings)
            return self._writing_half
