"""A store on disk, empty and open for writing."""

from __future__ import annotations

import pytest

from minisearch.stores.local import LocalStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "minisearch.db"


@pytest.fixture
def store(path):
    with LocalStore(path, writable=True) as store:
        yield store
