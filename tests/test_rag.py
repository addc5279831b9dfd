"""Passages for a prompt: the budget, the order, the citations, and sections of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import InputError
from minisearch.formats import BY_SUFFIX
from minisearch.manifest import Settings
from minisearch.rag import INSTRUCTIONS, Context, build_context
from minisearch.results import (
    Place,
    Query,
    SearchResult,
    SearchResults,
    place_name,
)
from minisearch.search.query import literal_query
from minisearch.stores.base import StoredChunk
from tests.fakes import HashingEncoder


def count(text: str) -> int:
    return len(text.split())


def chunk(id_: int, text: str, *, document: int = 1, line: int = 1, **more: object) -> StoredChunk:
    end_line = line + text.count("\n")
    return StoredChunk(id_, document, f"d{document}.md", line, end_line, "", text, **more)


def context_of(
    chunks: Sequence[StoredChunk],
    ranked: Sequence[int],
    *,
    max_tokens: int = 1_000,
    merged: dict | None = None,
) -> Context:
    """The context of results for these chunk ids, best first; ``merged`` ids by the id of their result."""
    by_id = {one.id: one for one in chunks}

    def place(id_: int) -> Place:
        return Place(by_id[id_].path, by_id[id_].line, by_id[id_].end_line, id_)

    hits = [
        SearchResult(
            rank,
            1 / rank,
            one.path,
            one.line,
            one.end_line,
            one.heading,
            one.text,
            one.document_id,
            one.id,
            one.title,
            one.page,
            merged=tuple(map(place, (merged or {}).get(one.id, ()))),
        )
        for rank, one in enumerate((by_id[id_] for id_ in ranked), start=1)
    ]
    found = SearchResults(tuple(hits), Query("q"), is_confident=True)
    return build_context("why?", found, by_id, count, max_tokens=max_tokens)


# --- order and joining -------------------------------------------------------------------------------


def test_documents_are_in_the_order_of_their_best_passages_and_passages_in_that_of_the_document() -> None:
    chunks = [chunk(1, "early"), chunk(3, "late", line=9), chunk(7, "other", document=2)]
    assert [passage.text for passage in context_of(chunks, [3, 7, 1])] == ["early", "late", "other"]
    assert [passage.text for passage in context_of(chunks, [7, 3, 1])] == ["other", "early", "late"]


def test_neighbours_become_one_passage_and_no_text_comes_twice() -> None:
    chunks = [chunk(1, "one"), chunk(2, "two", line=3), chunk(3, "three", line=4), chunk(9, "nine", line=90)]
    (first, second) = context_of(chunks, [2, 9, 1], merged={2: [1, 3], 9: [2]})
    assert (first.text, first.line, first.end_line) == ("one\n\ntwo\nthree", 1, 4)
    assert (second.text, second.place) == ("nine", "d1.md:90")


def test_a_copy_in_another_document_is_not_added_as_a_neighbour() -> None:
    chunks = [chunk(1, "one"), chunk(2, "one", document=2)]
    assert [passage.path for passage in context_of(chunks, [1], merged={1: [2]})] == ["d1.md"]


def test_neighbours_under_different_headings_stay_apart() -> None:
    chunks = [chunk(1, "one"), StoredChunk(2, 1, "d1.md", 3, 3, "Other", "two")]
    assert len(context_of(chunks, [1, 2])) == 2


def test_what_overlapping_chunks_share_comes_once() -> None:
    shared = "these words are in both of them"
    second = chunk(2, f"{shared} last", anchors=((0, 1, 7),))
    assert context_of([chunk(1, f"first {shared}"), second], [1, 2])[0].text == f"first {shared} last"


def test_what_a_text_itself_repeats_stays() -> None:
    chunks = [chunk(1, "ha ha ha ha"), chunk(2, "ha ha ha ha", anchors=((0, 1, 7),))]
    assert context_of(chunks, [1, 2])[0].text == "ha ha ha ha ha ha"


def test_front_matter_is_left_out() -> None:
    text = "---\ntitle: Tasks\ntags: [a]\n---\n\nRun it again."
    (passage,) = context_of([chunk(1, text)], [1])
    assert (passage.text, passage.line, passage.end_line) == ("Run it again.", 6, 6)


# --- the budget --------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_tokens", range(6, 60))
def test_no_context_is_larger_than_its_budget_and_the_best_passage_is_never_left_out(max_tokens: int) -> None:
    chunks = [chunk(n, f"Passage {n} begins. " + "It goes on. " * n, document=n) for n in range(1, 6)]
    context = context_of(chunks, [4, 2, 5, 1, 3], max_tokens=max_tokens)
    assert count(str(context)) == context.n_tokens <= max_tokens
    assert context[0].path == "d4.md"


def test_a_smaller_passage_takes_the_place_of_one_that_does_not_fit() -> None:
    chunks = [chunk(1, "a " * 5, document=1), chunk(2, "b " * 50, document=2), chunk(3, "c " * 5, document=3)]
    assert [passage.path for passage in context_of(chunks, [1, 2, 3], max_tokens=20)] == ["d1.md", "d3.md"]


def test_too_few_tokens_for_one_sentence_are_refused_with_the_number_needed() -> None:
    with pytest.raises(InputError, match="max_tokens is 3, and the best passage has 6 tokens"):
        context_of([chunk(1, "one two three four")], [1], max_tokens=3)


def test_code_without_sentences_is_shortened_at_a_line() -> None:
    code = "def add(a, b):\n    total = a + b\n    return total"
    (passage,) = context_of([chunk(1, code, line=5)], [1], max_tokens=11)
    assert (passage.text, passage.line, passage.end_line) == ("def add(a, b):\n    total = a + b …", 5, 6)


def test_a_best_passage_that_cannot_be_shortened_gives_way_to_the_next_one() -> None:
    chunks = [chunk(1, "a " * 50, document=1), chunk(2, "b " * 5, document=2)]
    assert [passage.path for passage in context_of(chunks, [1, 2], max_tokens=20)] == ["d2.md"]


def test_a_long_passage_below_front_matter_is_shortened_too() -> None:
    front_matter = "---\ntitle: Tasks\ntags: [a]\n---\n"
    chunks = [chunk(1, front_matter), chunk(2, "It begins here. " + "It goes on. " * 20, document=2)]
    (passage,) = context_of(chunks, [1, 2], max_tokens=12)
    assert (passage.path, passage.text[:15]) == ("d2.md", "It begins here.")


def test_no_result_is_an_empty_context() -> None:
    context = build_context("why?", SearchResults(), {}, count)
    assert (str(context), len(context), context.citations, context.n_tokens) == ("", 0, (), 0)
    assert context.to_messages()[1]["content"] == "Question: why?"


# --- citations ---------------------------------------------------------------------------------------


def test_each_passage_has_a_marker_a_title_and_a_place() -> None:
    chunks = [
        StoredChunk(1, 1, "a/tasks.md", 4, 9, "Retrying", "Run it again.", "Tasks"),
        StoredChunk(8, 2, "paper.pdf", 40, 44, "", "It is so.", "On Tasks", page=3),
    ]
    context = context_of(chunks, [1, 8])
    assert str(context) == (
        "[1] Tasks > Retrying — a/tasks.md:4-9\nRun it again.\n\n[2] On Tasks — paper.pdf p. 3\nIt is so."
    )
    assert context.citations == ("[1] Tasks > Retrying — a/tasks.md:4-9", "[2] On Tasks — paper.pdf p. 3")
    system, user = context.to_messages()
    assert system == {"role": "system", "content": INSTRUCTIONS}
    assert user == {"role": "user", "content": f"{context}\n\nQuestion: why?"}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("a.md", 3, None), "a.md:3-5"),
        (("a.PDF", 3, 2), "a.PDF p. 2"),
        (("a.pdf", 3, None), "a.pdf:3-5"),
        (("a.xlsx", 3, 1), "a.xlsx sheet 1, rows 3-5"),
        (("a.docx", 3, None), "a.docx paragraphs 3-5"),
        (("a.epub", 3, 7), "a.epub"),
        (("a.eml", 3, None), "a.eml"),
        (("a.ipynb", 3, 7), "a.ipynb:3-5"),
    ],
)
def test_a_place_is_what_a_reader_can_find(arguments: tuple[str, int, int | None], name: str) -> None:
    assert place_name(*arguments, end_line=5) == name


@pytest.mark.parametrize("suffix", [suffix for suffix, one in BY_SUFFIX.items() if one.is_binary])
def test_no_format_that_is_extracted_is_cited_by_lines(suffix: str) -> None:
    assert ":" not in place_name(f"a{suffix}", 3, 2)


# --- with an index -----------------------------------------------------------------------------------

SECTIONS = "\n\n".join(
    f"## Part {n}\n\nThe part {n} tells of thing{n}, and of all that belongs to it, by name."
    for n in range(1, 4)
)


@pytest.fixture
def ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniSearch]:
    monkeypatch.chdir(tmp_path)
    Path("parts.md").write_text(f"# All\n\n{SECTIONS}\n")
    Path("copy.md").write_text(f"# All\n\n{SECTIONS}\n")
    Path("long.txt").write_text("".join(f"Word{n} is in line {n} here.\n\n" for n in range(60)))
    with MiniSearch.open(
        ".", encoder=HashingEncoder(max_tokens=24), settings=Settings(overlap_tokens=0)
    ) as ms:
        ms.index("parts.md", "copy.md", "long.txt", backend="flat")
        yield ms


def test_the_context_of_an_index_fits_and_has_no_copy(ms: MiniSearch) -> None:
    context = ms.context("thing2 part", max_tokens=60)
    assert context.n_tokens <= 60
    texts = [passage.text for passage in context]
    assert len(texts) == len(set(texts))
    assert "thing2" in texts[0]
    assert context[0].heading == "All > Part 2"
    assert re.fullmatch(r"\[1\] All > Part 2 — (parts|copy)\.md:\d+(-\d+)?", context.citations[0])


def test_the_caller_may_count_tokens_and_filter(ms: MiniSearch) -> None:
    limited = ms.context("line here", 300, k=3, count_tokens=len, mode="lexical")
    assert 0 < len(str(limited)) <= 300
    assert {passage.path for passage in limited} == {"long.txt"}


def test_a_document_that_changes_between_search_and_context_is_left_out(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ms.searcher.query

    def search_and_index_again(*arguments: object) -> SearchResults:
        found = search(*arguments)
        Path("long.txt").write_text("Something else.")
        ms.index("long.txt")
        return found

    monkeypatch.setattr(ms.searcher, "query", search_and_index_again)
    assert {passage.path for passage in ms.context("line thing2 part", 500)} <= {"parts.md", "copy.md"}


def test_the_model_of_the_index_is_looked_up_once_for_a_context(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    to_add = ms._encoders.to_add
    monkeypatch.setattr(ms._encoders, "to_add", lambda *given: opened.append(given) or to_add(*given))
    assert len(ms.context(literal_query("line here"), 500)) > 0
    assert len(opened) == 1


@pytest.mark.parametrize("max_tokens", [0, -1, 1.5, True, "9"])
def test_a_budget_that_is_no_number_of_tokens_is_refused(ms: MiniSearch, max_tokens: object) -> None:
    with pytest.raises(InputError, match=r"max_tokens is .*: expected a number of tokens above 0"):
        ms.context("thing", max_tokens)


def test_get_returns_the_section_around_a_line(ms: MiniSearch) -> None:
    passage = ms.get("parts.md", 8)
    assert passage.heading == "All > Part 2"
    assert "thing2" in passage.text
    assert "thing1" not in passage.text
    assert passage.line <= 8 <= passage.end_line


def test_get_without_a_line_returns_the_whole_document(ms: MiniSearch) -> None:
    assert ms.get("long.txt").text.split() == Path("long.txt").read_text().split()


def test_a_long_section_is_bounded(ms: MiniSearch) -> None:
    part = ms.get("long.txt", 61)
    assert "line 30 here" in part.text
    assert part.line > 1
    assert part.end_line < 117


def test_a_name_that_is_nearly_right_is_corrected(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match=r"prats\.md is not in the index: did you mean parts\.md\?"):
        ms.get("prats.md")
    with pytest.raises(InputError, match=r"docs/long\.txt is not in the index: did you mean long\.txt\?"):
        ms.similar("docs/long.txt")
    with pytest.raises(InputError, match="zzzz is not in the index: expected a file that was indexed"):
        ms.get("zzzz")
