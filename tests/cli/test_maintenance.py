"""``verify``, ``rollback``, ``backup`` and ``restore``; ``index`` without paths, and ``--refresh``."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch.cli import cli
from minisearch.errors import IndexBusy
from minisearch.maintenance import backup
from minisearch.minilm.encoders import Encoders
from minisearch.stores.local import LocalStore
from minisearch.stores.local.files import writer_lock
from tests.fakes import HashingEncoder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index over three files, in the current folder."""
    encoder = HashingEncoder("all-MiniLM-L6-v2")
    monkeypatch.setattr(Encoders, "to_index", lambda *_: encoder)
    monkeypatch.setattr(Encoders, "to_query", lambda *_: encoder)
    monkeypatch.setattr(Encoders, "to_add", lambda *_: encoder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name, text in (("a", "The river is wide."), ("b", "Bread and salt."), ("c", "A paper window.")):
        (tmp_path / "docs" / f"{name}.md").write_text(text)
    assert run("index", "docs").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_an_intact_index_passes_all_checks(place: Path) -> None:
    done = run("verify")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "All checks passed")
    found = json.loads(run("verify", "--json", "-n", "2").output)
    assert (found["problems"], found["n_read"], found["n_documents"], found["recall"]) == ([], 2, 3, 1.0)


def test_a_file_changed_since_is_counted_and_not_a_problem(place: Path) -> None:
    (place / "docs" / "a.md").write_text("The river is narrow.")
    done = run("verify")
    assert done.exit_code == 0 and "1 not compared, changed or deleted since" in done.output


def test_an_index_none_of_whose_files_can_be_compared_says_so_last(place: Path) -> None:
    for path in (place / "docs").iterdir():
        path.write_text("Another text.")
    done = run("verify")
    last = "All other checks passed, but no file could be compared with the index: see above"
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, last)


def test_a_vector_of_another_text_is_found(place: Path) -> None:
    wrong = HashingEncoder().encode(["quite another text"]).tobytes()
    with LocalStore(place / ".minisearch" / "minisearch.db", writable=True) as store:
        connection = store._connection
        with connection.transaction():
            connection.write("update vectors set vector = ?, crc32 = ?", [wrong, zlib.crc32(wrong)])
    assert run("rebuild").exit_code == 0
    done = run("verify")
    assert done.exit_code == 1
    assert "3 of 3 vectors are not those of their texts" in done.output
    assert done.output.splitlines()[-1] == "Problems found: see above"


def test_a_missing_vector_index_is_found(place: Path) -> None:
    for path in (place / ".minisearch").glob("vectors-*"):
        path.unlink()
    done = run("verify")
    assert done.exit_code == 1 and "minisearch rebuild" in done.output
    run("rebuild")
    assert run("verify").exit_code == 0


def test_rollback_and_rollback_again(place: Path) -> None:
    (place / "docs" / "a.md").write_text("The lake is deep.")
    (place / "docs" / "b.md").unlink()
    (place / "docs" / "d.md").write_text("A garden.")
    assert "1 document added, 1 updated, 1 unchanged, 1 removed" in run("index").output
    done = run("rollback")
    assert done.exit_code == 0 and done.output == (
        "Undone: 1 document removed, 1 document restored, 1 document back to the earlier version. "
        "Run 'minisearch rollback' again to redo; the next 'minisearch index' brings the index up to date "
        "with the files\n"
    )
    for _ in range(2):
        named = run("rollback", "--index", ".minisearch").output
        assert "'minisearch rollback --index .minisearch' again to redo" in named
    assert "The river is wide." in run("query", "river", "-k", "1").output
    assert json.loads(run("status", "--json").output)["last_run"]["outcome"] == "rolled back"
    assert run("rollback").exit_code == 0
    assert "The lake is deep." in run("query", "lake", "-k", "1").output
    assert run("verify").exit_code == 0


def test_there_is_nothing_to_go_back_to_in_a_restored_index(place: Path) -> None:
    run("rollback")
    run("rollback")
    assert json.loads(run("status", "--json").output)["n_documents"] == 3


