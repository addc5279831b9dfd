"""Documents to read beside the results: their passages in order, a picture of a PDF's page, and facets.

A searcher and a document that is in its index go in; frozen data come out, for a page or another view.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath

from minisearch.errors import IngestError, InputError
from minisearch.formats import format_of, suffix_of
from minisearch.parsers import read_bytes
from minisearch.parsers.sandbox import Limits, Sandbox
from minisearch.paths import is_from_memory
from minisearch.rag import continued
from minisearch.results import full_heading
from minisearch.search.pipeline import chunks_at
from minisearch.search.searcher import Searcher
from minisearch.stores.base import StoredChunk

N_AROUND = 30  # passages of a preview before and after the one that is looked for
MAX_FACETS = 40  # folders, or kinds of files
GLOB_SIGN = re.compile(r"([\\*?\[])")
PNG = b"\x89PNG\r\n\x1a\n"

# A page of a PDF takes a few hundredths of a second to draw.
DRAWING = Sandbox(Limits(wall_s=20, cpu_s=15, answer_bytes=60_000_000))


@dataclass(frozen=True, slots=True)
class Part:
    """A passage of a preview: ``text`` without what the passage before it ends with.

    ``gap`` stands between the two.  ``start`` is the place of ``text`` in the text of the passage.
    """

    chunk_id: int
    gap: str
    text: str
    start: int
    line: int
    end_line: int
    heading: str
    page: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A document, or the part of it around a passage.

    ``format`` is the name of its row in `formats`, ``language`` that of the file, such as "python".  ``file``
    is its absolute path, "" for a document from memory, and for a file that the index may not open.
    ``n_before`` and ``n_after`` passages are left out.  ``has_pictures`` says whether its pages can be drawn.
    """

    path: str
    title: str
    format: str
    language: str
    file: str
    parts: tuple[Part, ...]
    n_before: int = 0
    n_after: int = 0
    has_pictures: bool = False


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page of a PDF as a PNG in base64, and where a text stands on it.

    Each box is left, top, width and height, in shares of the page.
    """

    page: int
    n_pages: int
    width: int
    height: int
    png: str
    boxes: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many documents there are of a kind; ``value`` is that of a filter."""

    name: str
    value: str
    n: int


@dataclass(frozen=True, slots=True)
class Facets:
    """Folders and kinds of files, each with its number of documents, the most frequent first.

    ``base`` is what the paths of all files begin with, as they are shown.
    """

    base: str
    folders: tuple[Count, ...]
    extensions: tuple[Count, ...]


def preview(
    searcher: Searcher, path: str, line: int | None = None, *, chunk_id: int | None = None
) -> Preview:
    """The passages around one, which is named by its id or by a line; or those at the beginning.

    Raises InputError for a document that is not in the index, or a line after its last passage.
    """
    shown, chunks = searcher.chunks_of(path)
    place = next((n for n, one in enumerate(chunks) if one.id == chunk_id), None)
    if place is None:
        place = chunks.index(chunks_at(chunks, path, line)[0])
    first, last = max(0, place - N_AROUND), min(len(chunks), place + N_AROUND + 1)
    above = [None, *chunks][first:last]
    parts = [_part(one, before) for one, before in zip(chunks[first:last], above, strict=True)]
    file = searcher.openable(chunks[0].path)
    format_ = format_of(chunks[0].path)
    return Preview(
        path=shown,
        title=chunks[0].title,
        format=format_.name,
        language=format_.language,
        file=file or "",
        parts=tuple(parts),
        n_before=first,
        n_after=len(chunks) - last,
        has_pictures=format_.name == "pdf" and file is not None,
    )


def _part(chunk: StoredChunk, above: StoredChunk | None) -> Part:
    gap, n_shared = continued(above, chunk) if above else ("", 0)
    heading = full_heading(chunk.title, chunk.heading, chunk.path)
    text = chunk.text[n_shared:]
    return Part(chunk.id, gap, text, n_shared, chunk.line, chunk.end_line, heading, chunk.page)


def picture(searcher: Searcher, path: str, page: int, text: str = "", *, width: int = 1_400) -> PagePicture:
    """A page of a PDF, from 1, drawn ``width`` pixels wide, and the places of a text that stands on it.

    Raises InputError for a document that is not in the index or no PDF, and for a page that it does not have.
    """
    _, chunks = searcher.chunks_of(path)
    file = searcher.openable(chunks[0].path)
    if file is None or format_of(file).name != "pdf":
        raise InputError(f"{path} is no PDF that can be opened: only pages of a PDF are drawn")
    try:
        request = json.dumps({"page": page - 1, "text": text, "width": width}).encode()
        drawn = DRAWING.extract("pdf.picture", "PDF", request + b"\n" + read_bytes(file))
        png = str(drawn["png"])
        if not base64.b64decode(png, validate=True).startswith(PNG):
            raise ValueError
        boxes = tuple((float(x), float(y), float(w), float(h)) for x, y, w, h in drawn["boxes"])
        size = int(drawn["width"]), int(drawn["height"])
        return PagePicture(page, int(drawn["n_pages"]), *size, png, boxes)
    except (IngestError, KeyError, TypeError, ValueError, binascii.Error) as error:
        reason = f": {error}" if isinstance(error, IngestError) else ""
        raise InputError(f"page {page} of {path} cannot be drawn{reason}") from error


def facets(searcher: Searcher) -> Facets:
    """Counts over all documents.

    Folders are those below the one that holds all files; a value is a pattern for `filters.Path`.
    """
    documents = searcher.read(lambda store: store.documents())
    files = [key for key in documents if not is_from_memory(key)]
    folders: Counter[tuple[str, ...]] = Counter()
    for key in files:
        parts = PurePath(key).parts[:-1]
        folders.update(parts[:depth] for depth in range(1, len(parts) + 1))
    top = max((folder for folder, n in folders.items() if n == len(files)), key=len, default=())
    found = [
        Count("/".join(folder[len(top) :]), _pattern(searcher.location.absolute(str(PurePath(*folder)))), n)
        for folder, n in folders.items()
        if len(top) < len(folder) <= len(top) + 2
    ]
    extensions = Counter(map(suffix_of, files))
    kinds = [Count(suffix[1:], suffix[1:], n) for suffix, n in extensions.items() if suffix]
    has_base = top or not any(PurePath(key).is_absolute() for key in files)
    base = searcher.location.shown(str(PurePath(*top))) if has_base else "."
    return Facets("" if base == "." else f"{base}/", _most_frequent(found), _most_frequent(kinds))


def _pattern(folder: str) -> str:
    """A pattern for the files below a folder; signs of patterns in its name count as they are."""
    return GLOB_SIGN.sub(r"\\\1", folder)


def _most_frequent(counts: list[Count]) -> tuple[Count, ...]:
    return tuple(sorted(counts, key=lambda one: (-one.n, one.name))[:MAX_FACETS])
