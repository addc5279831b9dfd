"""Ignore files decide as git does: for every path the same line of the same file, or none."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minisearch.files.scope import Rules, deciding

NAMES = [
    *("a", "b", "ab", "abc", "a.md", "b.log", "build", "x y", "x ", "[b]", "a*", "\\a", "!a", "#a"),
    *("-", "^", "]", "A", "1", "a1", "z", "é", "aé", "東京", os.fsdecode(b"\xffa")),
]
PIECES = [
    *("a", "b", "c", "ab", "z", "A", "1", ".md", "é", "東", "x y", "-", "^", "!", "#", " ", "  ", "\t", "\r"),
    *("*", "*", "?", "**", "**", "/", "/", "/", "/**/", "**/", "/**", "[*]", "[?]", "***"),
    *("[ab]", "[!a]", "[^b]", "[a-c]", "[]a]", "[!]a]", "[a-]", "[-a]", "[z-a]", "[a\\]b]", "[\\a-c]"),
    *("[[:alpha:]]", "[![:digit:]]", "[[:punct:]b]", "[[:alpha]", "[[:foo:]]", "[[:]", "[[:]]", "[a", "["),
    *("[é]", "[+-9]", "[!+-9]", "[/]", "\\*", "\\a", "\\", "\\ ", "\\[b\\]", "x\\ ", "\\!", "\\#", "\\/"),
]
LAST = ["/", " ", "  ", "\\ ", "\\  ", "/ ", "//", "\r", "\\", "\0b"]
USUAL = ["a/", "!b", "# a", "", "*.md", "!a.md", "/*", "!*/", "**", "x y/**/", "a/**/b", "a**/b", "build/"]


def a_pattern(rng: random.Random) -> str:
    if rng.random() < 0.15:
        return rng.choice(USUAL)
    pattern = "".join(rng.choices(PIECES, k=rng.randint(1, 6)))
    if rng.random() < 0.2:
        pattern = f"!{pattern}"
    if rng.random() < 0.15:
        pattern = rng.choice("#/ \\") + pattern
    return pattern + (rng.choice(LAST) if rng.random() < 0.25 else "")


def grow(root: Path, rng: random.Random) -> dict[str, bool]:
    """Files and folders of odd names; the paths, each with whether it is a folder."""
    for _ in range(170):
        path = root.joinpath(*rng.choices(NAMES, k=rng.randint(1, 4)))
        if not path.exists() and not any(above.is_file() for above in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    paths = sorted(path for path in root.rglob("*") if ".git" not in path.parts)
    return {str(path.relative_to(root)): path.is_dir() for path in paths}


def lines_by_git(root: Path, paths: list[str]) -> list[tuple[str, int]]:
    """The file and the line that decide on each path; ("", 0) where none does."""
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"],
        input=b"".join(os.fsencode(path) + b"\0" for path in paths),
        capture_output=True,
        cwd=root,
    )
    assert done.returncode in (0, 1), done.stderr
    fields = done.stdout.split(b"\0")[:-1]
    assert [os.fsdecode(path) for path in fields[3::4]] == paths
    numbers = (int(number or 0) for number in fields[1::4])
    return list(zip(map(os.fsdecode, fields[::4]), numbers, strict=True))


def our_line(root: Path, path: str, is_folder: dict[str, bool], rules: dict[str, Rules]) -> tuple[str, int]:
    rule, chain = None, [rules[""]]
    for folder in [*parents(path), path]:
        rule = deciding(f"{root}/{folder}", chain, is_folder=is_folder[folder])
        if folder != path and rule and rule.ignores:  # git does not look into it
            break
        chain += [rules[folder]] if folder in rules else []
    if rule is None:
        return "", 0
    source, _, rest = rule.words.partition(", line ")
    return source, int(rest.partition(":")[0])


def parents(path: str) -> Iterator[str]:
    names = path.split("/")
    return ("/".join(names[:n]) for n in range(1, len(names)))


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize("seed", range(3))
def test_the_same_line_decides_as_in_git(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    is_folder = grow(tmp_path, rng)
    folders = [path for path, is_one in is_folder.items() if is_one]
    n_paths = n_decided = 0
    for _ in range(40):
        rules = {}
        for folder in ["", *rng.sample(folders, 3)]:
            file = tmp_path / folder / ".gitignore"
            lines = [a_pattern(rng) for _ in range(rng.randint(1, 4))]
            bom = b"\xef\xbb\xbf" * (rng.random() < 0.1)
            text = rng.choice(["\n", "\r\n"]).join(lines) + rng.choice(["", "\n", "\r", "\r\n"])
            file.write_bytes(bom + os.fsencode(text))
            source = f"{folder}/.gitignore".lstrip("/")
            rules[folder] = Rules.read(str(file), f"{tmp_path / folder}/", source)
        expected = lines_by_git(tmp_path, list(is_folder))
        ours = [our_line(tmp_path, path, is_folder, rules) for path in is_folder]
        for path, line, by_git in zip(is_folder, ours, expected, strict=True):
            file = tmp_path / (by_git[0] or line[0] or ".")
            assert line == by_git, (path, file.read_bytes() if file.is_file() else "")
        n_paths += len(ours)
        n_decided += sum(line != ("", 0) for line in ours)
        for folder in rules:
            (tmp_path / folder / ".gitignore").unlink()
    assert n_paths > 5_000
    assert n_decided > n_paths / 20
