"""The main job: index files, ask, and stay true to the files as they change."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import unicodedata
from pathlib import Path

import pytest

from minisearch import MiniSearch, filters
from minisearch.errors import (
    FingerprintMismatch,
    IndexBusy,
    IndexCorrupt,
    IndexNotFound,
    IndexNotWritable,
    IngestError,
    InputError,
)
from minisearch.manifest import FileChoice, Settings
from minisearch.stores.local.files import writer_lock
from tests.backends import INSTALLED
from tests.fakes import HashingEncoder

TEXTS = {
    "bread.md": "# Sourdough\n\nFlour, water and salt; the starter rises overnight.\n",
    "sleep/insomnia.md": "# Insomnia\n\nGet up when awake.\n\n## Coffee\n\nNo coffee after noon.\n",
    "code/retry.py": "def retry(task):\n    '''Run a failed task again.'''\n",
    "stars.rst": "Stars\n=====\n\nA star fuses hydrogen into helium.\n",
    "page.html": "<html><title>Tides</title><body><p>The moon pulls the sea.</p></body></html>\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with documents in docs/."""
    for name, text in TEXTS.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    age(tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def age(folder: Path) -> None:
    """Let files look as if they had not been touched for a while, as most have not."""
    for path in folder.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)


@pytest.fixture
def ms(folder: Path, encoder: HashingEncoder) -> MiniSearch:
    with MiniSearch.open(".", encoder=encoder) as ms:
        yield ms


def paths_of(ms: MiniSearch) -> set[str]:
    return {result.path for result in ms.query("anything", k=1_000)}


def test_a_file_is_found_by_its_name_and_by_a_word_or_date_in_it(folder: Path, ms: MiniSearch) -> None:
    names = ["acme-invoice-april.txt", "HTTPServerNotes.md", "diary/2025-03-04.md", "diary/2025-03-05.md"]
    for name in names:
        path = folder / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"met with the plumber, paid {len(name)} bills")
    (folder / "docs" / "other.md").write_text("acme, acme and acme sent an invoice; the server notes 2025.")
    ms.index("docs")
    for query, n in (("acme", 0), ("Acme-Invoice-April.txt", 0), ("server notes", 1), ("HTTPServerNotes", 1)):
        assert ms.query(query)[0].path == f"docs/{names[n]}", query
    for query, n in (("2025-03-04", 2), ("2025-03-05.md", 3), ("diary/2025-03-05.md", 3)):
        assert ms.query(query)[0].path == f"docs/{names[n]}", query
    assert [r.title for r in ms.query("acme invoice april", k=1)] == ["acme invoice april"]
    assert {r.path for r in ms.query("diary", mode="lexical", by="chunk")} == {
        f"docs/{name}" for name in names[2:]
    }


def test_a_document_is_named_in_any_normal_form(folder: Path, ms: MiniSearch) -> None:
    name = unicodedata.normalize("NFD", "März.md")
    (folder / "docs" / name).write_text("Flour for the cellar.")
    ms.index("docs")
    for form in ("NFC", "NFD"):
        typed = unicodedata.normalize(form, "docs/März.md")
        assert [result.path for result in ms.query("cellar", where=filters.Path(typed))] == [f"docs/{name}"]
        assert ms.similar(typed, k=1)[0].path != f"docs/{name}"


# --- index and query -------------------------------------------------------------------------------


def test_the_document_that_shares_the_querys_words_comes_first(ms: MiniSearch) -> None:
    assert ms.index("docs").added == len(TEXTS)
    best = ms.query("run a failed task again", k=2)[0]
    assert best.rank == 1
    assert best.path == "docs/code/retry.py"
    assert (best.line, best.end_line) == (1, 2)
    assert best.text == TEXTS["code/retry.py"].strip()
    assert ms.query("no coffee after noon")[0].heading == "Insomnia > Coffee"


