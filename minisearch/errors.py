"""What can go wrong, in words a user can act on.

::

    MinisearchError
    ├── InputError               what was asked for makes no sense (an empty query, k = 0)
    ├── IngestError              a file or folder that cannot be read
    │   └── CutShort             its reading ended before its end; another time it may not
    │       └── TookTooLong      not in the time it had; on an idle machine it may
    ├── ModelError               weights or tokenizer missing, damaged or of another kind
    │   └── WeightsNotFound      looked everywhere; the message names the places and the cure
    ├── StoreError               an index that cannot be used
    │   ├── IndexNotFound        there is none here
    │   ├── IndexCorrupt         the file is damaged
    │   ├── IndexNotWritable     no permission, a read-only or a full disk
    │   ├── IndexBusy            another process is writing to it
    │   ├── ShrinkRefused        a run would remove much of what it holds
    │   └── FingerprintMismatch  it was made with another model or another version
    └── BackendUnavailable       the library behind a vector index is not installed

Every message names the thing, what was expected, what came, and the cure.
"""

from __future__ import annotations


class MinisearchError(Exception):
    """The root of every error this library raises on purpose; its text is meant for the user."""


class InputError(MinisearchError, ValueError):
    """An argument that makes no sense."""


class IngestError(MinisearchError):
    """A file or folder that cannot be read."""


class CutShort(IngestError):
    """A file whose reader was ended before it had an answer: by the system, say, which was out of memory."""


class TookTooLong(CutShort):
    """A file that was given up for the time it took, which another time may be enough."""


class ModelError(MinisearchError):
    """Weights, configuration or tokenizer that cannot be used."""


class WeightsNotFound(ModelError):
    """No weights in any of the places where they are looked for."""


class StoreError(MinisearchError):
    """An index that cannot be used."""


class IndexNotFound(StoreError):
    """No index where one was looked for."""


class IndexCorrupt(StoreError):
    """The index's database is damaged."""


class IndexNotWritable(StoreError):
    """The index cannot be written: no permission, a read-only or a full disk."""


class IndexBusy(StoreError):
    """Another process is writing to the index."""


class ShrinkRefused(StoreError):
    """A run would remove more of the index than it should without being told to."""


class FingerprintMismatch(StoreError):
    """The index was made with another model, or by another version of this program."""


class BackendUnavailable(MinisearchError):
    """A vector index whose library is not installed."""


MAX_SHOWN = 60  # characters of what was given, in a message


def short(given: str) -> str:
    """The beginning of what was given, for a message."""
    return given if len(given) <= MAX_SHOWN else f"{given[: MAX_SHOWN - 3]}..."
