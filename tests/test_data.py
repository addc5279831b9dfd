"""The small collection under data/ is whole, in step with its documents, and as hard as its README says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
DOCS = DATA / "docs"
MAKE_CORPUS = ROOT / "scripts" / "make_corpus.py"

# Words that carry no subject; sharing them with a document helps no one to find it.
STOP_WORDS = set(
    """
    a about after an and any are as at be before by can do does every for from get go how i if in into
    is it its keep may me might much my no not of off on one or out s should so still t than that the
    their then there they this to up was what when where which who whom why will with won would you your
    """.split()  # noqa: SIM905 - a list to be read
)


def _records(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def _judgements() -> list[tuple[str, str, int]]:
    header, *lines = (DATA / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    rows = [line.split("\t") for line in lines]
    return [(query, document, int(score)) for query, document, score in rows]


def _stems(text: str) -> set[str]:
    """Content words cut crudely, so that "backup" and "backups" count as one."""
    words = set(re.findall(r"[^\W_]+", text.lower().replace("’", "'"))) - STOP_WORDS
    return {re.sub(r"(ing|ed|es|s|e)$", "", word) if len(word) > 4 else word for word in words}


def test_there_are_enough_documents_and_queries_to_rank() -> None:
    assert len(_records("corpus.jsonl")) >= 30
    assert len(_records("queries.jsonl")) >= 40


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_ids_are_unique(name: str) -> None:
    ids = Counter(record["_id"] for record in _records(name))
    assert [id_ for id_, n in ids.items() if n > 1] == []


def test_every_document_has_a_title_and_says_something() -> None:
    for document in _records("corpus.jsonl"):
        assert document["title"].strip(), document["_id"]
        assert len(document["text"]) > 900, document["_id"]


def test_no_two_documents_are_the_same() -> None:
    texts = [document["text"] for document in _records("corpus.jsonl")]
    assert len(set(texts)) == len(texts)


def test_judgements_name_only_known_queries_and_documents() -> None:
    queries = {query["_id"] for query in _records("queries.jsonl")}
    documents = {document["_id"] for document in _records("corpus.jsonl")}
    for query, document, score in _judgements():
        assert query in queries
        assert document in documents
        assert score in (1, 2)


def test_no_pair_is_judged_twice() -> None:
    pairs = [(query, document) for query, document, _ in _judgements()]
    assert len(set(pairs)) == len(pairs)


def test_every_query_has_a_document_that_answers_it() -> None:
    answered = {query for query, _, score in _judgements() if score == 2}
    assert {query["_id"] for query in _records("queries.jsonl")} == answered


def test_every_document_answers_some_query() -> None:
    answering = {document for _, document, score in _judgements() if score == 2}
    assert {document["_id"] for document in _records("corpus.jsonl")} == answering


def test_at_least_fifteen_queries_share_no_content_word_with_their_answers() -> None:
    corpus = {d["_id"]: _stems(d["title"] + " " + d["text"]) for d in _records("corpus.jsonl")}
    english = [query for query in _records("queries.jsonl") if query["text"].isascii()]
    common = {
        query["_id"]: set().union(
            *(
                _stems(query["text"]) & corpus[d]
                for q, d, score in _judgements()
                if q == query["_id"] and score == 2
            )
        )
        for query in english
    }
    assert sum(not words for words in common.values()) >= 15, common


def test_the_corpus_is_what_the_script_makes_of_the_documents() -> None:
    check = subprocess.run(
        [sys.executable, MAKE_CORPUS, "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_corpus_has_one_line_a_file_sorted_by_path() -> None:
    paths = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*") if path.is_file())
    assert [document["_id"] for document in _records("corpus.jsonl")] == paths


def test_saved_pages_lose_their_markup_and_keep_their_words() -> None:
    corpus = {document["_id"]: document for document in _records("corpus.jsonl")}
    page = corpus["law/tenancy-deposits.html"]
    assert page["title"] == "Getting your tenancy deposit back (England)"
    assert "six if the yearly rent is £50,000 or more" in page["text"]  # an entity, and a line end within
    assert "a burn in the worktop" in page["text"]
    for unseen in ("cookieBanner", "<p>", "&pound;", "background", "Advice"):
        assert unseen not in page["text"]


def test_the_readme_counts_the_formats_as_they_are() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    claimed = {suffix: int(n) for n, suffix in re.findall(r"(\d+) `(\.\w+)`", readme)}
    assert claimed == Counter(path.suffix for path in DOCS.rglob("*") if path.is_file())
    assert f"{len(_records('corpus.jsonl'))} documents" in readme
    assert f"{len(_records('queries.jsonl'))} queries" in readme
    assert f"{len(_judgements())} judgements" in readme


# --- judged answers ---------------------------------------------------------------------------------------


def _answered() -> list[dict[str, Any]]:
    lines = (DATA / "evidence" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_answer_stands_in_its_passage_and_every_query_has_one() -> None:
    for one in _answered():
        assert one["questions"], one["source"]
        for asked in one["questions"]:
            assert asked["query"].strip() and asked["answers"], asked
            assert all(answer.strip() and answer in one["passage"] for answer in asked["answers"]), asked


def test_no_document_is_both_fitted_on_and_held_out() -> None:
    splits: dict[str, set[str]] = {}
    n_of = Counter[str]()
    for one in _answered():
        splits.setdefault(one["source"], set()).add(one["split"])
        n_of[one["split"]] += len(one["questions"])
    assert all(len(split) == 1 for split in splits.values())
    assert n_of == {"fit": 336, "held out": 150, "fresh": 130}


def test_the_readme_names_the_licence_of_every_source() -> None:
    readme = (DATA / "evidence" / "README.md").read_text(encoding="utf-8")
    sources = {one["source"] for one in _answered()}
    for source in sources:
        assert f"`{source.partition('/')[0]}/`" in readme or f"`{source}`" in readme, source
    n_queries = sum(len(one["questions"]) for one in _answered())
    counts = f"{n_queries} queries over {len(_answered())} passages of {len(sources)} documents"
    assert counts in " ".join(readme.split())
