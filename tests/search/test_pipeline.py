"""A question through the whole search, on every backend: against brute force, and the files themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.chunking.chunker import chunk
from minisearch.errors import InputError
from minisearch.filters import Contains, Extension, Field, Filter, Or
from minisearch.filters import Path as AtPath
from minisearch.paths import IndexLocation
from minisearch.results import Mode, Query, SearchResults
from minisearch.search.confidence import CONFIDENT_FROM
from minisearch.search.path_filters import with_stored_paths
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, Document, Origin
from tests.fakes import HashingEncoder, WordTokenizer
from tests.stores.store_cases import lexical

MODES: list[Mode] = ["hybrid", "dense", "lexical"]

TEXTS = {
    "bread/sourdough.md": "# Sourdough\n\nFeed the starter with flour.\n\n"
    "## Baking\n\nBake the loaf in a hot oven.\n",
    "bread/rye.md": "# Rye bread\n\nRye flour makes a heavy loaf. Bake it slowly in the oven.\n",
    "sky/stars.md": "# Stars\n\nHydrogen becomes helium in a star. The oven of the sky never cools.\n",
    "sky/copy.md": "# Stars\n\nHydrogen becomes helium in a star. The oven of the sky never cools.\n",
    "notes.txt": "The zymurgist keeps a starter in the fridge.\n",
    "日記.txt": "昨日は図書館で本を読んだ。今日は天気がよい。\n",
}


@pytest.fixture(params=["flat", "faiss", "annoy"])
def ms(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MiniSearch]:
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        Path("docs", name).parent.mkdir(parents=True, exist_ok=True)
        Path("docs", name).write_text(text, encoding="utf-8")
    with MiniSearch.open(".", encoder=HashingEncoder()) as engine:
        engine.index("docs", backend=request.param)
        yield engine


def paths(results: SearchResults) -> list[str]:
    return [result.path.removeprefix("docs/") for result in results]


def test_a_filter_on_known_fields_does_not_read_the_names_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str] | None] = []
    field_names = LocalStore.field_names

    def recorded(store: LocalStore, among: list[str] | None = None) -> list[str]:
        asked.append(among)
        return field_names(store, among)

    monkeypatch.setattr(LocalStore, "field_names", recorded)
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.add([{"id": "a", "text": "The sea.", "fields": {"Author": "Ada", "year": 1843, "x": 1}}])
        for where in ("author = ada and YEAR > 1800", "not none = 1", "none != 1"):
            assert len(ms.query("sea", where=where, mode="lexical")) == 1
        ms.query("sea", where=Field("none", "=", 1, is_optional=True), mode="lexical")
        assert None not in asked
        with pytest.raises(InputError, match="no document has a field autor: did you mean author"):
            ms.query("sea", where="autor = ada", mode="lexical")
    assert asked[-1] is None


# --- modes and operators


def test_hybrid_finds_the_rare_word_first_and_still_ranks_everything(ms: MiniSearch) -> None:
    results = ms.query("zymurgist in the fridge", 20, by="chunk")
    assert paths(results)[0] == "notes.txt"
    assert len(results) == ms.status().n_chunks
    assert results[0].trace.lexical_rank == 1
    assert all(0 <= result.score <= 1 for result in results if (result.trace.cosine or 0) >= 0)


def test_lexical_mode_gives_only_what_shares_a_word_and_asks_no_model(ms: MiniSearch) -> None:
    encoder = ms._encoders._given
    assert isinstance(encoder, HashingEncoder)
    before = encoder.n_encoded
    results = ms.query("zymurgists", mode="lexical", evidence=True)
    assert paths(results) == ["notes.txt"]  # the stem is the same
    assert results[0].evidence is not None and "zymurgist" in results[0].evidence.text
    assert results[0].evidence.score is None
    assert encoder.n_encoded == before


def test_two_characters_of_japanese_are_found(ms: MiniSearch) -> None:
    assert paths(ms.query("天気", mode="lexical")) == ["日記.txt"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", ["passage", "document", "chunk"])
def test_a_phrase_is_in_every_answer_and_an_excluded_word_in_none(ms: MiniSearch, mode, by) -> None:
    results = ms.query('oven "hot oven"', 10, mode=mode, by=by)
    assert paths(results) == ["bread/sourdough.md"]
    results = ms.query("oven -rye", 10, mode=mode, by=by)
    assert results and all("rye" not in (result.text + result.heading).lower() for result in results)
    assert not ms.query('oven "no such phrase"', mode=mode, by=by)


def test_a_query_made_by_the_caller_has_no_operators(ms: MiniSearch) -> None:
    results = ms.query(Query("oven -rye"), mode="lexical", by="document")
    assert "bread/rye.md" in paths(results)


def test_phrases_without_a_word_ask_for_nothing_whoever_made_them(ms: MiniSearch) -> None:
    results = ms.query(Query("oven", required=("!!", "rye"), excluded=("!!", "")), k=np.int64(3))
    assert results.query == Query("oven", required=("rye",))
    assert set(paths(results)) == {"bread/rye.md"}


def test_a_concept_pulls_and_pushes(ms: MiniSearch) -> None:
    def cosine(query: str) -> float:
        (best,) = ms.query(query, 1, mode="dense", where=AtPath("**/stars.md"))
        return best.score

    assert cosine("oven +helium") > cosine("oven") > cosine("oven -helium^0.5")


def test_what_cancels_out_or_has_no_words_is_said(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match="cancel each other out"):
        ms.query("oven -oven^1", mode="dense")
    with pytest.raises(InputError, match="lexical search looks for words"):
        ms.query("+oven", mode="lexical")


@pytest.mark.parametrize(
    "pattern",
    ["/" + "**/" * 400 + "*.md", "/" + "**/*/" * 900 + "x", "**/" * 1_600 + "a/b", "/" + "***/" * 99],
)
def test_no_path_takes_long_or_more_conditions_than_folders(ms: MiniSearch, pattern: str) -> None:
    started_s = time.process_time()
    stored = with_stored_paths(AtPath(pattern), IndexLocation(Path(".minisearch")))
    assert len(stored.parts if isinstance(stored, Or) else [stored]) < 2 * len(Path.cwd().parts)
    assert time.process_time() - started_s < 1
    assert len(ms.query("oven", 20, where=AtPath("/" + "**/" * 400 + "*.md"), by="document")) == 4
    with pytest.raises(InputError, match="5005 characters: at most 5000"):
        ms.query("oven", where=AtPath("/" + "**/" * 1_667 + "*.m"))


# --- the contract: k results, or every match


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_a_filter_leaves_k_results_or_every_match(ms: MiniSearch, mode: Mode) -> None:
    with LocalStore(Path(".minisearch/minisearch.db")) as store:
        n_markdown = len(store.select(Extension("md")))
    for k in range(1, n_markdown + 3):
        results = ms.query("oven", k, mode=mode, by="chunk", where=Extension("md"))
        assert len(results) == min(k, n_markdown)
        assert all(path.endswith(".md") for path in paths(results))
        assert results.n_matching == n_markdown
        assert results.plan in {"scan", "widen"}


def test_a_field_that_no_document_has_is_one_error_in_every_kind_of_search(ms: MiniSearch) -> None:
    ms.add([{"id": "faq", "text": "Feed the oven.", "fields": {"author": "ada"}}])
    searches: list[Callable[[str | Filter], object]] = [
        lambda where: ms.query("oven", where=where),
        lambda where: ms.query("oven", where=where, mode="lexical"),
        lambda where: ms.query_many(["oven"], where=where),
        lambda where: ms.context("oven", where=where),
        lambda where: ms.similar("docs/notes.txt", where=where),
        lambda where: ms.why_not("docs/notes.txt", "oven", where=where),
    ]
    for search in searches:
        for where in ("autor = ada", Extension("md") | Field("autor", "=", "ada")):
            with pytest.raises(InputError, match="no document has a field autor: did you mean author"):
                search(where)
    assert paths(ms.query("oven", where="AUTHOR = ada")) == ["faq"]
    assert len(ms.query("oven", where="not autor = ada", by="document")) == len(TEXTS) + 1
    assert not ms.query("oven", where=Field("autor", "=", "ada", is_optional=True))
    ms.remove("docs", "faq")
    assert not ms.query("oven", where="autor = ada"), "an empty index has no fields to choose from"


def test_without_a_filter_there_is_no_plan(ms: MiniSearch) -> None:
    results = ms.query("oven")
    assert (results.plan, results.n_matching) == ("", None)


def test_path_patterns_are_of_paths_as_they_are_shown(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(pattern: str, folder: str) -> set[str]:
        monkeypatch.chdir(location / folder)
        results = ms.query("oven", 20, where=AtPath(pattern), by="document")
        assert all(Path(result.path).is_file() for result in results)
        return {Path(result.path).resolve().relative_to(location / "docs").as_posix() for result in results}

    location = Path.cwd()
    bread = {"bread/rye.md", "bread/sourdough.md"}
    assert (
        found("docs/bread/**", ".") == found("bread/**", "docs") == found("../bread/*", "docs/sky") == bread
    )
    assert found(f"{location}/docs/bread", ".") == found("./", "docs/bread") == bread
    assert (
        found("rye.md", ".") == found("rye.md", "docs/sky") == found("**/rye.md", "docs") == {"bread/rye.md"}
    )
    assert found("bread/**", ".") == found("docs/bread/**", "docs") == set()
    # "*" for a folder above the index; the disk's own place, or as in a .gitignore that of the index.
    assert found(f"{location.parent}/*/docs/bread/*", "docs") == found("/**/docs/bread", ".") == bread
    assert found("/docs/bread", ".") == found("/docs/bread/*", "docs/sky") == bread
    assert found(f"{location.parent}/*/bread", ".") == found(f"{location}/docs/bread/*/x", ".") == set()


def test_a_path_is_seen_from_the_current_folder_however_the_index_is_named(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Path.cwd()
    (location / "papers").mkdir()
    (location / "link").symlink_to(location / "docs")
    with MiniSearch.open(location / "papers", encoder=HashingEncoder()) as absolute:
        absolute.index("docs")
        monkeypatch.chdir("papers")
        Path("docs").mkdir()
        Path("docs/own.md").write_text("An oven of its own.")
        absolute.index("docs")
        monkeypatch.chdir(location)
        with MiniSearch.open("papers", encoder=HashingEncoder()) as relative:

            def found(engine: MiniSearch, pattern: str) -> set[str]:
                results = engine.query("oven", 20, where=AtPath(pattern), by="document")
                return {Path(result.path).resolve().relative_to(location).as_posix() for result in results}

            bread = {"docs/bread/rye.md", "docs/bread/sourdough.md"}
            for engine in (absolute, relative):
                assert found(engine, "docs/bread/**") == found(engine, f"{location}/docs/bread") == bread
                assert found(engine, f"{location}/link/bread") == found(engine, "link/b*/*.md") == bread
                assert found(engine, "/docs/*") == {"papers/docs/own.md"}
            # What is seen from the folder of an index that was named by an absolute path.
            assert found(absolute, "docs/own.md") == {"papers/docs/own.md"}
            assert found(relative, "docs/own.md") == set()


def test_a_path_copied_from_the_page_is_that_file_alone(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Path.cwd()
    for name in ("[slug]", "a*b", "docs/bread/docs/bread"):
        Path("docs", name).mkdir(parents=True)
        Path("docs", name, "rye.md").write_text("An oven.")
    ms.index("docs")
    for folder in [".", "docs", "docs/bread", "docs/[slug]", "docs/a*b"]:
        monkeypatch.chdir(location / folder)
        shown = {result.path for result in ms.query("oven rye", 20, by="document")}
        assert len(shown) == len(TEXTS) + 3
        for path in shown:
            escaped = path.replace("[", "\\[").replace("*", "\\*")
            found = ms.query("oven", 20, where=AtPath(f"./{escaped}"), by="document")
            assert {result.path for result in found} == {path}


def test_a_search_that_was_outrun_by_a_writer_is_done_again_as_it_was_asked(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("docs")
    where = AtPath("./sky/*")
    expected = ms.query("oven", where=where), ms.similar("notes.txt", where=where)
    outdated = iter([False, True, True, False] * 2)  # before and after the search, and once more
    monkeypatch.setattr(LocalStore, "is_outdated", lambda _: next(outdated))
    assert (ms.query("oven", where=where), ms.similar("notes.txt", where=where)) == expected
    assert expected[0] and expected[1]


def test_dense_scores_are_the_brute_force_ones(ms: MiniSearch) -> None:
    results = ms.query("helium in the sky", 20, mode="dense", by="chunk")
    with LocalStore(Path(".minisearch/minisearch.db")) as store:
        ids, vectors = store.all_vectors(64)
    cosines = dict(
        zip(ids.tolist(), vectors @ HashingEncoder().encode(["helium in the sky"])[0], strict=True)
    )
    expected = sorted(cosines, key=lambda id_: (-cosines[id_], id_))
    assert [result.chunk_id for result in results] == expected
    assert [result.score for result in results] == pytest.approx([cosines[id_] for id_ in expected], abs=1e-6)
    assert [result.trace.dense_rank for result in results] == list(range(1, len(expected) + 1))


def test_a_trace_of_hybrid_agrees_with_both_legs(ms: MiniSearch) -> None:
    query = "rye oven loaf kettle"  # too long for a passage with all words to come first
    dense = {result.chunk_id: result for result in ms.query(query, 20, mode="dense", by="chunk")}
    lexical = {result.chunk_id: result for result in ms.query(query, 20, mode="lexical", by="chunk")}
    for result in ms.query(query, 20, by="chunk"):
        assert result.trace.cosine == pytest.approx(dense[result.chunk_id].score)
        assert result.trace.dense_rank == dense[result.chunk_id].rank
        found = lexical.get(result.chunk_id)
        assert result.trace.lexical_rank == (found.rank if found else None)
        assert result.trace.bm25 == (pytest.approx(found.score) if found else None)
        assert result.trace.fused == result.score


def test_hybrid_scores_are_the_brute_force_ones(ms: MiniSearch) -> None:
    text = "rye oven of the sky"
    with LocalStore(Path(".minisearch/minisearch.db")) as store:
        ids, vectors = store.all_vectors(64)
        hits = lexical(store, text, 20)
    shares = np.zeros(len(ids))
    shares[[ids.tolist().index(id_) for id_ in hits.ids.tolist()]] = hits.scores / hits.ceiling

    (vector,) = HashingEncoder().encode([text])
    cosines = vectors @ vector
    fused = (cosines / max(cosines.max(), 0.3) + np.clip(shares, 0, 1.8)) / 2.8
    expected = dict(zip(ids.tolist(), fused.tolist(), strict=True))
    results = ms.query(text, 20, by="chunk")
    assert [result.chunk_id for result in results] == sorted(expected, key=lambda id_: (-expected[id_], id_))
    assert [result.score for result in results] == pytest.approx(
        sorted(expected.values(), reverse=True), abs=1e-6
    )


# --- the page


def test_copies_share_a_place(ms: MiniSearch) -> None:
    results = ms.query("hydrogen helium star", 3)
    (stars,) = [result for result in results if result.path.startswith("docs/sky")]
    assert {stars.path, *(place.path for place in stars.merged)} == {"docs/sky/stars.md", "docs/sky/copy.md"}


def test_with_evidence_a_merged_passage_is_placed_at_its_line_with_most_of_the_words(ms: MiniSearch) -> None:
    def line_of_copy(query: str, **options: Any) -> int:
        (stars,) = [one for one in ms.query(query, 3, **options) if one.path.startswith("docs/sky")]
        (copy,) = stars.merged
        assert copy.end_line == 3
        return copy.line

    assert line_of_copy("hydrogen and helium", evidence=True) == 3
    assert line_of_copy("hydrogen and helium") == 1
    assert line_of_copy("stars", evidence=True) == 1


def test_sections_of_a_file_are_answers_of_their_own(ms: MiniSearch) -> None:
    Path("docs/guide.md").write_text(
        "# Guide\n\n## Kiln\n\nA kiln is hot, and the kiln door is heavy.\n\n"
        "## Door\n\nThe kiln door opens with a hook.\n"
    )
    ms.index("docs")
    results = ms.query("kiln door", 2)
    assert paths(results) == ["guide.md", "guide.md"]
    assert {result.heading for result in results} == {"Guide > Kiln", "Guide > Door"}
    assert all(result.merged == () for result in results)


def test_by_document_names_each_once(ms: MiniSearch) -> None:
    results = ms.query("bake a loaf in the oven", 10, by="document")
    assert len(paths(results)) == len(set(paths(results))) == len(TEXTS)


def test_one_file_cannot_flood_the_page_but_fills_it_where_there_is_no_other(ms: MiniSearch) -> None:
    sections = "\n\n".join(
        f"## Part {n}\n\nThe oven number {n} is warm and has {n} doors." for n in range(30)
    )
    Path("docs/long.md").write_text(f"# Ovens\n\n{sections}\n")
    Path("docs/other.md").write_text("# Kiln\n\nA kiln is no oven.\n")
    ms.index("docs")
    page = paths(ms.query("warm oven doors", 6))
    assert page.count("long.md") == 3
    alone = ms.query("warm oven doors", 6, where=AtPath("docs/long.md"))
    assert len(alone) == 6


def test_variety_alone_puts_unlike_passages_first(ms: MiniSearch) -> None:
    plain = ms.query("hydrogen helium star oven", 2, by="chunk", mode="dense")
    assert plain[0].text == plain[1].text
    varied = ms.query("hydrogen helium star oven", 2, by="chunk", mode="dense", diverse=0.7)
    assert varied[0].text == plain[0].text != varied[1].text
    assert ms.query("oven", 5, diverse=0.0).results == ms.query("oven", 5).results


# --- a closer look


class Shortest:
    """A reranker that likes short texts; it remembers how many it saw."""

    name = "shortest"

    def __init__(self) -> None:
        self.n_seen = 0

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.n_seen += len(texts)
        return np.array([-len(text) for text in texts], np.float32)


def test_the_reranker_orders_the_first_and_both_scores_are_kept(ms: MiniSearch) -> None:
    before = ms.query("oven", 10, by="chunk")
    reranker = Shortest()
    after = ms.query("oven", 10, by="chunk", rerank=reranker, rerank_depth=3)
    assert after.n_reranked == 3
    assert reranker.n_seen == len({result.text for result in after[:3]})
    assert [r.chunk_id for r in after[3:]] == [r.chunk_id for r in before[3:]]
    assert sorted(r.chunk_id for r in after[:3]) == sorted(r.chunk_id for r in before[:3])
    assert [len(r.text) for r in after[:3]] == sorted(len(r.text) for r in before[:3])
    ranks = {result.chunk_id: result.rank for result in before}
    for result in after[:3]:
        assert result.trace.rank_before_rerank == ranks[result.chunk_id]
        assert result.trace.rerank == result.score == -len(result.text)
        assert result.trace.fused == before[ranks[result.chunk_id] - 1].score
    assert all(result.trace.rerank is None for result in after[3:])


class Backwards:
    """A reranker that turns the ranking round."""

    name = "backwards"

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.arange(len(texts), dtype=np.float32)


# --- evidence


@pytest.mark.parametrize("mode", MODES)
def test_the_evidence_stands_in_the_file_where_it_says(ms: MiniSearch, mode: Mode) -> None:
    for result in ms.query("the loaf in the oven of the sky", 10, mode=mode, evidence=True):
        found = result.evidence
        assert found is not None
        assert result.text[found.start : found.end] == found.text
        lines = Path(result.path).read_text(encoding="utf-8").splitlines()
        assert lines[found.line - 1][found.column - 1 :].startswith(found.text.splitlines()[0])
        assert lines[found.end_line - 1][: found.end_column - 1].endswith(found.text.splitlines()[-1])


@pytest.mark.parametrize("mode", MODES)
def test_the_evidence_is_the_same_whatever_else_is_on_the_page(ms: MiniSearch, mode: Mode) -> None:
    Path("docs/pets.md").write_text("Cats are allowed.\n\nDogs are forbidden.\n")
    for number, word in enumerate(["Barbecues", "Bicycles", "Guests", "Pianos"]):
        Path(f"docs/{number}.md").write_text(f"{word} are allowed. Ask the owner first.\n")
    ms.index("docs")

    def marked(k: int, **settings: Any) -> dict[int, str]:
        results = ms.query("are dogs allowed", k, mode=mode, evidence=True, **settings)
        assert all(result.evidence for result in results)
        return {result.chunk_id: result.evidence.text for result in results if result.evidence}

    of_all = marked(50, by="chunk")
    assert "Dogs are forbidden." in of_all.values()
    reranker = Backwards()
    for k in (1, 3, 10):
        for settings in ({}, {"by": "document"}, {"diverse": 1.0}, {"rerank": reranker}):
            found = marked(k, **settings)
            assert found and found.items() <= of_all.items()


@pytest.mark.parametrize("mode", MODES)
def test_front_matter_finds_a_note_and_is_not_its_evidence(ms: MiniSearch, mode: Mode) -> None:
    front = "---\ntitle: Zither strings\naliases: [psaltery, Xylorimba solo]\n---\n"
    Path("docs/zither.md").write_text(f"{front}Tune each of them with a key. Then wait.\n")
    ms.index("docs")
    if mode != "dense":
        assert all(
            ms.query(words, 1, mode=mode)[0].path == "docs/zither.md" for words in ("psaltery", "solo")
        )
    (first,) = ms.query("zither strings key", 1, mode=mode, evidence=True)
    assert first.path == "docs/zither.md" and not first.text.startswith("---")
    assert first.evidence is not None
    assert first.evidence.text == "Tune each of them with a key. Then wait."
    assert (first.evidence.line, first.evidence.column) == (5, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "---\ntitle: A\ntags: [xylorimba, tuning]\n---\nStrings.\n"),
        ("a.md", "+++\ntags = ['xylorimba', 'tuning']\n+++\nStrings.\n"),
        ("a.rst", "A\n=\n\n:Tags: xylorimba, tuning\n\nStrings.\n"),
        ("a.org", "#+FILETAGS: :xylorimba:\n* Strings :tuning:\nThey sound.\n"),
        ("a.adoc", "= A\nAda Löw\n:tags: xylorimba, tuning\n\nStrings.\n"),
    ],
)
def test_a_tag_finds_and_filters_a_document_of_any_markup(ms: MiniSearch, name: str, text: str) -> None:
    Path("docs", name).write_text(text, encoding="utf-8")
    ms.index("docs")
    (first,) = ms.query("xylorimba", 1, mode="lexical")
    assert first.path == f"docs/{name}" and "xylorimba" not in first.text
    assert paths(ms.query("strings", 9, where='tags = "tuning"')) == [name]


def test_an_answer_has_the_page_that_it_begins_on(ms: MiniSearch) -> None:
    with LocalStore(Path(".minisearch/minisearch.db"), writable=True) as store:
        row = store.documents()["docs/notes.txt"]
        texts = {7: "Ovens in part 1", 8: "Ovens in part 2"}
        chunks = [Chunk(0, 15, text, 0, 15, 1, 1, "", 4, page=page) for page, text in texts.items()]
        store.put(row, chunks, HashingEncoder().encode(list(texts.values())))
    (first, *_) = ms.query("Ovens in part 1", 1)
    assert [first.page, *(place.page for place in first.merged)] == [7, 8]
    assert ms.query("rye", 1)[0].page is None


def test_without_being_asked_for_there_is_no_evidence(ms: MiniSearch) -> None:
    assert ms.query("oven")[0].evidence is None


# --- more like this


def test_more_like_a_file_leaves_the_file_out(ms: MiniSearch) -> None:
    results = ms.similar("docs/sky/stars.md", k=20, by="chunk")
    assert paths(results)[0] == "sky/copy.md"
    assert "sky/stars.md" not in paths(results)


def test_more_like_a_line_leaves_that_passage_out(ms: MiniSearch) -> None:
    results = ms.similar("docs/bread/sourdough.md", 7, k=20, by="chunk")
    assert all("hot oven" not in result.text for result in results)
    assert "bread/sourdough.md" in paths(results)  # its other passage may be like it


def test_more_like_what_is_not_there_is_said(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match="is not in the index"):
        ms.similar("docs/nothing.md")
    with pytest.raises(InputError, match="no passage at line 99"):
        ms.similar("docs/notes.txt", 99)
    with pytest.raises(InputError, match="line is '3'"):
        ms.similar("docs/notes.txt", "3")  # type: ignore[arg-type]


# --- the rest


def test_several_queries_are_answered_like_each_alone(ms: MiniSearch) -> None:
    texts = ["oven", "star", "天気"]
    assert ms.query_many(texts, 3, mode="dense") == [ms.query(text, 3, mode="dense") for text in texts]


def test_similarity_is_the_cosines_of_the_texts(ms: MiniSearch) -> None:
    vectors = HashingEncoder().encode(["oven", "hot oven", "star"])
    assert ms.similarity("oven", "hot oven", "star") == pytest.approx(vectors @ vectors.T, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": True}, "k is True"),
        ({"k": np.int64(0)}, "k is .*0"),
        ({"k": "3"}, "k is '3'"),
        ({"mode": "sparse"}, "mode is 'sparse': expected one of hybrid, dense, lexical"),
        ({"by": "page"}, "by is 'page': expected one of passage, document, chunk"),
        ({"where": "ext: md"}, "expected =, !=, <, <=, >, >= or contains after ext, got ':'"),
        ({"where": ["ext = md"]}, r"where is \['ext = md'\]: expected a text such as 'author = \"x\"', or"),
        ({"diverse": 2}, "diverse is 2: expected a number from 0 to 1"),
        ({"diverse": "a"}, "diverse is 'a'"),
        ({"diverse": True}, "diverse is True: expected a number from 0 to 1, such as 0.5"),
        ({"rerank": "deep"}, "deep"),
        ({"rerank_depth": 3}, "without rerank"),
        ({"rerank": Shortest(), "rerank_depth": 0}, "depth is 0"),
        ({"rerank": "auto", "rerank_depth": -3}, "rerank_depth is -3: ask for at least 1 candidate"),
        ({"rerank": Shortest(), "rerank_depth": "3"}, "rerank_depth is '3'"),
        ({"rerank": Shortest(), "rerank_depth": True}, "rerank_depth is True"),
        ({"rerank": Shortest(), "rerank_budget_s": "300ms"}, "rerank_budget_s is '300ms'"),
        ({"rerank": Shortest(), "rerank_budget_s": float("nan")}, "rerank_budget_s is nan"),
        ({"rerank": True}, 'rerank is True: expected "auto"'),
        ({"rerank": Shortest}, 'expected "auto", "cross", "bi", or an object'),
        ({"where": Contains("x") & Extension(".")}, "no extension"),
    ],
)
def test_what_makes_no_sense_is_one_clear_error(ms: MiniSearch, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ms.query("oven", **options)


def test_one_query_is_not_several(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match="expected a list"):
        ms.query_many("oven")


def test_more_like_a_blank_line_is_more_like_what_follows_it(tmp_path: Path) -> None:
    paragraphs = [" ".join(f"{word}{i}" for i in range(30)) for word in ("river", "bread", "cloud")]
    (tmp_path / "a.md").write_text("\n\n".join(paragraphs))
    (tmp_path / "b.md").write_text("bread1 bread2 bread3")
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        assert ms.similar(tmp_path / "a.md", 2, 1) == ms.similar(tmp_path / "a.md", 3, 1)
        for line in (0, -1, 6):
            with pytest.raises(InputError, match=f"no passage at line {line}"):
                ms.similar(tmp_path / "a.md", line, 1)


def test_evidence_is_on_its_own_page_though_the_passage_begins_on_another(tmp_path: Path) -> None:
    text = f"{'Bats hunt at night. They sleep by day. ' * 7}Moths eat wool in a wardrobe."
    document = Document("a.pdf", text, "pdf", Origin(text), pages=(0, text.index("Moths")))
    encoder = HashingEncoder()
    (passage,) = chunk(document, encoder.tokenizer, max_tokens=90, overlap_tokens=0)
    row = StoredDocument("a.pdf", "pdf", "", FileStamp(1, 1, 1, 1), b"", "")
    with MiniSearch(tmp_path / ".minisearch", encoder=encoder) as ms:
        (tmp_path / "b.md").write_text("Something else.")
        ms.index(tmp_path / "b.md")
        with LocalStore(tmp_path / ".minisearch" / "minisearch.db", writable=True) as store:
            store.put(row, [passage], encoder.encode_document([passage.embedded]))
        (hit,) = ms.query("moths eat wool", 1, evidence=True)
    assert hit.page == 1 and hit.evidence and hit.evidence.page == 2


def test_a_page_is_as_confident_however_few_are_shown(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.md").write_text(f"heron{number} marsh{number} reed{number} is quiet\n")
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        for query in ("heron3 marsh3 reed3", "heron7 marsh7 xylophone", "nothing of this"):
            every = ms.query(query, 99, by="chunk")
            expected = every[0].relevance >= CONFIDENT_FROM
            pages = [ms.query(query, k, by=by) for k in (1, 2, 40) for by in ("chunk", "document")]
            assert {page.is_confident for page in pages} == {expected}
            reranked = ms.query(query, 1, rerank=Backwards(), rerank_depth=31)
            assert reranked.is_confident == expected
        # What an index scores for unrelated queries is no measure for passages.
        alike = ms.similar(tmp_path / "3.md", k=40)
        assert alike and {hit.relevance for hit in alike} == {alike.is_confident} == {None}


@pytest.mark.parametrize("n_documents", [1, 3, 30])
@pytest.mark.parametrize(
    "options",
    [
        *({"mode": mode, "by": by} for mode in MODES for by in ("passage", "document", "chunk")),
        {"diverse": 1.0},
        {"rerank": "backwards"},
        {"rerank": "backwards", "rerank_depth": 2, "diverse": 0.3},
    ],
    ids=str,
)
def test_scores_and_relevances_fall_down_every_page(
    tmp_path: Path, n_documents: int, options: dict[str, Any]
) -> None:
    for number in range(n_documents):
        lines = [f"heron{number} marsh{number % 5} reed{number % 3} is quiet", "the bread rises slowly"]
        (tmp_path / f"{number}.md").write_text("\n\n".join(lines * (1 + number % 3)))
    if "rerank" in options:
        options = options | {"rerank": Backwards()}
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        for query in (
            "heron0 marsh2 quiet",
            "bread",
            "reed1 reed2 bread rises",
            "nothing of this",
            "marsh_3",
        ):
            for k in (1, 3, 50):
                page = ms.query(query, k, **options)
                for numbers in ([hit.score for hit in page], [hit.relevance for hit in page]):
                    assert None not in numbers and numbers == sorted(numbers, reverse=True)
                assert all(0 <= hit.relevance <= 1 for hit in page)


def test_a_query_that_the_model_cannot_read_is_answered_by_words_or_not_at_all(tmp_path: Path) -> None:
    class EnglishTokenizer(WordTokenizer):
        def unknown_share(self, text: str) -> float:
            return float(not text.isascii())

    encoder = HashingEncoder()
    encoder.tokenizer = EnglishTokenizer()
    for number in range(30):
        (tmp_path / f"{number}.md").write_text(f"heron{number} marsh{number}\n")
    (tmp_path / "zh.md").write_text("违章停车 罚款 五十元")
    with MiniSearch(tmp_path / ".minisearch", encoder=encoder) as ms:
        ms.index(tmp_path)
        found = ms.query("罚款")
        assert [Path(hit.path).name for hit in found] == ["zh.md"] and found[0].trace.cosine is None
        unknown = ms.query("糖醋排骨怎么做")
        assert unknown and unknown.is_confident is False and unknown[0].relevance < 0.1


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[MiniSearch]:
    for number in range(25):
        (tmp_path / f"{number}.md").write_text(f"heron{number} marsh{number} call 040 669 12 8{number}\n")
    words = " ".join(f"word{n}" for n in range(120))
    (tmp_path / "letter.md").write_text(f"{words} 040 669 12 70 {words}\n")
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        yield ms


@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_a_number_is_looked_for_as_it_stands(numbers: MiniSearch, mode: Mode) -> None:
    found = numbers.query("040 669 12 70", mode=mode)
    assert [Path(hit.path).name for hit in found] == ["letter.md"]
    assert found.query == Query("040 669 12 70", ("040 669 12 70",))
    assert found.is_confident
    within = numbers.query("040 669 12 8", mode=mode, where=AtPath("letter.md"))
    assert within.query == Query("040 669 12 8")  # no such number in that file


def test_a_number_that_stands_nowhere_or_is_taken_as_text_is_a_query_like_any(numbers: MiniSearch) -> None:
    for asked, mode in (
        ("040 669 12 99", "hybrid"),
        (Query("040 669 12 70"), "hybrid"),
        ("040 669 12 70", "dense"),
    ):
        found = numbers.query(asked, 40, mode=mode)
        assert len({hit.path for hit in found}) == 26 and found.query.required == ()


def test_a_phrase_that_stands_there_answers_who_asks_for_nothing_else(numbers: MiniSearch) -> None:
    assert numbers.query('"word5 word6"').is_confident
    assert numbers.query('"040 669 12 70"').is_confident
    (phrase,), (more, *_) = (numbers.query(text, 1) for text in ('"word5 word6"', 'basalt "word5 word6"'))
    assert more.relevance < phrase.relevance


def test_a_page_that_copies_leave_short_is_filled_and_what_was_reranked_once_stays(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"copy{number}.md").write_text("an oven for bread\n")
    others = ["a kiln", "a stove", "the grill outside", "an oven door", "hot ashes", "smoke and fire"]
    for number, text in enumerate(others):
        (tmp_path / f"other{number}.md").write_text(text + "\n")
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path, backend="flat")
        for mode in MODES[:2]:
            page = ms.query("an oven for bread", 5, mode=mode)
            assert [len(result.merged) for result in page] == [149, 0, 0, 0, 0]
        reranker = Shortest()
        page = ms.query("an oven for bread", 5, rerank=reranker, rerank_depth=3)
        assert (len(page), page.n_reranked) == (5, 3)
        assert reranker.n_seen == 1  # of the text that the three have in common
