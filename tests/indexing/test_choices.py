"""What was chosen for a folder holds in later runs, until something else is chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import IndexCorrupt, InputError
from minisearch.filters import Field
from minisearch.manifest import DEFAULT_CHOICE, FileChoice
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder

KEY = "AKIAQ3EGRZXB4MPLVW2K"


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.md", "b.md", "c.txt", "drafts/d.md", ".hidden.md"):
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    return tmp_path / "docs"


@pytest.fixture
def ms(docs: Path) -> MiniSearch:
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        yield ms


def paths_of(ms: MiniSearch) -> set[str]:
    return {Path(result.path).name for result in ms.query("text", k=999)}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (FileChoice(), ""),
        (FileChoice(include=["*.md", "a b"]), " --include '*.md' --include 'a b'"),
        (
            FileChoice(exclude=["k"], max_bytes=1, keep_secrets=True),
            " --exclude k --max-bytes 1 --keep-secrets",
        ),
        (FileChoice(max_bytes=50_000_000, keep_secrets=False), " --max-bytes 50000000 --blank-secrets"),
        (FileChoice(max_bytes=1, ocr=True), " --max-bytes 1 --ocr"),
        (DEFAULT_CHOICE, " --forget-choices"),
        (
            FileChoice((), ("k",), 1, keep_secrets=False, ocr=False),
            " --forget-choices --exclude k --max-bytes 1",
        ),
    ],
)
def test_the_options_that_say_the_same_again(choice: FileChoice, said: str) -> None:
    assert choice.options() == said


def test_a_choice_holds_in_later_runs_and_is_told(docs: Path, ms: MiniSearch) -> None:
    first = ms.index("docs", choice=FileChoice(exclude=["drafts/"]))
    assert [(note.path, note.text) for note in first.choices] == [("docs", "--exclude drafts/")]
    assert first.n_excluded == 1
    later = ms.index("docs")
    assert (later.unchanged, later.added, later.choices) == (3, 0, first.choices)
    assert ms.index(".").added == 0, "a walk from above comes to the same choice"
    assert ms.index("docs/drafts/d.md").added == 1, "a file given by its name is meant"


def test_a_later_choice_changes_what_it_says_and_leaves_the_rest(ms: MiniSearch) -> None:
    ms.index("docs", choice=FileChoice(exclude=["drafts/"], max_bytes=1_000))
    assert str(FileChoice(include=["*.md"]).over(FileChoice(max_bytes=9))) == "--include *.md --max-bytes 9"
    report = ms.index("docs", choice=FileChoice(include=["*.md", ".hidden.md"]), prune=True)
    (note,) = report.choices
    assert note.text == "--include *.md --include .hidden.md --exclude drafts/ --max-bytes 1000"
    assert paths_of(ms) == {"a.md", "b.md", ".hidden.md"}
    report = ms.index("docs", choice=DEFAULT_CHOICE, prune=True)
    assert report.choices == ()
    assert paths_of(ms) == {"a.md", "b.md", "c.txt", "d.md"}


def test_a_choice_goes_with_its_folder_when_that_is_removed(ms: MiniSearch) -> None:
    ms.index("docs", choice=FileChoice(exclude=["drafts/"]))
    ms.remove("docs")
    assert ms.index("docs").added == 4


def test_a_choice_moves_with_the_project(docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    ms.index("docs", choice=FileChoice(exclude=["drafts/"]))
    ms.close()
    moved = docs.parent.with_name(f"{docs.parent.name}-moved")
    docs.parent.rename(moved)
    monkeypatch.chdir(moved)
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        assert ms.index("docs").unchanged == 3


def test_a_pattern_that_makes_no_sense_makes_no_index(docs: Path, ms: MiniSearch) -> None:
    with pytest.raises(InputError, match=r"--exclude \[a is no pattern"):
        ms.index("docs", choice=FileChoice(exclude=["[a"]))
    assert not (docs.parent / ".minisearch").exists()


def test_choices_that_are_damaged_are_named(docs: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    with LocalStore(docs.parent / ".minisearch" / "minisearch.db", writable=True) as store:
        manifest = json.loads(store.meta()["manifest"])
        store.set_meta(manifest=json.dumps(manifest | {"choices": {"docs": {"include": "*"}}}))
    with pytest.raises(IndexCorrupt, match="its choices"):
        ms.index("docs")


# --- secrets -----------------------------------------------------------------------------------------


def test_secrets_are_blanked_wherever_they_stand_and_told(docs: Path, ms: MiniSearch) -> None:
    (docs / "a.md").write_text(
        f"---\nkeyword: {KEY}\n---\n# Key {KEY}\n\n## About {KEY}\n\nIt is {KEY} and bread.\n"
    )
    report = ms.index("docs")
    (note,) = [note for note in report.notes if note.path == "docs/a.md"]
    assert note.text == (
        "3 possible secrets hidden: AWS key, line 4; AWS key, line 6; AWS key, line 8 "
        "(--keep-secrets indexes them)"
    )
    ms.close()
    for file in (docs.parent / ".minisearch").iterdir():
        assert KEY.encode() not in file.read_bytes(), file
    results = [result for result in ms.query("bread", k=99) if result.path == "docs/a.md"]
    assert any("It is ████████████████████ and bread." in result.text for result in results)
    assert {result.title for result in results} == {f"Key {'█' * len(KEY)}"}
    assert ms.query("bread", where=Field("keyword", "=", "█" * len(KEY)))


def test_secrets_are_kept_where_that_is_chosen_and_the_files_read_again(docs: Path, ms: MiniSearch) -> None:
    (docs / "a.md").write_text(f"bread and {KEY}")
    (docs / "id_rsa").write_text("bread too")
    assert ms.index("docs").skipped[0].path == "docs/id_rsa"
    kept = ms.index("docs", choice=FileChoice(keep_secrets=True))
    assert (kept.added, kept.updated, kept.skipped, kept.notes) == (1, 4, (), ())
    assert KEY in ms.query("bread")[0].text + ms.query("bread")[1].text
    assert ms.index("docs").unchanged == 5
    assert ms.index("docs", choice=FileChoice(keep_secrets=False)).updated == 4
    assert not any(KEY in result.text for result in ms.query("bread", k=99))


def test_a_key_that_is_screened_now_does_not_come_back_by_a_rollback(docs: Path, ms: MiniSearch) -> None:
    """Neither from a longer text, nor from a file of nothing else, nor from the bytes on the disk."""
    (docs / "a.md").write_text(f"text of a and {KEY}")
    (docs / "b.md").write_text(KEY)
    ms.index("docs", choice=FileChoice(keep_secrets=True), prune=True)
    assert len(ms.query(KEY, mode="lexical")) == 2
    ms.index("docs", choice=FileChoice(keep_secrets=False), prune=True)
    of_index = [file.read_bytes() for file in Path(".minisearch").glob("minisearch.db*")]
    assert not any(KEY.encode() in data or KEY.lower().encode() in data for data in of_index)
    ms.backup("copy.db")
    assert KEY.encode() not in Path("copy.db").read_bytes()
    ms.rollback()
    assert KEY not in "".join(result.text for result in ms.query("text", k=99))


def test_a_key_that_is_kept_on_purpose_comes_back(docs: Path, ms: MiniSearch) -> None:
    (docs / "a.md").write_text(f"text of a and {KEY}")
    ms.index("docs", choice=FileChoice(keep_secrets=True))
    (docs / "a.md").unlink()
    ms.index("docs", prune=True)
    ms.rollback()
    assert KEY in "".join(result.text for result in ms.query("text", k=99))
