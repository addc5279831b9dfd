"""Every reason why a file is not among the results has its verdict, with numbers that the search confirms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.errors import IndexNotFound, InputError
from minisearch.filters import Extension, Language
from minisearch.filters import Path as PathFilter
from minisearch.manifest import FileChoice
from minisearch.search.pipeline import Pipeline
from minisearch.search.why_not import ordinal
from minisearch.types import FloatArray
from tests.fakes import HashingEncoder

TEXTS = {
    "coffee.md": "coffee and sleep\n",
    "tea.md": "tea and sleep and coffee and water\n",
    "stars.txt": "hydrogen burns in stars\n",
    "long.md": "# One\n\nsalt and water\n\n# Two\n\nsleep and more sleep\n",
}


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "docs" / name).write_text(text)
    return tmp_path / "docs"


@pytest.fixture
def ms(docs: Path) -> MiniSearch:
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        yield ms


def test_a_file_on_the_page_is_found_at_its_rank(ms: MiniSearch) -> None:
    ms.index("docs")
    ranks = {result.path: result.rank for result in reversed(ms.query("coffee and sleep", k=4))}
    assert len(ranks) > 2
    for path, rank in ranks.items():
        found = ms.why_not(path, "coffee and sleep", k=4)
        assert (found.verdict, found.reason) == ("found", f"it is result {rank}")


def test_a_copy_that_shares_a_place_is_found_there(docs: Path, ms: MiniSearch) -> None:
    (docs / "copy.md").write_text(TEXTS["coffee.md"])
    ms.index("docs")
    found = [ms.why_not(f"docs/{name}.md", "coffee and sleep", k=1) for name in ("copy", "coffee")]
    assert {one.reason for one in found} == {"it is result 1"}


def test_an_outranked_file_is_told_its_rank_and_what_it_lacks(ms: MiniSearch) -> None:
    ms.index("docs")
    every = ms.query("coffee and sleep", k=99, by="chunk")
    found = ms.why_not("docs/stars.txt", "coffee and sleep", k=1)
    assert found.verdict == "outranked"
    (own,) = [result for result in every if result.path == "docs/stars.txt"]
    assert (found.passage, found.n_ranked) == (own, len(every))
    assert found.last == ms.query("coffee and sleep", k=1)[-1]
    assert found.reason == (
        f"ranked {ordinal(own.rank)} of {len(every)}; the page shows 1; "
        f"by meaning it is {ordinal(own.trace.dense_rank)}; it has none of the words"
    )


def test_a_file_that_one_leg_alone_would_show_is_fused_away(docs: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    verdicts = set()
    for query in ("coffee and sleep and water", "tea salt stars"):
        for path in (f"docs/{name}" for name in TEXTS):
            own = [hit.trace for hit in ms.query(query, 99, by="chunk") if hit.path == path]
            for k in (1, 2, 3):
                on_pages = [
                    path in {result.path for result in ms.query(query, k=k, mode=mode)}
                    for mode in ("hybrid", "dense", "lexical")
                ]
                verdict = ms.why_not(path, query, k=k).verdict
                verdicts.add(verdict)
                if on_pages[0]:
                    assert verdict == "found"
                elif verdict == "fused away":
                    assert min(rank or 99 for one in own for rank in (one.dense_rank, one.lexical_rank)) <= k
                else:
                    assert verdict == "outranked"
                    assert not any(on_pages)
    assert verdicts == {"found", "fused away", "outranked"}


class Backwards:
    """A reranker with scores far from any cosine, that turns the ranking round."""

    name = "backwards"

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        return np.arange(len(texts), dtype=np.float32) - 20


def test_a_file_that_a_reranker_put_down_is_told_so_and_no_scales_are_mixed(ms: MiniSearch) -> None:
    ms.index("docs")
    query, rerank = "coffee and sleep", {"rerank": Backwards(), "rerank_depth": 2}
    first = ms.query(query, k=1)[0].path
    assert ms.query(query, k=1, **rerank)[0].path != first
    put_down = ms.why_not(first, query, k=1, **rerank)
    assert (
        put_down.verdict == "reranked"
        and "it was at rank 1, and the reranker put it at rank 2" in put_down.reason
    )
    never_seen = ms.why_not("docs/stars.txt", query, k=1, **rerank)
    assert never_seen.verdict == "outranked"


def test_a_file_that_gave_way_to_variety_is_told_so(docs: Path, ms: MiniSearch) -> None:
    (docs / "coffee2.md").write_text("coffee and sleep and bed\n")
    (docs / "coffee3.md").write_text("coffee and sleep and night\n")
    ms.index("docs")
    query = "coffee and sleep"
    by_score = [hit.path for hit in ms.query(query, k=6)]
    varied = [hit.path for hit in ms.query(query, k=3, diverse=1.0)]
    gave_way = [path for path in by_score[: by_score.index(varied[-1])] if path not in varied]
    assert gave_way, "the page must leave something better out"
    for path in gave_way:
        assert ms.why_not(path, query, k=3, diverse=1.0).verdict == "varied"


def test_a_filter_that_keeps_a_file_out_is_named_and_those_that_do_not_are_not(ms: MiniSearch) -> None:
    ms.index("docs")
    where = Extension("md") & PathFilter("docs/**") & ~Language("python")
    found = ms.why_not("docs/stars.txt", "coffee", where=where)
    assert (found.verdict, found.filters) == ("filtered", ("of a file that ends in md",))
    assert found.reason == "none of its passages is of a file that ends in md"
    assert ms.why_not("docs/coffee.md", "coffee", where=where).verdict == "found"


def test_the_queries_own_operators_are_filters_too(ms: MiniSearch) -> None:
    ms.index("docs")
    assert ms.why_not("docs/stars.txt", 'sleep "hydrogen burns" -stars').filters == ('not one with "stars"',)
    assert ms.why_not("docs/coffee.md", 'sleep "hydrogen"').filters == ('one with "hydrogen"',)


def test_conditions_that_no_single_passage_meets_together_are_all_named(ms: MiniSearch) -> None:
    ms.index("docs")
    found = ms.why_not("docs/long.md", 'coffee "salt and water" "more sleep"')
    assert found.filters == ('one with "salt and water"', 'one with "more sleep"')


def test_a_file_without_any_of_the_words_is_told_so_where_only_words_count(ms: MiniSearch) -> None:
    ms.index("docs")
    found = ms.why_not("docs/stars.txt", "coffee", mode="lexical")
    assert found.verdict == "no match"
    assert found.reason == "none of its 1 passages has any of the query's words"


def test_a_filter_that_a_file_meets_is_not_what_keeps_it_out(ms: MiniSearch) -> None:
    ms.index("docs")
    for where in (Extension("txt"), Extension("txt") & PathFilter("docs/**")):
        found = ms.why_not("docs/stars.txt", "coffee", mode="lexical", where=where)
        assert (found.verdict, found.filters) == ("no match", ())


def test_ranks_of_other_passages_of_a_file_are_not_told_of_its_best(ms: MiniSearch) -> None:
    ms.index("docs")
    n_differing = 0
    for query in ("tea salt stars", "salt more stars in more", "and and", "salt hydrogen"):
        for path in ("docs/long.md", "docs/stars.txt"):
            found = ms.why_not(path, query, k=1)
            own = [hit.trace for hit in ms.query(query, 99, by="chunk") if hit.path == path]
            assert found.passage.trace == own[0]
            dense = min(one.dense_rank for one in own)
            lexical = min((one.lexical_rank for one in own if one.lexical_rank), default=None)
            n_differing += [dense, lexical] != [own[0].dense_rank, own[0].lexical_rank]
            if found.verdict == "outranked":
                words = f"by words it is {ordinal(lexical)}" if lexical else "it has none of the words"
                assert found.reason.endswith(f"; by meaning it is {ordinal(dense)}; {words}")
    assert n_differing, "some file has its best ranks in different passages"


def test_a_line_is_asked_about_alone(docs: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    query = "sleep and more sleep"
    assert ms.why_not("docs/long.md", query, k=1).verdict == "found"
    assert ms.why_not("docs/long.md", query, k=1, line=7).verdict == "found"
    found = ms.why_not("docs/long.md", query, k=1, line=3)
    assert (found.verdict, found.passage.line, found.path) == ("outranked", 1, "docs/long.md")
    assert "salt" in found.passage.text
    with pytest.raises(InputError, match="no passage at line 99: its last passage ends at line 7"):
        ms.why_not("docs/long.md", query, line=99)
    with pytest.raises(InputError, match="line is 'x'"):
        ms.why_not("docs/long.md", query, line="x")
    assert ms.why_not("docs/gone.md", query, line=3).reason == "there is no such file"


def test_a_file_that_is_not_indexed_is_told_why(docs: Path, ms: MiniSearch) -> None:
    (docs / "empty.md").touch()
    (docs / "build").mkdir()
    (docs / "build" / "deep").mkdir()
    (docs / "build" / "deep" / "x.md").write_text("coffee")
    (docs / ".gitignore").write_text("build/")
    (docs / "draft.md").write_text("coffee")
    ms.index("docs", choice=FileChoice(exclude=["draft.md"]))
    (docs / "new.md").write_text("coffee")
    (docs.parent / "elsewhere.md").write_text("coffee")
    reasons = {
        "docs/empty.md": "it was skipped: no text in it",
        "docs/build/deep/x.md": "its folder docs/build was left out: ignored by .gitignore, line 1: build/",
        "docs/.gitignore": "it was left out: hidden",
        "docs/draft.md": "it was left out: excluded: --exclude draft.md",
        "docs/new.md": "it is newer than the last run: run minisearch index again",
        "docs/gone.md": "there is no such file",
        "docs": "it is a folder: expected a file",
        "elsewhere.md": "no run has included it: minisearch index elsewhere.md",
    }
    for path, reason in reasons.items():
        found = ms.why_not(path, "coffee")
        assert (found.path, found.verdict, found.reason) == (path, "not indexed", reason)


class Interrupted(HashingEncoder):
    def encode(self, texts):
        raise KeyboardInterrupt


def test_a_run_that_was_cut_short_is_named(docs: Path) -> None:
    with MiniSearch.open(".", encoder=Interrupted()) as ms, pytest.raises(KeyboardInterrupt):
        ms.index("docs")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        assert "ended before it reached the file" in ms.why_not("docs/tea.md", "coffee").reason
        assert ms.coverage().outcome == "interrupted"


def test_a_rollback_is_no_run_that_was_cut_short(docs: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (docs / "new.md").write_text("coffee")
    ms.index("docs")
    ms.rollback()
    (docs.parent / "elsewhere.md").write_text("coffee")
    reasons = {
        "docs/new.md": "it was not yet in the index that the rollback restored: run minisearch index again",
        "docs": "it is a folder: expected a file",
        "elsewhere.md": "no run has included it: minisearch index elsewhere.md",
    }
    assert {path: ms.why_not(path, "coffee").reason for path in reasons} == reasons
    assert ms.status().last_run.roots == ("docs",)
    assert ms.coverage().outcome == "rolled back"
    ms.rollback()
    ms.rollback()
    ms.index("docs")
    assert ms.why_not("docs/new.md", "coffee").verdict == "found"


def test_a_run_of_one_folder_that_was_cut_short_says_nothing_of_another(docs: Path, ms: MiniSearch) -> None:
    ms.index("docs")
    (docs.parent / "more").mkdir()
    (docs.parent / "more" / "x.md").write_text("milk")
    with MiniSearch.open(".", encoder=Interrupted()) as cut, pytest.raises(KeyboardInterrupt):
        cut.index("more")
    (docs / "new.md").write_text("coffee")
    assert "is newer than the last run" in ms.why_not("docs/new.md", "coffee").reason
    assert "ended before it reached the file" in ms.why_not("more/x.md", "coffee").reason


def test_what_makes_no_sense_is_refused(docs: Path, ms: MiniSearch) -> None:
    with pytest.raises(IndexNotFound):
        ms.why_not("docs/tea.md", "coffee")
    ms.index("docs")
    with pytest.raises(InputError, match="the query is empty"):
        ms.why_not("docs/tea.md", " ")
    with pytest.raises(InputError, match="expected the path of a file"):
        ms.why_not("", "coffee")
    for nothing in (None, 3, b"docs"):
        for ask in (ms.similar, ms.chunks, ms.index, ms.remove, lambda path: ms.why_not(path, "coffee")):
            with pytest.raises(InputError, match=f"expected the path of a file or folder, got {nothing!r}"):
                ask(nothing)
    for ask in (ms.query, ms.similarity, lambda text: ms.why_not("docs/tea.md", text)):
        with pytest.raises(InputError, match=r"expected .*, got NoneType"):
            ask(None)
    with pytest.raises(InputError, match="expected a list of them"):
        ms.query_many(None)
    with pytest.raises(InputError, match="n is 'x': ask for at least 1 document"):
        ms.verify("x")
    with pytest.raises(InputError, match="an empty path is not in the index"):
        ms.similar("")


def test_a_filter_as_text_is_the_filter(docs: Path, ms: MiniSearch) -> None:
    (docs / "ada.md").write_text("---\nauthor: Ada\n---\ncoffee\n")
    ms.index("docs")
    found = ms.why_not("docs/tea.md", "coffee", where="author = 'ada'")
    assert (found.verdict, found.filters) == ("filtered", ("of a file with author = 'ada'",))
    assert [hit.path for hit in ms.similar("docs/tea.md", where="author = 'ada'")] == ["docs/ada.md"]
    (page,) = ms.query_many(["coffee"], where="author = 'ada'")
    assert [hit.path for hit in page] == ["docs/ada.md"]


def test_a_run_that_ends_while_it_is_asked_changes_nothing_of_the_answer(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.index("docs")
    expected = ms.why_not("docs/stars.txt", "coffee and sleep", k=1)
    search, n_asked = Pipeline.search, 0

    def search_and_change(*given, **options):
        nonlocal n_asked
        n_asked += 1
        found = search(*given, **options)
        (docs / "stars.txt").unlink(missing_ok=True)
        (docs / f"new{n_asked}.md").write_text("coffee and sleep and more")
        with MiniSearch.open(".", encoder=HashingEncoder()) as other:
            other.index("docs")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "search", search_and_change)
        found = ms.why_not("docs/stars.txt", "coffee and sleep", k=1)
    assert expected.passage is not None
    assert found == replace(expected, passage=replace(expected.passage, file_state="deleted"))
    assert n_asked == 2
    assert ms.query("coffee and sleep", k=99, by="document")[-1].path != "docs/stars.txt"
