"""A folder in BEIR's format in; a collection out: documents, queries, and relevance judgements.

``corpus.jsonl`` and ``queries.jsonl`` have one object per line with ``_id`` and ``text``; documents may also
have a ``title`` and any other fields.  ``qrels/SPLIT.tsv`` has a query's id, a document's id and a judgement
a line, 0 for "not relevant".  Invalid lines are refused with file and line number; what is valid but
inconsistent is counted in ``notes``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from minisearch.errors import InputError
from minisearch.filters import Value, flat_fields

DEFAULT_SPLIT = "test"
HEADER = ("query-id", "corpus-id", "score")

Judgements = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class CollectionDocument:
    """A document of a collection; ``fields`` has everything but id, title and text."""

    id: str
    title: str
    text: str
    fields: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, the queries that have a relevant document, and their judgements, in the files' order.

    ``judgements[query][document]`` is above 0 if the document is relevant.  Judged documents that the corpus
    lacks are kept: no search can find them, so every measure counts them as missed.
    """

    name: str
    split: str
    corpus: Mapping[str, CollectionDocument]
    queries: Mapping[str, str]
    judgements: Judgements
    notes: tuple[str, ...] = ()

    @property
    def n_judgements(self) -> int:
        """How many pairs of a query and a document are judged."""
        return sum(map(len, self.judgements.values()))


def read_collection(folder: Path, split: str | None = None) -> Collection:
    """The collection in a folder; without a ``split``, "test", or else the only one.

    A query without a relevant document is left out, because every ranking would score the same on it.  Raises
    InputError, with the file and the line, for what is missing or invalid.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}: expected one with corpus.jsonl, queries.jsonl and qrels/"
        )
    qrels = _qrels_file(folder, split)
    documents = (_document(*record) for record in _records(folder / "corpus.jsonl"))
    corpus = {document.id: document for document in documents}
    all_queries = {
        _text(*record, "_id"): _text(*record, "text") for record in _records(folder / "queries.jsonl")
    }
    all_judgements = _judgements(qrels)
    queries, judgements = {}, {}
    for query_id, text in all_queries.items():
        of_query = all_judgements.get(query_id, {})
        if any(score > 0 for score in of_query.values()):
            queries[query_id], judgements[query_id] = text, of_query
    if not queries:
        raise InputError(f"{qrels} judges no document above 0 for any query of {folder / 'queries.jsonl'}")
    judged_documents = {document for of_query in judgements.values() for document in of_query}
    counts = {
        "queries without a document judged above 0: left out": len(all_queries) - len(queries),
        "judged queries that queries.jsonl does not have: left out": len(all_judgements.keys() - all_queries),
        "judged documents that corpus.jsonl does not have: they count as not found": len(
            judged_documents - corpus.keys()
        ),
    }
    notes = tuple(f"{n:,} {what}" for what, n in counts.items() if n)
    return Collection(folder.resolve().name, qrels.stem, corpus, queries, judgements, notes)


def _qrels_file(folder: Path, split: str | None) -> Path:
    files = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if not files:
        raise InputError(
            f"{folder} has no judgements: expected a file such as {folder / 'qrels' / 'test.tsv'}"
        )
    if split is None:
        split = next(iter(files)) if len(files) == 1 else DEFAULT_SPLIT
    if split not in files:
        raise InputError(f"{folder} has no split '{split}': choose one of {', '.join(files)} with --split")
    return files[split]


# --- lines -------------------------------------------------------------------------------------------


def _records(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Each line's object, and its place for error messages; ``_id`` is a text that no other line has."""
    line_of_id: dict[str, int] = {}
    for line_number, line in lines_of(path):
        place = f"{path}, line {line_number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: expected a JSON object: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f'{place}: expected a JSON object with "_id" and "text", got {line[:40]}')
        id_ = values.get("_id")
        if isinstance(id_, int) and not isinstance(id_, bool):
            id_ = str(id_)
        if not isinstance(id_, str) or not id_.strip():
            raise InputError(
                f'{place}: expected a text that is not empty as "_id", got {json.dumps(id_)[:40]}'
            )
        if id_ in line_of_id:
            raise InputError(
                f'{place}: the "_id" {id_!r} is taken by line {line_of_id[id_]}: give each its own'
            )
        line_of_id[id_] = line_number
        yield place, values | {"_id": id_}
    if not line_of_id:
        raise InputError(f"{path} is empty: expected a JSON object per line")


def _text(place: str, values: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = values.get(name)
    value = default if value is None else value  # a title that is null is no title
    if not isinstance(value, str):
        came = f"got {json.dumps(value)[:40]}" if name in values else "it has none"
        raise InputError(f'{place}: expected a text as "{name}", {came}')
    return _encodable(value)


def _encodable(text: str) -> str:
    r"""The text with lone surrogates replaced: JSON can contain them (\ud800), files and databases cannot."""
    return text.encode("utf-8", "replace").decode()


def _document(place: str, values: dict[str, object]) -> CollectionDocument:
    others = {name: value for name, value in values.items() if name not in {"_id", "title", "text"}}
    id_, title, text = (_text(place, values, *field) for field in (("_id",), ("title", ""), ("text",)))
    return CollectionDocument(id_, title, text, flat_fields(others))


def _judgements(path: Path) -> Judgements:
    judgements: Judgements = {}
    for line_number, line in lines_of(path):
        columns = tuple(column.strip() for column in line.split("\t"))
        if line_number == 1 and columns == HEADER:
            continue
        place = f"{path}, line {line_number}"
        if len(columns) != len(HEADER):
            expected = "<tab>".join(HEADER)
            raise InputError(f"{place}: expected {expected}, got {len(columns)} columns: {line[:60]!r}")
        query, document, written = columns
        try:
            score = int(written)
        except ValueError as error:
            raise InputError(f"{place}: expected a whole number as score, got {written!r}") from error
        if judgements.setdefault(query, {}).setdefault(document, score) != score:
            earlier = judgements[query][document]
            raise InputError(f"{place}: {query} and {document} are judged {score}, but {earlier} further up")
    return judgements


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line_number, line in enumerate(file, start=1):
                if line.strip():
                    yield line_number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
