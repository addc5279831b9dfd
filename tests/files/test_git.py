"""The files of patterns beside .gitignore are those that git reads, wherever its settings name them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from minisearch.files.git import pattern_files
from minisearch.files.walk import FoundFile, LeftOut, walk

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

RULES = [
    "a",
    "b/",
    "/a",
    "*.md",
    "!a.md",
    "!b",
    "a/b",
    "**/b",
    "*",
    "!*/",
    "/*",
    "!*.md",
    "c*",
    "[ab].log",
    "# a",
]
NAMES = ["a", "b", "c", "a.md", "b.md", "a.log", "c.log"]


def git(folder: Path, *arguments: str | Path) -> bytes:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without settings of git."""
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def repository(root: Path, *names: str) -> Path:
    git(root.parent, "init", "-q", root)
    for name in names:
        write(root / name, "text")
    return root


def found(root: Path) -> list[str]:
    return sorted(os.path.relpath(item.path, root) for item in walk(root) if isinstance(item, FoundFile))


def by_git(root: Path) -> list[str]:
    listed = git(root, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0")
    names = (os.fsdecode(name) for name in listed if name)
    return sorted(name for name in names if not name.rpartition("/")[2].startswith("."))


def test_what_the_users_own_setting_ignores_is_left_out_and_the_reason_names_the_file(home: Path) -> None:
    root = repository(home / "notes", "a.md", "b.md", "deep/b.md")
    write(home / "ignored", "# mine\nb.md\n")
    git(root, "config", "--global", "core.excludesFile", "~/ignored")
    assert found(root) == by_git(root) == ["a.md"]
    (reason, *_) = (item.reason for item in walk(root) if isinstance(item, LeftOut) and "b.md" in item.path)
    assert reason == f"ignored by {home}/ignored, line 2: b.md"
    assert found(root / "deep") == []
    shutil.rmtree(root / ".git")
    assert found(root) == ["a.md", "b.md", "deep/b.md"]  # not a repository: git's settings are not asked


# Each writes the setting in one of the ways in which git finds it.
WAYS: dict[str, Callable[[Path, Path, pytest.MonkeyPatch], object]] = {
    "nothing": lambda home, root, env: None,
    "the default file": lambda home, root, env: (
        (home / ".config/git").mkdir(parents=True)
        or shutil.copy(home / "ignored", home / ".config/git/ignore")
    ),
    "XDG_CONFIG_HOME": lambda home, root, env: (
        env.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
        or (home / "xdg/git").mkdir(parents=True)
        or shutil.copy(home / "ignored", home / "xdg/git/ignore")
    ),
    "of the repository": lambda home, root, env: git(root, "config", "core.excludesFile", home / "ignored"),
    "a relative path": lambda home, root, env: git(root, "config", "core.excludesFile", "../ignored"),
    "of the user": lambda home, root, env: write(home / ".gitconfig", "[core]excludesfile=~/ignored # mine"),
    "in XDG's file": lambda home, root, env: write(
        home / ".config/git/config", '[user]\n\tname = "a \\" b"\n[CORE]\n\tExcludesFile = "~/ignored" ; x\n'
    ),
    "the last counts": lambda home, root, env: write(
        home / ".gitconfig", "[core]\nexcludesFile = none\n\texcludesFile = ~/igno\\\nred\n"
    ),
    "of another section": lambda home, root, env: write(
        home / ".gitconfig", '[core "x"]\nexcludesFile = ~/ignored'
    ),
    "taken back": lambda home, root, env: (
        write(home / ".gitconfig", "[core]\nexcludesFile = ~/ignored")
        or git(root, "config", "core.excludesFile", "")
    ),
    "GIT_CONFIG_GLOBAL": lambda home, root, env: (
        env.setenv("GIT_CONFIG_GLOBAL", str(home / "own"))
        or write(home / "own", "[core]\n  excludesFile = ~/ignored")
        or write(home / ".gitconfig", "[core]\n  excludesFile = ~/other")
    ),
    "included": lambda home, root, env: (
        write(home / ".gitconfig", "[include]\npath = more/one.cfg\n[core]\nx = 1")
        or write(home / "more/one.cfg", "[include]\n\tpath = two.cfg\n")
        or write(home / "more/two.cfg", "[core]\nexcludesFile = ~/ignored")
    ),
    "included for a folder": lambda home, root, env: (
        write(
            home / ".gitconfig",
            '[includeIf "gitdir:~/work/"]\npath = one.cfg\n[includeIf "gitdir:~/play/"]\npath = b',
        )
        or write(home / "one.cfg", "[core]\nexcludesFile = ~/ignored")
        or write(home / "b", "[core]\nexcludesFile = ~/other")
    ),
    "included for a name": lambda home, root, env: (
        write(
            home / ".gitconfig",
            '[includeIf "gitdir/i:WORK/**"]\npath = one.cfg\n[includeIf "onbranch:x"]\npath = b',
        )
        or write(home / "one.cfg", "[core]\nexcludesFile = ~/ignored")
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_files_as_git_wherever_the_setting_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, way: str, seed: int
) -> None:
    dice = random.Random(f"{way} {seed}")

    def rules() -> str:
        return "\n".join(dice.choices(RULES, k=dice.randint(1, 3))) + "\n"

    root = home / "work" / "trees"
    root.parent.mkdir()
    repository(
        root, *{"/".join(["d"] * dice.randint(0, 2) + [dice.choice(NAMES)]) for _ in range(12)} - {"d"}
    )
    write(home / "ignored", rules())
    write(home / "other", "*\n")
    WAYS[way](home, root, monkeypatch)
    for file, chance in ((".git/info/exclude", 0.5), (".gitignore", 0.5), ("d/.gitignore", 0.5)):
        if dice.random() < chance:
            write(root / file, rules())
    assert found(root) == by_git(root)


def test_a_repository_in_another_one_has_its_own_rules(home: Path) -> None:
    outer = repository(home / "outer", "a.log", "b.md", "inner/a.log", "inner/b.md", "inner/c.md")
    inner = repository(outer / "inner")
    write(outer / ".gitignore", "*.log\n")
    write(inner / ".git/info/exclude", "c.md\n")
    assert by_git(inner) == found(inner) == ["a.log", "b.md"]
    assert found(outer) == ["b.md", "inner/a.log", "inner/b.md"]
    assert found(home) == ["outer/b.md", "outer/inner/a.log", "outer/inner/b.md"]


def test_a_worktree_has_the_rules_of_its_repository(home: Path) -> None:
    main = repository(home / "main", "a.md")
    git(main, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "a")
    git(main, "worktree", "add", "-q", home / "tree")
    for name in ("a.md", "b.md", "c.md"):
        write(home / "tree" / name, "text")
    write(main / ".git/info/exclude", "b.md\n")
    git(main, "config", "core.excludesFile", home / "ignored")
    write(home / "ignored", "c.md\n")
    assert found(home / "tree") == by_git(home / "tree") == ["a.md"]


def test_settings_that_include_one_another_or_are_no_settings_end(home: Path) -> None:
    root = repository(home / "notes", "a.md")
    write(home / ".gitconfig", "[include]\npath = .gitconfig\npath = b\n[core]\nexcludesFile = /dev/zero\n")
    write(
        home / "b",
        "[include]\npath = .gitconfig\npath = /dev/zero\n[core]\n" + 'excludesFile = "' + "\\" * 50_001,
    )
    assert pattern_files(str(root)) == [f"{root}/.git/info/exclude"]
    assert found(root) == ["a.md"]


def test_without_git_or_an_answer_from_it_the_default_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository(home / "notes", "a.md", "b.md")
    write(home / ".config/git/ignore", "b.md\n")
    os.mkfifo(home / "pipe")
    git(root, "config", "include.path", home / "pipe")
    monkeypatch.setattr("minisearch.files.git.TIMEOUT_S", 0.1)
    assert found(root) == ["a.md"]
    monkeypatch.setenv("PATH", "")
    assert found(root) == ["a.md"]
