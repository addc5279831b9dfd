"""How mail and cards write a text: transfer encodings, character sets, and the lines of format=flowed.

A range of a file goes in, its decoded text comes out, mapped to the file.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator

from minisearch.parsers.encodings import SHIFTING
from minisearch.parsers.source import AnchoredText, Source, TextBuilder
from minisearch.text import storable
from minisearch.types import Anchors

UNENCODED = ("", "7bit", "8bit", "binary")

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
QUOTED = re.compile(
    r"(?P<bytes>(?:=[0-9A-Fa-f]{2})+)|(?P<soft>=[ \t]{0,80}(?:\r\n|\r|\n|\Z))|(?P<plain>[^=\r\n]+|.)",
    re.DOTALL,
)
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
Piece = tuple[bytes, int, int]


def decoded(source: Source, start: int, end: int, *, encoding: str, charset: str) -> AnchoredText:
    """The decoded text at ``start:end``, mapped to the file; ``charset`` is a name from `charset_of`."""
    if encoding == "quoted-printable":
        return _from_bytes(_quoted_printable(source, start, end), charset)
    if encoding == "base64":
        return _from_bytes(_base64(source, start, end), charset)
    is_decoded = charset == source.origin.encoding or source.origin.n_bom_bytes
    if is_decoded or (source.text[start:end].isascii() and not SHIFTING.fullmatch(charset)):
        return AnchoredText(source.text[start:end], Anchors((0,), (start,)))
    lines = (line.span() for line in LINE.finditer(source.text, start, end))
    return _from_bytes(((_raw(source, a, b), a, b) for a, b in lines), charset)


def _from_bytes(pieces: Iterator[Piece], charset: str) -> AnchoredText:
    """The text of pieces of bytes, each with the place in the file that it was decoded from."""
    builder = TextBuilder()
    decoder = codecs.getincrementaldecoder(charset)("replace")
    reached = 0
    for data, start, end in pieces:
        words = storable(decoder.decode(data).replace("\ufeff", ""))
        n_early = max(len(words) - (end - start), 0)  # an incomplete character of the piece before
        builder.copy(words[:n_early], reached or start, start)
        builder.copy(words[n_early:], start, end)
        reached = end
    builder.copy(storable(decoder.decode(b"", final=True).replace("\ufeff", "")), reached, reached)
    return builder.build()


def _raw(source: Source, start: int, end: int) -> bytes:
    return source.origin.source[start:end].encode(source.origin.encoding, "surrogateescape")


def _quoted_printable(source: Source, start: int, end: int) -> Iterator[Piece]:
    for piece in QUOTED.finditer(source.text, start, end):
        if piece["bytes"]:
            yield bytes.fromhex(piece["bytes"].replace("=", "")), *piece.span()
        elif piece["plain"]:
            yield _raw(source, *piece.span()), *piece.span()


def _base64(source: Source, start: int, end: int) -> Iterator[Piece]:
    """The bytes of each line; letters that do not make a whole byte wait for the next line."""
    pending = ""
    for line in LINE.finditer(source.text, start, end):
        letters = pending + NOT_BASE64.sub("", line[0])
        whole = len(letters) if "=" in line[0] else len(letters) // 4 * 4
        pending = letters[whole:]
        yield _bytes(letters[:whole]), *line.span()
    yield _bytes(pending), end, end


def _bytes(letters: str) -> bytes:
    if len(letters) % 4 == 1:  # six bits are less than a byte
        letters = letters[:-1]
    return binascii.a2b_base64(letters + "=" * (-len(letters) % 4))


# --- format=flowed -----------------------------------------------------------------------------------------

FLOWED_LINE = re.compile(r"(?P<quotes>>*)(?P<stuffing> ?)(?P<words>[^\r\n]*)(?:\r\n|\r|\n|\Z)")


def unflowed(text: AnchoredText, *, deletes_space: bool) -> AnchoredText:
    """A text of format=flowed (RFC 3676) with each paragraph on a line; quotes keep their first mark.

    A line that ends with a space continues in the next one, unless that is empty, has more or fewer marks, or
    begins a signature.  ``deletes_space`` is the parameter DelSp.
    """
    cuts: list[tuple[int, int]] = []
    depth, soft = 0, -1  # of the line before: its quotes, and where its soft line break stands
    for line in FLOWED_LINE.finditer(text.text):
        words, n_quotes = line["words"], len(line["quotes"])
        is_signature = words == "-- "
        if soft >= 0 and n_quotes == depth and words and not is_signature:
            cuts.append((soft, line.start("words")))
        elif line["stuffing"] and not n_quotes:
            cuts.append(line.span("stuffing"))
        is_soft = words.endswith(" ") and not is_signature
        soft = line.end("words") - deletes_space if is_soft else -1
        depth = n_quotes
    return text.without(cuts)
