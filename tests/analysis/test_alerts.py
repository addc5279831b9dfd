"""Standing queries report each new passage once."""

from __future__ import annotations

from pathlib import Path

import pytest

from minisearch import MiniSearch, SentenceTransformer
from minisearch.errors import InputError, MinisearchError
from minisearch.paths import ALERTS

QUERY = "when does the ferry leave"


@pytest.fixture
def ms(tmp_path: Path, minilm: SentenceTransformer) -> MiniSearch:
    (tmp_path / "a.md").write_text("# Ferry\n\nThe ferry leaves at eight in the morning from pier two.\n")
    (tmp_path / "b.md").write_text("# Soup\n\nSimmer the onions in butter until they are soft.\n")
    ms = MiniSearch.open(tmp_path, encoder=minilm)
    ms.index(tmp_path)
    return ms


def names(ms: MiniSearch) -> list[str]:
    """The files with new passages, which then count as reported."""
    found = ms.alerts.check()
    ms.alerts.mark_reported(found)
    return [Path(hit.path).name for match in found for hit in match.results]


def test_only_new_passages_are_reported_and_each_once(ms: MiniSearch, tmp_path: Path) -> None:
    assert ms.alerts.add(QUERY) == 1
    assert names(ms) == [], "what is there is not reported"
    (tmp_path / "c.md").write_text("# Timetable\n\nIn winter the ferry leaves at nine and at five.\n")
    (tmp_path / "d.md").write_text("# Stew\n\nBrown the meat, add carrots and simmer for two hours.\n")
    ms.index(tmp_path)
    assert names(ms) == ["c.md"]
    assert names(ms) == []
    a = tmp_path / "a.md"
    a.write_text(a.read_text() + "\n# Tickets\n\nTickets are sold at the kiosk beside the church.\n")
    ms.index(tmp_path)
    assert names(ms) == [], "the passage about the ferry is the same"
    a.write_text(a.read_text().replace("at eight", "at half past six"))
    ms.index(tmp_path)
    assert names(ms) == ["a.md"]


def test_what_was_not_reported_stays_new(ms: MiniSearch, tmp_path: Path) -> None:
    ms.alerts.add(QUERY)
    (tmp_path / "c.md").write_text("# Timetable\n\nIn winter the ferry leaves at nine and at five.\n")
    ms.index(tmp_path)
    assert ms.alerts.check() == ms.alerts.check() != []


def test_the_current_folder_and_the_place_of_a_file_make_nothing_new(
    ms: MiniSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.alerts.add(QUERY)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    with MiniSearch("../.minisearch") as other:
        assert names(other) == []
    (tmp_path / "a.md").rename(tmp_path / "sub" / "a.md")
    ms.index(tmp_path, prune=True)
    assert names(ms) == []


def test_a_match_is_found_behind_many_better_ones(ms: MiniSearch, tmp_path: Path) -> None:
    for n in range(60):
        (tmp_path / f"{n}.md").write_text(f"When does the ferry leave? Ferry {n} leaves at {n} past.\n")
    ms.index(tmp_path)
    assert ms.alerts.add(QUERY) == 61
    (tmp_path / "late.md").write_text(
        "The ferry leaves late on the eve of holidays, as the timetable says.\n"
    )
    ms.index(tmp_path)
    assert names(ms) == ["late.md"]


def test_an_alert_that_is_added_during_a_check_is_kept(
    ms: MiniSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms.alerts.add(QUERY)
    (tmp_path / "c.md").write_text("# Timetable\n\nIn winter the ferry leaves at nine and at five.\n")
    ms.index(tmp_path)
    found = ms.alerts.check()
    with MiniSearch.open(tmp_path) as other:
        other.alerts.add("how do I make soup")
    ms.alerts.mark_reported(found)
    assert [one.query for one in ms.alerts.all()] == [QUERY, "how do I make soup"]
    assert names(ms) == []


def test_a_name_that_no_passage_has_yet_is_not_corrected(ms: MiniSearch, tmp_path: Path) -> None:
    """ "fery" would otherwise find the ferry."""
    ms.alerts.add("Simmet of Fery")
    (tmp_path / "c.md").write_text("# Timetable\n\nIn winter the ferry leaves at nine and at five.\n")
    ms.index(tmp_path)
    assert names(ms) == []


def test_alerts_are_kept_in_the_index_folder_and_can_be_removed(ms: MiniSearch, tmp_path: Path) -> None:
    ms.alerts.add(QUERY)
    file = tmp_path / ".minisearch" / ALERTS
    assert file.stat().st_mode & 0o777 == 0o600
    with MiniSearch.open(tmp_path) as other:
        assert [one.query for one in other.alerts.all()] == [QUERY]
        with pytest.raises(InputError, match="already"):
            other.alerts.add(QUERY)
        with pytest.raises(InputError, match="no alert 'soup'"):
            other.alerts.remove("soup")
        other.alerts.remove(QUERY)
        assert other.alerts.all() == ()
    assert ms.status().n_documents == 2, "the folder is still an index"


@pytest.mark.parametrize("content", [b"{", b"[1]", b'[{"query": 1, "seen": []}]', b"[" * 100_000, b"\xff"])
def test_a_damaged_file_is_named(ms: MiniSearch, tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".minisearch" / ALERTS).write_bytes(content)
    with pytest.raises(MinisearchError, match=r"alerts\.json is damaged: delete it"):
        ms.alerts.check()


def test_a_query_that_is_none_is_not_added(ms: MiniSearch) -> None:
    with pytest.raises(InputError, match="empty"):
        ms.alerts.add(" ")
    assert ms.alerts.all() == ()
