"""Files that nobody wrote to be read, recognised by their names: they stay out unless the user asks for them.

The absolute path of a file or folder goes in, its kind comes out: a lock file, a minified or generated file,
a source map, a drawing, media, or a folder of other people's code.  The names are those of GitHub's linguist
(lib/linguist/generated.rb, vendor.yml), where they leave no doubt.  What only the content shows is left to
`parsers.code`.
"""

from __future__ import annotations

import os
import re

LOCK, MINIFIED, GENERATED, SOURCE_MAP = "lock file", "minified file", "generated file", "source map"
DRAWING, MEDIA, VENDORED = "drawing", "media file", "vendored folder"

LOCK_FILES = frozenset(
    [
        *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"),
        *("poetry.lock", "pipfile.lock", "pdm.lock", "uv.lock", "pixi.lock", "conda-lock.yml"),
        *("cargo.lock", "go.sum", "gopkg.lock", "glide.lock", "composer.lock", "gemfile.lock", "mix.lock"),
        *("podfile.lock", "package.resolved", "cartfile.resolved", "pubspec.lock", "packages.lock.json"),
        *("flake.lock", "deno.lock", "gradle.lockfile", "stack.yaml.lock", "cabal.project.freeze"),
    ]
)
MINIFIED_NAME = re.compile(r"[.-](?:min|bundle|chunk)\.(?:m?js|css)\Z", re.IGNORECASE)
GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.(?:designer|g|g\.i)\.cs|\.(?:freezed|g)\.dart|_generated\.go)\Z",
    re.IGNORECASE,
)
SOURCE_MAP_SUFFIXES = (".js.map", ".mjs.map", ".css.map", ".ts.map")
DRAWING_SUFFIXES = (".svg", ".drawio", ".excalidraw", ".eps", ".ai", ".dxf", ".vsdx", ".fig", ".sketch")
MEDIA_SUFFIXES = frozenset(
    [
        *(
            ".png",
            ".jpg",
            ".jpeg",
            ".jpe",
            ".gif",
            ".bmp",
            ".tif",
            ".tiff",
            ".webp",
            ".ico",
            ".heic",
            ".heif",
        ),
        *(".avif", ".psd", ".xcf", ".raw", ".cr2", ".nef", ".jp2", ".mp3", ".wav", ".flac", ".ogg", ".oga"),
        *(".opus", ".m4a", ".aac", ".wma", ".aiff", ".mid", ".midi", ".mp4", ".m4v", ".mkv", ".webm", ".mov"),
        *(".avi", ".wmv", ".mpg", ".mpeg", ".flv", ".3gp", ".ttf", ".otf", ".woff", ".woff2", ".eot"),
    ]
)

VENDOR_FOLDERS = frozenset(
    ["node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "__pycache__"]
)
# A folder of one of these names holds other people's code only beside, or around, one of these files.
VENDOR = "vendor"
VENDOR_MARKS = (
    *("go.mod", "composer.json", "Gemfile", "package.json", "Cargo.toml", "Makefile", "pyproject.toml"),
    *("setup.py", "CMakeLists.txt", ".git"),
)
ENVIRONMENTS, ENVIRONMENT_MARK = ("venv", "env", "virtualenv"), "pyvenv.cfg"


def junk_kind(path: str, name: str, *, is_folder: bool) -> str:
    """The kind of a file or folder that stays out, "" for any other."""
    if is_folder:
        return VENDORED if _is_vendored(path, name) else ""
    lower = name.casefold()
    suffix = os.path.splitext(lower)[1]  # noqa: PTH122 - for each file of a walk
    if suffix in MEDIA_SUFFIXES:
        return MEDIA
    if lower in LOCK_FILES:
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
    return name in ENVIRONMENTS and os.path.lexists(f"{path}/{ENVIRONMENT_MARK}")
