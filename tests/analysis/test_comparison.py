"""What one document says that another does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from minisearch import MiniSearch, SentenceTransformer
from minisearch.errors import InputError
from tests.fakes import HashingEncoder

OLD = """# Renting the hall

The hall costs 40 euros an evening. Bring your own dishes and glasses.

## Keys

You get the keys from Mrs Brandt on the first floor. Hand them back before noon on the next day.
"""
NEW = """# Renting the hall

An evening in the hall is 55 euros. You have to bring dishes and glasses yourselves.

## Keys

Mrs Brandt on the first floor has the keys. Give them back by noon the following day.
Smoking is forbidden in all rooms, and dogs must stay outside.
"""


def test_other_words_are_no_difference_and_other_numbers_are(
    tmp_path: Path, minilm: SentenceTransformer
) -> None:
    (tmp_path / "old.md").write_text(OLD)
    (tmp_path / "new.md").write_text(NEW)
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(tmp_path)
        found = ms.compare(tmp_path / "old.md", tmp_path / "new.md")
    assert [(one.kind, one.line) for one in found.statements] == [("changed", 3), ("new", 8)]
    changed, new = found.statements
    assert changed.nearest == "The hall costs 40 euros an evening."
    assert changed.nearest_line == 3
    assert new.text == "Smoking is forbidden in all rooms, and dogs must stay outside."
    assert new.heading == "Renting the hall > Keys"
    assert found.n_sentences == 5


def test_numbers_that_have_changed_places_are_a_difference(
    tmp_path: Path, minilm: SentenceTransformer
) -> None:
    (tmp_path / "old.md").write_text(
        "The hall costs 40 euros on Monday.\n\nA taxi to the airport takes 55 minutes.\n"
    )
    (tmp_path / "new.md").write_text(
        "The hall costs 55 euros on Monday.\n\nA taxi to the airport takes 40 minutes.\n"
    )
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(tmp_path)
        found = ms.compare(tmp_path / "old.md", tmp_path / "new.md")
    assert [one.kind for one in found.statements] == ["changed", "changed"]


def test_a_document_says_nothing_that_it_does_not_say(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text(OLD)
    (tmp_path / "copy.md").write_text(OLD)
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        assert ms.compare(tmp_path / "old.md", tmp_path / "copy.md").statements == ()
        with pytest.raises(InputError, match="is not in the index"):
            ms.compare(tmp_path / "old.md", tmp_path / "none.md")
