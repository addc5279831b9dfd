"""Files that nobody wrote to be read: they stay out of an index unless the user asks for them.

A path or a text goes in, its kind comes out: a lock file, a minified or generated file, a source map, a
drawing, media, a folder of other people's code, or data without prose.  The rules are those of GitHub's
linguist (lib/linguist/generated.rb, vendor.yml), where they leave no doubt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from minisearch.files.embedded import Range, without_ranges
from minisearch.formats import PROSE_LANGUAGES
from minisearch.text import A_LETTER

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
MEDIA_SUFFIXES = frozenset(  # images, sound, video and fonts
    [
        *(".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ico", ".heic"),
        *(".heif", ".avif", ".psd", ".xcf", ".raw", ".cr2", ".nef", ".jp2"),
        *(".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aiff", ".mid", ".midi"),
        *(".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".wmv", ".mpg", ".mpeg", ".flv", ".3gp"),
        *(".ttf", ".otf", ".woff", ".woff2", ".eot"),
    ]
)

VENDOR_FOLDERS = frozenset(
    ["node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "__pycache__"]
)
# A folder of this name holds other people's code only beside one of these files, or with this one in it.
VENDOR = "vendor"
VENDOR_MARKS = ("go.mod", "composer.json", "Gemfile", "package.json", "Cargo.toml", "vendor/modules.txt")
ENVIRONMENT_MARK = "pyvenv.cfg"  # a virtual environment of Python's, whatever its name


UNREADABLE = (".lockb", ".ai", ".vsdx", ".fig", ".sketch")


def cure(kind: str, name: str, ignore_file: str) -> str:
    """How to index a file or folder of a kind anyway, where it can be read."""
    lower = name.casefold()
    if kind == MEDIA or lower.endswith(UNREADABLE) or OWNER_FILE.match(lower):
        return "it has no text that can be read"
    return f"to index it, add !{name} to {ignore_file}"


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

# A text with a larger share of embedded data is a certificate or similar, unless the rest has sentences.
MOST_EMBEDDED = 0.5
NO_PROSE_FORMATS = DATA_FORMATS | {"json", "table"}
LEAST_IN_SENTENCES, LEAST_SENTENCES = 100, 0.2  # letters in words without capitals; their share of the rest
IN_SENTENCES = re.compile(r"(?<![^\W_])[^\W\d_A-Z]{3,}(?![^\W_])")
SENTENCE = re.compile(r"\w(?:[^\W\d_]* [^\W\d_A-Z]+){2,}[.!?:]|[^\W\d_A-Za-z]{5,}")


def junk_text_kind(text: str, embedded: Sequence[Range], language: str, format_: str) -> str:
    """The kind of a text that stays out, "" for any other; language and format as in `Document`.

    ``embedded`` are the ranges that `embedded_data` finds in the text.
    """
    sample = text[:N_SAMPLED]
    lines = [line for line in sample.splitlines() if line.strip()]
    is_long = len(sample) >= LEAST_SIZE
    if is_long and language in MINIFIED_LANGUAGES and sum(map(len, lines)) > MINIFIED_LINE * len(lines):
        return MINIFIED
    rest = without_ranges(text, embedded)
    is_data = len(rest) < (1 - MOST_EMBEDDED) * len(text)
    rest = rest[:N_SAMPLED]
    if is_data and not (_has_sentences(rest) if format_ in NO_PROSE_FORMATS else A_LETTER.search(rest)):
        return DATA
    n_in_words = sum(map(len, A_WORD.findall(rest))) + len(NOT_LATIN.findall(rest))
    if is_long and format_ in DATA_FORMATS and n_in_words < LEAST_PROSE * len("".join(rest.split())):
        return DATA
    is_code = language not in PROSE_LANGUAGES
    return GENERATED if is_code and any(map(_is_mark, sample.splitlines()[:N_MARKED_LINES])) else ""


def _is_mark(line: str) -> bool:
    """Whether a line is a comment that says the file is generated."""
    comment = COMMENT.match(line[:N_MARKED])
    if not comment or not COMMENT_SIGN.search(comment[0]):
        return False
    return GENERATED_MARK.match(comment.string, comment.end()) is not None


def _has_sentences(text: str) -> bool:
    """Whether much of the text is words without capitals; the lines beside certificates are names."""
    n_letters = sum(map(len, IN_SENTENCES.findall(text)))
    is_much = n_letters >= LEAST_SENTENCES * len("".join(text.split()))
    return is_much and (n_letters >= LEAST_IN_SENTENCES or SENTENCE.search(text) is not None)
