"""Check a whole database: the seal, SQLite's own checks, references between rows, and checksums.

A connection goes in; descriptions of the problems come out.  Nothing is repaired.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from itertools import islice

from minisearch.errors import IndexCorrupt
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import DOCUMENT_COLUMNS, FIELD_COLUMNS, row_crc32
from minisearch.stores.local.sqlite import is_interrupted

MAX_PROBLEMS = 20  # of one kind

_COUNTS = """select 'documents', n_documents, (select count(*) from documents) from counters
    union all select 'chunks', n_chunks, (select count(*) from chunks) from counters
    union all select 'rewritten chunks', n_rewritten, (select count(*) from chunks where is_rewritten)
        from counters"""
_N_REWRITTEN = (
    "select (select count(*) from chunks where is_rewritten), (select count(*) from chunks_rewritten)"
)


def check(connection: Connection, *, deep: bool = False) -> list[str]:
    """`LocalStore.check`."""
    problems: list[str] = []
    try:
        connection.compare_with_seal(is_whole=True)
        with connection.transaction():
            problems += _sqlite_problems(connection, deep=deep)
            problems += _reference_problems(connection)
            problems += _checksum_problems(connection)
        if deep and not problems:
            problems += _full_text_problems(connection)
    except IndexCorrupt as error:  # too damaged to read completely
        problems.append(str(error))
    return problems


def _sqlite_problems(connection: Connection, *, deep: bool) -> Iterator[str]:
    pragma = "integrity_check" if deep else "quick_check"
    for (line,) in connection.rows(f"pragma {pragma}({MAX_PROBLEMS})"):
        if line != "ok":
            yield f"SQLite: {line}"
    for table, _, parent, _ in connection.rows("pragma foreign_key_check")[:MAX_PROBLEMS]:
        yield f"a row of {table} belongs to one of {parent} that is not there"


def _reference_problems(connection: Connection) -> Iterator[str]:
    for (id_,) in connection.rows(
        "select id from chunks except select chunk_id from vectors limit ?", [MAX_PROBLEMS]
    ):
        yield f"chunk {id_} has no vector"
    lengths = connection.rows(
        "select distinct length(vector) from vectors union select length(vector) from undo_chunks "
        "union select length(vector) from former_vectors"
    )
    if len(lengths) > 1:
        listed = ", ".join(f"{n} bytes" for (n,) in sorted(lengths, key=lambda row: row[0] or 0))
        yield f"vectors are of different lengths: {listed}"
    for what, counted, n in connection.rows(_COUNTS):
        if counted != n:
            yield f"its counter of {what} is {counted}, and there are {n}"


def _checksum_problems(connection: Connection) -> Iterator[str]:
    for prefix, kept, key in (("", "", "document_id"), ("undo_", "kept ", "undo_id")):
        for what, of_what, sql in _rows_with_checksums(prefix, key):
            wrong = (id_ for id_, crc32, *row in connection.cursor(sql) if row_crc32(*row) != crc32)
            for id_ in islice(wrong, MAX_PROBLEMS):
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
        for id_ in islice(vectors, MAX_PROBLEMS):
            yield f"the vector of {of_what} {id_} is not what was stored"


def _rows_with_checksums(prefix: str, key: str) -> Iterator[tuple[str, str, str]]:
    """Each table with checksums: its name in messages, and SQL for id, checksum, path and checked columns."""
    record = DOCUMENT_COLUMNS.removesuffix(", crc32")
    yield (
        *("the record", "document"),
        f"select id, crc32, path, {record} from {prefix}documents where format is not null",  # noqa: S608 - ours
    )
    for what, of_what, table, id_, columns in (
        ("the text", "chunk", "chunks", "id", "line, end_line, page, heading, text, title, anchors"),
        ("a field", "document", "fields", key, FIELD_COLUMNS.removesuffix(", crc32")),
        ("a note", "document", "notes", key, "text"),
    ):
        row = ", ".join(f"t.{column}" for column in columns.split(", "))
        yield (
            *(what, of_what),
            f"select t.{id_}, t.crc32, d.path, {row} from {prefix}{table} t "  # noqa: S608 - ours
            f"join {prefix}documents d on d.id = t.{key}",
        )


def _full_text_problems(connection: Connection) -> Iterator[str]:
    # FTS5's check is an insert, though it changes nothing, so it needs a writable database.
    with connection.writable() as db:
        for table in ("chunks_fts", "chunks_rewritten"):
            problem = _fts5_problem(db, table) or _missing_words(db, table)
            if problem:
                yield f"the full text in {table} is not that of the passages ({problem})"
        ((n, n_stored),) = db.execute(_N_REWRITTEN)
        if n != n_stored:
            yield f"{n} passages have words in chunks_rewritten, which holds {n_stored}"


def _fts5_problem(db: sqlite3.Connection, table: str) -> str:
    try:
        db.execute(f"insert into {table} ({table}, rank) values ('integrity-check', 1)")  # noqa: S608 - ours
    except sqlite3.DatabaseError as error:
        if is_interrupted(error) or "disk is full" in str(error):  # it could not be checked
            raise
        return str(error)
    return ""


def _missing_words(db: sqlite3.Connection, table: str) -> str:
    """Words that are in the full text but cannot be looked up.

    FTS5's own check reads all pages in order.  It does not notice missing rows at the end of the table that
    says on which page a word is.
    """
    db.execute(f"create virtual table temp.vocabulary using fts5vocab(main, {table}, row)")
    sql = "select t.term from temp.vocabulary t left join temp.vocabulary found on found.term = t.term "
    missing = [word for (word,) in db.execute(f"{sql} where found.doc is not t.doc limit 3")]
    db.execute("drop table temp.vocabulary")
    return f"it does not find {', '.join(map(repr, missing))}" if missing else ""
