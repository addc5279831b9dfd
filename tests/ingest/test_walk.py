"""The walk takes what git would, tells what it could not take, and never hangs, loops or leaves the root."""

import os
import random
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from minisearch.errors import IngestError
from minisearch.ingest import Found, Unreadable, walk
from minisearch.types import Skipped


def grow(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def found(root: Path, **options) -> list[str]:
    return [os.path.relpath(item.path, root) for item in walk(root, **options) if isinstance(item, Found)]


def problems(root: Path, **options) -> dict[str, str]:
    items = [item for item in walk(root, **options) if not isinstance(item, Found)]
    return {os.path.relpath(item.path, root): item.reason for item in items}


def test_an_empty_folder_holds_nothing(tmp_path):
    assert list(walk(tmp_path)) == []


def test_a_root_that_is_not_there_is_named_at_the_call(tmp_path):
    with pytest.raises(IngestError, match=r"there is no file or folder at '.*nowhere'"):
        walk(tmp_path / "nowhere")
    grow(tmp_path, "a.md")
    with pytest.raises(IngestError, match=r"a\.md/b"):
        walk(tmp_path / "a.md" / "b")


def test_a_file_carries_its_size_and_times(tmp_path):
    grow(tmp_path, "a.md")
    status = (tmp_path / "a.md").stat()
    expected = Found(str(tmp_path / "a.md"), 4, status.st_mtime_ns, status.st_ctime_ns)
    assert list(walk(tmp_path)) == [expected]


def test_paths_are_joined_to_the_root_as_it_was_given(tmp_path, monkeypatch):
    grow(tmp_path, "docs/a.md")
    monkeypatch.chdir(tmp_path)
    assert [item.path for item in walk(Path("docs"))] == ["docs/a.md"]


def test_order_is_by_the_bytes_of_names_and_depth_first(tmp_path):
    grow(tmp_path, "b/z", "b/a", "a.md", "B", "é", "z", "a/x", "a-b")
    assert found(tmp_path) == ["B", "a/x", "a-b", "a.md", "b/a", "b/z", "z", "é"]


@pytest.mark.parametrize(
    "name", ["a\nb", "a\tb", "-rf", "'\"", "😀", "é", "e\u0301", os.fsdecode(b"ok\xff\xfe.md"), "x" * 255]
)
def test_odd_names_pass_through_unchanged(tmp_path, name):
    grow(tmp_path, name)
    (item,) = walk(tmp_path)
    assert item.path == os.path.join(tmp_path, name)
    assert Path(item.path).read_text() == "text"


def test_hidden_names_and_the_index_itself_are_passed_over_and_counted(tmp_path):
    grow(tmp_path, "a.md", ".hidden", ".minisearch/store.db", ".git/config")
    counts: Counter[str] = Counter()
    assert found(tmp_path, counts=counts) == ["a.md"]
    assert counts == {"hidden": 3}


def test_a_folder_given_by_name_is_walked_though_it_is_hidden(tmp_path):
    grow(tmp_path, ".notes/a.md")
    assert found(tmp_path / ".notes") == ["a.md"]


def test_a_file_given_by_name_is_taken_whatever_the_ignore_rules_say(tmp_path):
    grow(tmp_path, ".secret.md")
    (tmp_path / ".gitignore").write_text("*")
    assert [item.path for item in walk(tmp_path / ".secret.md")] == [str(tmp_path / ".secret.md")]


def test_nothing_below_an_ignored_folder_can_be_kept(tmp_path):
    grow(tmp_path, "build/keep.md", "a.md")
    (tmp_path / ".gitignore").write_text("build/\n!build/keep.md\n")
    counts: Counter[str] = Counter()
    assert found(tmp_path, counts=counts) == ["a.md"]
    assert counts == {"hidden": 1, "ignored": 1}


def test_a_folder_kept_by_name_does_not_keep_what_lies_in_it(tmp_path):
    grow(tmp_path, "sub/keep/x.log", "sub/keep/y.md")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "sub" / ".gitignore").write_text("!keep/\n")
    assert found(tmp_path) == ["sub/keep/y.md"]


def test_rules_from_above_the_root_count_within_a_repository_only(tmp_path):
    grow(tmp_path, "repo/docs/a.md", "repo/docs/b.log", "repo/docs/c.tmp")
    (tmp_path / ".gitignore").write_text("*.md")  # outside the repository
    (tmp_path / "repo" / ".gitignore").write_text("*.log\n")
    (tmp_path / "repo/.git/info").mkdir(parents=True)
    (tmp_path / "repo/.git/info/exclude").write_text("*.tmp\n")
    assert found(tmp_path / "repo" / "docs") == ["a.md"]
    shutil.rmtree(tmp_path / "repo" / ".git")
    assert found(tmp_path / "repo" / "docs") == ["a.md", "b.log", "c.tmp"]