def test_scores_are_cosines_best_first_and_k_bounds_their_number(
    ms: MiniSearch, encoder: HashingEncoder
) -> None:
    ms.index("docs")
    results = ms.query("hydrogen helium star", k=4, mode="dense", by="chunk")
    vectors = encoder.encode([f"{result.title} {result.text}".strip() for result in results])
    cosines = vectors @ encoder.encode(["hydrogen helium star"])[0]
    assert [result.score for result in results] == pytest.approx(cosines.tolist(), abs=1e-6)
    assert [result.rank for result in results] == [1, 2, 3, 4]
    assert [result.score for result in results] == sorted((r.score for r in results), reverse=True)


def test_the_index_folder_may_be_given_as_a_text(ms: MiniSearch, encoder: HashingEncoder) -> None:
    ms.index("docs")
    with MiniSearch(".minisearch", encoder=encoder) as again:
        assert again.query("run a failed task again") == ms.query("run a failed task again")


def test_a_k_beyond_the_index_gives_every_chunk(ms: MiniSearch) -> None:
    ms.index("docs")
    assert len(ms.query("anything", k=10**9, by="chunk")) == ms.status().n_chunks


def test_a_result_can_be_opened_from_where_the_index_was_opened(
    folder: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.index("docs")
    (folder / "docs" / "deep").mkdir()
    monkeypatch.chdir(folder / "docs" / "deep")
    with MiniSearch.open("../..", encoder=HashingEncoder()) as other:
        result = other.query("moon sea")[0]
    assert result.path == "../page.html"
    assert "The moon pulls the sea." in Path(result.path).read_text().splitlines()[result.line - 1]


def test_documents_outside_the_project_are_known_by_their_absolute_path(
    ms: MiniSearch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.txt"
    elsewhere.write_text("a distant lighthouse")
    ms.index(elsewhere)
    assert ms.query("lighthouse")[0].path == str(elsewhere)


def test_a_project_moved_with_its_index_needs_no_new_vectors(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    ms.close()
    moved = folder.with_name("moved")
    folder.rename(moved)
    encoder = HashingEncoder()
    with MiniSearch.open(moved, encoder=encoder) as ms:
        assert ms.index(moved / "docs").unchanged == len(TEXTS)
        assert encoder.n_encoded == 0
        assert Path(ms.query("moon sea")[0].path) == moved / "docs" / "page.html"


def test_results_are_the_same_with_every_backend(ms: MiniSearch, encoder: HashingEncoder) -> None:
    ms.index("docs", backend="flat")
    expected = ms.query("coffee and sleep", k=5)
    n_encoded = encoder.n_encoded
    for backend in INSTALLED:
        ms.rebuild(backend)
        assert ms.status().backend == backend
        assert ms.query("coffee and sleep", k=5) == expected
    assert encoder.n_encoded == n_encoded + len(INSTALLED), "only the queries were embedded"


@pytest.mark.annoy
def test_index_can_change_the_backend_without_embedding(ms: MiniSearch, encoder: HashingEncoder) -> None:
    ms.index("docs", backend="flat")
    before = encoder.n_encoded
    ms.index("docs", backend="annoy")
    assert ms.status().backend == "annoy"
    assert encoder.n_encoded == before
    ms.index("docs")
    assert ms.status().backend == "annoy", "the choice stays"


# --- incremental -----------------------------------------------------------------------------------


def test_an_unchanged_tree_embeds_nothing_and_loads_no_model(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    with MiniSearch.open(".") as later:  # its model would be "hashing", which no catalog knows
        report = later.index("docs")
    assert (report.unchanged, report.added, report.updated, report.removed) == (len(TEXTS), 0, 0, 0)
    assert report.n_encoded == 0


def test_a_run_over_files_without_text_loads_no_model(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / "empty.md").touch()
    ms.index("docs")
    with MiniSearch.open(".") as later:
        assert [skip.reason for skip in later.index("docs").skipped] == ["no text in it"]


def test_one_edited_file_embeds_its_changed_chunks_only(
    folder: Path, ms: MiniSearch, encoder: HashingEncoder
) -> None:
    ms.index("docs")
    before = encoder.n_encoded
    path = folder / "docs" / "sleep" / "insomnia.md"
    path.write_text(TEXTS["sleep/insomnia.md"].replace("No coffee after noon.", "No tea after noon either."))
    report = ms.index("docs")
    assert (report.updated, report.unchanged) == (1, len(TEXTS) - 1)
    assert encoder.n_encoded - before == report.n_encoded == 1
    assert "tea" in ms.query("tea either")[0].text
    assert not any("coffee" in result.text for result in ms.query("coffee", k=100))


def test_an_edit_that_keeps_size_and_time_is_seen(folder: Path, ms: MiniSearch) -> None:
    path = folder / "docs" / "bread.md"
    ms.index("docs")
    status = path.stat()
    path.write_text(TEXTS["bread.md"].replace("starter", "poolish"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert ms.index("docs").updated == 1
    assert "poolish" in ms.query("poolish")[0].text


def test_a_touched_file_is_read_but_not_embedded(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / "bread.md").touch()
    report = ms.index("docs")
    assert (report.unchanged, report.updated, report.n_encoded) == (len(TEXTS), 0, 0)


def test_a_deleted_file_disappears_from_answers(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / "bread.md").unlink()
    assert ms.index("docs").removed == 1
    assert "docs/bread.md" not in paths_of(ms)
    assert ms.status().n_documents == len(TEXTS) - 1


def test_a_result_says_whether_its_file_is_as_it_was_indexed(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    ms.add([{"id": "docs/bread.md", "text": "Sourdough from memory."}])
    (folder / "docs/stars.rst").unlink()
    (folder / "docs/bread.md").write_text(TEXTS["bread.md"].upper())  # as long as before
    os.utime(folder / "docs/page.html")
    shutil.rmtree(folder / "docs/code")
    (folder / "docs/code").touch()
    states = {(hit.title, hit.file_state) for hit in ms.query("sourdough star moon task coffee")}
    assert states == {
        ("", None),
        ("Sourdough", "changed"),
        ("Insomnia", "unchanged"),
        ("Stars", "deleted"),
        ("Tides", "changed"),
        ("retry", "deleted"),
    }
    ms.index("docs", prune=True)
    assert {hit.file_state for hit in ms.query("sourdough star moon")} == {None, "unchanged"}


def test_a_renamed_file_keeps_its_vectors(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / "bread.md").rename(folder / "docs" / "loaf.md")
    report = ms.index("docs")
    assert (report.added, report.removed, report.n_encoded) == (1, 1, 0)
    assert ms.query("sourdough starter")[0].path == "docs/loaf.md"


def test_other_folders_documents_stay(folder: Path, ms: MiniSearch) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "todo.txt").write_text("water the tomatoes")
    ms.index("docs")
    assert ms.index("notes").removed == 0
    assert {"docs/bread.md", "notes/todo.txt"} <= paths_of(ms)


def test_a_single_file_can_be_indexed_alone(ms: MiniSearch) -> None:
    ms.index("docs")
    report = ms.index("docs/bread.md")
    assert (report.unchanged, report.removed) == (1, 0)


def test_ignored_files_leave_the_index(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / ".gitignore").write_text("sleep/\n")
    assert ms.index("docs").removed == 1
    assert "docs/sleep/insomnia.md" not in paths_of(ms)


def test_a_file_that_became_binary_leaves_the_index(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / "bread.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    report = ms.index("docs")
    assert report.removed == 1
    assert [(skip.path, "binary" in skip.reason) for skip in report.skipped] == [("docs/bread.md", True)]
    assert "docs/bread.md" not in paths_of(ms)


def test_an_empty_file_is_reported(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / "nothing.md").write_text(" \n")
    report = ms.index("docs")
    assert [(skip.path, skip.reason) for skip in report.skipped] == [("docs/nothing.md", "no text in it")]
    assert ms.status().skipped == report.skipped


def test_problems_that_are_gone_are_forgotten(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / "nothing.md").touch()
    ms.index("docs")
    (folder / "docs" / "nothing.md").write_text("something")
    ms.index("docs")
    assert ms.status().skipped == ()


def test_a_note_about_an_indexed_file_stays_while_the_file_stays(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / "odd.txt").write_bytes("Grüße und \xff".encode("latin-1") + "größer".encode())
    age(folder / "docs")
    first = ms.index("docs")
    assert [(note.path, "UTF-8" in note.text) for note in first.notes] == [("docs/odd.txt", True)]
    assert ms.index("docs").notes == first.notes == ms.status().notes


def test_other_cuts_are_made_again_but_known_texts_keep_their_vectors(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    encoder = HashingEncoder()
    with MiniSearch.open(".", encoder=encoder, settings=Settings(max_tokens=8, overlap_tokens=0)) as finer:
        report = finer.index("docs")
        assert report.updated == len(TEXTS)
        assert 0 < report.n_encoded < report.n_chunks
        assert all(len(encoder.tokenizer.spans([r.text])[0]) <= 8 for r in finer.query("coffee", k=99))


def test_later_runs_use_the_settings_of_the_first(folder: Path) -> None:
    with MiniSearch.open(".", encoder=HashingEncoder(), settings=Settings(max_tokens=8)) as ms:
        ms.index("docs")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        (folder / "docs" / "long.txt").write_text("some more words " * 20)
        report = ms.index("docs")
        assert (report.added, report.updated) == (1, 0)
        assert all(len(result.text.split()) <= 8 for result in ms.query("words", k=99))


def test_notes_outlive_an_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "docs" / "a.txt").write_bytes(b"caf\xe9")  # first in the walk
    monkeypatch.setattr("minisearch.indexing.pipeline.WINDOW_TOKENS", 1)
    with MiniSearch.open(".", encoder=Interrupted()) as ms, pytest.raises(KeyboardInterrupt):
        ms.index("docs")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        assert [note.path for note in ms.status().notes] == ["docs/a.txt"]
        assert [note.path for note in ms.index("docs").notes] == ["docs/a.txt"]


def test_what_was_left_out_is_counted(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / ".hidden").write_text("hidden")
    (folder / "docs" / ".gitignore").write_text("*.rst\n")
    report = ms.index("docs")
    assert (report.n_ignored, report.n_hidden) == (1, 2)


def test_overlapping_roots_report_a_problem_once(folder: Path, ms: MiniSearch) -> None:
    (folder / "docs" / "sleep" / "nothing.txt").touch()
    assert len(ms.index("docs", "docs/sleep").skipped) == 1
    ms.remove("docs/sleep")
    assert ms.status().skipped == ()


def test_remove_takes_documents_out_and_leaves_the_files(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    assert ms.remove("docs/sleep", "docs/bread.md") == 2
    assert paths_of(ms) == {"docs/code/retry.py", "docs/stars.rst", "docs/page.html"}
    assert (folder / "docs" / "bread.md").exists()
    with pytest.raises(InputError, match="nothing in the index is at or below docs/never-was"):
        ms.remove("docs/never-was")


def test_many_changes_merge_into_a_new_base_and_answers_stay_exact(
    folder: Path, ms: MiniSearch, encoder: HashingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minisearch.stores.local.vector_index.MERGE_ABOVE", 3)
    ms.index("docs")
    first_base = {path.name for path in (folder / ".minisearch").glob("vectors*")}
    for number in range(6):
        (folder / "docs" / f"note{number}.txt").write_text(f"note number {number} about walnuts")
        ms.index("docs")
        best = max(
            ms.query("x", k=999),
            key=lambda r: float(encoder.encode([f"{r.title} {r.text}"])[0] @ encoder.encode(["walnuts"])[0]),
        )
        assert ms.query("walnuts", k=1)[0].text == best.text
    bases = {path.name for path in (folder / ".minisearch").glob("vectors*")}
    assert len(bases) == 1
    assert bases != first_base


# --- the index folder ------------------------------------------------------------------------------


def test_opening_creates_nothing(tmp_path: Path, encoder: HashingEncoder) -> None:
    with MiniSearch.open(tmp_path / "nowhere", encoder=encoder) as ms, pytest.raises(IndexNotFound):
        ms.status()
    assert not (tmp_path / "nowhere").exists()


def test_querying_writes_nothing(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    before = {path: path.read_bytes() for path in (folder / ".minisearch").iterdir()}
    ms.query("coffee")
    ms.status()
    ms.close()
    after = {path: path.read_bytes() for path in (folder / ".minisearch").iterdir()}
    new = {path.name for path in after.keys() - before.keys()}
    assert new <= {"minisearch.db-wal", "minisearch.db-shm"}, "SQLite's own, for readers"
    assert all(after[path] == content for path, content in before.items())


def test_the_index_folder_is_private_and_stays_out_of_repositories_and_of_itself(
    folder: Path, encoder: HashingEncoder
) -> None:
    with MiniSearch.open(".", index="docs/idx", encoder=encoder) as ms:
        ms.index("docs")
        ms.index("docs")
        assert stat.S_IMODE((folder / "docs" / "idx").stat().st_mode) == 0o700
        assert (folder / "docs" / "idx" / ".gitignore").read_text() == "*\n"
        assert not any("idx" in path for path in paths_of(ms))
        assert ms.status().skipped == ()


def test_a_missing_index_file_is_made_again_and_meanwhile_answers_are_right(
    folder: Path, ms: MiniSearch, caplog: pytest.LogCaptureFixture
) -> None:
    ms.index("docs")
    expected = ms.query("coffee", k=3)
    ms.close()
    (base,) = (folder / ".minisearch").glob("vectors*")
    base.write_bytes(base.read_bytes()[:-64])
    with MiniSearch.open(".", encoder=HashingEncoder()) as later:
        assert later.query("coffee", k=3) == expected
        assert "answering exactly from the stored vectors" in caplog.text
        later.index("docs")
        assert later.status().is_index_ready
        caplog.clear()
        assert later.query("coffee", k=3) == expected
        assert not caplog.messages


def test_an_open_index_sees_what_another_process_added(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    assert ms.query("walnuts", k=1)[0].path != "docs/nuts.md"
    (folder / "docs" / "nuts.md").write_text("walnuts")
    with MiniSearch.open(".", encoder=HashingEncoder()) as other:
        other.index("docs")
    assert ms.query("walnuts", k=1)[0].path == "docs/nuts.md"


def test_one_object_answers_several_threads(ms: MiniSearch) -> None:
    ms.index("docs")
    expected = ms.query("coffee", k=3)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(ms.query("coffee", k=3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8


def test_status_shows_what_the_index_holds(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    status = ms.status()
    assert (status.n_documents, status.n_chunks) == (5, 6)
    assert (status.model, status.backend, status.is_index_ready) == ("hashing", "faiss", True)
    assert status.n_bytes == sum(path.stat().st_size for path in (folder / ".minisearch").iterdir())
    assert status.last_run.outcome == "complete"
    assert status.last_run.counts == {"added": 5, "updated": 0, "unchanged": 0, "removed": 0, "skipped": 0}


def test_an_index_that_was_deleted_and_made_again_gives_no_old_answers(
    folder: Path, ms: MiniSearch, encoder: HashingEncoder
) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "nuts.md").write_text("walnuts")
    ms.index("docs/bread.md")
    assert ms.query("walnuts", k=1)[0].path == "docs/bread.md"
    shutil.rmtree(folder / ".minisearch")
    with MiniSearch.open(".", encoder=HashingEncoder()) as another_process:
        another_process.index("other/nuts.md")
    answer = ms.query("walnuts", k=1, mode="dense")[0]
    nearest = encoder.encode(["nuts walnuts"])[0] @ encoder.encode(["walnuts"])[0]  # with the file's name
    assert (answer.path, answer.score) == ("other/nuts.md", pytest.approx(float(nearest)))


def test_the_current_folder_may_change_while_an_index_is_open(
    folder: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.index("docs")
    monkeypatch.chdir(folder / "docs" / "sleep")
    assert ms.query("no coffee after noon")[0].path == "insomnia.md"
    ms.index(folder / "docs")
    assert ms.status().n_documents == len(TEXTS)
    assert not (folder / "docs" / "sleep" / ".minisearch").exists()


def test_a_linked_index_folder_gives_paths_that_open(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / ".minisearch").symlink_to(folder / "var" / "idx")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        ms.index("docs")
        assert Path(ms.query("coffee")[0].path).exists()


def test_a_folder_above_the_index_is_kept_in_step_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "project").mkdir()
    monkeypatch.chdir(folder / "project")
    (folder / "project" / "here.txt").write_text("here")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        assert ms.index("..").added == len(TEXTS) + 1
        (folder / "docs" / "bread.md").unlink()
        (folder / "project" / "here.txt").unlink()
        assert ms.index("..", prune=True).removed == 2
        assert ms.remove("..") == len(TEXTS) - 1


def test_a_folder_with_other_files_is_not_made_an_index(folder: Path) -> None:
    before = sorted((folder / "docs").rglob("*"))
    with (
        MiniSearch.open(".", index="docs", encoder=HashingEncoder()) as ms,
        pytest.raises(
            IndexNotWritable, match=r"docs holds other files \(bread.md\).*--index docs/.minisearch"
        ),
    ):
        ms.index("docs")
    assert sorted((folder / "docs").rglob("*")) == before


def test_a_query_does_not_wait_for_an_indexing_run(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs/bread.md")
    may_end, has_begun = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        has_begun.set()
        assert may_end.wait(30)

    run = threading.Thread(target=lambda: ms.index("docs", on_progress=wait))
    run.start()
    try:
        assert has_begun.wait(30)
        assert ms.query("sourdough")[0].path == "docs/bread.md"
    finally:
        may_end.set()
        run.join()
    assert ms.status().n_documents == len(TEXTS)


def test_a_linked_file_can_be_removed_by_the_path_a_result_gave(folder: Path, ms: MiniSearch) -> None:
    (folder / "far").mkdir()
    (folder / "far" / "walnut.txt").write_text("walnuts")
    (folder / "walnut.txt").symlink_to(folder / "far" / "walnut.txt")
    ms.index("walnut.txt")
    assert ms.query("walnuts")[0].path == "walnut.txt"
    assert ms.remove("walnut.txt") == 1


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_path_that_is_not_there_changes_nothing(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    before = ms.status()
    with pytest.raises(IngestError, match=r"cannot index nowhere: No such file"):
        ms.index("docs", "nowhere")
    assert ms.status() == before


def test_an_empty_folder_is_an_error_and_keeps_what_was_indexed_from_it(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs").rename(folder / "elsewhere")
    (folder / "docs").mkdir()  # as a disk that is not mounted looks
    with pytest.raises(IngestError, match=r"no files to index in docs .*nothing was changed"):
        ms.index("docs")
    assert ms.status().n_documents == len(TEXTS)


def test_an_empty_folder_makes_no_index(tmp_path: Path, encoder: HashingEncoder) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="no files to index") as error:
        MiniSearch.open(tmp_path, encoder=encoder).index(tmp_path / "empty")
    assert "minisearch remove" not in str(error.value), "nothing was indexed from there"
    assert not (tmp_path / ".minisearch").exists()


def test_an_empty_folder_is_to_be_removed_only_where_something_was_indexed_from_it(
    folder: Path, ms: MiniSearch
) -> None:
    ms.index("docs")
    (folder / "empty").mkdir()
    (folder / "docs").rename(folder / "elsewhere")
    (folder / "docs" / "deep").mkdir(parents=True)
    for do in (ms.index, ms.preview):
        for path, cure in (("docs", True), ("docs/deep", True), ("empty", False)):
            with pytest.raises(IngestError, match=f"no files to index in {path} ") as error:
                do(path)
            assert str(error.value).endswith(f"minisearch remove {path}") == cure


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (FileChoice(exclude=["*"]), "--exclude '*' excludes every file in it; nothing was changed"),
        (
            FileChoice(include=["*.md,*.rst"]),
            "--include '*.md,*.rst' (commas do not separate patterns: repeat the option) excludes every "
            "file in it",
        ),
    ],
)
def test_patterns_that_leave_no_file_are_named_and_nothing_is_to_be_removed(
    folder: Path, ms: MiniSearch, choice: FileChoice, said: str
) -> None:
    ms.index("docs")
    before = ms.status()
    for do in (ms.index, ms.preview):
        with pytest.raises(IngestError) as error:
            do("docs", choice=choice)
        assert str(error.value).startswith(f"no files to index in docs: {said}")
        assert "minisearch remove" not in str(error.value)
    assert ms.status() == before


def test_the_folder_around_an_index_is_not_the_index(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    with pytest.raises(IndexNotFound, match=r"did you mean --index .*\.minisearch\?"):
        MiniSearch(folder).query("x")


@pytest.mark.parametrize("text", ["", "  \n", "\t"])
def test_an_empty_query_is_an_error(ms: MiniSearch, text: str) -> None:
    ms.index("docs")
    with pytest.raises(InputError, match="the query is empty"):
        ms.query(text)


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_an_error(ms: MiniSearch, k: int) -> None:
    ms.index("docs")
    with pytest.raises(InputError, match=f"k is {k}: ask for at least 1"):
        ms.query("coffee", k=k)


def test_a_query_before_any_index_says_how_to_make_one(ms: MiniSearch) -> None:
    with pytest.raises(IndexNotFound, match=r"there is no index in .*minisearch index FOLDER"):
        ms.query("coffee")


def test_an_unknown_backend_is_refused_before_any_work(ms: MiniSearch, encoder: HashingEncoder) -> None:
    with pytest.raises(InputError, match="called 'hnswlib'; choose from faiss, annoy, flat"):
        ms.index("docs", backend="hnswlib")
    assert encoder.n_encoded == 0


def test_nothing_to_index_is_an_error(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match="nothing to index"):
        ms.index()


def test_another_model_is_refused_and_nothing_is_lost(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (folder / "docs" / "new.md").write_text("new")
    with MiniSearch.open(".", encoder=HashingEncoder("other")) as other:
        for call in (lambda: other.query("coffee"), lambda: other.index("docs")):
            with pytest.raises(
                FingerprintMismatch, match=r"made with hashing.*--index NEW_FOLDER --model other"
            ):
                call()
    assert ms.query("coffee after noon")[0].path == "docs/sleep/insomnia.md"


def test_other_weights_under_the_same_name_are_refused(ms: MiniSearch) -> None:
    ms.index("docs")
    with (
        MiniSearch.open(".", encoder=HashingEncoder(dimension=32)) as other,
        pytest.raises(FingerprintMismatch, match="other weights of hashing"),
    ):
        other.query("coffee")


def test_a_damaged_database_is_named(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    ms.close()
    (folder / ".minisearch" / "minisearch.db").write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(IndexCorrupt, match=r"minisearch.db is damaged .*index again"):
        ms.query("coffee")


def test_a_second_writer_is_told_so_at_once(folder: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    with writer_lock(folder / ".minisearch"), pytest.raises(IndexBusy, match="is writing to"):
        ms.index("docs")


def test_an_unreadable_file_is_skipped_and_keeps_its_earlier_text(
    folder: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.index("docs")
    (folder / "docs" / "bread.md").write_text("changed")

    def read(path: str) -> bytes:
        if path.endswith("bread.md"):
            raise IngestError("Input/output error")
        return Path(path).read_bytes()

    monkeypatch.setattr("minisearch.indexing.changes.read_bytes", read)
    report = ms.index("docs")
    assert [(skip.path, skip.reason) for skip in report.skipped] == [
        ("docs/bread.md", "Input/output error; its earlier text is kept")
    ]
    assert ms.query("sourdough starter")[0].path == "docs/bread.md"


class Interrupted(HashingEncoder):
    """An encoder in the middle of which the user presses Ctrl-C."""

    def encode(self, texts):
        if self.n_encoded >= 3:
            raise KeyboardInterrupt
        return super().encode(texts)


def test_an_interrupted_run_keeps_what_was_finished_and_the_next_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minisearch.indexing.pipeline.WINDOW_TOKENS", 1)
    with MiniSearch.open(".", encoder=Interrupted()) as ms, pytest.raises(KeyboardInterrupt):
        ms.index("docs")
    encoder = HashingEncoder()
    with MiniSearch.open(".", encoder=encoder) as ms:
        status = ms.status()
        assert status.last_run.outcome == "interrupted"
        assert status.n_documents == 3
        assert len(ms.query("coffee", k=100)) == 3
        report = ms.index("docs")
        assert (report.added, report.unchanged) == (2, 3)
        assert report.n_encoded == ms.status().n_chunks - 3
        assert ms.status().last_run.outcome == "complete"
