"""MiniSearch: the one class most users meet; what its verbs do is in `answers`, `runs` and `care`.

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
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minisearch.encoders import Encoders
from minisearch.errors import InputError, MinisearchError
from minisearch.filters import Filter, as_filter
from minisearch.manifest import FileChoice, Settings
from minisearch.paths import INDEX_FOLDER, IndexLocation
from minisearch.results import By, Mode, Query, SearchOptions, SearchResults
from minisearch.search.rerank import Rerankers
from minisearch.search.searcher import Searcher
from minisearch.types import (
    Encoder,
    FloatArray,
    IndexProgress,
    IndexStatus,
    IngestReport,
    Reranker,
    Verification,
)

if TYPE_CHECKING:
    from minisearch.indexing.plan import Preview
    from minisearch.indexing.writer import IndexWriter
    from minisearch.maintenance.chunks import CutFile
    from minisearch.maintenance.coverage import Coverage
    from minisearch.search.why_not import WhyNot
    from minisearch.stores.local import Undone


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
        index_folder: str | os.PathLike[str],
        *,
        model: str | None = None,
        encoder: Encoder | None = None,
        settings: Settings | None = None,
        dtype: str = "auto",
        rerank_model: str | None = None,
        offline: bool = False,
    ) -> None:
        self._settings = settings
        self._location = IndexLocation(Path(index_folder))
        self._encoders = Encoders(
            given=encoder, model=model, dtype=dtype, offline=offline, location=self._location
        )
        rerankers = Rerankers(model=rerank_model, dtype=dtype, offline=offline)
        self.searcher = Searcher(self._location, self._encoders, rerankers)
        self._index_writer: IndexWriter | None = None
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
        rerank_model: str | None = None,
        offline: bool = False,
    ) -> MiniSearch:
        """The index in ``path/.minisearch``, or in the folder ``index``, whether or not it exists yet.

        ``model`` is a checkpoint's name or folder; an existing index brings its own.  ``encoder`` takes
        any other `Encoder` in its place.  ``settings`` say how documents are cut; without them, as before.
        ``dtype`` is what the model computes in: "auto", "float32", "bfloat16" or "int8"; an index may
        hold vectors of all of them.  ``rerank_model`` takes the place of the reranker's checkpoint.
        ``offline`` never opens a socket.
        """
        folder = Path(index) if index is not None else Path(path) / INDEX_FOLDER
        return cls(
            folder,
            model=model,
            encoder=encoder,
            settings=settings,
            dtype=dtype,
            rerank_model=rerank_model,
            offline=offline,
        )

    def __enter__(self) -> MiniSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, if it is open."""
        self.searcher.close()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None = None,
        choice: FileChoice | None = None,
        prune: bool = False,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders: new, changed and vanished ones.

        Documents of other folders stay.  The first run creates the index.  Interrupted at any moment, the
        index keeps every document stored so far and the next run goes on from there.  ``choice`` says which
        files of these folders are taken, in later runs too; None leaves that as it was.

        Raises IngestError for a path that is not there or holds nothing to index, and, without ``prune``,
        ShrinkRefused where it would remove more than one document and a fifth of all, or of those below one
        of the paths; then nothing was removed.  A moved file, whose bytes another file has, does not count.
        """
        return self._writer().index(
            *paths, backend=backend, choice=choice, prune=prune, on_progress=on_progress
        )

    def preview(
        self, *paths: str | os.PathLike[str], choice: FileChoice | None = None, prune: bool = False
    ) -> Preview:
        """What `index` would do with these paths; nothing is written and no model loaded.

        New and changed files are read.  Raises IngestError as `index` does.
        """
        from minisearch.indexing.plan import preview

        return preview(self._location, paths, settings=self._settings, choice=choice, prune=prune)

    def roots(self) -> list[str]:
        """The folders and files that the index follows: all that it was told to index, absolute paths.

        Raises InputError where it lies elsewhere than it was told so, and one of them is not beside it.
        """
        return self._writer().roots()

    def refresh(self, **options: Any) -> IngestReport:  # noqa: ANN401 - those of `index`
        """`index` for every folder and file that the index follows."""
        return self.index(*self.roots(), **options)

    def watch(
        self,
        *paths: str | os.PathLike[str],
        stop: threading.Event | None = None,
        on_problem: Callable[[MinisearchError], None] | None = None,
        **options: Any,  # noqa: ANN401 - those of `index`
    ) -> Iterator[IngestReport]:
        """Index files and folders now and after every change, until ``stop``: one report a run.

        Of the later runs only those that changed something are reported.  What keeps a run from its end, a
        folder that is gone, too much to remove or another process that is writing, is handed to
        ``on_problem``, or else raised; the next change, or the next second, tries again.
        Raises InputError when watchfiles is not installed.
        """
        from minisearch.indexing.watch import watch

        index = partial(self.index, **options)
        return watch(
            self._location, index, paths, warm_up=self._writer().warm_up, stop=stop, on_problem=on_problem
        )

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Take documents out of the index, whole folders of them too; how many. The files stay.

        Raises InputError when nothing in the index is at or below these paths.
        """
        return self._writer().remove(*paths)

    def rebuild(self, backend: str | None = None) -> None:
        """Build the vector index again from the stored vectors, with another backend if one is named.

        Nothing is embedded again.  Raises BackendUnavailable when the backend's library is not installed.
        """
        self._writer().rebuild(backend)

    def query(
        self,
        text: str | Query,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        where: Filter | str | None = None,
        by: By = "passage",
        rerank: str | Reranker | None = None,
        rerank_depth: int | None = None,
        rerank_budget_s: float | None = None,
        diverse: float | None = None,
        evidence: bool = False,
    ) -> SearchResults:
        """The k best answers, best first; every match where there are fewer.

        ``text`` may hold operators ("a phrase", -word, +concept^0.5), and a number is a phrase wherever it
        stands; a `Query` is taken as it is, such as `literal_query` makes of any text.  ``mode``
        "hybrid" fuses meaning ("dense") and words ("lexical").  ``where`` keeps to some passages: conditions
        of `minisearch.filters`, or a text such as 'author = "ada"'.  By "passage", neighbours under one
        heading and near copies share a place and no document has more than three among others; by
        "document" each has one; by "chunk" nothing is put together.  ``rerank`` ("auto", "cross", "bi" or a
        `Reranker`) looks again at the best ``rerank_depth``, or as many as ``rerank_budget_s`` seconds
        allow.  ``diverse`` from 0 to 1 trades relevance for variety.  ``evidence`` finds the sentence of each
        passage that answers best.

        Raises InputError for what makes no sense, IndexNotFound before anything was indexed, WeightsNotFound
        for a reranker whose weights are not here.
        """
        options = _options(
            k,
            mode=mode,
            where=where,
            by=by,
            rerank=rerank,
            rerank_depth=rerank_depth,
            rerank_budget_s=rerank_budget_s,
            diverse=diverse,
            evidence=evidence,
        )
        return self.searcher.query(text, options)

    def query_many(self, texts: Iterable[str | Query], k: int = 10, **options: Any) -> list[SearchResults]:  # noqa: ANN401 - those of `query`
        """`query` for each of several texts, in their order, with the same options."""
        if isinstance(texts, str | Query) or not isinstance(texts, Iterable):
            raise InputError(
                "query_many takes several texts: expected a list of them; for one there is query"
            )
        search_options = _options(k, **options)
        return [self.searcher.query(text, search_options) for text in texts]

    def like(
        self,
        path: str | os.PathLike[str],
        line: int | None = None,
        k: int = 10,
        *,
        where: Filter | str | None = None,
        by: By = "passage",
        diverse: float | None = None,
        evidence: bool = False,
    ) -> SearchResults:
        """The k passages nearest in meaning to an indexed file, or to what it says at a line.

        The file's own passages, or those at that line, are left out; a blank line is of the passage below it.
        Raises InputError for a file that is not in the index and a line behind its last passage.
        """
        options = _options(k, mode="dense", where=where, by=by, diverse=diverse, evidence=evidence)
        return self.searcher.like(path, line, options)

    def similarity(self, *texts: str) -> FloatArray:
        """How alike texts are in meaning: their cosines, (n, n) float32, by the index's model."""
        return self.searcher.similarity(texts)

    def field_names(self) -> list[str]:
        """What documents say of themselves that a filter can ask for, in lower case, in order."""
        return self.searcher.field_names()

    def languages(self) -> list[str]:
        """The languages that documents are in, as a filter can ask for them, in order."""
        return self.searcher.languages()

    def verify(self, n: int = 20, *, seed: int = 0) -> Verification:
        """Compare the index with a fresh one: all of the database, and n documents read and embedded again.

        What is wrong is in ``problems``, not raised; but a database that cannot even be read raises
        IndexCorrupt.
        """
        # Here, because asking must not cost the import of all that reads and cuts files.
        from minisearch.maintenance.verify import verify

        return verify(self._location, self._encoders, n=n, seed=seed)

    def rollback(self) -> Undone:
        """Go back to the index as it was before its last change; once more, and the change is made again.

        Files stay as they are.  Raises InputError when nothing was changed yet.
        """
        from minisearch.maintenance.backup import roll_back

        return roll_back(self._location)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the whole index, as it is at this moment, into one new file; others may write meanwhile.

        Raises IndexNotWritable when there is a file already, or no room.
        """
        from minisearch.maintenance.backup import back_up

        back_up(self._location, path)

    def restore(self, path: str | os.PathLike[str]) -> int:
        """Make the index of a backup; how many of its documents have no file where the index looks for it.

        It looks below the folder that its own folder lies in, as where it was backed up.  Raises
        IndexNotWritable where there is an index already, IndexCorrupt for what is no sound backup.
        """
        from minisearch.maintenance.backup import restore

        return restore(self._location, path)

    def chunks(self, path: str | os.PathLike[str]) -> CutFile:
        """How a file is cut, as an index would hold it: with the settings of this one, if there is one.

        Nothing is stored, and no vector is computed.  Raises IngestError for a file that gives no text.
        """
        from minisearch.maintenance.chunks import inspect

        return inspect(self._location, self._encoders, path, settings=self._settings)

    def status(self) -> IndexStatus:
        """What the index holds, and how its last run ended."""
        return self.searcher.status()

    def coverage(self) -> Coverage:
        """How many bytes of all files seen have reached a vector, and every file that gave none."""
        from minisearch.maintenance.coverage import coverage

        last = self.status().last_run
        return coverage(self._location, outcome=last.outcome if last else "never")

    def why_not(
        self,
        path: str | os.PathLike[str],
        text: str | Query,
        k: int = 10,
        *,
        line: int | None = None,
        **options: Any,  # noqa: ANN401 - those of `query`
    ) -> WhyNot:
        """Why a file is not among the k answers to a query, asked with the same options as `query`.

        With a ``line``, why what stands there is not.  Every passage is ranked for it, which takes seconds
        where there are a hundred thousand.
        """
        return self.searcher.why_not(path, line, text, _options(k, **options))

    def _writer(self) -> IndexWriter:
        # Here, because asking must not cost the import of all that reads, cuts and stores files.
        from minisearch.indexing.writer import IndexWriter

        with self._turn:
            if self._index_writer is None:
                self._index_writer = IndexWriter(self._location, self._encoders, self._settings)
            return self._index_writer


def _options(k: int, *, where: Filter | str | None = None, **options: Any) -> SearchOptions:  # noqa: ANN401
    return SearchOptions(k=k, where=as_filter(where), **options)