def test_rules_that_make_no_sense_and_foreign_line_ends_harm_nothing(tmp_path):
    grow(tmp_path, "a.md", "b.log")
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf!\r\n/\r\n[z-a]\r\n[[a]\r\n\xff\r\n*.log\r\n")
    assert found(tmp_path) == ["a.md"]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_files_as_git_on_random_trees_and_rules(tmp_path, seed):
    names = ["a", "b", "ab", "a.md", "b.log", "build", "x y", "[b]", "é"]
    rules = [
        "a",
        "b/",
        "/a",
        "*.md",
        "!a.md",
        "!b",
        "a/b",
        "**/b",
        "a/**",
        "**/a/",
        "!*/",
        "*",
        "!a/",
        "b*",
        "/*",
    ]
    rules += [
        "a/*",
        "!a/b",
        "[ab]",
        "\\[b\\]",
        "build/",
        "x\\ y",
        "# a",
        "",
        "!*.md",
        "**",
        "a/**/b",
        "?b",
        " a",
        "b ",
        "*/",
        "!/a",
    ]
    dice = random.Random(seed)
    for trial in range(4):
        root = tmp_path / str(trial)
        subprocess.run(["git", "init", "-q", root], check=True)
        for _ in range(25):
            path = root.joinpath(*dice.choices(names, k=dice.randint(1, 4)))
            if not any(above.is_file() for above in path.parents) and not path.exists():
                grow(root, str(path.relative_to(root)))
        folders = [root, *(path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts)]
        for folder in dice.sample(folders, min(3, len(folders))):
            (folder / ".gitignore").write_text("\n".join(dice.choices(rules, k=dice.randint(1, 4))) + "\n")
        listing = ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard"]
        listed = subprocess.run(listing, check=True, capture_output=True).stdout
        by_git = [os.fsdecode(name) for name in listed.split(b"\0") if name and b".gitignore" not in name]
        files = {str(file.relative_to(root)): file.read_text() for file in root.rglob(".gitignore")}
        assert sorted(found(root)) == sorted(by_git), files


def test_a_symbolic_link_to_a_file_inside_is_one_name_too_many(tmp_path):
    grow(tmp_path, "real.md", ".hidden/only.md")
    (tmp_path / "a-link.md").symlink_to("real.md")
    (tmp_path / "b-link.md").symlink_to(".hidden/only.md")
    assert found(tmp_path) == ["real.md", "b-link.md"]
    assert problems(tmp_path) == {"a-link.md": f"the same file as {tmp_path}/real.md"}


def test_hard_links_are_taken_once(tmp_path):
    grow(tmp_path, "b.md")
    os.link(tmp_path / "b.md", tmp_path / "a.md")
    assert found(tmp_path) == ["a.md"]
    assert problems(tmp_path) == {"b.md": f"the same file as {tmp_path}/a.md"}


def test_links_never_lead_out_of_the_root_nor_in_circles(tmp_path):
    root = tmp_path / "root"
    grow(tmp_path, "outside/secret.md", "root/a.md", "rooted/b.md")
    (root / "loop").symlink_to(".")
    (root / "self").symlink_to("self")
    (root / "gone").symlink_to("nowhere")
    (root / "out").symlink_to("../outside")
    (root / "out.md").symlink_to(tmp_path / "outside/secret.md")
    (root / "sibling.md").symlink_to("../rooted/b.md")
    counts: Counter[str] = Counter()
    assert found(root, counts=counts) == ["a.md"]
    assert counts == {}
    told = problems(root)
    assert "a linked folder is not followed" in told["loop"]
    assert told["gone"] == "dangling symbolic link"
    assert "leads out of the folder, to " in told["out"]
    assert "leads out of the folder, to " in told["out.md"]
    assert "leads out of the folder, to " in told["sibling.md"]
    assert told.keys() == {"loop", "self", "gone", "out", "out.md", "sibling.md"}


def test_a_root_that_is_itself_a_link_is_walked(tmp_path):
    grow(tmp_path, "real/a.md")
    (tmp_path / "real" / "b.md").symlink_to("a.md")
    (tmp_path / "link").symlink_to("real")
    assert found(tmp_path / "link") == ["a.md"]


def test_what_is_no_regular_file_is_told_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    os.mkfifo(tmp_path / ".gitignore")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "plug.md"))
        assert problems(tmp_path) == {
            "pipe.md": "not a regular file: named pipe",
            "plug.md": "not a regular file: socket",
        }
    assert list(walk(Path("/dev/null"))) == [Skipped("/dev/null", "not a regular file: device")]


def test_a_file_over_the_limit_is_told_with_both_sizes(tmp_path):
    (tmp_path / "big.txt").write_bytes(b"x" * 1001)
    (tmp_path / "fits.txt").write_bytes(b"x" * 1000)
    assert found(tmp_path, max_bytes=1000) == ["fits.txt"]
    assert problems(tmp_path, max_bytes=1000) == {"big.txt": "too large: 1,001 bytes, and the limit is 1,000"}


@pytest.fixture
def forbidden(monkeypatch):
    """Make a folder unreadable, for root too."""
    closed = set()
    scandir = os.scandir

    def guarded(folder):
        if os.fspath(folder) in closed:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    return lambda folder: closed.add(str(folder))


def test_an_unreadable_folder_is_a_doubt_and_not_a_verdict(tmp_path, forbidden):
    grow(tmp_path, "a/x.md", "b/y.md", "c.md")
    forbidden(tmp_path / "b")
    items = list(walk(tmp_path))
    assert [type(item) for item in items] == [Found, Unreadable, Found]
    assert items[1] == Unreadable(str(tmp_path / "b"), "Permission denied")
    forbidden(tmp_path)
    assert list(walk(tmp_path)) == [Unreadable(str(tmp_path), "Permission denied")]


def test_folders_deeper_than_a_path_can_say_end_with_a_reason(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    (item,) = walk(tmp_path)
    assert isinstance(item, Unreadable)
    assert item.reason == "File name too long"
