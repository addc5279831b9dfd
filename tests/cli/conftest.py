"""A user's home folder, for the commands that read or write in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minisearch.minilm.encoders import Encoders
from tests.fakes import HashingEncoder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of notes, in a home folder without settings."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "MINISEARCH_INDEX", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: HashingEncoder())
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder, text in (("notes", "The roof leaks."), ("wo[r]k", "The roof is paid."), ("else", "")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(text)
    monkeypatch.chdir(tmp_path / "else")
    return tmp_path
