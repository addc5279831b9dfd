"""Which schema a database has: the migrations it has had, and programs in it that none of them has made.

It is read without sqlite-utils, which makes the migrations.
"""

from __future__ import annotations

import sqlite3

from minisearch.stores.local.migrations import M002_FULL_TEXT, M003_FULL_TEXT, m002_fields_and_columns

MIGRATION_SET = "minisearch"
MIGRATIONS_TABLE = "_sqlite_migrations"  # sqlite-utils' name for it


def applied(db: sqlite3.Connection) -> list[str]:
    """The migrations that a database has had, in their order."""
    if not db.execute("select 1 from sqlite_master where name = ?", [MIGRATIONS_TABLE]).fetchone():
        return []
    rows = db.execute(
        f"select name from {MIGRATIONS_TABLE} where migration_set = ? order by rowid",  # noqa: S608 - ours
        [MIGRATION_SET],
    )
    return [name for (name,) in rows]


def foreign_programs(db: sqlite3.Connection) -> list[str]:
    """Triggers and views that no migration has made: in a database from elsewhere, they may do anything."""
    ours = {_as_compared(statement) for statement in M002_FULL_TEXT + M003_FULL_TEXT}
    rows = db.execute(
        "select type, name, coalesce(sql, '') from sqlite_master where type in ('trigger', 'view')"
    )
    foreign = [(type_, name) for type_, name, sql in rows if _as_compared(sql) not in ours]
    if m002_fields_and_columns.__name__ not in applied(db):  # it drops those of the first version before use
        foreign = [one for one in foreign if one not in _DROPPED_FIRST]
    return [f"a {type_} {name!r}" for type_, name in foreign]


def _as_compared(sql: str) -> str:
    return " ".join(sql.lower().split())


_DROPPED_FIRST = {("trigger", "chunks_ai"), ("trigger", "chunks_ad"), ("trigger", "chunks_au")}
