"""FAISS's file of a plain list is read without FAISS, and anything else is left to it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from minisearch.errors import IndexCorrupt
from minisearch.vectors import open_base
from minisearch.vectors.flat import HEADER, open_list
from tests.vectors.index_cases import index_class, some_ids, unit_rows

IDS = some_ids(500)
VECTORS = unit_rows(500)


def saved(tmp_path, *, kind="faiss", n=500):
    path = tmp_path / "base.faiss"
    index_class(kind).build(IDS[:n], VECTORS[:n]).save(path)
    return path


def test_a_list_gives_the_hits_that_faiss_gives_to_the_last_bit(tmp_path):
    path = saved(tmp_path)
    ours, theirs = open_list(path, IDS, 24), index_class("faiss").load(path, IDS, 24)
    for index in (ours, theirs):
        index.set_changes(some_ids(9, start=9_000), unit_rows(9, seed=4), IDS[::7])
    for query in unit_rows(30, seed=3):
        [mine], [faiss] = ours.search(query[None], 12), theirs.search(query[None], 12)
        assert mine.ids.tolist() == faiss.ids.tolist()
        assert mine.scores.tobytes() == faiss.scores.tobytes()


def test_a_list_of_nothing_is_a_list(tmp_path):
    assert len(open_list(saved(tmp_path, n=0), IDS[:0], 24)) == 0


def test_a_list_is_opened_without_faiss_and_a_graph_with_it(tmp_path):
    program = (
        "import sys, numpy as np; from pathlib import Path; from minisearch.vectors import open_base;"
        "open_base('faiss', Path(sys.argv[1]), np.arange(500), 24); print('faiss' in sys.modules)"
    )
    for kind, expected in [("faiss", "False"), ("hnsw", "True")]:
        path = saved(tmp_path, kind=kind)
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("kind", ["hnsw", "flat"])
def test_another_kind_of_index_is_left_to_faiss(tmp_path, kind):
    assert open_list(saved(tmp_path, kind=kind), IDS, 24) is None


def test_a_list_under_another_metric_is_left_to_faiss(tmp_path):
    import faiss

    index = faiss.IndexFlatL2(24)
    index.add(VECTORS)
    faiss.write_index(index, str(tmp_path / "l2"))
    assert open_list(tmp_path / "l2", IDS, 24) is None


@pytest.mark.parametrize("n_bytes", [0, 1, HEADER.size - 1, HEADER.size, 1_000, -1])
def test_a_torn_list_is_left_to_faiss(tmp_path, n_bytes):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert open_list(path, IDS, 24) is None
    with pytest.raises(IndexCorrupt, match="rebuild"):
        open_base("faiss", path, IDS, 24)


def test_other_ids_and_dimensions_are_refused(tmp_path):
    path = saved(tmp_path)
    for ids, dimension in [(IDS[:-1], 24), (IDS, 23), (IDS[:250], 48)]:
        with pytest.raises(IndexCorrupt, match="holds 500 vectors of dimension 24"):
            open_base("faiss", path, ids, dimension)


def test_a_header_of_negative_numbers_is_refused(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(HEADER.pack(b"IxFI", -24, -500, 0, 0, True, 0, 12_000) + content[HEADER.size :])
    with pytest.raises(IndexCorrupt, match="holds -500"):
        open_list(path, IDS, 24)


def test_there_is_no_opener_where_there_is_no_file(tmp_path):
    with pytest.raises(IndexCorrupt, match="No such file"):
        open_base("faiss", tmp_path / "nothing", np.arange(3), 24)
