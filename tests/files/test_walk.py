"""The walk takes what git would, tells what it could not take, and never hangs, loops or leaves the root."""

import os
import random
import shutil
import socket
import subprocess
import time
import unicodedata
from pathlib import Path

import pytest

from minisearch.errors import IngestError, InputError
from minisearch.files.scope import Rules, ways_to
from minisearch.files.walk import FoundFile, Item, LeftOut, Unreadable, walk
from minisearch.manifest import FileChoice
from minisearch.types import Skipped


def grow(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def found(root: Path, **choice) -> list[str]:
    return [os.path.relpath(item.path, root) for item in taken(root, **choice) if isinstance(item, FoundFile)]


def taken(root: Path, **choice) -> list[Item]:
    """What a walk says; the choice, if any, is made for the root."""
    return list(walk(root, choices={str(root.resolve()): FileChoice(**choice)} if choice else None))


def problems(root: Path, **choice) -> dict[str, str]:
    items = [item for item in taken(root, **choice) if isinstance(item, Skipped | Unreadable)]
    return {os.path.relpath(item.path, root): item.reason for item in items}


def left_out(root: Path, **choice) -> dict[str, str]:
    """Reasons by path, folders with a slash."""
    items = [item for item in taken(root, **choice) if isinstance(item, LeftOut)]
    return {os.path.relpath(item.path, root) + "/" * item.is_folder: item.reason for item in items}


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
    expected = FoundFile(str(tmp_path / "a.md"), 4, status.st_mtime_ns, status.st_ctime_ns)
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


def test_hidden_names_and_the_index_itself_are_left_out_and_told(tmp_path):
    grow(tmp_path, "a.md", ".hidden", ".minisearch/store.db", ".git/config")
    assert found(tmp_path) == ["a.md"]
    assert left_out(tmp_path) == {".git/": "hidden", ".hidden": "hidden", ".minisearch/": "hidden"}


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
    assert found(tmp_path) == ["a.md"]
    assert left_out(tmp_path) == {
        ".gitignore": "hidden",
        "build/": "ignored by .gitignore, line 1: build/",
    }


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
        "*a*",
        "!*.*",
        "*b*l*",
        "b**",
        "**/a/**/b",
        "a/**/b/**/a",
        "a[!x]b",
        "[!x]*",
        "!?*?",
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
        for file in root.rglob(".gitignore"):
            file.rename(file.with_name(".minisearchignore"))
        assert sorted(found(root)) == sorted(by_git), ("the same rules for this program alone", files)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 20 + "b", "a" * 250),
        ("**/" + "a*?[ab]*" * 9 + "c", "ab" * 120),
        ("**/a/" * 20 + "b", "/".join("a" * 500)),
        ("x/" + "**/a*?*/" * 20 + "b/", "x" + "/abc" * 300),
        ("a" + "**" * 200 + "b", "a" * 250),
    ],
)
def test_a_pattern_of_many_stars_takes_no_time(pattern, name):
    rules = Rules.given([pattern], "/", "--exclude")
    start = time.process_time()
    assert rules.deciding("/" + name, is_folder=False) is None
    assert rules.deciding("/" + name, is_folder=True) is None
    assert time.process_time() - start < 0.5  # the age of the universe, if every choice is tried


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
    assert found(root) == ["a.md"]
    assert left_out(root) == {}
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
    (big,) = [item for item in taken(tmp_path, max_bytes=1000) if isinstance(item, Skipped)]
    reason = "too large: 1,001 bytes, and the limit is 1,000 (--max-bytes raises it)"
    assert big == Skipped(str(tmp_path / "big.txt"), reason, 1001)


# --- a file of rules for this program alone ----------------------------------------------------------


