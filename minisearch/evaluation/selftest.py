"""How well an index finds its own content, without a label: an index folder in, ranks and times out.

    index -> a masked copy with its queries -> asked in every mode, looked up by every backend

The index itself is only read.  The real engine answers over the copy, so what is measured is what a user
gets.  Where the queries come from is left to `masked_index`, what ranks are worth to `evaluate.ranks`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minisearch.engine import MiniSearch
from minisearch.errors import BackendUnavailable
from minisearch.evaluation.known_items import KnownItem
from minisearch.evaluation.masked_index import DEFAULT_N, MaskedIndex, OnProgress, masked_copy
from minisearch.evaluation.ranks import DEPTH
from minisearch.paths import IndexLocation
from minisearch.results import MODES, Mode, Query
from minisearch.stores.local import Store
from minisearch.types import Encoder, FloatArray, Hits
from minisearch.vectors import backend_names, load_backend, open_base
from minisearch.vectors.base import VectorIndex
from minisearch.vectors.live import publish_index

N_WARM_UP = 3  # queries before the clock counts


@dataclass(frozen=True, slots=True)
class Asked:
    """The engine in one setting: the rank of each query's document, 0 beyond the tenth, and the time.

    ``backend`` is "" in lexical mode, which needs none.  Times include the embedding of the query.
    """

    mode: Mode
    backend: str
    ranks: tuple[int, ...]
    latencies_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A vector index alone: the share of the exact ten nearest that it finds, and what it costs."""

    backend: str
    recall: float
    latencies_s: tuple[float, ...]
    build_s: float
    n_bytes: int


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test found; ``items[i]`` is the query of every setting's ``ranks[i]``."""

    index: str
    model: str
    backend: str
    seed: int
    n_documents: int
    n_chunks: int
    items: tuple[KnownItem, ...]
    asked: tuple[Asked, ...]
    looked_up: tuple[LookedUp, ...]


def selftest(
    index_folder: Path,
    *,
    n: int = DEFAULT_N,
    seed: int = 0,
    modes: Sequence[Mode] = MODES,
    backends: Sequence[str] = (),
    encoder: Encoder | None = None,
    offline: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> SelfTest:
    """Ask an index at most ``n`` queries about its own documents, a document each.

    Without ``backends`` every one is tried whose library is installed.  Raises InputError where fewer than 20
    documents have a query of their own, BackendUnavailable for a backend that is named but not installed.
    """
    names = _backends(backends)
    shown = IndexLocation(index_folder).shown
    with masked_copy(
        index_folder, n=n, seed=seed, encoder=encoder, offline=offline, on_progress=on_progress
    ) as index:
        names.sort(key=lambda name: name != index.manifest.backend)  # its own first
        asked: list[Asked] = []
        looked_up = []
        for name in names:
            looked_up.append(_look_up(index, name, on_progress))
            asked += [
                _ask(index, mode, name, on_progress)
                for mode in dict.fromkeys(modes)
                if mode != "lexical" or name == names[0]  # it is the same with every vector index
            ]
    return SelfTest(
        index=str(index_folder),
        model=index.manifest.model,
        backend=index.manifest.backend,
        seed=seed,
        n_documents=index.n_documents,
        n_chunks=index.n_chunks,
        items=tuple(replace(item, path=shown(item.path)) for item in index.items),
        asked=tuple(sorted(asked, key=lambda one: modes.index(one.mode))),
        looked_up=tuple(looked_up),
    )


def _backends(named: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(named or backend_names()))
    if named:
        for name in names:
            load_backend(name)
    return [name for name in names if _is_installed(name)]


def _is_installed(backend: str) -> bool:
    try:
        load_backend(backend)
    except BackendUnavailable:
        return False
    return True


def _ask(index: MaskedIndex, mode: Mode, backend: str, on_progress: OnProgress) -> Asked:
    """Every query, to the engine over the vector index that was published last."""
    step = mode if mode == "lexical" else f"{mode}, {backend}"
    ranks, latencies_s = [], []
    with MiniSearch(index.folder, encoder=index.encoder) as engine:
        for i, item in enumerate([*index.items[:N_WARM_UP], *index.items]):
            on_progress(step, max(i - N_WARM_UP, 0), len(index.items))
            started_s = time.perf_counter()
            results = engine.query(Query(item.text), k=DEPTH, mode=mode, by="document")
            latencies_s.append(time.perf_counter() - started_s)
            ranks.append(next((hit.rank for hit in results if hit.doc_id == item.document_id), 0))
    on_progress(step, len(index.items), len(index.items))
    return Asked(
        mode, "" if mode == "lexical" else backend, tuple(ranks[N_WARM_UP:]), tuple(latencies_s[N_WARM_UP:])
    )


def _look_up(index: MaskedIndex, backend: str, on_progress: OnProgress) -> LookedUp:
    """Build and publish the vector index, and compare what it finds with an exact scan."""
    on_progress(f"building {backend}", 0, 1)
    dimension = index.manifest.dimension
    with Store(IndexLocation(index.folder).database, writable=True) as store:
        started_s = time.perf_counter()
        publish_index(store, index.folder, dimension, backend)
        build_s = time.perf_counter() - started_s
        base = store.base()
        exact = load_backend("flat").build(*store.vectors(dimension))
    assert base is not None, "it was just published"
    path = index.folder / base.file
    published = open_base(backend, path, base.ids, dimension)
    queries = index.encoder.encode_query([item.text for item in index.items])
    found, latencies_s = _nearest(published, queries)
    recall = overlap(found, _nearest(exact, queries)[0])
    return LookedUp(backend, recall, latencies_s, build_s, path.stat().st_size)


def _nearest(index: VectorIndex, queries: FloatArray) -> tuple[list[Hits], tuple[float, ...]]:
    """The ten nearest to each of the queries (q, d), and the seconds that each took."""
    index.search(queries[:N_WARM_UP], DEPTH)
    hits, latencies_s = [], []
    for query in queries:
        started_s = time.perf_counter()
        hits += index.search(query[None], DEPTH)
        latencies_s.append(time.perf_counter() - started_s)
    return hits, tuple(latencies_s)


def overlap(found: Sequence[Hits], exact: Sequence[Hits]) -> float:
    """The share of the exact hits that were found, by id, all queries together."""
    n_found = sum(len(np.intersect1d(a.ids, b.ids)) for a, b in zip(found, exact, strict=True))
    return n_found / sum(map(len, exact))
