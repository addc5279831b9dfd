"""Choosing a backend by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minisearch.errors import BackendUnavailable, InputError
from minisearch.manifest import BACKENDS, DEFAULT_BACKEND
from minisearch.vectors import load_backend


def test_the_default_is_among_the_choices():
    assert DEFAULT_BACKEND in BACKENDS


@pytest.mark.parametrize("name", BACKENDS)
def test_a_name_loads_the_class_that_bears_it(name):
    try:
        index_class = load_backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    assert index_class.name == name
    assert index_class.suffix.startswith(".")


def test_no_two_backends_share_a_suffix():
    suffixes = [load_backend(name).suffix for name in ("faiss", "flat")] + [".ann"]
    assert len(set(suffixes)) == len(BACKENDS)


@pytest.mark.parametrize("name", ["", "Faiss", "hnswlib", "../flat"])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(InputError, match=r"no vector index called .*; choose from faiss, annoy, flat"):
        load_backend(name)


@pytest.mark.parametrize(
    ("name", "install"),
    [("annoy", r"pip install 'minisearch-local\[annoy\]'"), ("faiss", "pip install faiss-cpu")],
)
def test_a_missing_library_names_the_line_that_installs_it(monkeypatch, name, install):
    monkeypatch.setitem(sys.modules, name, None)  # Python's own way of saying: not to be found
    monkeypatch.delitem(sys.modules, f"minisearch.vectors.{name}", raising=False)
    with pytest.raises(BackendUnavailable, match=f"the {name} index needs a library .*: {install}"):
        load_backend(name)


def test_loading_one_backend_imports_no_library_of_another():
    program = (
        "import sys, minisearch.vectors as i; i.load_backend('flat');"
        "sys.exit(bool({'faiss', 'annoy', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
