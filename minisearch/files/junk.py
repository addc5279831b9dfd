"""Files that nobody wrote to be read: they stay out of an index unless the user asks for them.

A path or a text goes in, its kind comes out: a lock file, a minified or generated file, a source map, a
drawing, media, a folder of other people's code, or data without prose.  The rules are those of GitHub's
linguist (lib/linguist/generated.rb, vendor.yml), where they leave no doubt.  Base64 within a document is
blanked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

from minisearch.formats import PROSE_LANGUAGES
from minisearch.types import Document

LOCK, MINIFIED, GENERATED, SOURCE_MAP = "lock file", "minified file", "generated file", "source map"
DRAWING, MEDIA, VENDORED, DATA = "drawing", "media file", "vendored folder", "data without prose"

LOCK_FILES = frozenset(
    [
        *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"),
        *("poetry.lock", "pipfile.lock", "pdm.lock", "uv.lock", "pixi.lock", "conda-lock.yml"),
        *("cargo.lock", "go.sum", "gopkg.lock", "glide.lock", "composer.lock", "gemfile.lock", "mix.lock"),
        *("podfile.lock", "package.resolved", "cartfile.resolved", "pubspec.lock", "packages.lock.json"),
        *("flake.lock", "deno.lock", "gradle.lockfile", "stack.yaml.lock", "cabal.project.freeze"),
    ]
)
MINIFIED_NAME = re.compile(r"[.-]min\.(?:m?js|css)\Z", re.IGNORECASE)
OWNER_FILE = re.compile(r"~\$.*\.(?:doc|dot|xls|ppt)\w?\Z")  # Office writes one beside a file that is open
GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.(?:designer|g|g\.i)\.cs|\.(?:freezed|g)\.dart|_generated\.go)\Z",
    re.IGNORECASE,
)
SOURCE_MAP_SUFFIXES = (".js.map", ".mjs.map", ".css.map", ".ts.map")
DRAWING_SUFFIXES = (".svg", ".drawio", ".excalidraw", ".eps", ".ai", ".dxf", ".vsdx", ".fig", ".sketch")
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ico", ".heic"),
    *(".heif", ".avif", ".psd", ".xcf", ".raw", ".cr2", ".nef", ".jp2"),
)
SOUND_SUFFIXES = (
    *(".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus"),
    *(".m4a", ".aac", ".wma", ".aiff", ".mid", ".midi"),
)
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi"),
    *(".wmv", ".mpg", ".mpeg", ".flv", ".3gp"),
)
FONT_SUFFIXES = (".ttf", ".otf", ".woff", ".woff2", ".eot")
MEDIA_SUFFIXES = frozenset(IMAGE_SUFFIXES + SOUND_SUFFIXES + VIDEO_SUFFIXES + FONT_SUFFIXES)

VENDOR_FOLDERS = frozenset(
    ["node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "__pycache__"]
)
# A folder of this name holds other people's code only beside one of these files, or with this one in it.
VENDOR = "vendor"
VENDOR_MARKS = ("go.mod", "composer.json", "Gemfile", "package.json", "Cargo.toml", "vendor/modules.txt")
ENVIRONMENT_MARK = "pyvenv.cfg"  # a virtual environment of Python's, whatever its name


def junk_kind(path: str, name: str, *, is_folder: bool) -> str:
    """The kind of a file or folder that stays out, "" for any other."""
    if is_folder:
        if name.endswith((".egg-info", ".dist-info")):
            return GENERATED
        return VENDORED if _is_vendored(path, name) else ""
    lower = name.casefold()
    suffix = os.path.splitext(lower)[1]  # noqa: PTH122 - for each file of a walk
    if suffix in MEDIA_SUFFIXES:
        return MEDIA
    if lower in LOCK_FILES or OWNER_FILE.match(lower):
        return LOCK
    if lower.endswith(DRAWING_SUFFIXES):
        return DRAWING
    if lower.endswith(SOURCE_MAP_SUFFIXES):
        return SOURCE_MAP
    if MINIFIED_NAME.search(lower):
        return MINIFIED
    return GENERATED if GENERATED_NAME.search(lower) else ""


def _is_vendored(path: str, name: str) -> bool:
    if name in VENDOR_FOLDERS:
        return True
    if name == VENDOR:
        parent = path[: -len(name)]
        return any(os.path.lexists(parent + mark) for mark in VENDOR_MARKS)
    return os.path.lexists(f"{path}/{ENVIRONMENT_MARK}")


# --- by content --------------------------------------------------------------------------------------------

N_SAMPLED = 65_536  # characters
COMMENT = re.compile(r"""[^\w\n"'`@]*""")  # the signs before the first word of a line, and those of comments
COMMENT_SIGN = re.compile(r"\#|//|\*|--|;|%")
# A comment that says the file is generated: the mark begins the comment, or DO NOT EDIT ends it.
GENERATED_MARK = re.compile(
    r"""(?:\w+[:!][^\w@]*(?=[\w@]))?  # "WARNING: "
    (?: @generated\b | [Cc]ode\ generated\ by\b | AUTO(?:MATICALLY\ |-)?GENERATED\b
      | (?i: this\ (?:file|code|module|script)\ (?:is|was|has\ been)\ (?:auto(?:matically\ |-)?)?@?generated\b
          | (?:file\ )?(?:auto(?:matically[ -]|-)?)?generated\ (?:from\ .*\ )?by\b
          | auto(?:matically[ -]|-)?generated\ (?:file|code)\W*(?:$|do\ not\b) )
        (?!\ (?:by\ )?(?:hand\b|Django\ [0-9]|the\ Gradle\ 'init')) )  # these files are for people to edit
    | (?!.*["`“]) (?:.*[^\w\s]\s+)? (?:PLEASE\ )?DO\ NOT\ EDIT\b
      (?: [^a-z]*$ | (?=.*(?i:generated)) [^a-z]*[^\w\s]\s )""",
    re.VERBOSE,
)
N_MARKED_LINES, N_MARKED = 8, 300  # the mark stands among the first lines, in their first characters
MINIFIED_LANGUAGES = {"javascript", "css"}
MINIFIED_LINE = 110  # characters in a line on average, as linguist counts

