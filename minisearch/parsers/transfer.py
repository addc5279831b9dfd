"""What mail is wrapped in for its journey: quoted-printable, base64, encoded words, character sets of old.

A stretch of the file goes in, its words come out, each line of them tied to the line it stands on.  The
standard library decodes as much, but to bytes that know no places, and takes time with the square of hostile
headers.  Which part is encoded how is the mail reader's.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator

from minisearch.parsers.composing import Composition, TiedText
from minisearch.parsers.decode import UNFIT, Source

# Character sets, and no other codec that Python knows by name (zip, punycode, unicode_escape ...).
CHARSET_NAME = re.compile(r"[A-Za-z0-9][\w.:+-]{0,39}", re.ASCII)
CHARSETS = re.compile(
    r"ascii|utf-(?:7|8|16|32)(?:-[lb]e|-sig)?|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|gb\w+|hz|big5\w*|euc_\w+"
    r"|shift_jis\w*|johab|mac-\w+|tis-620|ptcp154|kz1048|hp-roman8"
)
# What writers who say the one have always meant; UTF-16 without a byte-order mark is an error to Python.
WIDER = {"ascii": "utf-8", "iso8859-1": "cp1252", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
SHIFTING = re.compile(r"utf-7|iso2022_\w+|hz")  # letters in ASCII's clothes

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
QUOTED = re.compile(
    r"(?P<bytes>(?:=[0-9A-Fa-f]{2})+)|(?P<soft>=[ \t]{0,80}(?:\r\n|\r|\n|\Z))|(?P<plain>[^=\r\n]+|.)",
    re.DOTALL,
)
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
ENCODED_WORD = re.compile(
    r"=\?([A-Za-z0-9][\w.:+-]{0,39})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?\r\n]{0,2000})\?=", re.ASCII
)
BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t\r\n]+(?==\?)")

Piece = tuple[bytes, int, int]


def charset_of(name: str) -> str | None:
    """Python's name of a character set, None where it knows none by this one."""
    if not CHARSET_NAME.fullmatch(name):
        return None
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return WIDER.get(found, found) if CHARSETS.fullmatch(found) else None


def decoded(source: Source, start: int, end: int, *, encoding: str, charset: str) -> TiedText:
    """The words at ``start:end``, tied to the file; ``charset`` is one that `charset_of` knows."""
    if encoding == "quoted-printable":
        return _decoded(_quoted_printable(source, start, end), charset)
    if encoding == "base64":
        return _decoded(_base64(source, start, end), charset)
    is_decoded = charset in ("utf-8", source.origin.encoding) or source.origin.n_bom_bytes
    if is_decoded or (source.text[start:end].isascii() and not SHIFTING.fullmatch(charset)):
        return TiedText(source.text[start:end], (0,), (start,))
    lines = (line.span() for line in LINE.finditer(source.text, start, end))
    return _decoded(((_raw(source, a, b), a, b) for a, b in lines), charset)


def _decoded(pieces: Iterator[Piece], charset: str) -> TiedText:
    made = Composition()
    decoder = codecs.getincrementaldecoder(charset)("replace")
    reached = 0
    for data, start, end in pieces:
        words = _fit(decoder.decode(data))
        n_early = max(len(words) - (end - start), 0)  # half a character of the piece before, and given up
        made.take(words[:n_early], reached or start, start)
        made.take(words[n_early:], start, end)
        reached = end
    made.take(_fit(decoder.decode(b"", final=True)), reached, reached)
    return made.tied()


def _fit(words: str) -> str:
    return UNFIT.sub("\ufffd", words.replace("\ufeff", ""))


def _raw(source: Source, start: int, end: int) -> bytes:
    return source.origin.source[start:end].encode(source.origin.encoding, "surrogateescape")


def _quoted_printable(source: Source, start: int, end: int) -> Iterator[Piece]:
    for piece in QUOTED.finditer(source.text, start, end):
        if piece["bytes"]:
            yield bytes.fromhex(piece["bytes"].replace("=", "")), *piece.span()
        elif piece["plain"]:
            yield _raw(source, *piece.span()), *piece.span()


def _base64(source: Source, start: int, end: int) -> Iterator[Piece]:
    """Each line's bytes; letters that make no whole byte wait for the next line."""
    waiting = ""
    for line in LINE.finditer(source.text, start, end):
        letters = waiting + NOT_BASE64.sub("", line[0])
        whole = len(letters) if "=" in line[0] else len(letters) // 4 * 4
        waiting = letters[whole:]
        yield _bytes(letters[:whole]), *line.span()
    yield _bytes(waiting), end, end


def _bytes(letters: str) -> bytes:
    if len(letters) % 4 == 1:  # six bits make no byte
        letters = letters[:-1]
    return binascii.a2b_base64(letters + "=" * (-len(letters) % 4))


def header_words(value: str) -> str:
    """A header's value without its folds, encoded words decoded."""
    value = BETWEEN_WORDS.sub("", value)
    parts: list[str] = []
    position = 0
    charset, waiting = "", b""  # of the word before: some cut a character in two
    for word in ENCODED_WORD.finditer(value):
        between = value[position : word.start()]
        known = charset_of(word[1]) or "utf-8"
        if between or known != charset:
            parts += waiting.decode(charset or "utf-8", "replace"), between
            waiting = b""
        waiting += _word_bytes(word[2].lower(), word[3])
        charset, position = known, word.end()
    parts += waiting.decode(charset or "utf-8", "replace"), value[position:]
    return " ".join(UNFIT.sub("\ufffd", "".join(parts)).split())


def _word_bytes(encoding: str, letters: str) -> bytes:
    if encoding == "b":
        return _bytes(NOT_BASE64.sub("", letters))
    return binascii.a2b_qp(letters.encode("utf-8", "replace"), header=True)
