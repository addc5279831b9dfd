"""MiniSearch: the class that most users need. Each method is a thin call into another module.

`search` answers queries, `rag` builds prompts, `indexing` writes, `maintenance` checks and restores.  An
index is a folder, ``.minisearch`` by default, with the database, one file of the vector index and a lock.
Opening creates nothing, searching writes nothing, and only one process writes at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minisearch.errors import InputError, MinisearchError
from minisearch.filters import Filter, as_filter
from minisearch.manifest import FileChoice, Settings
from minisearch.minilm.encoders import Encoders
from minisearch.paths import INDEX_FOLDER, IndexLocation
from minisearch.rag import MAX_TOKENS, Context, Passage, search_context, section
from minisearch.results import By, Mode, Query, QueryOptions, SearchOptions, SearchResults
from minisearch.search.rerank import Rerankers
from minisearch.search.searcher import Searcher, check_model
from minisearch.threads import Turn, in_thread
from minisearch.types import (
    Encoder,
    FloatArray,
    IndexStatus,
    IngestReport,
    OnProgress,
    Reranker,
    TextDocuments,
    Verification,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from minisearch.analysis.alerts import Alerts
    from minisearch.analysis.clusters import Clusters
    from minisearch.analysis.comparison import Comparison
    from minisearch.analysis.copies import Duplicates
    from minisearch.indexing.plan import Preview
    from minisearch.indexing.writer import IndexWriter
    from minisearch.maintenance.chunks import FileChunks
    from minisearch.maintenance.coverage import Coverage
    from minisearch.search.why_not import WhyNot
    from minisearch.stores.base import RollbackReport


class MiniSearch:
    """A search index over files and documents from memory.

    >>> ms = MiniSearch.open(".")  # doctest: +SKIP
    >>> ms.index("docs").added  # doctest: +SKIP
    465
    >>> ms.query("how do I retry a failed task", k=3)[0].path  # doctest: +SKIP
    'docs/playbook_guide/playbooks_loops.rst'

    Paths in results are relative to the current folder, or absolute if the index folder was given as an
    absolute path.  Use it as a context manager, or call `close`.  Several threads may share one object, and
    forked processes too: they search at the same time, and write one after another.  `aquery` and the other
    methods with an ``a`` in front are to be awaited.
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
        checks_model = partial(check_model, self._location)
        self._encoders = Encoders(
            given=encoder, model=model, dtype=dtype, offline=offline, check_model=checks_model
        )
        rerankers = Rerankers(model=rerank_model, dtype=dtype, offline=offline)
        self.searcher = Searcher(self._location, self._encoders, rerankers)
        self._index_writer: IndexWriter | None = None
        self._turn = Turn()

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
        """Open the index in ``path/.minisearch``, or in the folder ``index``; it need not exist yet.

        ``model`` is the name or folder of a checkpoint, by default that of the index; ``encoder`` is any
        `Encoder` in its place.  ``settings`` control chunking, by default those of the index.  ``dtype`` is
        the number format of the model: "auto", "float32", "bfloat16" or "int8"; one index may hold vectors
        of all of them.  ``rerank_model`` is the name or folder of the reranker's checkpoint.  With
        ``offline`` no network connection is opened.
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
        """Close the database; a later call opens it again."""
        self.searcher.close()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None = None,
        choice: FileChoice | None = None,
        prune: bool = False,
        on_progress: OnProgress = None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders: add, update and remove documents.

        Documents of other folders are kept.  The first run creates the index.  A run that is interrupted
        keeps the documents stored so far, and the next run continues.  ``choice`` selects files of these
        folders, in later runs too; None keeps the earlier selection.

        Raises IngestError for a path that does not exist or has nothing to index.  Raises ShrinkRefused, and
        removes nothing, if the run would remove more than one document and more than a fifth of all, or of
        those below one of the paths, unless ``prune``.  Moved files do not count.
        """
        return self._writer().index(
            *paths, backend=backend, choice=choice, prune=prune, on_progress=on_progress
        )

    def add(
        self, documents: TextDocuments, *, keep_secrets: bool = False, on_progress: OnProgress = None
    ) -> IngestReport:
        """Add documents from memory, or replace those with the same ids; all others are kept.

        >>> ms.add([{"id": "faq-7", "text": "Hold reset for ten seconds."}]).added  # doctest: +SKIP
        1

        Each is a `TextDocument`, or a mapping with its keys.  A result has the id as its ``path``; filters,
        `get`, `similar` and `remove` take it as such, and an id comes before a file of the same name.  No run
        over files touches these documents.  What has not changed is neither stored nor embedded again.

        Keys and tokens are blanked, as in files, unless ``keep_secrets``; a document of nothing else is
        skipped.  Raises InputError for an invalid document or two with the same id; then nothing is written.
        """
        return self._writer().add(documents, keep_secrets=keep_secrets, on_progress=on_progress)

    def update(self, documents: TextDocuments, *, keep_secrets: bool = False) -> IngestReport:
        """As `add`, but InputError for an id that is not in the index; then nothing is written."""
        return self._writer().add(documents, keep_secrets=keep_secrets, is_update=True)

    def preview(
        self, *paths: str | os.PathLike[str], choice: FileChoice | None = None, prune: bool = False
    ) -> Preview:
        """What `index` would do with these paths, or IngestError: files are read, nothing is written."""
        from minisearch.indexing.plan import preview

        return preview(self._location, paths, settings=self._settings, choice=choice, prune=prune)

    def roots(self) -> list[str]:
        """The absolute paths of all folders and files that were given to `index`.

        Raises InputError if the index was moved or copied, and one of them is not beside it.
        """
        return self._writer().roots()

    def refresh(self, **options: Any) -> IngestReport:  # noqa: ANN401 - those of `index`
        """Run `index` on all `roots`; without any, as with documents from memory alone, nothing is done."""
        return self.index(*roots, **options) if (roots := self.roots()) else IngestReport()

    def watch(
        self,
        *paths: str | os.PathLike[str],
        stop: threading.Event | None = None,
        on_problem: Callable[[MinisearchError], None] | None = None,
        **options: Any,  # noqa: ANN401 - those of `index`
    ) -> Iterator[IngestReport]:
        """Run `index` now and after every change, until ``stop`` is set; yields the reports.

        Later runs are reported only if they changed something.  An error that prevents a run (a deleted
        folder, too many removals, another process that writes) goes to ``on_problem`` if given, and the run
        is tried again after the next change or second; without it the error is raised.  It needs watchfiles.
        """
        from minisearch.indexing.watch import watch

        index, warm_up = partial(self.index, **options), self._writer().warm_up
        return watch(self._location, index, paths, warm_up=warm_up, stop=stop, on_problem=on_problem)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Remove documents, or whole folders of them, from the index, not from the disk; returns how many.

        A text that is the id of a document from memory names that document, anything else a path.  Raises
        InputError if the index has no document of these names, nor below these paths.
        """
        return self._writer().remove(*paths)

    def rebuild(self, backend: str | None = None) -> None:
        """Build the vector index again from the stored vectors; BackendUnavailable without its library."""
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
        """The k best results, best first, or all matches if there are fewer.

        ``text`` may contain operators ("a phrase", -word, +concept^0.5); a `Query` is used without parsing.
        ``mode`` is "dense" (by meaning), "lexical" (by words) or "hybrid" (both).  ``where`` is a filter: a
        condition of `minisearch.filters`, or a text such as 'author = "ada"'.  ``by`` "passage" merges near
        copies and neighbours under one heading, and shows at most three results of a document while others
        match; "document" gives one result per document; "chunk" merges nothing.  ``rerank`` ("auto", "cross",
        "bi" or a `Reranker`) scores the best ``rerank_depth`` candidates again, or as many as fit in
        ``rerank_budget_s`` seconds.  ``diverse`` from 0 to 1 trades relevance for variety.  ``evidence``
        finds the best sentences of each passage.

        Raises InputError for an invalid argument, IndexNotFound if nothing was indexed yet, WeightsNotFound
        if the weights of the model or the reranker are missing.
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

    def query_many(
        self, texts: Iterable[str | Query], k: int = 10, **options: Unpack[QueryOptions]
    ) -> list[SearchResults]:
        """The results of `query` for each text, with the same options."""
        if isinstance(texts, str | Query) or not isinstance(texts, Iterable):
            raise InputError("query_many takes texts: expected a list of them; for one text use query")
        search_options = _options(k, **options)
        return [self.searcher.query(text, search_options) for text in texts]

    def similar(
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
        """The k passages nearest in meaning to a document, or to its passage at ``line`` (from 1).

        ``path`` is that of a file, or the id of a document from memory.  Passages of the document, or those
        at the line, are excluded.  A blank line counts to the passage below it.  Raises InputError for a
        document that is not in the index, or a line after its last passage.
        """
        options = _options(k, mode="dense", where=where, by=by, diverse=diverse, evidence=evidence)
        return self.searcher.similar(path, line, options)

    def context(
        self,
        text: str | Query,
        max_tokens: int = MAX_TOKENS,
        *,
        k: int = 20,
        count_tokens: Callable[[str], int] | None = None,
        **options: Unpack[QueryOptions],
    ) -> Context:
        """The passages for a prompt: those of the k best results that fit into ``max_tokens``.

        Neighbouring passages are joined, near copies and front matter left out.  ``str(context)`` is the text
        of the prompt with a citation marker for each passage, ``context.to_messages()`` the messages for a
        chat model.  ``count_tokens`` counts the tokens of a text; by default the model of the index does.

        >>> print(ms.context("how do I retry a failed task", max_tokens=1_000))  # doctest: +SKIP

        Raises InputError as `query` does, and for too few tokens.
        """
        search = _options(k, **options)
        return search_context(self.searcher, text, search, max_tokens=max_tokens, count_tokens=count_tokens)

    def get(
        self, path: str | os.PathLike[str], line: int | None = None, *, page: int | str | None = None
    ) -> Passage:
        """The section of a document around a line (from 1), or the whole document, as it was indexed.

        ``path`` is that of a file, or the id of a document from memory.  Of a long section, a few passages on
        each side.  In a DOCX the line is a paragraph, in an XLSX a row of the sheet ``page``, its number or
        name, or else of the first sheet with that row.  Without a line, ``page`` is the page or slide to
        return.  Raises InputError as `similar` does.
        """
        shown, passages = self.searcher.chunks_of(path)
        return section(passages, shown, line, page=page)

    def cluster(self, *, min_size: int | None = None) -> Clusters:
        """Clusters of documents about the same thing, with labels and a map; it needs scikit-learn."""
        from minisearch.analysis.clusters import cluster

        return self.searcher.analysed(cluster, min_size=min_size)

    def duplicates(self, *, least_share: float = 0.6, least_words: int = 40) -> Duplicates:
        """Near copies among the documents, with one to keep of each group, and shared parts of others."""
        from minisearch.analysis.copies import duplicates

        return self.searcher.analysed(duplicates, least_share=least_share, least_words=least_words)

    def compare(self, path: str | os.PathLike[str], other: str | os.PathLike[str]) -> Comparison:
        """What the document ``other`` says that ``path`` does not; InputError as `similar`."""
        from minisearch.analysis.comparison import compare

        return compare(self.searcher, path, other)

    @property
    def alerts(self) -> Alerts:
        """The standing queries of this index."""
        from minisearch.analysis.alerts import Alerts

        return Alerts(self.searcher)

    def similarity(self, *texts: str) -> FloatArray:
        """The cosines between n texts, (n, n) float32, with the model of the index."""
        vectors = self.searcher.embed(texts, are_queries=True)  # (n, D)
        cosines: FloatArray = (vectors @ vectors.T).clip(-1, 1)
        return cosines

    def embed(self, texts: Sequence[str], *, are_queries: bool = False) -> FloatArray:
        """The unit vectors of n texts, (n, dimension) float32, by the model; InputError for an empty text."""
        return self.searcher.embed(texts, are_queries=are_queries)

    def rerank(self, text: str, texts: Sequence[str], which: str | Reranker = "auto") -> FloatArray:
        """A reranker's scores of texts, (n,) float32, in their order; ``which`` and errors as in `query`."""
        return self.searcher.rerank(text, texts, which)

    def field_names(self) -> list[str]:
        """The names of the metadata fields of all documents, for filters: lower case, sorted."""
        return self.searcher.read(lambda store: store.field_names())

    def languages(self) -> list[str]:
        """The languages of all documents, for filters: lower case, sorted."""
        documents = self.searcher.read(lambda store: store.documents()).values()
        return sorted({one.language.casefold() for one in documents if one.language})

    def verify(self, n: int = 20, *, seed: int = 0) -> Verification:
        """Check the whole database, and n documents by embedding them again; it returns the problems."""
        from minisearch.maintenance.verify import verify

        return verify(self._location, self._encoders, n=n, seed=seed)

    def rollback(self) -> RollbackReport:
        """Undo the last change of the index (a second call redoes it); InputError if there was none."""
        from minisearch.maintenance.backup import roll_back

        return roll_back(self._location)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the whole index into one new file; IndexNotWritable if it exists, or the disk is full."""
        from minisearch.maintenance.backup import back_up

        back_up(self._location, path)

    def restore(self, path: str | os.PathLike[str]) -> int:
        """Make the index from a backup; returns how many of its documents have no file there.

        Raises IndexNotWritable if there is an index already, IndexCorrupt if the backup is damaged.
        """
        from minisearch.maintenance.backup import restore

        return restore(self._location, path)

    def chunks(self, path: str | os.PathLike[str]) -> FileChunks:
        """The chunks of a file, with the settings of the index; IngestError for a file without text."""
        from minisearch.maintenance.chunks import inspect

        return inspect(self._location, self._encoders, path, settings=self._settings)

    def status(self) -> IndexStatus:
        """What the index holds, and how its last run ended; IndexNotFound if nothing was indexed yet."""
        return self.searcher.status()

    def coverage(self) -> Coverage:
        """How many bytes of all files found have a vector, and every file without one, with the reason."""
        from minisearch.maintenance.coverage import coverage

        return coverage(self._location, outcome=last.outcome if (last := self.status().last_run) else "never")

    def why_not(
        self,
        path: str | os.PathLike[str],
        text: str | Query,
        k: int = 10,
        *,
        line: int | None = None,
        **options: Unpack[QueryOptions],
    ) -> WhyNot:
        """Why a file, or its passage at ``line``, is not among the k results; it ranks every passage."""
        return self.searcher.why_not(path, line, text, _options(k, **options))

    # A call that has begun runs to its end, also if it is cancelled: what it writes is whole.
    aindex, aadd = in_thread(index), in_thread(add)
    aupdate, aremove = in_thread(update), in_thread(remove)
    aquery, aquery_many = in_thread(query), in_thread(query_many)
    acontext, aget = in_thread(context), in_thread(get)
    asimilar, aembed = in_thread(similar), in_thread(embed)

    def _writer(self) -> IndexWriter:
        # Imported here, as above: a query must not import all parsers.
        from minisearch.indexing.writer import IndexWriter

        with self._turn:
            if self._index_writer is None:
                self._index_writer = IndexWriter(self._location, self._encoders, self._settings)
            return self._index_writer


def _options(k: int, *, where: Filter | str | None = None, **options: Any) -> SearchOptions:  # noqa: ANN401
    return SearchOptions(k=k, where=as_filter(where), **options)
