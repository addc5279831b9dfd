"""Files that are not what they should be, and disks that are full.

What a backend cannot see is damage that keeps the file's shape: a flipped bit in a vector, a page of
zeros, and for Annoy a file cut between two of its trees.  The store's checksum is for those.
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from minisearch.errors import IndexCorrupt, InputError
from tests.vectors.index_cases import some_ids, unit_rows

IDS = some_ids(500)
VECTORS = unit_rows(500)


@pytest.fixture
def saved(backend, tmp_path):
    path = tmp_path / f"base{backend.suffix}"
    backend.build(IDS, VECTORS).save(path)
    return path


def test_a_file_with_another_number_of_vectors_is_refused(backend, saved):
    for ids in (IDS[:-1], some_ids(501), IDS[:0]):
        with pytest.raises(IndexCorrupt, match=rf"holds 500 vectors .* where {len(ids)} of dimension 24"):
            backend.load(saved, ids, 24)


def test_a_file_of_another_dimension_is_refused(backend, saved):
    for dimension in (1, 3, 23, 25, 48):
        with pytest.raises(IndexCorrupt, match="rebuild"):
            backend.load(saved, IDS, dimension)


def test_an_empty_file_is_refused(backend, saved):
    saved.write_bytes(b"")
    with pytest.raises(IndexCorrupt, match="cannot be read"):
        backend.load(saved, IDS, 24)


def test_a_missing_file_and_a_folder_are_refused(backend, tmp_path):
    with pytest.raises(IndexCorrupt, match=r"cannot be read .*No such file"):
        backend.load(tmp_path / "nothing", IDS, 24)
    with pytest.raises(IndexCorrupt, match="cannot be read"):
        backend.load(tmp_path, IDS, 24)


def test_some_other_file_is_refused(backend, saved):
    for other in (b"# Notes\n\nnot an index at all\n" * 1000, b"\0" * 100_000, bytes(range(256)) * 99):
        saved.write_bytes(other)
        with pytest.raises(IndexCorrupt, match="rebuild"):
            backend.load(saved, IDS, 24)


def test_an_array_that_is_not_of_vectors_is_refused(tmp_path):
    from minisearch.vectors.flat import FlatIndex

    for array in (VECTORS.astype(np.float64), VECTORS[0], np.array([{"a": 1}], dtype=object)):
        np.save(tmp_path / "base.npy", array)
        with pytest.raises(IndexCorrupt, match=r"base\.npy: the vector index cannot be read"):
            FlatIndex.load(tmp_path / "base.npy", IDS, 24)


def test_a_faiss_index_of_another_kind_is_refused(tmp_path):
    import faiss

    from minisearch.vectors.faiss import FaissIndex

    quantized = faiss.IndexScalarQuantizer(24, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    for index in (faiss.IndexFlatIP(24), faiss.IndexHNSWFlat(24, 8), quantized):
        index.train(VECTORS)
        index.add(VECTORS)
        faiss.write_index(index, str(tmp_path / "base.faiss"))
        with pytest.raises(IndexCorrupt, match="a graph by inner product was expected"):
            FaissIndex.load(tmp_path / "base.faiss", IDS, 24)


def test_a_file_cut_short_is_refused_or_shows_in_the_checksum(backend, saved):
    whole = saved.read_bytes()
    rng = np.random.default_rng(0)
    for n_bytes in sorted({1, len(whole) - 1, *rng.integers(1, len(whole), 60).tolist()}):
        saved.write_bytes(whole[:n_bytes])
        if backend.name == "annoy" and n_bytes % (12 + 4 * 24) == 0:
            continue  # cut between two nodes: fewer trees, and Annoy cannot know
        with pytest.raises(IndexCorrupt, match="cannot be read"):
            backend.load(saved, IDS, 24)


def test_a_full_disk_is_an_error_and_not_a_short_file(backend, saved):
    """FAISS and NumPy by themselves report success when only the last bytes do not fit."""
    program = f"""
import numpy as np
import resource
from pathlib import Path
from minisearch.vectors import load_backend

Index = load_backend({backend.name!r})
Index.hnsw_from = {getattr(backend, "hnsw_from", 0)}
vectors = np.load({str(saved.with_suffix(".vectors.npy"))!r})
index = Index.build(np.arange(500) * 3 + 5, vectors)
resource.setrlimit(resource.RLIMIT_FSIZE, ({saved.stat().st_size - 10},) * 2)
index.save(Path({str(saved)!r}))
"""
    np.save(saved.with_suffix(".vectors.npy"), VECTORS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"OSError: .*File too large", done.stderr)


def test_a_folder_that_is_not_there_cannot_be_written_to(backend, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        backend.build(IDS, VECTORS).save(tmp_path / "missing" / "base")


def test_a_path_that_is_not_utf8_works_or_is_refused_with_the_reason(backend, tmp_path):
    path = tmp_path / "\udcff"
    index = backend.build(IDS, VECTORS)
    if backend.name == "annoy":
        with pytest.raises(InputError, match="Annoy opens only paths that are UTF-8"):
            index.save(path)
    else:
        index.save(path)
        assert len(backend.load(path, IDS, 24)) == 500
