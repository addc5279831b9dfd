"""Show how a file is split into chunks: a file goes in, the chunks that an index would store come out.

Nothing is stored and no vector is computed.  The file is read, screened for secrets and split as in a run,
with the settings of the index if there is one.  Only the tokenizer of the model is needed, so torch is not
loaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minisearch.errors import IngestError, InputError, install_line
from minisearch.files.walk import FoundFile, walk
from minisearch.indexing.changes import DocumentSplitter, ReadDocument, Reader, SkippedFile
from minisearch.indexing.plan import manifest_of
from minisearch.manifest import DEFAULT_MODEL, Choices, Settings
from minisearch.minilm.encoders import Encoders
from minisearch.parsers.grammars import MODULES
from minisearch.parsers.registry import is_cut_at_lines, is_installed
from minisearch.paths import IndexLocation, real_path
from minisearch.stores import open_store
from minisearch.types import Chunk

AT_LINES = f"at lines; at functions with: {install_line('code')}"


@dataclass(frozen=True, slots=True)
class FileChunks:
    """The result of the parser for one file, and its chunks.

    ``max_tokens`` is the limit of tokens per chunk for ``model``, with the title.  If ``is_extract``, the
    bytes and lines of chunks are positions in the text that was extracted from the file.
    """

    path: str
    format: str
    language: str
    title: str
    notes: tuple[str, ...]
    model: str
    max_tokens: int
    is_extract: bool
    chunks: tuple[Chunk, ...]


def inspect(
    location: IndexLocation, encoders: Encoders, path: str | os.PathLike[str], *, settings: Settings | None
) -> FileChunks:
    """`MiniSearch.chunks`."""
    file = real_path(path)
    if file.is_dir():
        raise InputError(f"{path} is a folder: name one file in it")
    model, own_settings, choices = _of_index(location)
    settings = settings or own_settings
    found = _found(path, file, choices)
    encoder = encoders.to_query(model, "")
    splitter = DocumentSplitter(lambda: encoder, settings, "")
    read = Reader({}, splitter).read(os.fspath(path), found)
    if isinstance(read, SkippedFile):
        raise IngestError(f"{path} gives no chunks: {read.reason}")
    assert isinstance(read, ReadDocument)  # nothing is stored that could be unchanged
    document = read.document
    hints = (f"cut {AT_LINES}",) if is_cut_at_lines(found.path) else ()
    return FileChunks(
        path=os.fspath(path),
        format=document.format,
        language=document.language,
        title=document.title,
        notes=(*document.notes, *hints),
        model=encoder.name,
        max_tokens=settings.chunk_tokens(encoder.max_tokens),
        is_extract=document.origin.is_extract,
        chunks=tuple(splitter.split(document)),
    )


def how_code_is_split() -> str:
    """Where source code is split, with the installed grammars."""
    languages = sorted(filter(is_installed, MODULES))
    if not languages:
        return AT_LINES
    return f"at functions in {', '.join(languages)}; at lines in others"


def _of_index(location: IndexLocation) -> tuple[str, Settings, Choices]:
    """The model, the settings and the choices of the index; the defaults if there is none yet."""
    if location.exists():
        with open_store(location) as store, store.snapshot():
            if manifest := manifest_of(store, location):
                return manifest.model, manifest.settings, manifest.choice_paths(location)
    return DEFAULT_MODEL, Settings(), {}


def _found(path: str | os.PathLike[str], file: Path, choices: Choices) -> FoundFile:
    """The file as a run would find it; IngestError with the reason if a run would skip it."""
    (item,) = walk(file, choices=choices)
    if not isinstance(item, FoundFile):
        raise IngestError(f"{path} gives no chunks: {item.reason}")
    return item