def test_a_backup_becomes_an_index_again(place: Path) -> None:
    done = run("backup", "copy.db")
    assert done.exit_code == 0 and "3 documents" in done.output
    assert (place / "copy.db").stat().st_mode & 0o777 == 0o600
    again = run("backup", "copy.db")
    assert again.exit_code == 1 and "copy.db" in again.output
    restored = run("restore", "copy.db", "--index", "elsewhere")
    assert restored.exit_code == 0 and "Restored 3 documents into elsewhere" in restored.output
    assert "Bread and salt." in run("query", "bread", "-k", "1", "--index", "elsewhere").output
    assert "do not exist" not in restored.output, "it lies beside the same files"
    (place / "far").mkdir()
    far = run("restore", "copy.db", "--index", "far/idx")
    assert far.exit_code == 0 and "3 of their files do not exist below " in far.output
    refused = run("restore", "copy.db")
    assert refused.exit_code == 1 and "there is an index in .minisearch already" in refused.output


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_not_a_backup_is_refused_and_leaves_nothing(place: Path, content: bytes) -> None:
    (place / "other.db").write_bytes(content)
    done = run("restore", "other.db", "--index", "new")
    assert done.exit_code == 1 and done.output.startswith("Error: other.db is no backup of an index")
    assert "delete" not in done.output, "it is the user's own"
    assert not (place / "new").exists()
    assert (place / "other.db").read_bytes() == content


def test_a_restore_that_fails_at_its_end_leaves_a_folder_as_it_was(place: Path) -> None:
    """The database is whole, but what it says of itself is not."""
    run("backup", "copy.db")
    with LocalStore(place / "copy.db", writable=True) as store:
        store.set_meta(manifest="{}")
    (place / "empty").mkdir()
    for folder in ("new", "empty"):
        done = run("restore", "copy.db", "--index", folder)
        assert done.exit_code == 1 and "is damaged" in done.output
    assert not (place / "new").exists()
    assert {path.name for path in (place / "empty").iterdir()} <= {".gitignore", "writer.lock"}
    (place / "copy.db").unlink()
    run("backup", "copy.db")
    assert run("restore", "copy.db", "--index", "empty").exit_code == 0


def test_a_restore_into_a_folder_with_files_of_the_user_is_refused_and_deletes_none(place: Path) -> None:
    (place / "other.db").write_text("no database")
    (place / "mine").mkdir()
    for name in ("vectors-2024.csv", "minisearch.db-notes.txt"):
        (place / "mine" / name).write_text("mine")
        done = run("restore", "other.db", "--index", "mine")
        assert done.exit_code == 1 and f"mine holds other files ({name})" in done.output
        assert (place / "mine" / name).read_text() == "mine"
        (place / "mine" / name).unlink()


def test_a_failed_restore_deletes_only_what_it_made(place: Path) -> None:
    (place / "other.db").write_text("no database")
    names = {"vectors-1-0123456789ab.usearch", "minisearch.db.unfinished-x1_y2z3q"}
    (place / "former" / min(names)).mkdir(parents=True)
    (place / "former" / max(names)).touch()
    assert run("restore", "other.db", "--index", "former").exit_code == 1
    assert {path.name for path in (place / "former").iterdir()} == {*names, ".gitignore", "writer.lock"}


def test_a_restore_beside_another_leaves_it_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("backup", "copy.db")

    def other_is_sooner(path: Path) -> None:
        (path / "theirs").touch()
        raise IndexBusy("another process is writing")

    monkeypatch.setattr(backup, "writer_lock", other_is_sooner)
    assert run("restore", "copy.db", "--index", "new").exit_code == 75
    assert (place / "new" / "theirs").exists()


