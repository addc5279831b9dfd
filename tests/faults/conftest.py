"""How often, with which seed, and how the counts are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import TORTURE_COUNTS


@pytest.fixture(scope="session")
def is_torture(pytestconfig: pytest.Config) -> bool:
    """Whether the long version was asked for."""
    return bool(pytestconfig.getoption("--torture"))


@pytest.fixture(scope="session")
def often(is_torture: bool) -> Callable[[int, int], int]:
    """How often a fault is made: ``often(20, 200)`` is 20 times, 200 times with --torture."""
    return lambda few, many: many if is_torture else few


@pytest.fixture(scope="session")
def fault_seed(pytestconfig: pytest.Config) -> int:
    """The seed of all that is drawn by chance."""
    return int(pytestconfig.getoption("--fault-seed"))


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Put a count into the summary: ``tell("kill -9 while indexing", "20 kills, 0 lost")``."""

    def record(name: str, count: str) -> None:
        pytestconfig.stash[TORTURE_COUNTS][name] = count

    return record