def test_minisearchignore_is_stronger_than_gitignore_and_may_take_back_in(tmp_path):
    grow(tmp_path, "a.md", "b.md", "out/x.md", "out/y.tmp", "sub/b.md")
    (tmp_path / ".gitignore").write_text("out/\n*.tmp\nb.md\n")
    (tmp_path / ".minisearchignore").write_text("a.md\n!out/\n!/b.md\n")
    assert found(tmp_path) == ["b.md", "out/x.md", "out/y.tmp"]
    assert left_out(tmp_path) == {
        ".gitignore": "hidden",
        ".minisearchignore": "hidden",
        "a.md": "ignored by .minisearchignore, line 1: a.md",
        "sub/b.md": "ignored by .gitignore, line 3: b.md",
    }


def test_a_deeper_minisearchignore_overrules_one_above(tmp_path):
    grow(tmp_path, "a.log", "sub/a.log", "sub/deep/a.log")
    (tmp_path / ".minisearchignore").write_text("*.log")
    (tmp_path / "sub" / ".minisearchignore").write_text("!a.log")
    (tmp_path / "sub" / "deep" / ".minisearchignore").write_text("*")
    assert found(tmp_path) == ["sub/a.log"]
    assert left_out(tmp_path)["sub/deep/a.log"] == "ignored by sub/deep/.minisearchignore, line 1: *"


def test_minisearchignore_counts_from_above_without_a_repository_too(tmp_path):
    grow(tmp_path, "docs/a.md", "docs/b.log")
    (tmp_path / ".minisearchignore").write_text("/docs/*.log\n")
    assert found(tmp_path / "docs") == ["a.md"]
    assert left_out(tmp_path / "docs") == {
        "b.log": f"ignored by {tmp_path}/.minisearchignore, line 1: /docs/*.log"
    }


def test_hidden_names_are_taken_back_in_only_where_a_pattern_means_them(tmp_path):
    grow(tmp_path, "a.md", "a.py", ".venv/a.md", ".github/ci.md", ".git/x.md", ".notes.md")
    (tmp_path / ".minisearchignore").write_text("*\n!*/\n!*.md\n!.github/\n!.git/")
    assert found(tmp_path) == [".github/ci.md", "a.md"]


# --- a choice ----------------------------------------------------------------------------------------


def test_exclude_leaves_out_what_it_names_and_says_by_which_pattern(tmp_path):
    grow(tmp_path, "a.md", "drafts/b.md", "sub/drafts/c.md", "sub/d.log")
    assert found(tmp_path, exclude=["/drafts/", "*.log"]) == ["a.md", "sub/drafts/c.md"]
    assert left_out(tmp_path, exclude=["/drafts/", "*.log"]) == {
        "drafts/": "excluded: --exclude /drafts/",
        "sub/d.log": "excluded: --exclude *.log",
    }


def test_with_include_only_what_it_names_is_taken(tmp_path):
    grow(tmp_path, "a.md", "b.py", "sub/c.md", "sub/d.py", "lib/e.py", "lib/sub/f.txt")
    assert found(tmp_path, include=["*.md"]) == ["a.md", "sub/c.md"]
    assert found(tmp_path, include=["*.md", "/lib/"]) == ["a.md", "lib/e.py", "lib/sub/f.txt", "sub/c.md"]
    assert left_out(tmp_path, include=["*.md"])["b.py"] == "not named by any --include"
    assert found(tmp_path, include=["*.md"], exclude=["sub"]) == ["a.md"]


def test_an_include_names_a_file_in_any_normal_form(tmp_path):
    name = unicodedata.normalize("NFD", "März.md")
    grow(tmp_path, name, "b.md")
    assert found(tmp_path, include=["M\u00e4rz*"]) == [name]


def test_an_include_takes_hidden_and_ignored_names_in(tmp_path):
    grow(
        tmp_path, "a.md", ".notes.md", ".github/ci.yml", ".github/.x", "built.md", "out/b.md", "out/deep/c.md"
    )
    (tmp_path / ".gitignore").write_text("built.md\nout/\n")
    assert found(tmp_path, include=["*.md"]) == ["a.md", "built.md"]
    assert found(tmp_path, include=[".notes.md"]) == [".notes.md"]
    assert found(tmp_path, include=[".github"]) == [".github/ci.yml"]
    assert found(tmp_path, include=["out/"]) == ["out/b.md", "out/deep/c.md"]
    assert found(tmp_path, include=["/out/deep/*.md"]) == ["out/deep/c.md"]
    assert left_out(tmp_path, include=["/out/deep/*.md"])["out/b.md"] == "ignored by .gitignore, line 2: out/"


