"""Blank the secrets in a document before anything of it is stored or embedded.

A document goes in, the same document comes out with each character of a secret replaced by a block, so that
all positions stay, and with a note of what was found where.  What a secret looks like is left to `secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from minisearch.files.secrets import redact
from minisearch.text import line_number
from minisearch.types import Document

BLANK = "█"
LISTED = 5
LEAST = 8  # characters; a shorter part of a secret may be a common word
PARTS = re.compile(r"[^\s\"'`,;:=<>()\[\]{}]+")
NAME_PARTS = re.compile(r"[^\s\"'`,;:=<>()\[\]{}.]+")

Values = tuple[str | float | bool, ...]


def screened(document: Document) -> Document:
    """The document without the secrets in its text, title, headings, and the names and values of its fields.

    What is a secret in the text is one in the rest too, where less of what stands around it may be left.
    """
    text, found = redact(document.text)
    parts = {part for part in PARTS.findall(_blanked(document.text, text)) if len(part) >= LEAST}

    values = [value for values in document.fields.values() for value in values if isinstance(value, str)]
    titles = [document.title, *(heading.title for heading in document.headings)]
    names = _clean(list(document.fields), _as_in_names(parts), NAME_PARTS)
    clean = iter(_clean([*titles, *values, *document.notes], parts))
    return replace(
        document,
        text=text,
        title=next(clean),
        headings=tuple(replace(heading, title=next(clean)) for heading in document.headings),
        fields=_merged(
            (name, tuple(next(clean) if isinstance(value, str) else value for value in values))
            for name, values in zip(names, document.fields.values(), strict=True)
        ),
        notes=(*clean, *([_note(document, found)] if found else [])),
    )


def _as_in_names(parts: Collection[str]) -> set[str]:
    """Parts of secrets as they stand in the name of a field: in lower case, perhaps behind a dot."""
    pieces = (piece for part in parts for piece in NAME_PARTS.findall(part.lower()))
    return {piece for piece in pieces if len(piece) >= LEAST}


def _merged(fields: Iterable[tuple[str, Values]]) -> dict[str, Values]:
    """Fields by name; of names that are alike, now that they are blanked, all values."""
    merged: dict[str, Values] = {}
    for name, values in fields:
        merged[name] = (*merged.get(name, ()), *values)
    return merged


def _clean(texts: Sequence[str], parts: Collection[str], pattern: re.Pattern[str] = PARTS) -> Iterator[str]:
    """Each of some short texts without secrets, and without parts of others."""
    together, _ = redact(
        "\n".join(texts)
    )  # thousands of headings in one go; it keeps the length and the breaks
    if parts:
        together = pattern.sub(lambda part: BLANK * len(part[0]) if part[0] in parts else part[0], together)
    start = 0
    for text in texts:
        yield together[start : start + len(text)]
        start += len(text) + 1


def has_only_blanks(text: str) -> bool:
    """Whether nothing is left of a text but blanked secrets."""
    return BLANK in text and not text.replace(BLANK, "").strip()


def _blanked(before: str, after: str) -> str:
    """What stood where something was blanked, all else as white space."""
    if before == after:
        return ""
    pieces = (
        before[run.start() : run.end()] if before[run.start() : run.end()] != run[0] else ""
        for run in re.finditer(f"{BLANK}+", after)
    )
    return " ".join(pieces)


def _note(document: Document, found: Sequence[tuple[str, int]]) -> str:
    """How many secrets, of which kind and where."""
    found = sorted(found, key=lambda one: one[1])
    source, anchors = document.origin.source, document.origin.anchors
    listed = [
        f"{kind}, line {line_number(source, anchors.source_position(position))}"
        for kind, position in found[:LISTED]
    ]
    more = f" and {len(found) - LISTED:,} more" if len(found) > LISTED else ""
    n = f"{len(found):,} secret{'' if len(found) == 1 else 's'}"
    return f"{n} blanked: {'; '.join(listed)}{more}"
