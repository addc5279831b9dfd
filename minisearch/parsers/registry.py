"""The reader for each file format: a path or its bytes go in, a `Document` comes out.

The suffix decides on the reader, one function for each format.  Readers of text formats (``READERS``) get a
decoded `Source` and find title, headings and fields; readers of binary formats (``EXTRACTED``) get the bytes.
Any other file is plain text, unless its first bytes say that it is not.  Whether a file is wanted or has
changed is left to others.  The message of an IngestError is only the reason ("binary file"): the caller knows
the path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib import metadata

from minisearch.errors import IngestError
from minisearch.parsers.code import CODE_SUFFIXES, LANGUAGES, read_code
from minisearch.parsers.email_ import read_email
from minisearch.parsers.extracted import EXTRACTED
from minisearch.parsers.html import read_html
from minisearch.parsers.json_ import read_json, read_jsonl
from minisearch.parsers.markdown import read_markdown
from minisearch.parsers.notebook import read_notebook
from minisearch.parsers.rst import read_rst
from minisearch.parsers.source import Source, decode
from minisearch.parsers.tables import read_table
from minisearch.types import Document


def read_text(source: Source) -> Document:
    """The file unchanged."""
    return source.unchanged("text")


READERS: dict[str, Callable[[Source], Document]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".mdx": read_markdown,
    ".rst": read_rst,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    **dict.fromkeys(CODE_SUFFIXES, read_code),
    ".csv": read_table,
    ".tsv": read_table,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".ipynb": read_notebook,
    ".eml": read_email,
}

# Libraries whose version decides what can be read: a file that was skipped is tried again when one changes.
LIBRARIES = ("pypdfium2", "tree-sitter")


def read(path: str, *, display: str | None = None) -> Document:
    """The document in a file; its ``path`` is ``display`` where that is given.

    Raises IngestError when the file cannot be read, or is binary.
    """
    return parse(path if display is None else display, read_bytes(os.path.realpath(path)))


def read_bytes(path: str) -> bytes:
    """All bytes of a regular file.

    Raises IngestError when it cannot be read, with the OSError, if any, as its ``__cause__``.  An IngestError
    of ``parse``, in contrast, is about the content.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
    except OSError as error:
        raise IngestError(f"cannot be read: {error.strerror or error}") from error
    raise IngestError("not a regular file")


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would block until someone writes to it; a file that was replaced by a link since it was
    # found may lead anywhere.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def parse(path: str, data: bytes) -> Document:
    """The document in these bytes; the suffix of the path chooses the reader.

    Raises IngestError when they are binary, or not in the encoding that their byte-order mark names.
    """
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a plain string; pathlib would cost 5 µs per file
    if read_binary := EXTRACTED.get(suffix):
        document = read_binary(path, data)
    else:
        document = READERS.get(suffix, read_text)(decode(path, data))
    return replace(document, language=document.language or LANGUAGES.get(suffix, ""))


@lru_cache(maxsize=1)
def installed_libraries() -> tuple[str, ...]:
    """The installed ones of ``LIBRARIES``, as "name version"."""
    return tuple(f"{name} {version}" for name in LIBRARIES if (version := _version(name)))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