def test_an_index_that_is_made_where_a_restore_has_failed_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has waited for the lock goes on as soon as it is free."""
    (place / "other.db").write_text("no database")

    @contextmanager
    def another_waits(path: Path) -> Iterator[None]:
        try:
            with writer_lock(path):
                yield
        finally:
            path.mkdir(exist_ok=True)
            (path / "minisearch.db").write_text("theirs")

    monkeypatch.setattr(backup, "writer_lock", another_waits)
    assert run("restore", "other.db", "--index", "new").exit_code == 1
    assert (place / "new" / "minisearch.db").read_text() == "theirs"


def test_a_restore_that_has_waited_for_another_index_leaves_it_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", "copy.db")

    @contextmanager
    def other_was_sooner(path: Path) -> Iterator[None]:
        with writer_lock(path):
            (path / "minisearch.db").write_text("theirs")
            yield

    monkeypatch.setattr(backup, "writer_lock", other_was_sooner)
    assert run("restore", "copy.db", "--index", "new").exit_code == 1
    assert (place / "new" / "minisearch.db").read_text() == "theirs"
    assert {path.name for path in (place / "new").iterdir()} == {"minisearch.db", "writer.lock", ".gitignore"}


def test_a_missing_backup_is_refused(place: Path) -> None:
    done = run("restore", "nowhere.db", "--index", "new")
    assert done.exit_code == 1 and "nowhere.db" in done.output
    assert not (place / "nowhere.db").exists()


def test_index_without_paths_follows_what_it_was_made_of(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "docs" / "e.md").write_text("A cloud.")
    (place / "deep").mkdir()
    monkeypatch.chdir(place / "deep")
    assert "1 document added, 0 updated, 3 unchanged" in run("index").output


def test_index_without_paths_or_an_index_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("index", "--index", "nowhere")
    assert done.exit_code == 1 and "minisearch index FOLDER" in done.output
    assert not (tmp_path / "nowhere").exists()


def test_a_query_looks_for_changes_first_if_asked(place: Path) -> None:
    (place / "docs" / "f.md").write_text("Zanzibar has cloves.")
    assert "Zanzibar" not in run("query", "zanzibar", "-k", "1", "--mode", "lexical").output
    done = run("query", "zanzibar", "-k", "1", "--mode", "lexical", "--refresh")
    assert "Zanzibar has cloves." in done.stdout
    assert "1 document added" in done.stderr


def test_a_refresh_reports_the_files_it_skips(place: Path) -> None:
    (place / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    done = run("query", "bread", "-k", "1", "--mode", "lexical", "--refresh")
    assert "skipped" in done.stderr and "broken.pdf" in done.stderr
    done = run("query", "bread", "-k", "1", "--mode", "lexical", "--refresh")
    assert done.stderr == ""
    assert "1 skipped as before" in run("index").output


def too_few_files(place: Path) -> Iterator[str]:
    for name in "ab":
        (place / "docs" / f"{name}.md").unlink()
    yield "this run would remove 2 of the index's 3 documents"


def no_files(place: Path) -> Iterator[str]:
    (place / "docs").rename(place / "away")
    yield "docs"


def another_writes(place: Path) -> Iterator[str]:
    with writer_lock(place / ".minisearch"):
        yield "index busy"


def roots_that_nobody_has_named(place: Path) -> Iterator[str]:
    with LocalStore(place / ".minisearch" / "minisearch.db", writable=True) as store:
        manifest = json.loads(store.meta()["manifest"])
        store.set_meta(manifest=json.dumps(manifest | {"roots": ["docs", "/nowhere"]}))
    yield "you have not named"


@pytest.mark.parametrize(
    "made",
    [too_few_files, no_files, another_writes, roots_that_nobody_has_named],
    ids=lambda made: made.__name__,
)
def test_a_query_is_answered_when_its_refresh_fails(
    place: Path, made: Callable[[Path], Iterator[str]]
) -> None:
    with contextmanager(made)(place) as reason:
        done = run("query", "bread", "-k", "1", "--mode", "lexical", "--refresh")
    assert (done.exit_code, "Bread and salt." in done.stdout) == (2, True)
    assert done.stderr.startswith("Not refreshed: ") and reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_links_and_files_with_secrets_that_are_kept_can_be_compared_too(place: Path) -> None:
    (place / "docs" / "link.md").symlink_to(place / "outside.md")
    (place / "outside.md").write_text("Not taken.")
    (place / "docs" / "key.md").write_text("key = AKIAIOSFODNN7EXAMPLE and some words")
    (place / "docs" / "sub").mkdir()
    (place / "docs" / "z-link.md").symlink_to(place / "docs" / "sub" / ".target.md")
    (place / "docs" / "sub" / ".target.md").write_text("A hidden text with a name.")
    assert run("index", "docs", "--keep-secrets").exit_code == 0
    done = run("verify")
    assert "5 documents read and split again" in done.output and "not compared" not in done.output, (
        done.output
    )