# Text with a smaller share of words counts as data: numbers, paths of drawings.
LEAST_PROSE = 0.05
DATA_FORMATS = {"text", "code"}  # tables are exempt: numbers in columns are content
LEAST_SIZE = 2_000
A_WORD = re.compile(r"(?<![^\W_])[A-Za-z]{2,20}(?![^\W_])")
NOT_LATIN = re.compile(r"[^\W\d_A-Za-z]")


def junk_text_kind(text: str, language: str, format_: str) -> str:
    """The kind of a text that stays out, "" for any other; language and format as in `Document`."""
    sample = text[:N_SAMPLED]
    rest, n_blanked = _blanked(sample)
    if n_blanked > MOST_BASE64 * len(sample) and not _has_sentences(rest):
        return DATA
    if len(sample) >= LEAST_SIZE:
        lines = [line for line in sample.splitlines() if line.strip()]
        if language in MINIFIED_LANGUAGES and sum(map(len, lines)) > MINIFIED_LINE * len(lines):
            return MINIFIED
        n_in_words = sum(map(len, A_WORD.findall(rest))) + len(NOT_LATIN.findall(rest))
        if format_ in DATA_FORMATS and n_in_words < LEAST_PROSE * len("".join(rest.split())):
            return DATA
    is_code = language not in PROSE_LANGUAGES
    return GENERATED if is_code and any(map(_is_mark, sample.splitlines()[:N_MARKED_LINES])) else ""


def _is_mark(line: str) -> bool:
    """Whether a line is a comment that says the file is generated."""
    comment = COMMENT.match(line[:N_MARKED])
    if not comment or not COMMENT_SIGN.search(comment[0]):
        return False
    return GENERATED_MARK.match(comment.string, comment.end()) is not None


# --- base64 ------------------------------------------------------------------------------------------------

MOST_BASE64 = 0.5  # of a text: one with more is a certificate or similar, unless the rest has sentences
LEAST_IN_SENTENCES, LEAST_SENTENCES = 100, 0.2  # letters in words without capitals; their share of the rest
IN_SENTENCES = re.compile(r"(?<![^\W_])[^\W\d_A-Z]{3,}(?![^\W_])")
# Lines of base64, between the marks of a certificate or not, and long runs, as in the address of a picture.
BASE64 = re.compile(
    r"""(?:-----BEGIN\ [A-Z0-9 ]{1,40}-----\s+(?:[A-Z][\w-]{1,20}:.*\n\s*){0,9})?
    (?: ^[ \t>\#"']{0,20}[A-Za-z0-9+/]{40,}={0,2}[ \t\r"',]{0,9}\n ){3,}
    (?: [ \t>\#"']{0,20}[A-Za-z0-9+/]+
        (?: ={1,2}(?=[\s"',]|\Z) | (?=\s+=\S{4}(?:\s|\Z) | \s*-----END\ ) ) (?:\s+=\S{4}(?=\s|\Z))? )?
    (?: \s*-----END\ [A-Z0-9 ]{1,40}----- )?
    | (?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{200,}={0,2}""",
    re.VERBOSE | re.MULTILINE,
)
A_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])")
LEAST_CHANGES = 0.3  # from one case to another, or to a digit, for each character; 0.6 where it is random
SUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}", re.IGNORECASE)
NOT_BREAK = re.compile(r"[^\r\n]")


def without_base64(document: Document) -> Document:
    """The document with spaces in place of long blocks of base64, so that all positions stay, and a note."""
    text, n_blanked = _blanked(document.text)
    if not n_blanked:
        return document
    note = f"{n_blanked:,} characters of base64 left out"
    return replace(document, text=text, notes=(*document.notes, note))


def _blanked(text: str) -> tuple[str, int]:
    """The text with spaces in place of base64, and the number of characters blanked."""
    parts: list[str] = []
    reached = n_blanked = 0
    for start, end in _base64(text):
        parts += text[reached:start], NOT_BREAK.sub(" ", text[start:end])
        reached, n_blanked = end, n_blanked + end - start
    return "".join([*parts, text[reached:]]), n_blanked


def _has_sentences(text: str) -> bool:
    """Whether much of the text is words without capitals; the lines beside certificates are names."""
    n_letters = sum(map(len, IN_SENTENCES.findall(text)))
    return n_letters >= max(LEAST_IN_SENTENCES, LEAST_SENTENCES * len("".join(text.split())))


def _base64(text: str) -> Iterator[tuple[int, int]]:
    """Where blocks of base64 begin and end, in order; a list of checksums, one a line, is none."""
    for found in BASE64.finditer(text):
        is_random = len(A_CHANGE.findall(found[0])) > LEAST_CHANGES * len(found[0])
        if is_random and not all(map(SUM.fullmatch, re.findall(r"[\w+/=-]+", found[0]))):
            yield found.span()
