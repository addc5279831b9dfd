"""Show how a file is cut: a file goes in, its chunks as an index would hold them come out.

Nothing is stored and no vector is computed.  The file is read, screened for secrets and cut as in a run, with
the settings of the index where there is one.  Only the tokenizer of the model is needed, so torch is not
loaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minisearch.errors import IngestError, InputError
from minisearch.files.walk import Found, walk
from minisearch.indexing.changes import DocumentCutter, PassedOver, ReadDocument, Reader
from minisearch.indexing.plan import manifest_of
from minisearch.manifest import DEFAULT_MODEL, Choices, Settings
from minisearch.minilm.encoders import Encoders
from minisearch.parsers.code import MODULES, is_cut_at_lines, is_installed
from minisearch.paths import IndexLocation, real_path
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk

AT_LINES = "at lines; at functions with: pip install 'minisearch[code]'"


@dataclass(frozen=True, slots=True)
class CutFile:
    """How one file is cut: what the parser made of it, and its chunks.

    ``max_tokens`` is the most that a chunk may have by ``model``, its title included.  Where it
    ``is_extract``, the chunks' bytes and lines are those of the text that was taken out of the file.
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
) -> CutFile:
    """`MiniSearch.chunks`."""
    file = real_path(path)
    if file.is_dir():
        raise InputError(f"{path} is a folder: name one file in it")
    model, own_settings, choices = _of_index(location)
    settings = settings or own_settings
    found = _found(path, file, choices)
    encoder = encoders.to_query(model, "")
    cutter = DocumentCutter(lambda: encoder, settings, "")
    read = Reader({}, cutter).read(os.fspath(path), found)
    if isinstance(read, PassedOver):
        raise IngestError(f"{path} gives no chunks: {read.reason}")
    assert isinstance(read, ReadDocument)  # nothing is stored that could be unchanged
    document = read.document
    hints = (f"cut {AT_LINES}",) if is_cut_at_lines(found.path) else ()
    return CutFile(
        path=os.fspath(path),
        format=document.format,
        language=document.language,
        title=document.title,
        notes=(*document.notes, *hints),
        model=encoder.name,
        max_tokens=settings.chunk_tokens(encoder.max_tokens),
        is_extract=document.origin.is_extract,
        chunks=tuple(cutter.cut(document)),
    )


def how_code_is_cut() -> str:
    """What source code is cut at, by the grammars that are installed."""
    languages = sorted(filter(is_installed, MODULES))
    if not languages:
        return AT_LINES
    return f"at functions in {', '.join(languages)}; at lines in others"


def _of_index(location: IndexLocation) -> tuple[str, Settings, Choices]:
    """The model, the settings and the choices of the index; the defaults where there is none yet."""
    if location.exists():
        with LocalStore(location.database) as store, store.snapshot():
            if manifest := manifest_of(store, location):
                return manifest.model, manifest.settings, manifest.choice_paths(location)
    return DEFAULT_MODEL, Settings(), {}


def _found(path: str | os.PathLike[str], file: Path, choices: Choices) -> Found:
    """The file as a run would find it; IngestError with the reason where it would pass it over."""
    (item,) = walk(file, choices=choices)
    if not isinstance(item, Found):
        raise IngestError(f"{path} gives no chunks: {item.reason}")
    return item
