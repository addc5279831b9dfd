"""The files of ignore patterns that git reads beside ``.gitignore``.

The top folder of a repository goes in, paths come out: that of ``core.excludesFile`` and of ``info/exclude``.
git itself says what the setting is; where it is not installed, the default counts.

This is the only module of `files` that reads the environment, for it says where git's own files are.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TIMEOUT_S = 10  # the settings may include a named pipe


def pattern_files(top: str) -> list[str]:
    """The regular files whose patterns hold in a whole repository, the weakest first."""
    git_folder = _path_in(f"{top}/.git", "gitdir: ") or f"{top}/.git"
    shared = _path_in(f"{git_folder}/commondir") or git_folder
    return [file for file in (_excludes_file(git_folder, top), f"{shared}/info/exclude") if _is_file(file)]


def _excludes_file(git_folder: str, top: str) -> str:
    """The value of core.excludesFile as a path, "" if it is empty; the default without one."""
    command = ["git", f"--git-dir={git_folder}", "config", "--type=path", "--get", "core.excludesFile"]
    try:
        value = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=TIMEOUT_S
        ).stdout.removesuffix(b"\n")
    except (OSError, subprocess.SubprocessError):
        settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return os.path.expanduser(f"{settings}/git/ignore")  # noqa: PTH111 - as it is where there is no home
    return str(Path(top, os.fsdecode(value))) if value else ""


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - False where it may not look


def _path_in(file: str, before: str = "") -> str:
    """The path in a file that consists of one; "" where there is no such file."""
    if not _is_file(file):
        return ""
    path = os.fsdecode(Path(file).read_bytes()).strip().removeprefix(before)
    return os.path.normpath(Path(file).parent / path)
