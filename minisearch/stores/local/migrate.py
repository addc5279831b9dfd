"""A database's schema brought up to date, by sqlite-utils' migrations."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from minisearch.stores.local.migrations import STEPS
from minisearch.stores.local.schema import MIGRATION_SET


def migrate(connection: sqlite3.Connection) -> None:
    """Make every migration that the database has not had."""
    migrations = Migrations(MIGRATION_SET)
    for step in STEPS:
        migrations()(step)
    migrations.apply(Database(connection, execute_plugins=False))
