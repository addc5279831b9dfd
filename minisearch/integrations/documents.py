"""The documents that a framework has added to an index: what the stores of all frameworks have in common.

A framework's document goes in as an id, a text, metadata and its own form as JSON; the JSON comes back as it
was.  Metadata become fields for filters.  The form of documents and filters is left to the adapters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast, get_args

from minisearch.engine import MiniSearch
from minisearch.errors import IndexNotFound, InputError, short
from minisearch.filters import And, Field, Filter, Operator, Or, StoredPath, flat_fields
from minisearch.paths import memory_key
from minisearch.results import Mode, Query, SearchResult
from minisearch.types import DATA, TextDocument


@dataclass(frozen=True, slots=True)
class AddedDocuments:
    """The documents of one framework in an index; files, and documents added otherwise, are not among them.

    A document is stored under the name of its framework and its own id, such as "langchain/faq-7".  So
    frameworks, and programs that call `MiniSearch.add`, may use the same ids.
    """

    engine: MiniSearch
    framework: str

    @property
    def id_field(self) -> str:
        """The name of the field that has the own id of each, for filters; a file may have one as well."""
        return f"{self.framework}_id"

    def document(
        self, id_: str, text: str, metadata: Mapping[str, Any], source: Any, *, title: object = ""
    ) -> TextDocument:
        """A document to `add`; ``source`` is its own form, and comes back as JSON would give it back.

        Raises InputError for an empty text, an id with control characters, or a source that is no JSON.
        """
        try:
            data = json.dumps(source).encode()
        except (TypeError, ValueError) as error:
            raise InputError(
                f"document {short(repr(id_))}: expected metadata as in JSON, got another type: {error}"
            ) from error
        fields = {**flat_fields(metadata), self.id_field: id_}
        given = TextDocument(
            id=id_, text=text, title=title if isinstance(title, str) else "", fields=fields, data=data
        )
        return replace(given, id=self._stored_id(id_))  # messages about what was given have the own id

    def add(self, documents: Iterable[TextDocument]) -> None:
        """Add or replace documents; of several with one id, the last counts.

        They are kept as they are given: keys and tokens in them are not blanked.
        """
        self.engine.add(list({one.id: one for one in documents}.values()), keep_secrets=True)

    def sources(self, where: Filter | None = None) -> dict[str, Any]:
        """The own forms of the documents that match, by id, in the order in which they were added."""
        return self._sources(self._all_with(where))

    def ids(self, where: Filter | None = None) -> list[str]:
        """The ids of the documents that match, in the order in which they were added."""
        return [id_ for id_, _ in self._added(self._all_with(where)).values()]

    def named(self, ids: Iterable[str]) -> dict[str, Any]:
        """The own forms of documents by id, in the order of the ids; unknown ids are left out."""
        wanted = list(dict.fromkeys(ids))
        found = self._sources(self.with_ids(wanted))
        return {id_: found[id_] for id_ in wanted if id_ in found}

    def known(self, ids: Iterable[str]) -> list[str]:
        """Those of the ids that documents have."""
        return [id_ for id_, _ in self._added(self.with_ids(ids)).values()]

    def with_ids(self, ids: Iterable[str]) -> Filter:
        """The condition that a document has one of these ids."""
        return Or(tuple(Field(self.id_field, "=", id_, is_exact=True, is_optional=True) for id_ in ids))

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents; returns how many there were.  Unknown ids are ignored."""
        there = self.known(ids)
        return self.engine.remove(*(memory_key(self._stored_id(id_)) for id_ in there)) if there else 0

    def search(
        self, text: str, k: int, *, where: Filter | None = None, mode: Mode = "hybrid", **options: Any
    ) -> list[tuple[Any, SearchResult]]:
        """The own forms of the k best documents, each with the result that has its best passage.

        Operators in the text, such as quotation marks, are not read.
        """
        found: list[tuple[Any, SearchResult]] = []
        # To select all documents of a framework in a large index takes longer than to search it, so that
        # condition is added only where the best results of the whole index are not theirs.  Other documents
        # that have the field are left out only where they are among the best: that takes longer still.
        has_id = self._all_with(where)
        is_own = And((StoredPath(memory_key(f"/{self.framework}/**")), has_id))
        for condition_ in (where, has_id, is_own):
            try:
                hits = self.engine.query(
                    Query(text), k, by="document", where=condition_, mode=mode, **options
                )
            except IndexNotFound:
                return []
            own_ids = (hit.path.removeprefix(self._stored_id("")) for hit in hits)
            added = self._added(self.with_ids(own_ids))
            found = [(json.loads(added[hit.doc_id][1]), hit) for hit in hits if hit.doc_id in added]
            if len(found) == len(hits):
                break
        return found

    def _all_with(self, where: Filter | None) -> Filter:
        """The condition that a document is one of these, and matches."""
        has_id = Field(self.id_field, ">=", "", is_optional=True)
        return And((has_id, where)) if where else has_id

    def _sources(self, where: Filter) -> dict[str, Any]:
        return {id_: json.loads(data) for id_, data in self._added(where).values()}

    def _added(self, where: Filter) -> dict[int, tuple[str, bytes]]:
        """The ids and own forms, as JSON, of documents that match, by `SearchResult.doc_id`.

        ``where`` matches only documents with the field.  Those of others that have it are left out: they are
        not stored under its value.
        """
        try:
            found = self.engine.searcher.fields((self.id_field, DATA), where)
            keys = self.engine.searcher.keys(found)
        except IndexNotFound:
            return {}
        added = {}
        for doc_id, fields in found.items():
            id_ = str(fields[self.id_field][0])
            if DATA in fields and keys.get(doc_id) == memory_key(self._stored_id(id_)):
                added[doc_id] = id_, cast("bytes", fields[DATA][0])
        return added

    def _stored_id(self, id_: str) -> str:
        return f"{self.framework}/{id_}"


def exists(name: str) -> Filter:
    """The condition that a field has a value."""
    field = partial(Field, name, is_optional=True)
    any_text_or_number = field(">=", "") | field(">=", -sys.float_info.max)
    return any_text_or_number | field("=", True) | field("=", False)


def condition(name: str, operator: str, value: Any) -> Filter:
    """A comparison as frameworks write it: ==, !=, <, <=, >, >=, in, not in, contains; texts exactly.

    ``== None`` means that there is no value.  Of a list of values, one must match.  It is no error that no
    document has the field.  Raises InputError for an
    unknown operator, or a value that it does not compare.
    """
    name = " ".join(name.split())
    if operator in {"in", "not in"}:
        if not isinstance(value, list):
            raise InputError(f"{name} {operator} {short(repr(value))}: expected a list of values")
        one_of = Or(tuple(condition(name, "==", one) for one in value))
        return one_of if operator == "in" else ~one_of
    if value is None and operator in {"==", "!="}:
        return exists(name) if operator == "!=" else ~exists(name)
    ours = "=" if operator == "==" else operator
    if ours not in get_args(Operator):
        raise InputError(f"unknown operator {operator!r} for {name}: expected one such as ==, < or in")
    return Field(name, cast("Operator", ours), value, is_exact=True, is_optional=True)


def passage_id(hit: SearchResult) -> str:
    """A name for a passage that stays the same until its document changes."""
    return f"{hit.path}#{hit.chunk_id}"


def passage_metadata(hit: SearchResult) -> dict[str, Any]:
    """What is known about a passage: its place and how it was ranked; `SearchResult` explains each."""
    names = ("path", "line", "end_line", "page", "title", "score", "relevance", "place")
    return {"heading": hit.full_heading} | {name: getattr(hit, name) for name in names}
