"""What a filter means, in plain Python and one document at a time; and hostile things to filter by."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from functools import cache

from minisearch.filters import And, Before, Contains, Extension, Field, Language, Not, Or, Path, Since

HOSTILE = [
    *(
        "",
        "x",
        "X",
        "'",
        '"',
        "%",
        "_",
        "*",
        "--",
        "x' or 1=1 --",
        "'; drop table documents; --",
        "a\0b",
        "a\0c",
    ),
    *(
        "\ud800",
        "\udcff",
        "é",
        "e\u0301",
        "É",
        "ß",
        "SS",
        "1e308",
        "NaN",
        "null",
        "2024-05-01",
        "y" * 5_000,
        "?1",
        ":a",
    ),
    *("kelp", "Kelp lava", "true", "\\", "[x]", "\U0001f600", "東京"),
]
NUMBERS = [0.0, -0.0, 1.0, 2024, 2**53 + 1, -1.5, 1e308, -1e308, math.inf, math.nan, 5e-324, 10**400]
FINITE = [value for value in NUMBERS if value not in (math.inf, math.nan)]
NAMES = ["author", "tags", "year", "x' or 1=1", "é", "e\u0301", "", "ß", "a\0b", "\ud800"]
VALUES = [*HOSTILE, *NUMBERS, True, False]
PATHS = [
    "a.md",
    "guides/a.md",
    "guides/b.MD",
    "guides/deep/c.tar.gz",
    "b.rst",
    "x'y.md",
    "%.md",
    "gu_des/é.md",
    "/abs/a.md",
]
PATHS += [os.fsdecode(b"guides/\xff.md"), "a.md/b", "東京/a.md"]
LANGUAGES = ["", "python", "markdown", "c' or 1=1"]
TEXTS = [
    "kelp lava",
    "the naïve kelp",
    "東京 lava 天気",
    "lava kelp",
    "日本 本語",
    "",
    'moths\' "kelp" café',
    "Kelpの東京都",
]
PHRASES = [
    "kelp",
    "kelp lava",
    "lava kelp",
    "KELP",
    "naive",
    "cafe",
    "東京",
    "京 lava",
    "lava 天",
    "日本語",
    "本語",
    "moth",
]
PHRASES += [
    "",
    "?!",
    '"',
    "kelp OR lava",
    "kel",
    "kelp*",
    "\0",
    "lava\0kelp",
    "\ud800 kelp",
    "京",
    "の東",
    "elp",
    "NEAR(kelp lava)",
]
MOMENTS = [datetime(2024, 5, 1, tzinfo=timezone.utc) + timedelta(microseconds=us) for us in (-1, 0, 1)]
MOMENTS += [datetime(2024, 5, 1), datetime.min, datetime.max, datetime.max.replace(tzinfo=timezone.utc)]
PATTERNS = [
    "*.md",
    "guides",
    "guides/**",
    "/a.md",
    "//a.md",
    "//abs/**",
    "**/a.md",
    "*",
    "gu?des/",
    "[ag]*",
    "x'y.md",
    "%.md",
    "_",
    "東京/*",
]
PATTERNS += ["\\*", "a\0", "\ud800", "abs/**", os.fsdecode(b"\xff.md"), "'; drop table documents; --"]


@cache
def is_ignored(pattern, path):
    """Whether a .gitignore with this line alone ignores the path."""
    names, is_folder = pattern.strip("/").split("/"), pattern.endswith("/")
    parts = path.lstrip("/").split("/")
    if "/" not in pattern.rstrip("/"):
        names = ["**", *names]
    return any(_fits(names, parts[:n]) for n in range(1, len(parts) + (not is_folder)))


def _fits(names, parts):
    if not names or not parts:
        return not names and not parts
    if names[0] == "**":
        is_here = bool(names[1:]) and _fits(names[1:], parts)
        return is_here or len(parts) == 1 == len(names) or _fits(names, parts[1:])
    name = re.sub(r"\\(.)", r"[\1]", names[0])  # fnmatch's way to mean a star
    return fnmatchcase(parts[0], name) and _fits(names[1:], parts[1:])


def is_at(pattern, path):
    """Whether a pattern is of this stored name: "/" of relative ones, "//" of absolute ones, "///" of ids."""
    if pattern.startswith("/"):
        pattern, start = pattern[1:], re.match("/{0,2}", path)[0]
        if re.match("/{0,2}", pattern)[0] != start:
            return False
        pattern = "/" + pattern.removeprefix(start)
    return is_ignored(pattern, path)


def is_left(where, document, chunk, is_at=is_at):  # noqa: C901 - one case a condition
    """Whether a filter leaves a chunk; paths are compared by ``is_at(pattern, path)``."""
    match where:
        case And(parts):
            return all(is_left(part, document, chunk, is_at) for part in parts)
        case Or(parts):
            return any(is_left(part, document, chunk, is_at) for part in parts)
        case Not(part):
            return not is_left(part, document, chunk, is_at)
        case Path(pattern):
            return is_at(pattern, document.path)
        case Extension(suffix):
            return document.path.split("/")[-1].casefold().endswith("." + suffix.removeprefix(".").casefold())
        case Language(name):
            return document.language == name.lower()
        case Since(moment):
            return document.stamp.mtime_ns >= ns(moment)
        case Before(moment):
            return document.stamp.mtime_ns < ns(moment)
        case Contains(phrase):
            asked = canonical(phrase).removeprefix("\x03").removesuffix("\x04")
            names = " ".join(document.path.split("/")[-4:])  # of the file and three folders, after the title
            texts = f"{document.title}\n{names}", chunk.heading, chunk.text
            return bool(asked) and any(asked in canonical(text) for text in texts)
        case Field():
            return has_field(document, where)
    raise AssertionError(where)


def has_field(document, where):
    own = [
        value
        for name, values in document.fields.items()
        if fold(name) == fold(where.name)
        for value in values
    ]
    operator = where.operator.replace("!=", "=")
    return any(compares(one, operator, where.value, where.is_exact) for one in own) != (
        where.operator == "!="
    )


def compares(own, operator, value, is_exact=False):
    kind = str if isinstance(value, str) else bool if isinstance(value, bool) else (int, float)
    if not isinstance(own, kind) or isinstance(own, bool) != isinstance(value, bool):
        return False
    if not isinstance(value, str):
        own, value = number(own), number(value)
    elif not is_exact:
        own, value = fold(own), fold(value)
    if operator == "contains":
        return value in own if isinstance(value, str) else own == value
    return {"=": own == value, "<": own < value, "<=": own <= value, ">": own > value, ">=": own >= value}[
        operator
    ]


def number(value):
    return math.inf if value == 10**400 else float(value)


@cache
def fold(text):
    return unicodedata.normalize("NFC", text.casefold())


def ns(moment):
    """Nanoseconds since 1970, worked out in whole microseconds."""
    moment = moment if moment.tzinfo or moment.year in (1, 9999) else moment.astimezone()
    since = moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta()) - datetime(1970, 1, 1)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


@cache
def canonical(text):
    """Its words between marks, so that a phrase is a part of it: \1word\2, and runs of Chinese \3run\4."""
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    parts = re.findall(r"[a-z0-9]+|[の\u4e00-\u9fff]+", text.replace("moths", "moth"))
    return "".join(f"\1{part}\2" if part.isascii() else f"\3{part}\4" for part in parts)
