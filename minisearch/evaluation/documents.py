"""Files and folders in; their documents, split as an index would, out; nothing is stored or embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from minisearch.errors import IngestError
from minisearch.evaluation.known_items import ChunkedDocument, ChunkText
from minisearch.files.walk import FoundFile, LeftOut, walk
from minisearch.indexing.changes import ChunkedDocument as Split
from minisearch.indexing.changes import DocumentSplitter, Reader, SkippedFile
from minisearch.manifest import Settings
from minisearch.paths import real_path
from minisearch.types import Encoder


def read_documents(paths: Iterable[Path], encoder: Encoder) -> Iterator[ChunkedDocument | SkippedFile]:
    """The documents of all files below the paths, each file once, and the files without usable text.

    Ignore rules and secrets are as for `minisearch index`.  IngestError for a path that does not exist.
    """
    files: dict[str, FoundFile] = {}
    for path in paths:
        is_empty = True
        for item in walk(real_path(path)):
            if isinstance(item, FoundFile):
                is_empty = False
                files.setdefault(item.path, item)
            elif not isinstance(item, LeftOut):
                yield SkippedFile(item.path, item.reason, is_outdated=False)
        if is_empty:
            raise IngestError(f"no files to read in {path} (hidden and ignored ones do not count)")
    reader = Reader({}, DocumentSplitter(lambda: encoder, Settings(), ""))
    for number, outcome in enumerate(reader.outcomes(files)):
        if isinstance(outcome, Split):
            chunks = tuple(ChunkText(chunk.text, chunk.heading) for chunk in outcome.chunks)
            yield ChunkedDocument(number, outcome.path, outcome.row.title, chunks)
        elif isinstance(outcome, SkippedFile):
            yield outcome
