"""The parser for each file suffix: a path or bytes come in, a ``Document`` comes out.

Text formats are in ``READERS``; their parsers get a decoded ``Source``.  Formats in ``BINARY_READERS`` get
the bytes.  Any other suffix is plain text, unless the first bytes show a binary file.  Which files are read,
and whether they have changed, is decided elsewhere.  The message of an IngestError is only the reason
("binary file"), because the caller knows the path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib import metadata

from minisearch.errors import IngestError
from minisearch.parsers.code import read_code
from minisearch.parsers.decode import Source, decode
from minisearch.parsers.email_ import read_email
from minisearch.parsers.extracted import EXTRACTED
from minisearch.parsers.html import read_html
from minisearch.parsers.json_ import read_json, read_jsonl
from minisearch.parsers.languages import CODE_SUFFIXES, LANGUAGES
from minisearch.parsers.markdown import read_markdown
from minisearch.parsers.notebook import read_notebook
from minisearch.parsers.rst import read_rst
from minisearch.parsers.tables import read_table
from minisearch.types import Document


def read_text(source: Source) -> Document:
    """The whole file as plain text."""
    return Document(source.path, source.text, "text", source.origin, notes=source.notes)


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

BINARY_READERS: dict[str, Callable[[str, bytes], Document]] = {**EXTRACTED}


def read(path: str, *, display: str | None = None) -> Document:
    """The document in a file, with ``display`` as its ``path`` if given.

    Raises IngestError when the file cannot be read, or is binary.
    """
    return parse(path if display is None else display, read_bytes(os.path.realpath(path)))


def read_bytes(path: str) -> bytes:
    """All bytes of a regular file.

    Raises IngestError, with the OSError as its ``__cause__`` where there was one.  This says that the file
    could not be opened, while an IngestError of ``parse`` says that its content is unusable.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
    except OSError as error:
        raise IngestError(f"cannot be read: {error.strerror or error}") from error
    raise IngestError("not a regular file")


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe would wait for a writer.  A file that has become a link since it was found may lead
    # anywhere.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def parse(path: str, data: bytes) -> Document:
    """The document in the bytes of a file with this name.

    Raises IngestError when they are binary, or not in the encoding that their byte-order mark names.
    """
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a plain string; pathlib would cost 5 µs a file
    if read_binary := BINARY_READERS.get(suffix):
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
