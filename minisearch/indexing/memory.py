"""Documents from memory: what the caller gives in; one outcome per document out, as `changes` has for files.

Such a document has no file: a run over files neither reads nor removes it.  Finding the earlier one, storing
and embedding are left to the run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

from minisearch.errors import InputError, short
from minisearch.files.secrets import has_only_blanks, screened
from minisearch.files.walk import FoundFile
from minisearch.indexing.changes import (
    DocumentSplitter,
    Outcome,
    ReadDocument,
    SkippedFile,
    Unchanged,
    read_document,
    without_embedded,
)
from minisearch.manifest import fingerprint
from minisearch.parsers import parse_text
from minisearch.parsers.source import MAX_TITLE
from minisearch.paths import memory_key
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.types import DATA, Document, TextDocument, TextDocuments

KEYS = tuple(one.name for one in fields(TextDocument))


def text_documents(given: TextDocuments) -> dict[str, TextDocument]:
    """The documents by the names under which they are stored; InputError for an invalid one."""
    if isinstance(given, str | Mapping | TextDocument) or not isinstance(given, Iterable):
        raise InputError(f"expected a list of documents, got {short(repr(given))}")
    documents: dict[str, TextDocument] = {}
    for number, one in enumerate(given, start=1):
        document = one if isinstance(one, TextDocument) else _of_mapping(one, number)
        if documents.setdefault(memory_key(document.id), document) is not document:
            raise InputError(f"two documents have the id {short(repr(document.id))}: give each its own")
    return documents


def _of_mapping(given: object, number: int) -> TextDocument:
    if not isinstance(given, Mapping):
        raise InputError(
            f"document {number} is {short(repr(given))}: expected a TextDocument or a dict with id and text"
        )
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        raise InputError(f"document {number} has {short(repr(unknown[0]))}: expected {', '.join(KEYS)}")
    if missing := [key for key in ("id", "text") if key not in given]:
        raise InputError(f"document {number} has no {missing[0]}: expected id and text")
    return TextDocument(**given)


def as_files(documents: Mapping[str, TextDocument], *, keep_secrets: bool) -> dict[str, FoundFile]:
    """What a run counts for each document: its id as the path, and its size."""
    return {
        key: FoundFile(one.id, len(one.text.encode("utf-8", "replace")), 0, 0, keeps_secrets=keep_secrets)
        for key, one in documents.items()
    }


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Parses and chunks documents from memory that are new or changed; the `DocumentSource` for them.

    ``stored`` are the documents in the index; ``documents`` are given by the same keys.
    """

    stored: Mapping[str, StoredDocument]
    splitter: DocumentSplitter
    documents: Mapping[str, TextDocument]

    def outcomes(self, files: Mapping[str, FoundFile]) -> Iterator[Outcome]:
        """The outcome of each document; ``files`` are those of `as_files`."""
        for key, file in files.items():
            outcome = self._read(key, file)
            yield self.splitter.chunked(outcome) if isinstance(outcome, ReadDocument) else outcome

    def _read(self, key: str, file: FoundFile) -> Unchanged | SkippedFile | ReadDocument:
        given, stored = self.documents[key], self.stored.get(key)
        ingest = fingerprint(self.splitter.ingest, *["with secrets"] * file.keeps_secrets)
        content = [given.title, given.text, given.plain_fields(), given.format]
        content += [given.data.hex()] if given.data else []
        sha256 = hashlib.sha256(json.dumps(content).encode()).digest()
        if stored and (stored.ingest, stored.sha256) == (ingest, sha256):
            return Unchanged(key)
        document = parsed(key, given)
        if not file.keeps_secrets:
            document = screened(document)
            if has_only_blanks(document.text):
                reason = "screened: there is nothing but secrets in it (keep_secrets=True takes it)"
                return SkippedFile(key, reason, is_outdated=stored is not None)
        document = without_embedded(document)
        now_ns = time.time_ns()
        stamp = FileStamp(file.size, now_ns, now_ns, now_ns)  # when it was added or changed
        return read_document(key, document, file, stamp=stamp, sha256=sha256, ingest=ingest)


def parsed(key: str, given: TextDocument) -> Document:
    """The document as a parser returns it; the given title and fields replace those in the text."""
    document = parse_text(key, given.text, given.format)
    title = " ".join(given.title.split())[:MAX_TITLE] or document.title
    data = {DATA: (given.data,)} if given.data else {}
    return replace(document, title=title, fields={**document.fields, **given.plain_fields(), **data})
