"""The Hugging Face hub: where its cache keeps a repository on this machine, and how one is fetched.

Looking into the cache does without the library: its import costs as much as a whole short query, and the
layout is documented (huggingface.co/docs/huggingface_hub/guides/manage-cache).  Only a download loads it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Where the hub's cache is, as the environment says: `huggingface_hub.constants.HF_HUB_CACHE`."""
    home = os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface"
    home = os.environ.get("HF_HOME", home)
    cache = os.environ.get("HUGGINGFACE_HUB_CACHE", home + "/hub")
    return Path(os.path.expandvars(os.environ.get("HF_HUB_CACHE", cache))).expanduser()


def snapshots(repository: str, revision: str) -> list[Path]:
    """The folders in which the cache has a repository: that revision, then main, then any other."""
    folder = cache_folder() / f"models--{repository.replace('/', '--')}"
    main = folder / "refs" / "main"
    names = [revision, main.read_text().strip() if main.is_file() else ""]
    found = [folder / "snapshots" / name for name in names if name]
    found += sorted((folder / "snapshots").glob("*"))
    return [snapshot for snapshot in dict.fromkeys(found) if snapshot.is_dir()]


def published_sha256(path: Path) -> str | None:
    """The SHA-256 that the hub gives for a large file in its cache, None when the cache does not say.

    A snapshot holds links, and what a link to a large file leads to is named by that file's hash.  Anybody
    can make such a link, so one outside the cache says nothing.
    """
    cache, name = cache_folder(), path.resolve().name
    # A download's folder is below the resolved one.
    is_cached = any(folder in path.absolute().parents for folder in (cache.absolute(), cache.resolve()))
    is_hash = re.fullmatch(r"[0-9a-f]{64}", name)
    return name if is_cached and is_hash and path.is_symlink() else None


def fetch(repository: str, revision: str, files: list[str], *, again: bool = False) -> Path:
    """Download those of the files that the repository has into the cache, and return their folder.

    Each file is written beside and renamed when it is whole; ``again`` replaces what is there.  On a
    terminal a bar shows how far it is.  Raises what `huggingface_hub` raises, when it has tried for half a
    minute; that it tries again and again is said only where steps are logged.
    """
    from huggingface_hub import snapshot_download

    with _quiet():
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=files,
                cache_dir=cache_folder(),
                force_download=again,
            )
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warnings, of which a machine without network gets 22, unless steps are logged."""
    theirs = logging.getLogger("huggingface_hub")
    level = theirs.level
    if not logging.getLogger("minisearch").isEnabledFor(logging.INFO):
        theirs.setLevel(logging.ERROR)
    try:
        yield
    finally:
        theirs.setLevel(level)


def is_offline() -> bool:
    """Whether the environment forbids downloads, with ``HF_HUB_OFFLINE``."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
