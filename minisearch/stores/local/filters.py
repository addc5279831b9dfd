"""Filters: a tree of conditions goes in; ids of chunks, or SQL with parameters, come out.

Every condition is a set of documents or chunks, read from a database index or in one pass over the
documents.  So the SQL of a tree consists of "in" and "not in".  User values are parameters, never SQL text.
Equalities of one field in one ``Or`` are one condition with a list of values, however long.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from minisearch import filters
from minisearch.errors import InputError
from minisearch.filters import Filter
from minisearch.globs import glob
from minisearch.stores.base import TEXT, comparison_key, kind_of, nanoseconds, to_bytes
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.full_text import phrase_as_fts5
from minisearch.stores.terms import numbers_in
from minisearch.text import folded, normalised_words, storable
from minisearch.types import IntArray

MAX_CONDITIONS = 300  # of at most three parameters each: SQLite binds 999 in the oldest builds still in use
MAX_DEPTH = 25  # SQLite's parser holds 100 open brackets and operators

Sql = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class _OneOf(Filter):
    """Documents for which one of these equalities of one field holds; their values are of one kind."""

    equalities: tuple[filters.Field, ...]


def select(connection: Connection, where: Filter) -> IntArray:
    """Ids (n,), ascending, of the chunks that match a filter; InputError for an invalid filter."""
    sql, values = sql_condition(where)
    # Sorting here is faster than an ORDER BY, which makes SQLite read the table in the order of ids.
    rows = connection.rows(f"select c.id from chunks c where {sql}", values)  # noqa: S608 - ours
    return np.sort(np.fromiter((row[0] for row in rows), np.int64, len(rows)))


def check_filter(where: Filter) -> None:
    """InputError for an invalid filter, or one with too many or too deep conditions."""
    sql_condition(where)


def sql_condition(where: Filter) -> Sql:
    """SQL that is true for the rows of ``chunks c`` that match a filter, and its parameters."""
    _check_size(where)
    return _sql(where, 0)


def _check_size(where: Filter) -> None:
    """InputError for more conditions than SQLite takes; without recursion, for a tree of any depth."""
    waiting, n_conditions = [where], 0
    while waiting:
        part = waiting.pop()
        n_conditions += 1
        if n_conditions > MAX_CONDITIONS:
            raise InputError(
                f"a filter of more than {MAX_CONDITIONS} conditions: use fewer, or wider patterns"
            )
        if isinstance(part, filters.Not):
            waiting.append(part.part)
        elif isinstance(part, filters.And | filters.Or):
            waiting.extend(_parts(part))


def _sql(where: Filter, depth: int) -> Sql:
    if depth > MAX_DEPTH:
        raise InputError(f"a filter nested more than {MAX_DEPTH} deep: write it with fewer brackets")
    is_negated = False
    while isinstance(where, filters.Not):
        where, is_negated = where.part, not is_negated
    if isinstance(where, filters.And | filters.Or):
        sql, values = _joined(where, depth)
    else:
        sql, values = _leaf(where)
    return (f"not {sql}" if is_negated else sql), values


def _joined(where: filters.And | filters.Or, depth: int) -> Sql:
    parts = [_sql(part, depth + 1) for part in _parts(where)]
    word, nothing = (" and ", "1") if isinstance(where, filters.And) else (" or ", "0")
    return f"({word.join(sql for sql, _ in parts) or nothing})", [
        value for _, values in parts for value in values
    ]


def _parts(where: filters.And | filters.Or) -> list[Filter]:
    """The parts of a chain; equalities of one field in an ``Or`` are one part."""
    parts = list[Filter]()
    equalities = defaultdict[Any, list[filters.Field]](list)
    for part in filters.flat(where):
        if isinstance(where, filters.Or) and isinstance(part, filters.Field) and part.operator == "=":
            equalities[folded(part.name), kind_of(part.value), part.is_exact].append(part)
        else:
            parts.append(part)
    joined = (ones[0] if len(ones) == 1 else _OneOf(tuple(ones)) for ones in equalities.values())
    return [*parts, *joined]


def _leaf(where: Filter) -> Sql:
    match where:
        case filters.Path(pattern):
            glob(pattern)  # reports a wrong pattern here rather than inside SQLite
            return _documents("path_matches(?, path)", to_bytes(pattern))
        case filters.Extension(suffix):
            name = suffix.removeprefix(".")
            if not name:
                raise InputError(f"{suffix!r} is no extension of a file name: expected one such as 'md'")
            return _documents("path_ends(?, path)", to_bytes(f".{name}"))
        case filters.Language(name):
            return _documents("language = ?", storable(name.lower()))
        case filters.Since(moment):
            return _documents("mtime_ns >= ?", nanoseconds(moment))
        case filters.Before(moment):
            return _documents("mtime_ns < ?", nanoseconds(moment))
        case filters.Field():
            return _field(where)
        case _OneOf(equalities):
            return _one_of(equalities)
        case filters.Contains(phrase):
            return _contains(phrase)
    raise InputError(f"expected a condition of minisearch.filters, got {type(where).__name__}")


def _documents(sql: str, value: object) -> Sql:
    return f"c.document_id in (select id from documents where {sql})", [value]  # noqa: S608 - ours


def _field(where: filters.Field) -> Sql:
    kind = kind_of(where.value)
    text, number = comparison_key(where.value)
    column, value = ("folded", text) if kind == TEXT else ("number", number)
    if where.is_exact and isinstance(where.value, str):
        column, value = "text", to_bytes(where.value)
    sign = where.operator if where.operator in {"<", "<=", ">", ">="} else "="
    comparison, values = f"{column} {sign} ?", [value]
    if where.operator == "contains" and kind == TEXT:
        comparison = f"instr({column}, ?) > 0"
    elif column == "text" and sign == "=":
        comparison, values = "folded = ? and text = ?", [text, value]  # `folded` has an index
    negation = "not " if where.operator == "!=" else ""
    return _in_fields(kind, comparison, negation), [to_bytes(folded(where.name)), *values]


def _one_of(equalities: tuple[filters.Field, ...]) -> Sql:
    name, kind = equalities[0].name, kind_of(equalities[0].value)
    keys = [comparison_key(one.value) for one in equalities]
    if kind == TEXT:
        lists = {"folded": [text.hex() for text, _ in keys if text is not None]}
        if equalities[0].is_exact:  # `folded` has an index
            lists["text"] = [to_bytes(str(one.value)).hex() for one in equalities]
    else:
        lists = {"number": [number.hex() for _, number in keys if number is not None]}
    decoded = "bytes_of(value)" if kind == TEXT else "number_of(value)"
    comparison = " and ".join(f"{column} in (select {decoded} from json_each(?))" for column in lists)  # noqa: S608 - ours
    return _in_fields(kind, comparison), [to_bytes(folded(name)), *map(json.dumps, lists.values())]


def _in_fields(kind: str, comparison: str, negation: str = "") -> str:
    documents = f"select document_id from fields where name = ? and kind = '{kind}' and {comparison}"  # noqa: S608 - ours
    return f"c.document_id {negation}in ({documents})"


def _contains(phrase: str) -> Sql:
    plain = "c.id in (select rowid from chunks_fts where chunks_fts match ?)"
    rewritten = "c.id in (select rowid from chunks_rewritten where chunks_rewritten match ?)"
    spellings = [phrase, *(form for _, forms in numbers_in(phrase) for form in forms)]
    found = " OR ".join(phrase_as_fts5(normalised_words(one)) for one in spellings)
    return f"({plain} or {rewritten})", [found] * 2
