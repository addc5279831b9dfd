"""What new users found wrong on a page of results, with the real model: order, relevance, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.minilm import SentenceTransformer

NOTES = {
    "gtd.md": "# Getting Things Done\n\nA method with lists.",
    "boiler.md": "# Boiler\n\nThe pressure of the boiler should be between 1.0 and 1.5 bar.",
    "wifi.md": "# Wireless network\n\nThe router restarts when the small button is held for ten seconds.",
    "storage.py": "def atomic_write_json(path, value):\n    return replace(path, dumps(value))\n",
    "write.md": "# Atomic writes\n\nWrite the JSON to a temporary file, then rename it: the write is atomic.",
    "errors.txt": "ERROR urllib3 HTTPSConnectionPool gave up after the third attempt\n",
    "conn.md": "# Connection pools\n\nA pool of HTTPS connections is kept open and used again.",
    "valve.md": "---\nid: SHP-7\n---\n\nThe relief valve of the second tank.",
    "thai.md": "รถจอดผิดที่ต้องเสียค่าปรับห้าร้อยบาท",
}
COPIES = {
    f"x{n:02}.md": f"# Ferry {n}\n\nTimetable number {n} of the ferry to island {n}." for n in range(30)
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory, minilm: SentenceTransformer) -> Iterator[MiniSearch]:
    folder = tmp_path_factory.mktemp("notes")
    for name, text in (NOTES | COPIES).items():
        (folder / name).write_text(text, encoding="utf-8")
    with MiniSearch.open(folder, encoder=minilm) as engine:
        engine.index(folder)
        yield engine


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("Getting Things Done", "gtd.md"),
        ("boiler pressure", "boiler.md"),
        ("restart the router", "wifi.md"),
    ],
)
def test_an_answer_among_near_copies_is_clear(notes: MiniSearch, query: str, name: str) -> None:
    found = notes.query(query, 3)
    assert Path(found[0].path).name == name
    assert found.is_confident and found[0].relevance > 0.6
    assert found[1].relevance < 0.5


@pytest.mark.parametrize(
    "query", ["what is error SHP-9", "ERR_9921", "atomic_write_yaml", "the boiler shows F99"]
)
def test_a_code_that_is_nowhere_has_no_clear_answer(notes: MiniSearch, query: str) -> None:
    found = notes.query(query)
    assert found.is_confident is False and found[0].relevance < 0.4


@pytest.mark.parametrize("query", ["boiler", "timetable", "temporary file"])
def test_words_that_stand_in_a_passage_are_a_clear_answer(notes: MiniSearch, query: str) -> None:
    assert notes.query(query).is_confident


@pytest.mark.parametrize("query", ["how do I cook rice", "how tall is Mount Everest", "flask on kubernetes"])
def test_what_no_document_is_about_has_no_clear_answer(notes: MiniSearch, query: str) -> None:
    assert notes.query(query).is_confident is False


@pytest.mark.parametrize("query", ["糖醋排骨怎么做", "😀", "🦆🦆"])
def test_a_script_that_the_model_cannot_read_is_near_to_nothing(notes: MiniSearch, query: str) -> None:
    found = notes.query(query, 1)
    assert found.is_confident is False and found[0].relevance < 0.1


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("atomic_write_json", "storage.py"),
        ("HTTPSConnectionPool", "errors.txt"),
        ("what is HTTPSConnectionPool about", "errors.txt"),
        ("SHP-7", "valve.md"),
        ("where is SHP-7?", "valve.md"),
        ("gtd", "gtd.md"),
        ("wifi", "wifi.md"),
    ],
)
def test_an_exact_token_or_name_comes_first(notes: MiniSearch, query: str, name: str) -> None:
    assert Path(notes.query(query, 1)[0].path).name == name


@pytest.mark.parametrize(
    ("query", "is_clear"),
    [
        ("pressure of the boiler", True),
        ("pressure of the boiler for penguins", False),
        ("restart the router for karaoke", False),
        ("reboot the wireless router", True),  # a word that no document has, of the same meaning
        ("timetable of the boat to the island", True),
    ],
)
def test_an_unknown_word_of_another_subject_makes_an_answer_unclear(
    notes: MiniSearch, query: str, is_clear: bool
) -> None:
    assert notes.query(query).is_confident is is_clear


WEEK = {
    "bread.md": "Knead the dough of the bread, let it rest, then bake the bread for forty minutes.",
    "rota.md": "The bins are emptied each Monday, in August by a Norwegian firm, with the Gutters.",
    "roof.md": "# Roof\n\nThe gutters were mended by Anton Kowalczyk, who lives in the mill.",
    "garden.md": "# Garden\n\nThe apple tree was planted by James; it needs water in its first summer.",
    "bus.md": "# Buses\n\nThe bus to the station leaves at seven and at nine.",
}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("bread on Monday", "bread.md"),
        ("bread on Mondays", "bread.md"),
        ("baking bread in August", "bread.md"),
        ("some Norwegian bread", "bread.md"),
        (
            "the bus to the station and the Gutters",
            "bus.md",
        ),  # a common noun: the index has it without a capital
        ("bread of Kowalczyk", "roof.md"),  # a name that the model does not know
        ("the tree of James", "garden.md"),
    ],
)
def test_a_capitalised_word_that_is_no_rare_name_does_not_decide(
    tmp_path: Path, minilm: SentenceTransformer, query: str, name: str
) -> None:
    for file, text in WEEK.items():
        (tmp_path / file).write_text(text)
    with MiniSearch.open(tmp_path, encoder=minilm) as engine:
        engine.index(tmp_path)
        assert Path(engine.query(query, 1)[0].path).name == name


DAYS = {
    "2026-03-14.md": "We looked at the roof.",
    "2026-03-15.md": "We looked at the cellar, on Sunday.",
    "2026-04-14.md": "We looked at the mill in April and in March.",
    "minutes of 2 May 2026.md": "We looked at the bridge.",
    "letter.md": "The contract was signed on March 3rd, 2026, for 12,500 euros.",
    "budget.md": "The mill costs 13.500 euros.",
}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("14 March 2026", "2026-03-14.md"),
        ("what did we do on March 14, 2026", "2026-03-14.md"),
        ("14.3.2026", "2026-03-14.md"),
        ("notes of 15/03/2026", "2026-03-15.md"),
        ("2026-05-02", "minutes of 2 May 2026.md"),
        ("signed on 2026-03-03", "letter.md"),
        ("12500", "letter.md"),
        ("paid 12 500 euros", "letter.md"),
        ("what costs 13,500", "budget.md"),
    ],
)
def test_dates_and_thousands_are_found_in_any_spelling(
    tmp_path: Path, minilm: SentenceTransformer, query: str, name: str
) -> None:
    for file, text in DAYS.items():
        (tmp_path / file).write_text(text)
    with MiniSearch.open(tmp_path, encoder=minilm) as engine:
        engine.index(tmp_path)
        found = engine.query(query, 1)
        assert Path(found[0].path).name == name and found.is_confident


LIBRARY = {
    "survey.md": """# A survey of heat

Most heat is lost at corners.

## References

[1] Smith, J. and Lee, K. 2011. Thermal bridges in timber houses. J. Building Physics, pp. 101-120.
[2] Brown, A. 2014. Moisture transport. Proc. of the Conference on Buildings, pp. 7-19.
[3] Novak, P. 2009. The airtightness of doors. Energy Review, vol. 12, pp. 33-41.
""",
    "damp.md": "# Damp walls\n\nMoisture rises in brick. Its transport through pores is slow.",
    "cork.md": "# Cold corners\n\nA thermal bridge of a timber house is sealed with cork.",
}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("moisture transport", "damp.md"),
        ("thermal bridges in timber houses", "cork.md"),
        ("the airtightness of doors", "survey.md"),  # only cited
    ],
)
def test_a_cited_title_comes_after_the_document_about_it(
    tmp_path: Path, minilm: SentenceTransformer, query: str, name: str
) -> None:
    for file, text in (LIBRARY | COPIES).items():
        (tmp_path / file).write_text(text)
    with MiniSearch.open(tmp_path, encoder=minilm) as engine:
        engine.index(tmp_path)
        found = engine.query(query)
        assert Path(found[0].path).name == name
        if name == "survey.md":
            assert "Novak" in found[0].text
