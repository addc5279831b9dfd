"""A small index of FAISS is a list of vectors, read without FAISS; a large one is a graph."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minisearch.vectors.flat import FlatIndex
from tests.vectors.index_cases import index_class, some_ids, unit_rows

IDS = some_ids(500)
VECTORS = unit_rows(500)


@pytest.mark.parametrize(("kind", "needs_faiss"), [("faiss", "False"), ("hnsw", "True")])
def test_a_list_is_opened_without_faiss_and_a_graph_with_it(tmp_path, kind, needs_faiss):
    index = index_class(kind).build(IDS, VECTORS)
    assert isinstance(index, FlatIndex) == (kind == "faiss")
    path = tmp_path / f"base{index.suffix}"
    index.save(path)
    program = (
        "import sys, numpy as np; from pathlib import Path; from minisearch.vectors import open_base;"
        "open_base('faiss', Path(sys.argv[1]), np.arange(500), 24); print('faiss' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == needs_faiss
