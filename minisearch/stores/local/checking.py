"""Whether a database is sound: SQLite's own checks, what must refer to what, and our checksums.

A connection comes in, what is wrong goes out in words.  Nothing is mended here.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from minisearch.errors import IndexCorrupt
from minisearch.stores.local import documents, fields
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.sums import row_crc32

MOST = 20  # of many problems of one kind the first


_N_REWRITTEN = (
    "select (select count(*) from chunks where is_rewritten), (select count(*) from chunks_rewritten)"
)


def check(connection: Connection, *, deep: bool = False, in_place: bool = False) -> list[str]:
    """`Store.check`; ``in_place``, for a writer, without a copy."""
    problems: list[str] = []
    try:
        with connection.transaction():
            problems += _of_sqlite(connection, deep=deep)
            problems += _of_references(connection)
            problems += _of_sums(connection)
        if deep and not problems:
            problems += _of_own_full_text(connection) if in_place else _of_full_text(connection)
    except IndexCorrupt as error:  # so damaged that it cannot be read to its end
        problems.append(str(error))
    return problems


def _of_sqlite(connection: Connection, *, deep: bool) -> Iterator[str]:
    pragma = "integrity_check" if deep else "quick_check"
    for (line,) in connection.rows(f"pragma {pragma}({MOST})"):
        if line != "ok":
            yield f"SQLite: {line}"
    for table, _, parent, _ in connection.rows("pragma foreign_key_check")[:MOST]:
        yield f"a row of {table} belongs to one of {parent} that is not there"


def _of_references(connection: Connection) -> Iterator[str]:
    for (id_,) in connection.rows(
        "select id from chunks except select chunk_id from vectors limit ?", [MOST]
    ):
        yield f"chunk {id_} has no vector"
    for table in ("undo_chunks", "undo_fields", "undo_notes"):
        for (id_,) in connection.rows(
            f"select undo_id from {table} where undo_id not in (select id from undo_documents) limit ?",  # noqa: S608 - ours
            [MOST],
        ):
            yield f"a row of {table} belongs to document {id_} of undo_documents, which is not there"
    lengths = connection.rows(
        "select distinct length(vector) from vectors union select length(vector) from undo_chunks "
        "union select length(vector) from former_vectors"
    )
    if len(lengths) > 1:
        told = ", ".join(f"{n} bytes" for (n,) in sorted(lengths, key=lambda row: row[0] or 0))
        yield f"vectors are of different lengths: {told}"


def _of_sums(connection: Connection) -> Iterator[str]:
    for prefix, kept, key in (("", "", "document_id"), ("undo_", "kept ", "undo_id")):
        for what, of_what, sql in _summed(prefix, key):
            wrong = (id_ for id_, crc32, *row in connection.cursor(sql) if row_crc32(*row) != crc32)
            for id_ in islice(wrong, MOST):
                yield f"{what} of {kept}{of_what} {id_} is not what was stored"
    for of_what, sql in (
        ("chunk", "select chunk_id, crc32, vector from vectors"),
        ("kept chunk", "select id, vector_crc32, vector from undo_chunks"),
        ("former text", "select id, crc32, vector from former_vectors"),
    ):
        vectors = (
            id_
            for id_, crc32, vector in connection.cursor(sql)
            if not isinstance(vector, bytes) or zlib.crc32(vector) != crc32
        )
        for id_ in islice(vectors, MOST):
            yield f"the vector of {of_what} {id_} is not what was stored"


def _summed(prefix: str, key: str) -> Iterator[tuple[str, str, str]]:
    """What has checksums, of what, and the rows: id, checksum, path of the file, what the checksum is of."""
    record = documents.COLUMNS.removesuffix(", crc32")
    yield (
        *("the record", "document"),
        f"select id, crc32, path, {record} from {prefix}documents where format is not null",  # noqa: S608 - ours
    )
    for what, of_what, table, id_, columns in (
        ("the text", "chunk", "chunks", "id", "line, end_line, page, heading, text, title, anchors"),
        ("a field", "document", "fields", key, fields.COLUMNS.removesuffix(", crc32")),
        ("a note", "document", "notes", key, "text"),
    ):
        row = ", ".join(f"t.{column}" for column in columns.split(", "))
        yield (
            *(what, of_what),
            f"select t.{id_}, t.crc32, d.path, {row} from {prefix}{table} t "  # noqa: S608 - ours
            f"join {prefix}documents d on d.id = t.{key}",
        )


def _of_full_text(connection: Connection) -> Iterator[str]:
    # The command is an insert, though it changes nothing: it needs a database that can be written to.
    with connection.copied() as copy:
        yield from _compared(copy.execute, copy.execute)
        yield from _counted(*copy.execute(_N_REWRITTEN))
        copy.rollback()


def _of_own_full_text(connection: Connection) -> list[str]:
    with connection.transaction():
        return [*_compared(connection.write, connection.rows), *_counted(*connection.rows(_N_REWRITTEN))]


def _compared(run: Callable[[str], object], rows: Callable[[str], Iterable[tuple[str]]]) -> Iterator[str]:
    for table in ("chunks_fts", "chunks_rewritten"):
        problem = _problem(run, table) or _unfound(run, rows, table)
        if problem:
            yield f"the full text in {table} is not that of the passages ({problem})"


def _counted(n: tuple[int, int]) -> Iterator[str]:
    if n[0] != n[1]:
        yield f"{n[0]} passages have words in chunks_rewritten, which holds {n[1]}"


def _problem(run: Callable[[str], object], table: str) -> str:
    try:
        run(f"insert into {table} ({table}, rank) values ('integrity-check', 1)")  # noqa: S608 - ours
    except sqlite3.DatabaseError as error:
        if any(sign in str(error) for sign in ("disk is full", "interrupted")):  # it could not be checked
            raise
        return str(error)
    return ""


def _unfound(run: Callable[[str], object], rows: Callable[[str], Iterable[tuple[str]]], table: str) -> str:
    """Words that are there and cannot be looked up.

    FTS5's own check reads all pages in their order: of the table that says on which page a word is, it does
    not miss the last rows, nor all of them.
    """
    run(f"create virtual table temp.vocabulary using fts5vocab(main, {table}, row)")
    there = "select t.term from temp.vocabulary t left join temp.vocabulary found on found.term = t.term "
    unfound = [word for (word,) in rows(f"{there} where found.doc is not t.doc limit 3")]
    run("drop table temp.vocabulary")
    return f"it does not find {', '.join(map(repr, unfound))}" if unfound else ""
