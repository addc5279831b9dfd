"""Data that is embedded in a text: pictures, certificates, signatures, minified code.

A text goes in, the ranges of it that nobody reads come out: data URIs, base64 and uuencode, the bodies of PGP
and of certificates, minified lines, and the paths of SVG drawings.  Checksums, addresses, long names and
sequences of letters such as DNA are words.  Each search takes time that grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Range = tuple[int, int]

LEAST_DATA = 40  # characters

URI_HEAD = re.compile(
    r"data:(?P<kind>[a-z]{4,11})/[\w.+-]{1,80}(?:;[\w-]{1,20}(?:=[\w.-]{1,80})?){0,5}?(?P<base64>;base64)?,"
)
OF_MEDIA = {"application", "audio", "font", "image", "video"}
# What follows the comma: base64, perhaps on several lines, or anything up to the quote that encloses it.
URI_BASE64 = re.compile(r"[\w+/=%-]{40,}(?:\s{1,9}[\w+/]{40,}={0,2})*(?:\s{1,9}[\w+/]+={0,2}(?=[\"')>]))?")
URI_REST = {'"': re.compile(r'[^"\n]{40,}'), "'": re.compile(r"[^'\n]{40,}")}
URI_REST_BARE = re.compile(r"[^\s\"'()<>]{40,}")

# Between its marks base64 may be short, quoted or escaped; lines such as "Version: 2" may precede it.
ARMOUR = re.compile(
    r"""-----BEGIN\ [A-Z0-9 ]{1,40}-----(?:\s+[ \t>]*[A-Z][\w-]{1,20}:.*$){0,9}
    (?P<base64>[A-Za-z0-9+/=\s\\"',>]*)-----END\ [A-Z0-9 ]{1,40}-----""",
    re.VERBOSE | re.MULTILINE,
)
# At least three lines, with a shorter one that ends with "=" or stands before a checksum.
LINES = re.compile(
    r"""(?: ^[ \t>\#+(]{0,20}(?:b?["'])?[A-Za-z0-9+/]{40,}={0,2}[ \t\r"',)\\]{0,9}\n ){3,}
    (?: [ \t>\#+(]{0,20}(?:b?["'])?[A-Za-z0-9+/]+
        (?: ={1,2}(?=[\s"',)\\]|\Z) | (?=\s+=\S{4}(?:\s|\Z)) ) (?:\s+=\S{4}(?=\s|\Z))? )?""",
    re.VERBOSE | re.MULTILINE,
)
RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{200,}={0,2}")
UUENCODE = re.compile(
    r"^[ \t>]{0,9}begin [0-7]{3,4} .{1,200}\n(?:[ -`]{1,80}\r?\n)+?[ >]{0,9}end\b", re.MULTILINE
)

A_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])")
LEAST_CHANGES = 0.3  # from one case to another, or to a digit, for each character; 0.6 where it is random
N_TRIED = 5_000  # characters
WORD = re.compile(r"[\w+/=-]+")
SUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}", re.IGNORECASE)

# A path begins with M and two numbers; each command is a letter with numbers behind it.
SVG_PATH = re.compile(
    r"\b[Mm]\s?[-+]?[0-9.]+(?:[\s,]+|(?=[-+]))[-+]?[0-9.]+(?:[0-9.,\s+eE-]*[MLHVCSQTAZmlhvcsqtaz]){3,}[0-9.,\s+eE-]*"
)
LONG_LINE = re.compile(r"^[^\n]{500,}", re.MULTILINE)


def embedded_data(text: str) -> list[Range]:
    """Where embedded data begins and ends, in order; ranges do not overlap."""
    ranges: list[Range] = []
    for start, end in sorted(_found(text)):
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((start, end))
    return ranges


def without_ranges(text: str, ranges: Iterable[Range]) -> str:
    """The text without these ranges, which ascend."""
    parts, position = [], 0
    for start, end in ranges:
        parts.append(text[position:start])
        position = end
    return "".join([*parts, text[position:]])


def _found(text: str) -> Iterator[Range]:
    yield from _data_uris(text)
    yield from (found.span() for found in ARMOUR.finditer(text) if _is_random(found["base64"]))
    for pattern in (LINES, RUN):
        for found in pattern.finditer(text):
            if _is_random(found[0]) and not all(SUM.fullmatch(word[0]) for word in WORD.finditer(found[0])):
                yield found.span()
    yield from (found.span() for found in UUENCODE.finditer(text))
    for found in SVG_PATH.finditer(text):
        if len(found[0]) >= LEAST_DATA and sum(map(str.isdigit, found[0])) >= 0.3 * len(found[0]):
            yield found.span()
    yield from (found.span() for found in LONG_LINE.finditer(text) if _is_minified(found[0]))


def _data_uris(text: str) -> Iterator[Range]:
    for head in URI_HEAD.finditer(text):
        if head["base64"] or head["kind"] in OF_MEDIA:
            rest = URI_REST.get(text[head.start() - 1 : head.start()], URI_REST_BARE)
            if data := (URI_BASE64 if head["base64"] else rest).match(text, head.end()):
                yield head.start(), data.end()


def _is_random(data: str) -> bool:
    data = data[:N_TRIED].strip()
    return len(data) >= LEAST_DATA and len(A_CHANGE.findall(data)) > LEAST_CHANGES * len(data)


def _is_minified(line: str) -> bool:
    """Whether a long line is JavaScript or CSS with hardly a space; JSON, SQL and prose lack its signs."""
    n_spaces, n_signs = line.count(" ") + line.count("\t"), min(line.count(";"), line.count("{"))
    is_html = line.lstrip().startswith("<")  # which may have words beside its styles
    return not is_html and 12 * n_spaces <= len(line) <= 200 * n_signs
