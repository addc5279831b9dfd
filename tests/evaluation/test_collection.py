"""A BEIR folder is read as it is meant, and what is wrong in it is named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minisearch.errors import InputError
from minisearch.evaluation.collection import read_collection
from tests.evaluation.folders import make_collection

CORPUS = [
    {"_id": "d1", "title": "Bread", "text": "Flour, water, salt."},
    {"_id": "d2", "title": "", "text": "Run it again."},
]
QUERIES = [{"_id": "q1", "text": "what is in bread"}, {"_id": "q2", "text": "retry"}]
QRELS = "q1\td1\t2\nq1\td2\t0\nq2\td2\t1\n"


def error_of(folder: Path, split: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_collection(folder, split)
    return str(caught.value)


# --- what is wrong -----------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_says_what_was_expected(tmp_path: Path) -> None:
    assert "expected one with corpus.jsonl, queries.jsonl and qrels/" in error_of(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path, name: str) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, QRELS)
    (folder / name).write_text("\n\n")
    assert f"{folder / name} is empty" in error_of(folder)
    (folder / name).unlink()
    assert f"cannot read {folder / name}: No such file" in error_of(folder)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "expected a JSON object"),
        ("[" * 100_000, "expected a JSON object"),
        ('["d3"]', 'expected a JSON object with "_id" and "text", got ["d3"]'),
        ('{"text": "no id"}', 'expected a text that is not empty as "_id", got null'),
        ('{"_id": "", "text": "x"}', 'expected a text that is not empty as "_id", got ""'),
        ('{"_id": true, "text": "x"}', 'expected a text that is not empty as "_id", got true'),
        ('{"_id": "d3"}', 'expected a text as "text", it has none'),
        ('{"_id": "d3", "text": 7}', 'expected a text as "text", got 7'),
        ('{"_id": "d3", "text": "", "title": ["x"]}', 'expected a text as "title", got ["x"]'),
        ('{"_id": "d1", "text": "again"}', "the \"_id\" 'd1' is taken by line 1"),
    ],
)
def test_a_line_that_is_no_document_is_refused_with_its_place(
    tmp_path: Path, line: str, expected: str
) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, QRELS)
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(f"\n{line}\n")  # after two documents and a blank line
    message = error_of(folder)
    assert message.startswith(f"{folder / 'corpus.jsonl'}, line 4: ")
    assert expected in message


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, QRELS)
    (folder / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "caf\xe9"}')
    assert "queries.jsonl is not UTF-8" in error_of(folder)


@pytest.mark.parametrize(
    ("rows", "line", "expected"),
    [
        ("q1\td1", 2, "expected query-id<tab>corpus-id<tab>score, got 2 columns"),
        ("q1 0 d1 1", 2, "got 1 columns"),
        ("q1\td1\tyes", 2, "expected a whole number as score, got 'yes'"),
        ("q1\td1\t0.5", 2, "expected a whole number as score, got '0.5'"),
        ("q1\td1\t1\nq1\td1\t2", 3, "q1 and d1 are judged 2, but 1 further up"),
    ],
)
def test_a_judgement_that_is_none_is_refused_with_its_place(
    tmp_path: Path, rows: str, line: int, expected: str
) -> None:
    message = error_of(make_collection(tmp_path, CORPUS, QUERIES, rows))
    assert f"test.tsv, line {line}: " in message
    assert expected in message


def test_judgements_that_answer_nothing_are_refused(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, "q1\td1\t0\nunknown\td1\t1\n")
    assert "judges no document above 0" in error_of(folder)


# --- what is read ------------------------------------------------------------------------------------


def test_judgements_are_graded_and_the_order_is_the_files(tmp_path: Path) -> None:
    collection = read_collection(make_collection(tmp_path, CORPUS, QUERIES, QRELS))
    assert (collection.name, collection.split) == (tmp_path.name, "test")
    assert list(collection.corpus) == ["d1", "d2"]
    assert collection.queries == {"q1": "what is in bread", "q2": "retry"}
    assert collection.judgements == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}
    assert collection.n_judgements == 3
    assert collection.notes == ()


def test_a_header_is_no_judgement_and_need_not_be_there(tmp_path: Path) -> None:
    with_header = read_collection(make_collection(tmp_path / "a", CORPUS, QUERIES, QRELS))
    folder = make_collection(tmp_path / "b", CORPUS, QUERIES, QRELS)
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    assert read_collection(folder).judgements == with_header.judgements


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = read_collection(make_collection(tmp_path / "same", CORPUS, QUERIES, QRELS))
    folder = make_collection(tmp_path / "other" / "same", CORPUS, QUERIES, QRELS)
    for path in folder.rglob("*.*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_collection(folder) == plain


def test_queries_that_nothing_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    queries = [*QUERIES, {"_id": "q3", "text": "not judged"}, {"_id": "q4", "text": "judged 0"}]
    collection = read_collection(make_collection(tmp_path, CORPUS, queries, QRELS + "q4\td1\t0\n"))
    assert list(collection.queries) == list(collection.judgements) == ["q1", "q2"]
    assert collection.notes == ("2 queries without a document judged above 0: left out",)


def test_unknown_ids_in_judgements_are_counted_and_unknown_documents_kept(tmp_path: Path) -> None:
    qrels = QRELS + "q1\tgone\t1\nq2\tgone\t1\nnobody\td1\t1\n"
    collection = read_collection(make_collection(tmp_path, CORPUS, QUERIES, qrels))
    assert collection.judgements["q1"] == {"d1": 2, "d2": 0, "gone": 1}
    assert "nobody" not in collection.judgements
    assert collection.notes == (
        "1 judged queries that queries.jsonl does not have: left out",
        "1 judged documents that corpus.jsonl does not have: they count as not found",
    )


def test_other_fields_become_flat_values(tmp_path: Path) -> None:
    document = {
        "_id": "d3",
        "text": "x",
        "title": None,
        "metadata": {"Author": "Ada", "tags": ["a", 2, None, {"deep": 1}], "nothing": None, "empty": []},
        "year": 1843,
        "draft": False,
        "wild": [10**400, float("nan"), float("inf"), -3],
    }
    collection = read_collection(make_collection(tmp_path, [*CORPUS, document], QUERIES, QRELS))
    entry = collection.corpus["d3"]
    assert entry.title == ""
    assert entry.fields == {
        "metadata.author": ("Ada",),
        "metadata.tags": ("a", 2.0),
        "year": (1843.0,),
        "draft": (False,),
        "wild": (-3.0,),
    }
    assert collection.corpus["d1"].fields == {}


def test_ids_that_are_numbers_are_read_as_text(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, [{"_id": 7, "text": "x"}], [{"_id": 1, "text": "y"}], "1\t7\t1\n")
    assert read_collection(folder).judgements == {"1": {"7": 1}}


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, [{"_id": "d1", "text": "a\ud800b"}, CORPUS[1]], QUERIES, QRELS)
    assert "\\ud800" in (folder / "corpus.jsonl").read_text()
    assert read_collection(folder).corpus["d1"].text == "a?b"


# --- splits ------------------------------------------------------------------------------------------


def test_the_split_is_test_or_else_the_only_one_or_the_one_named(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, QRELS)
    qrels = folder / "qrels"
    (qrels / "test.tsv").rename(qrels / "dev.tsv")
    assert read_collection(folder).split == "dev"
    (qrels / "train.tsv").write_text("q1\td1\t1\n")
    assert f"{folder} has no split 'test': choose one of dev, train with --split" in error_of(folder)
    assert read_collection(folder, "train").judgements == {"q1": {"d1": 1}}
    assert "has no split 'tset'" in error_of(folder, "tset")
    (qrels / "test.tsv").write_text("q2\td2\t1\n")
    assert read_collection(folder).split == "test"


def test_without_judgements_the_file_expected_is_named(tmp_path: Path) -> None:
    folder = make_collection(tmp_path, CORPUS, QUERIES, QRELS)
    (folder / "qrels" / "test.tsv").unlink()
    assert f"expected a file such as {folder / 'qrels' / 'test.tsv'}" in error_of(folder)


def test_the_projects_own_collection_is_whole() -> None:
    folder = Path(__file__).parents[2] / "data"
    collection = read_collection(folder)
    assert len(collection.corpus) == len((folder / "corpus.jsonl").read_text().splitlines())
    first = json.loads((folder / "corpus.jsonl").read_text().splitlines()[0])
    assert collection.corpus[first["_id"]].text == first["text"]
    assert collection.notes == ()
