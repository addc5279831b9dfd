"""The exceptions of this library, each with a message that a user can act on.

::

    MinisearchError
    ├── InputError               an argument that makes no sense (an empty query, k = 0)
    ├── IngestError              a file or folder that cannot be read
    │   └── CutShort             its parser was ended early; it may succeed another time
    │       └── TookTooLong      its parser exceeded the time limit
    ├── ModelError               weights or tokenizer missing, damaged or of another kind
    │   └── WeightsNotFound      no weights found; the message lists the places searched
    ├── TrainingError            a training run that cannot go on
    ├── StoreError               an index that cannot be used
    │   ├── IndexNotFound        there is no index here
    │   ├── IndexCorrupt         the file is damaged
    │   ├── IndexNotWritable     no permission, a read-only or a full disk
    │   ├── IndexBusy            another process is writing to it
    │   ├── ShrinkRefused        a run would remove many of its documents
    │   └── FingerprintMismatch  the index was made with another model
    └── BackendUnavailable       the library behind a vector index is not installed

Every message names the thing, what was expected, what was found, and how to fix it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from unicodedata import category


class MinisearchError(Exception):
    r"""The base class of all errors of this library; the message is meant for the user.

    Control characters of what it quotes are written out, as in ``\\x1b``; line breaks are kept.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(MinisearchError, ValueError):
    """An argument that makes no sense."""


class IngestError(MinisearchError):
    """A file or folder that cannot be read."""


class CutShort(IngestError):
    """A file whose parser process was ended early, for example by the system for lack of memory."""


class TookTooLong(CutShort):
    """A file whose parser exceeded its time limit; on an idle machine it may succeed."""


class ModelError(MinisearchError):
    """Weights, configuration or tokenizer that cannot be used."""


class WeightsNotFound(ModelError):
    """No weights in any of the places that were searched."""


class TrainingError(MinisearchError):
    """A training run that cannot go on: its loss is not a number, or its checkpoint cannot be written."""


class StoreError(MinisearchError):
    """An index that cannot be used."""


class IndexNotFound(StoreError):
    """No index in this folder."""


class IndexCorrupt(StoreError):
    """The index's database is damaged."""


class IndexNotWritable(StoreError):
    """The index cannot be written: no permission, a read-only or a full disk."""


class IndexBusy(StoreError):
    """Another process is writing to the index."""


class ShrinkRefused(StoreError):
    """A run would remove so many documents that it needs ``prune``."""


class FingerprintMismatch(StoreError):
    """The index was made with another model than the one given, or with other weights of it."""


class BackendUnavailable(MinisearchError):
    """A backend whose library is not installed."""


DISTRIBUTION = "minisearch-local"  # the name on the package index, where "minisearch" is another package


def install_line(extra: str) -> str:
    """The command that installs an extra of this package, for a message.

    >>> install_line("pdf")
    "pip install 'minisearch-local[pdf]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


JOINERS = "\u200c\u200d"  # they shape letters and emoji, and show nothing


def printable(text: str) -> str:
    r"""The text with every control character but line breaks and tabs written out.

    A word with bytes that are not UTF-8, as names of files may have them, is quoted for a shell.

    >>> print(printable("red \x1b[31m"), printable("caf\udce9.md:4"))
    red \x1b[31m $'caf\351.md:4'
    """
    if text.isprintable():
        return text
    text = NOT_UTF_8.sub(lambda word: shell_quoted(word[0]), text)
    return "".join(char if _is_safe(char) else char.encode("unicode_escape").decode() for char in text)


NOT_UTF_8 = re.compile(r"[^\s(]*[\udc80-\udcff](?:\S*[^\s,;:.)])?")


def shell_quoted(text: str) -> str:
    r"""A word as bash and zsh take it, with bytes that are not UTF-8 in octal.

    >>> print(shell_quoted("my notes"), shell_quoted("caf\udce9's"))
    'my notes' $'caf\351\'s'
    """
    if not NOT_UTF_8.search(text):
        return shlex.quote(text)
    escaped = re.sub(r"([\\'])", r"\\\1", text)
    return "$'" + re.sub("[\udc80-\udcff]", lambda byte: f"\\{ord(byte[0]) - 0xDC00:03o}", escaped) + "'"


def _is_safe(char: str) -> bool:
    return char.isprintable() or char in "\n\t" or char in JOINERS or category(char) == "Zs"


MAX_SHOWN = 60  # characters of a value quoted in a message


def short(given: str) -> str:
    """The beginning of a value, to quote it in a message."""
    return given if len(given) <= MAX_SHOWN else f"{given[: MAX_SHOWN - 3]}..."


NAMES_SHOWN = 8  # in one message


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are: "a, b and 3 more"."""
    n_more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {n_more:,} more" if n_more > 0 else "")


def nearest_of(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the known one with the most similar spelling, or some."""
    import difflib  # imported only after a mistake

    if near := difflib.get_close_matches(name.casefold(), known, n=1):
        return f": did you mean {near[0]}?"
    if not known:
        return ", or any other"
    return f": there {'are' if len(known) > 1 else 'is'} {listed(known)}"