def test_the_ways_to_what_a_pattern_names():
    assert ways_to("a") == ways_to("*.md") == ways_to("a/") == ways_to("**/a/b") == []
    assert ways_to("/a") == []
    assert ways_to("a/b/c/") == ["/a/", "/a/b/"]
    assert ways_to("a/**/c/d") == ["/a/", "/a/**/"]


def test_a_choice_made_for_a_folder_holds_wherever_the_walk_begins(tmp_path):
    grow(tmp_path, "a.md", "docs/b.md", "docs/c.txt", "docs/sub/d.md", "docs/sub/e.txt", "other/f.txt")
    choices = {
        str(tmp_path): FileChoice(exclude=["sub/e.txt", "docs/sub/d.md"]),
        str(tmp_path / "docs"): FileChoice(include=["*.md"], max_bytes=10),
    }
    whole = [item.path for item in walk(tmp_path, choices=choices) if isinstance(item, FoundFile)]
    assert whole == [str(tmp_path / name) for name in ("a.md", "docs/b.md", "other/f.txt")]
    below = [item.path for item in walk(tmp_path / "docs", choices=choices) if isinstance(item, FoundFile)]
    assert below == [str(tmp_path / "docs/b.md")]
    (tmp_path / "docs" / "b.md").write_text("more than ten bytes")
    (item,) = walk(tmp_path / "docs" / "b.md", choices=choices)
    assert isinstance(item, Skipped)
    assert list(
        map(type, walk(tmp_path / "docs" / "b.md", choices=choices | {item.path: FileChoice(max_bytes=99)}))
    ) == [FoundFile]


@pytest.mark.parametrize("pattern", ["", " ", "!a", "[a", "a\\", 7])
def test_a_pattern_that_names_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(InputError, match="pattern"):
        taken(tmp_path, exclude=[pattern])


def test_a_choice_of_one_text_is_no_list_of_its_letters():
    with pytest.raises(InputError, match="expected a list of patterns"):
        FileChoice(include="*.md")
    with pytest.raises(InputError, match="max_bytes is 0: expected at least 1 byte"):
        FileChoice(max_bytes=0)


def test_a_pattern_that_begins_with_a_number_sign_is_no_comment(tmp_path):
    grow(tmp_path, "#a#", "b")
    assert found(tmp_path, exclude=["#*#"]) == ["b"]


# --- secrets -----------------------------------------------------------------------------------------


def test_files_that_hold_secrets_are_screened_by_their_names_links_to_them_too(tmp_path):
    grow(tmp_path, "a.md", "id_rsa", "sub/.env")
    (tmp_path / "innocent.md").symlink_to("sub/.env")
    assert found(tmp_path) == ["a.md"]
    told = problems(tmp_path)
    assert told.keys() == {"id_rsa", "innocent.md"}
    assert all(reason.startswith("screened: ") and "--keep-secrets" in reason for reason in told.values())
    assert problems(tmp_path, include=[".env"]).keys() == {"sub/.env"}
    assert found(tmp_path, keep_secrets=True) == ["a.md", "id_rsa", "innocent.md"]
    assert isinstance(next(walk(tmp_path / "id_rsa")), Skipped)


def test_a_link_is_opened_where_it_led_when_it_was_looked_at(tmp_path):
    grow(tmp_path, ".hidden/only.md")
    (tmp_path / "link.md").symlink_to(".hidden/only.md")
    (item,) = [item for item in walk(tmp_path) if isinstance(item, FoundFile)]
    assert (item.path, item.target) == (str(tmp_path / "link.md"), str(tmp_path / ".hidden/only.md"))
    (item,) = walk(tmp_path / "link.md")
    assert item.target == str(tmp_path / ".hidden/only.md")


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
    assert [type(item) for item in items] == [FoundFile, Unreadable, FoundFile]
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
