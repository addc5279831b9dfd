"""Which state of which database a file holds: a random name that each writer gives what it writes.

The seal carries the name too, so that a file that was copied over another one, beside that one's seal, is
told from one that is damaged.  The name before says whose log a log is: one of a sealed database begins with
the name under which that was sealed.
"""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """The name of what the last writer left, and the one under which the file had last been sealed."""

    name: str = ""
    sealed_before: str = ""


def new_name() -> str:
    """A name that no other state has."""
    return secrets.token_hex(8)


def read_state(db: sqlite3.Connection) -> State | None:
    """The state of an open database, its log included; None where its record is damaged.

    That of an earlier version, which kept none, is nameless.
    """
    try:
        if not db.execute("select 1 from sqlite_master where name = 'state'").fetchone():
            return State()
        rows = db.execute("select name, sealed_before, crc32 from state").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):  # what is wrong is said by whoever reads more
        return None
    states = [State(name, before) for name, before, crc32 in rows if crc32 == _crc32(name, before)]
    return states[0] if len(states) == len(rows) == 1 else None


def write_state(db: sqlite3.Connection, state: State) -> None:
    """Give what is written a name, inside the transaction that writes it."""
    db.execute("delete from state")
    crc32 = _crc32(state.name, state.sealed_before)
    db.execute(
        "insert into state (name, sealed_before, crc32) values (?, ?, ?)",
        [state.name, state.sealed_before, crc32],
    )


def _crc32(*names: object) -> int:
    return zlib.crc32(" ".join(map(str, names)).encode())
