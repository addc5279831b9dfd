"""Indexes for the adapters; their suites' coroutines run with anyio's plugin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minisearch import MiniSearch
from tests.fakes import HashingEncoder

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"


def pytest_configure(config: pytest.Config) -> None:
    for name in ("asyncio", "benchmark", "vcr"):  # in the suites; their plugins are not needed
        config.addinivalue_line("markers", name)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MiniSearch]:
    """An engine without an index."""
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        yield ms


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An engine with three files."""
    folder = tmp_path_factory.mktemp("notes")
    for name in ("bread", "router", "compost"):
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n## Care\n\nHow to care for the {name}.\n")
    with MiniSearch.open(folder, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        yield ms
