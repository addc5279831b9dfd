"""What holds of an index after any fault, whatever happened to the process that wrote it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minisearch import MiniSearch
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder

DIMENSION = 64
QUERIES = ("bread and water", "river stone w7 w31", "w1 w2 w3")


def state(index: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every document by its path: the hash of its file, and its passages."""
    with LocalStore(index / "minisearch.db") as store, store.snapshot():
        return {
            path: (document.sha256.hex(), tuple(passage.text for passage in store.chunks_of(path)))
            for path, document in store.documents().items()
        }


def assert_whole(index: Path, acknowledged: Mapping[str, str] = {}) -> None:
    """Nothing is torn: the database is sound, every passage has its vector, acknowledged documents are there.

    ``acknowledged`` are SHA-256 by path.
    """
    with LocalStore(index / "minisearch.db") as store, store.snapshot():
        assert store.check(deep=True) == []
        documents = store.documents()
        for path, sha256 in acknowledged.items():
            assert path in documents, f"{path} was acknowledged and is lost"
            assert documents[path].sha256.hex() == sha256, f"{path} is not what was acknowledged"
        ids = store.chunk_ids()
        live = store.vector_index(DIMENSION)
        assert np.array_equal(live.ids, ids)
        stored_ids, vectors = store.all_vectors(DIMENSION)
        assert np.array_equal(stored_ids, ids)
        assert np.array_equal(live.vectors(ids), vectors)
    if acknowledged:
        with MiniSearch(index, encoder=HashingEncoder()) as ms:
            for query in QUERIES:
                for result in ms.query(query, by="chunk"):
                    assert result.chunk_id in ids


def assert_same_as_new(index: Path, folder: Path) -> None:
    """After a run to its end the index is what a new one over the same files would be, answers included."""
    # Beside the other one: the stored paths, and so the words of the folders in them, depend on the place.
    with tempfile.TemporaryDirectory(dir=index.parent, prefix=".fresh") as fresh_folder:
        fresh = Path(fresh_folder)
        with MiniSearch(fresh, encoder=HashingEncoder()) as ms:
            ms.index(folder)
            expected = {query: _answers(ms, query) for query in QUERIES}
        with MiniSearch(index, encoder=HashingEncoder()) as ms:
            ms.index(folder)
            found = {query: _answers(ms, query) for query in QUERIES}
        texts = {_name(path, folder): rest for path, rest in state(fresh).items()}
        assert {_name(path, folder): rest for path, rest in state(index).items()} == texts
        assert found == expected
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {Path(name).name for name in texts}


def _answers(ms: MiniSearch, query: str) -> list[tuple[str, int, float]]:
    # Equal scores are ordered by id, which a new index gives in another order.
    return sorted(
        (Path(result.path).name, result.line, round(result.score, 5))
        for result in ms.query(query, 10, by="chunk")
    )


def _name(path: str, folder: Path) -> str:
    return Path(path).name if not Path(path).is_relative_to(folder) else str(Path(path).relative_to(folder))


def write_documents(folder: Path, n: int, *, seed: int, first: int = 0) -> dict[Path, str]:
    """n small documents of several passages each, all different; SHA-256 by path."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for number in range(first, first + n):
        path = folder / f"d{number:04}.md"
        words = [f"w{word}" for word in rng.integers(0, 500, 90)]
        text = f"# Document {number}\n\n" + "\n\n".join(
            " ".join(words[start : start + 30]) for start in range(0, 90, 30)
        )
        path.write_text(text)
        written[path] = hashlib.sha256(text.encode()).hexdigest()
    return written
