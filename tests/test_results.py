"""What a user of the Python API sees of results: short texts, slices, and headings."""

from __future__ import annotations

from pathlib import Path

import pytest

from minisearch import MiniSearch, SearchResults
from tests.fakes import HashingEncoder

TEXTS = {
    "bread.md": "# Sourdough\n\nFlour and water.\n\n## Oven\n\nBake the dough at noon.\n",
    "page.html": "<title>Sourdough</title><body><h2>Oven</h2><p>Bake the loaf, as the dough is ready.</p>",
    "notes.txt": "Bake the dough in the evening.\n",
}


@pytest.fixture
def ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: HashingEncoder) -> MiniSearch:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with MiniSearch.open(".", encoder=encoder) as ms:
        ms.index(".")
        yield ms


def test_a_slice_of_results_knows_what_all_know(ms: MiniSearch) -> None:
    found = ms.query("bake the dough", k=3)
    first = found[:2]
    assert isinstance(first, SearchResults)
    assert (list(first), first.is_confident, first.query) == (
        [found[0], found[1]],
        found.is_confident,
        found.query,
    )
    assert (found[:], found[::-1][0], len(found[5:])) == (found, found[2], 0)


def test_a_repr_is_one_short_line(ms: MiniSearch) -> None:
    found = ms.query("bake the dough", k=3)
    places = ", ".join(one.place for one in found)
    assert repr(found) == (
        f"SearchResults(3 results for 'bake the dough', is_confident={found.is_confident}: {places})"
    )
    hit = next(one for one in found if one.path == "notes.txt")
    assert repr(hit) == (
        f"SearchResult({hit.rank}, 'notes.txt:1', relevance={hit.relevance:.2f}, "
        f"'Bake the dough in the evening.')"
    )
    context = ms.context("bake the dough", k=1)
    assert repr(context) == (
        f"Context(1 passage, {context.n_tokens} tokens, is_confident={context.is_confident}: "
        f"{context[0].place})"
    )
    assert repr(ms.get("notes.txt")) == "Passage('notes.txt:1', 'Bake the dough in the evening.')"
    (Path("empty.md")).write_text("")
    report = ms.index(".")
    assert repr(report).startswith("IngestReport(added=0, updated=0, unchanged=3, removed=0, n_chunks=0, ")
    assert repr(report).endswith(", 1 skipped)")
    assert repr(SearchResults()) == "SearchResults(0 results for '', is_confident=None)"


def test_long_results_have_a_short_repr(ms: MiniSearch) -> None:
    ms.add([{"id": f"d{n}", "text": f"Bake the dough. {n} " * 100} for n in range(9)])
    found = ms.query("bake the dough " * 50, k=9, by="document")
    assert repr(found).endswith(", ...)")
    assert len(repr(found)) < 250
    assert max(len(repr(one)) for one in found) < 150


def test_the_full_heading_begins_with_the_title_in_every_format(ms: MiniSearch) -> None:
    best_last = reversed(ms.query("bake the dough", k=9, by="chunk"))
    found = {one.path: one for one in best_last}
    assert found["bread.md"].full_heading == found["page.html"].full_heading == "Sourdough > Oven"
    assert found["notes.txt"].full_heading == "", "a title that only repeats the name of the file"
