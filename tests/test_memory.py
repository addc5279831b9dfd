"""Documents from memory: added by id, searched as files are, and untouched by every run over files."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch, TextDocument, filters
from minisearch.errors import IndexNotFound, InputError
from minisearch.types import DATA, IngestReport
from tests.fakes import HashingEncoder

FAQ = {
    "id": "faq/reset",
    "text": "Hold the button for ten seconds.",
    "title": "Factory reset",
    "fields": {"Author": "Ada", "tags": ["device", "support"], "year": 2024, "draft": False, "gone": None},
}
PAGE = TextDocument(
    id="https://example.com/bread?page=2",
    text="---\nauthor: Grace\n---\n# Bread\n\nThe starter rises.\n\n## Oven\n\nBake at noon.\n",
    format="markdown",
)
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ms(folder: Path, encoder: HashingEncoder) -> MiniSearch:
    """An index of two documents from memory and no file."""
    with MiniSearch.open(".", encoder=encoder) as ms:
        assert ms.add([FAQ, PAGE]).n_encoded == 3
        yield ms


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed


def ids(ms: MiniSearch, where: filters.Filter | str | None = None) -> set[str]:
    return {one.path for one in ms.query("anything", k=100, where=where)}


# --- add, update, remove ---------------------------------------------------------------------------


def test_a_document_from_memory_is_found_and_cited_by_its_id(ms: MiniSearch) -> None:
    best = ms.query("hold the button for ten seconds", k=1)[0]
    assert (best.path, best.title, best.place) == ("faq/reset", "Factory reset", "faq/reset:1")
    assert ms.get("faq/reset").text == FAQ["text"]
    assert ms.context("hold the button", k=1).citations == ("[1] Factory reset — faq/reset:1",)
    assert {one.path for one in ms.similar("faq/reset")} == {PAGE.id}


def test_markdown_has_headings_and_front_matter_and_plain_text_has_neither(ms: MiniSearch) -> None:
    found = ms.query("bake at noon", k=1)[0]
    assert (found.heading, found.title, found.line) == ("Bread > Oven", "Bread", 8)
    assert ms.get(PAGE.id, 9).heading == "Bread > Oven"
    ms.add([{"id": PAGE.id, "text": PAGE.text}])
    found = ms.query("bake at noon", k=1)[0]
    assert (found.heading, found.title) == ("", "")


def test_an_unchanged_document_is_not_stored_and_an_unchanged_text_not_embedded(
    ms: MiniSearch, encoder: HashingEncoder
) -> None:
    n_encoded = encoder.n_encoded
    generation = ms.status().generation
    assert counts(ms.add([FAQ, PAGE])) == (0, 0, 2, 0)
    assert ms.status().generation == generation
    report = ms.add([FAQ | {"fields": {"author": "Eve"}}])
    assert counts(report) == (0, 1, 0, 0)
    assert encoder.n_encoded == n_encoded
    assert ids(ms, 'author = "eve"') == {"faq/reset"}
    report = ms.add([FAQ | {"text": "Press it twice."}, {"id": "new", "text": "Hold the button."}])
    assert (counts(report), report.n_encoded) == ((1, 1, 0, 0), 2)
    assert ms.status().n_documents == 3


def test_update_is_for_ids_that_exist(ms: MiniSearch) -> None:
    before = ms.status()
    with pytest.raises(InputError, match="no document 'other': add new documents with add"):
        ms.update([FAQ | {"text": "changed"}, {"id": "other", "text": "x"}])
    assert ms.status() == before
    assert counts(ms.update([FAQ | {"text": "changed"}])) == (0, 1, 0, 0)


def test_update_of_no_index_makes_none(folder: Path, encoder: HashingEncoder) -> None:
    with pytest.raises(IndexNotFound):
        MiniSearch.open(".", encoder=encoder).update([FAQ])
    assert not list(folder.iterdir())


def test_remove_takes_an_id_and_only_that_one(ms: MiniSearch) -> None:
    ms.add([{"id": "faq", "text": "above"}, {"id": "faq/reset/more", "text": "below"}])
    assert ms.remove("faq", PAGE.id) == 2
    assert ids(ms) == {"faq/reset", "faq/reset/more"}
    ms.add([{"id": "//faq/reset", "text": "an id that looks like a stored name"}])
    assert ms.remove("//faq/reset", "//faq/reset/more") == 2
    assert ids(ms) == {"faq/reset"}
    with pytest.raises(InputError, match=r"at or below faq$"):
        ms.remove("faq")


def test_a_call_without_documents_does_nothing(folder: Path, encoder: HashingEncoder) -> None:
    assert MiniSearch.open(".", encoder=encoder).add([]) == IngestReport()
    assert not list(folder.iterdir())


# --- filters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (filters.Path("faq/*"), {"faq/reset"}),
        (filters.Path("reset"), {"faq/reset"}),
        (filters.Path("https://example.com/**"), {PAGE.id}),
        (filters.Path("*/reset") | filters.Path("other/*"), {"faq/reset"}),
        (~filters.Path("faq/*"), {PAGE.id}),
        (filters.Path("./faq/*"), set()),  # a place in the current folder
        (filters.Field("author", "=", "ada"), {"faq/reset"}),
        (filters.Field("author", "=", "grace"), {PAGE.id}),
        ('tags = "support" and year >= 2024 and draft = false', {"faq/reset"}),
        (filters.Language("markdown"), {PAGE.id}),
        (filters.Since(datetime.datetime.now() - datetime.timedelta(hours=1)), {"faq/reset", PAGE.id}),
        (filters.Contains("ten seconds"), {"faq/reset"}),
    ],
)
def test_filters_apply_to_documents_from_memory(
    ms: MiniSearch, where: filters.Filter | str, expected: set[str]
) -> None:
    assert ids(ms, where) == expected


def test_the_names_of_fields_are_those_of_all_documents(ms: MiniSearch) -> None:
    assert ms.field_names() == ["author", "draft", "tags", "year"]


# --- beside files ----------------------------------------------------------------------------------


@pytest.fixture
def mixed(ms: MiniSearch, folder: Path) -> MiniSearch:
    """The same index with two files, of which one has the name of a document from memory."""
    (folder / "faq").mkdir()
    (folder / "faq" / "reset").write_text("a file about something else")
    (folder / "faq" / "other.txt").write_text("another file")
    assert counts(ms.index("faq")) == (2, 0, 0, 0)
    return ms


def test_a_file_of_the_same_name_is_another_document(mixed: MiniSearch, folder: Path) -> None:
    assert mixed.status().n_documents == 4
    assert mixed.get("faq/reset").text == FAQ["text"]  # an id comes first
    for path in ("./faq/reset", Path("faq/reset"), folder / "faq" / "reset"):
        assert mixed.get(path).text == "a file about something else"
    assert mixed.remove("faq/reset") == 1
    assert mixed.get("faq/reset").text == "a file about something else"
    assert mixed.remove("faq") == 2  # now the folder
    assert ids(mixed) == {PAGE.id}


def test_runs_over_files_leave_documents_from_memory_alone(mixed: MiniSearch, folder: Path) -> None:
    shutil.rmtree(folder / "faq")
    (folder / "new.txt").write_text("new")
    assert mixed.preview(".", prune=True).removed == ("faq/other.txt", "faq/reset")
    assert counts(mixed.index(folder, prune=True)) == (1, 0, 0, 2)
    assert counts(mixed.refresh()) == (0, 0, 1, 0)
    assert ids(mixed) == {"faq/reset", PAGE.id, "new.txt"}
    assert mixed.get("faq/reset").text == FAQ["text"]


def test_an_index_without_files_can_be_refreshed_and_verified(ms: MiniSearch) -> None:
    assert ms.refresh() == IngestReport()
    found = ms.verify()
    assert (found.problems, found.n_documents, found.n_changed) == ((), 2, 0)


def test_verify_reads_files_only(mixed: MiniSearch) -> None:
    found = mixed.verify()
    assert (found.problems, found.n_read, found.n_changed, found.n_documents) == ((), 2, 0, 4)


def test_status_and_coverage_count_them(mixed: MiniSearch) -> None:
    covered = mixed.coverage()
    n_bytes = len("a file about something else" + "another file" + str(FAQ["text"]) + PAGE.text)
    n_characters = n_bytes - len("---\nauthor: Grace\n---\n")
    assert (covered.n_documents, covered.n_bytes, covered.n_characters) == (4, n_bytes, n_characters)
    assert covered.n_bytes_reached + covered.n_bytes_between == n_bytes


def test_rollback_undoes_what_the_last_call_added_and_changed(ms: MiniSearch) -> None:
    ms.add([FAQ | {"text": "Press it twice."}, {"id": "new", "text": "new"}])
    undone = ms.rollback()
    assert (undone.added, undone.updated, undone.removed) == (0, 1, 1)
    assert ms.get("faq/reset").text == FAQ["text"]
    assert ids(ms) == {"faq/reset", PAGE.id}


def test_a_backup_holds_them_and_no_file_is_missing(
    mixed: MiniSearch, tmp_path: Path, encoder: HashingEncoder
) -> None:
    mixed.backup(tmp_path / "copy.db")
    (tmp_path / "elsewhere").mkdir()
    with MiniSearch.open(tmp_path / "elsewhere", encoder=encoder) as copy:
        assert copy.restore(tmp_path / "copy.db") == 2  # the two files
        assert copy.get("faq/reset").text == FAQ["text"]


def test_other_settings_apply_when_a_document_is_added_again(ms: MiniSearch, encoder: HashingEncoder) -> None:
    from minisearch import Settings

    with MiniSearch.open(".", encoder=encoder, settings=Settings(max_tokens=10)) as other:
        assert counts(other.add([FAQ, PAGE])) == (0, 2, 0, 0)
        assert counts(other.add([FAQ, PAGE])) == (0, 0, 2, 0)


# --- secrets ---------------------------------------------------------------------------------------


def test_secrets_are_blanked_unless_they_are_to_be_kept(ms: MiniSearch, folder: Path) -> None:
    note = {"id": "note", "text": f"The token is {SECRET}.", "title": "Access"}
    ms.add([note], keep_secrets=True)
    assert SECRET in ms.get("note").text
    report = ms.add([note])
    assert (report.updated, report.notes[0].path) == (1, "note")
    assert SECRET not in ms.get("note").text
    ms.close()
    stored = b"".join(path.read_bytes() for path in (folder / ".minisearch").iterdir())
    assert SECRET.encode() not in stored


def test_a_document_of_nothing_but_secrets_is_skipped_until_it_has_more(ms: MiniSearch) -> None:
    report = ms.add([{"id": "key", "text": SECRET}])
    assert (counts(report), [one.path for one in report.skipped]) == ((0, 0, 0, 0), ["key"])
    assert [one.path for one in ms.status().skipped] == ["key"]
    ms.add([{"id": "key", "text": "The key is in the safe."}])
    assert not ms.status().skipped


def test_data_are_kept_as_they_are_and_not_searched(ms: MiniSearch) -> None:
    notes = [
        {"id": f"note-{n}", "text": "Kelp.", "fields": {"n": n}, "data": bytes([n, 255, 0])} for n in (2, 1)
    ]
    ms.add(notes)
    of_two, everything = filters.Field("n", "=", 2.0), filters.And(())
    (hit,) = ms.query("kelp", where=of_two)
    assert ms.searcher.fields([DATA, "N"], of_two) == {hit.doc_id: {DATA: (b"\2\xff\0",), "n": (2.0,)}}
    found = ms.searcher.fields([DATA], everything)
    assert [fields[DATA] for fields in found.values()] == [(b"\2\xff\0",), (b"\1\xff\0",)]
    assert list(found) == sorted(found)
    assert ms.searcher.fields(["other"], everything) == {}
    assert DATA not in ms.field_names()
    assert ms.searcher.fields(["n"], filters.Field(DATA, ">=", "")) == {}
    assert counts(ms.add(notes)) == (0, 0, 2, 0)
    assert counts(ms.add([notes[0] | {"data": b"new"}])) == (0, 1, 0, 0)
    assert ms.searcher.fields([DATA], of_two) == {hit.doc_id: {DATA: (b"new",)}}
    ms.rollback()
    assert ms.searcher.fields([DATA], of_two) == {hit.doc_id: {DATA: (b"\2\xff\0",)}}
    assert not ms.verify().problems


# --- wrong documents -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"id": "x", "text": " \n"}, "document 'x': its text is empty"),
        ({"id": "x", "text": None}, "document 'x': text is None: expected a text"),
        ({"id": "x", "text": "a", "title": 5}, "document 'x': title is 5: expected a text"),
        ({"id": " ", "text": "a"}, "the id of a document is ' ': expected a text that is not empty"),
        ({"id": 5, "text": "a"}, "the id of a document is 5"),
        ({"id": "a\tb", "text": "a"}, r"the id 'a\\tb' has control characters"),
        ({"id": "a\udcff", "text": "a"}, "has control characters"),
        ({"text": "a"}, "document 2 has no id: expected id and text"),
        ({"id": "x"}, "document 2 has no text"),
        ({"id": "x", "text": "a", "metadata": {}}, "document 2 has 'metadata': expected id, text, title"),
        ("text", "document 2 is 'text': expected a TextDocument or a dict"),
        ({"id": "x", "text": "a", "format": "html"}, "format is 'html': expected one of text, markdown"),
        ({"id": "x", "text": "a", "fields": ["b"]}, r"fields is \['b'\]: expected names with values"),
        ({"id": "x", "text": "a", "fields": {"b": {}}}, "document 'x': field 'b' is {}: expected a text, a"),
        ({"id": "x", "text": "a", "fields": {"b": [b""]}}, "field 'b' is b''"),
        ({"id": "x", "text": "a", "data": "b"}, "document 'x': data is 'b': expected bytes"),
        ({"id": "x", "text": "a", "fields": {"b": float("nan")}}, "field 'b' is nan"),
        ({"id": "x", "text": "a", "fields": {"b": 10**400}}, "field 'b' is 1000"),
        ({"id": "x", "text": "a", "fields": {5: 1}}, "field 5: expected a text as the name"),
        ({"id": "x", "text": "a", "fields": {"B": 1, "b": 2}}, "field 'b': the same name as another"),
        ({"id": "first", "text": "a"}, "two documents have the id 'first': give each its own"),
    ],
)
def test_a_wrong_document_is_named_and_nothing_is_written(
    ms: MiniSearch, document: object, message: str
) -> None:
    before = ms.status()
    with pytest.raises(InputError, match=message):
        ms.add([{"id": "first", "text": "right"}, document])
    assert ms.status() == before


@pytest.mark.parametrize("given", [FAQ, PAGE, "text", None, 5])
def test_one_document_alone_is_no_list(ms: MiniSearch, given: object) -> None:
    with pytest.raises(InputError, match="expected a list of documents, got"):
        ms.add(given)


def test_fields_may_be_dates_and_numbers_of_numpy() -> None:
    given = {"Day": datetime.date(2024, 3, 1), "n": np.int64(3), "is new": np.bool_(True), "none": []}
    document = TextDocument(id="x", text="a", fields=given)
    assert document.plain_fields() == {"day": ("2024-03-01",), "n": (3.0,), "is new": (True,)}
