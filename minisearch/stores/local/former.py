"""The vectors of texts that have left the index: a branch comes back, and nothing of it is embedded again.

What leaves the index goes into the `undo_` tables, and what leaves those comes here: the digest of the text
and its vector, no words.  A text that comes back leaves.  At most as many vectors are kept as the index has
chunks, or `LEAST`; those longest out of use go first.  Of what a user removed nothing is kept, and nothing
of documents with their secrets once those are screened.  Every function runs inside a transaction.
"""

from __future__ import annotations

from minisearch.stores.local.connection import Connection

LEAST = 10_000  # that are kept of a small index: 16 MB with 384 dimensions

VECTORS_OF_TEXTS = "select text_sha256, id, vector, crc32 from former_vectors where text_sha256 in"

_PUT = "insert or replace into former_vectors (text_sha256, keeps_secrets, crc32, vector) "

_KEEP_DOCUMENT = f"""{_PUT}
    select c.text_sha256, d.keeps_secrets, v.crc32, v.vector
    from chunks c join vectors v on v.chunk_id = c.id join documents d on d.id = c.document_id
    where d.id = ? order by c.id"""  # noqa: S608 - ours

# Where a user removes something, earlier texts of it go as well: all that was kept before.
_KEEP_IMAGES = f"""{_PUT}
    select i.text_sha256, d.keeps_secrets, i.vector_crc32, i.vector
    from undo_chunks i join undo_documents d on d.id = i.undo_id
    where d.change <> :change and d.path not in (select path from undo_documents where is_removed)
        and :change not in (select change from undo_documents where is_removed)
        and not exists (select 1 from chunks c where c.text_sha256 = i.text_sha256)
    order by i.id"""  # noqa: S608 - ours

_FORGET_USED = """delete from former_vectors where text_sha256 in (
    select c.text_sha256 from undo_documents u join documents d on d.path = u.path
    join chunks c on c.document_id = d.id where u.change = ?)"""

_N_OVER = """select (select count(*) from former_vectors)
    - max((select count(*) from chunks), ?)"""
_FORGET_OLDEST = """delete from former_vectors
    where id in (select id from former_vectors order by id limit ?)"""


def keep_document(connection: Connection, document_id: int) -> None:
    """Keep the vectors of a document that is about to be replaced, and is kept nowhere else."""
    connection.write(_KEEP_DOCUMENT, [document_id])


def keep_images(connection: Connection, change: int) -> None:
    """Keep the vectors of what changes other than this one have replaced, which is about to be forgotten."""
    connection.write(_KEEP_IMAGES, {"change": change})


def forget_superfluous(connection: Connection, change: int) -> None:
    """Forget what this change has brought back into the index, and the oldest where they are too many."""
    if connection.rows("select 1 from former_vectors limit 1"):
        connection.write(_FORGET_USED, [change])
        ((n_over,),) = connection.rows(_N_OVER, [LEAST])
        if n_over > 0:
            connection.write(_FORGET_OLDEST, [n_over])


def forget_all(connection: Connection) -> None:
    """Forget every one of them."""
    if connection.rows("select 1 from former_vectors limit 1"):
        connection.write("delete from former_vectors")


def forget_secrets(connection: Connection, *, are_screened: bool) -> bool:
    """Forget those of documents with their secrets, if some ``are_screened`` now or none is left; if any."""
    if not connection.rows("select 1 from former_vectors where keeps_secrets limit 1"):
        return False
    if not are_screened and connection.rows("select 1 from documents where keeps_secrets limit 1"):
        return False
    connection.write("delete from former_vectors where keeps_secrets")
    return True
