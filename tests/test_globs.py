"""Path patterns mean what git makes of them, and no pattern takes long."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import time
import unicodedata

import pytest

from minisearch.errors import InputError
from minisearch.globs import glob, name_glob
from minisearch.stores.local.sqlite import path_ends, path_matches

PATHS = ["a", "b", "a.md", "a/b", "a/b.md", "b/a", "a/b/c", "a/b/c.md", "b/a/b/c", "docs/a/x/b/c.md", "a/*/b"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.md", "a.md guides/a.md guides/deep/b.md"),
        ("/*.md", "a.md"),
        ("guides", "guides/a.md guides/deep/b.md old/guides/c.rst"),
        ("guides/", "guides/a.md guides/deep/b.md old/guides/c.rst"),
        ("/guides", "guides/a.md guides/deep/b.md"),
        ("guides/*", "guides/a.md guides/deep/b.md"),
        ("guides/*.md", "guides/a.md"),
        ("guides/**", "guides/a.md guides/deep/b.md"),
        ("**/guides/**", "guides/a.md guides/deep/b.md old/guides/c.rst"),
        ("guides/**/b.md", "guides/deep/b.md"),
        ("**/a.md", "a.md guides/a.md"),
        ("a.md/", ""),
        ("?.md", "a.md guides/a.md guides/deep/b.md"),
        ("[!a].md", "guides/deep/b.md"),
        ("A.md", ""),
        ("**", "a.md guides/a.md guides/deep/b.md old/guides/c.rst"),
        ("guides/a.md", "guides/a.md"),
        ("uides", ""),
        ("guides/deep/b.md/x", ""),
    ],
)
def test_a_pattern_names_what_one_expects(pattern, matched):
    paths = ["a.md", "guides/a.md", "guides/deep/b.md", "old/guides/c.rst"]
    assert [path for path in paths if glob(pattern)(path)] == matched.split()


def test_a_name_and_a_pattern_match_in_any_normal_form():
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        path, pattern = (
            unicodedata.normalize(form, "Übersicht/März.md"),
            unicodedata.normalize(other, "*März*"),
        )
        assert glob(pattern)(path) and name_glob(pattern)(path.rpartition("/")[2])
        assert glob(unicodedata.normalize(other, "Übersicht/M?rz.md"))(path)


def test_absolute_paths_are_matched_from_the_root():
    assert glob("/home/me/**/*.md")("/home/me/notes/x.md")
    assert not glob("/me/**")("/home/me/notes/x.md")


def a_pattern(random_):
    pieces = [
        "a",
        "b",
        "c",
        "*",
        "?",
        "**",
        "/",
        "/",
        "/**/",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-c]",
        "[]a]",
        "\\*",
        ".md",
        "*",
    ]
    return "".join(random_.choices(pieces, k=random_.randint(1, 6)))


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_patterns_match_what_git_ignores(tmp_path):
    random_ = random.Random(5)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    n_matched = 0
    for _ in range(150):
        pattern = re.sub("/+", "/", a_pattern(random_))
        if not pattern.strip("/"):
            continue
        (tmp_path / ".gitignore").write_text(pattern + "\n")
        git = subprocess.run(
            ["git", "check-ignore", "--no-index", "--stdin", "-z"],
            input="\0".join(PATHS),
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        expected = git.stdout.split("\0")[:-1]
        assert [path for path in PATHS if glob(pattern)(path)] == expected, pattern
        n_matched += len(expected)
    assert n_matched > 150


@pytest.mark.parametrize(
    "pattern", ["*a" * 40 + "b", "**/a/" * 40 + "b", "*" * 5_000, "[" * 5_000, "?" * 5_000]
)
def test_no_pattern_takes_long(pattern):
    started_s = time.process_time()
    glob(pattern)("a" * 255)
    glob(pattern)("a/" * 2_000)
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "names nothing: expected one such as"),
        ("//", "names nothing: expected one such as"),
        ("!a.md", "negate the condition"),
        ("x" * 5_001, "5001 characters: at most 5000"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused(pattern, message):
    with pytest.raises(InputError, match=message):
        glob(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["[", "[]", "[!]", "[z-a]", "a\\", "\\", "[a", "\ud800*", "\0", "a\nb", "(.*)+", "[\\]", "[[:alpha:]"],
)
def test_any_other_pattern_is_one(pattern):
    assert glob(pattern)("some/path.md") in (True, False)


def test_an_extension_is_of_the_name_and_in_any_case():
    assert path_ends(b".md", b"a/b.MD")
    assert path_ends(b".tar.gz", b"x.tar.gz")
    assert path_ends(".é".encode(), "x.É".encode())
    assert not path_ends(b".md", b"a.md/b")
    assert not path_ends(b".a/b", b"x.a/b")
    assert not path_ends(b".md", b"amd")


def test_a_stored_path_that_is_none_raises_nothing():
    """What is raised inside SQLite is not told apart from a signal; whoever reads such a row tells of it."""
    for damaged in (None, 7, 0.5, b"\xff\xfe", "a.md"):
        for pattern in (b"/a", b"//a", b"**/x", "é".encode()):
            assert not path_matches(pattern, damaged)
        assert path_ends(b".md", damaged) == path_matches(b"*.md", damaged) == (damaged == "a.md")
