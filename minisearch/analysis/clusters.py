"""Clusters: documents that are about the same thing, each cluster with words that name it, and a map of all.

The vectors of an index go in; no model runs.  A document is the mean of its passages.  HDBSCAN (Campello et
al. 2013) finds the clusters on principal components, and t-SNE (van der Maaten & Hinton 2008) places the
documents, so that near ones stand together.  Both look at no more than `MAX_FITTED` documents, evenly spread;
every other document joins the nearest of these.  So time grows with the documents only where they are read.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from minisearch.errors import InputError, MinisearchError, install_line
from minisearch.stores.base import Snapshot
from minisearch.text import STOP_WORDS, content_words, folded, stem
from minisearch.types import FloatArray, IntArray

MAX_FITTED = 3_000  # documents: HDBSCAN takes 2 s for them, t-SNE 10 s
MAX_COMPONENTS = 50
MAX_LABEL_WORDS = 3
LEAST_SHARE = 0.3  # of the documents of a cluster: a word of its label is in as many
MAX_WORDS = 400  # distinct words of a document that may name its cluster
SEED = 0
NO_CLUSTER = -1


@dataclass(frozen=True, slots=True)
class ClusteredDocument:
    """A document on the map: ``x`` and ``y`` are from 0 to 1."""

    path: str
    title: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Documents about the same thing, the most typical first; ``label`` has the words that set them apart.

    Where none does, it is the title of the most typical one.
    """

    label: str
    documents: tuple[ClusteredDocument, ...]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters, the largest first, and the documents that belong to none."""

    clusters: tuple[Cluster, ...]
    others: tuple[ClusteredDocument, ...] = ()


def cluster(
    snapshot: Snapshot, display_path: Callable[[str], str], *, min_size: int | None = None
) -> Clusters:
    """Find the clusters of at least ``min_size`` documents; by default some more in a larger index.

    Raises InputError for fewer than four documents, MinisearchError without scikit-learn.
    """
    if min_size is not None and min_size < 2:
        raise InputError(f"min_size is {min_size}: a cluster has at least 2 documents")
    documents = snapshot.documents()
    vectors, names, words = _read(snapshot, list(documents))
    n = len(names)
    if n < 4:
        raise InputError(f"the index has {n} documents with text: at least 4 are needed to find clusters")
    points = _components(vectors)
    size = min_size or max(2, round(n**0.5 / 3))
    labels, places = _fitted(points, size)
    members = [np.flatnonzero(labels == one) for one in range(labels.max() + 1)]
    members = [one for one in sorted(members, key=lambda one: (-len(one), one[0])) if len(one)]
    shown = [
        ClusteredDocument(display_path(path), title, round(float(x), 4), round(float(y), 4))
        for (path, title), (x, y) in zip(names, places, strict=True)
    ]
    in_title = [frozenset(map(folded, content_words(title))) for _, title in names]
    names_of = _labels(members, words, in_title)
    grouped = [tuple(shown[place] for place in _typical_first(one, vectors)) for one in members]
    return Clusters(
        tuple(
            Cluster(label or _name(documents[0]), documents)
            for label, documents in zip(names_of, grouped, strict=True)
        ),
        tuple(shown[place] for place in np.flatnonzero(labels == NO_CLUSTER)),
    )


def _read(
    snapshot: Snapshot, paths: Sequence[str]
) -> tuple[FloatArray, list[tuple[str, str]], list[frozenset[str]]]:
    """A unit vector (n, d), path and title, and the words of each document with passages."""
    vectors: list[FloatArray] = []
    names: list[tuple[str, str]] = []
    words: list[frozenset[str]] = []
    for path in sorted(paths):
        chunks = snapshot.chunks_of(path)
        if not chunks:
            continue
        mean = snapshot.vectors(np.array([one.id for one in chunks], np.int64)).mean(axis=0)
        vectors.append(mean / max(float(np.linalg.norm(mean)), 1e-9))
        names.append((path, chunks[0].title))
        text = " ".join([chunks[0].title, *(one.text for one in chunks)])
        counts = Counter(word for word in map(folded, content_words(text)) if _may_name(word))
        words.append(frozenset(word for word, _ in counts.most_common(MAX_WORDS)))
    return np.array(vectors, np.float32), names, words


def _may_name(word: str) -> bool:
    return len(word) > 2 and word.isalpha() and word not in STOP_WORDS


def _components(vectors: FloatArray) -> FloatArray:
    """The documents in as few dimensions as their number can fill, (n, d)."""
    decomposition = _scikit("decomposition")
    n = len(vectors)
    n_components = int(min(MAX_COMPONENTS, max(2, round(n**0.5)), n - 1, vectors.shape[1]))
    pca = decomposition.PCA(n_components, random_state=SEED)
    sample = vectors[_sample(n)]
    if len(sample) < n_components:
        sample = vectors
    pca.fit(sample)
    points: FloatArray = pca.transform(vectors).astype(np.float32)
    return points


def _sample(n: int) -> IntArray:
    """At most `MAX_FITTED` of n places, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, MAX_FITTED)).astype(np.int64))


def _fitted(points: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """The cluster of each document, and its place on the map, (n, 2) from 0 to 1."""
    sample = _sample(len(points))
    fitted = points[sample]
    size = max(2, round(size * len(sample) / len(points)))
    found = _scikit("cluster").HDBSCAN(min_cluster_size=size, min_samples=1, copy=True)
    labels_fitted = found.fit_predict(fitted)
    perplexity = min(30.0, max(1.0, (len(fitted) - 1) / 3))
    tsne = _scikit("manifold").TSNE(perplexity=perplexity, init="pca", random_state=SEED)
    places_fitted = tsne.fit_transform(fitted)
    labels, places = np.full(len(points), NO_CLUSTER), np.zeros((len(points), 2), np.float32)
    for start, nearest in _nearest(points, fitted):
        labels[start : start + len(nearest)] = labels_fitted[nearest]
        places[start : start + len(nearest)] = places_fitted[nearest]
    places[sample], labels[sample] = places_fitted, labels_fitted
    low, high = places.min(axis=0), places.max(axis=0)
    return labels.astype(np.int64), (places - low) / np.maximum(high - low, 1e-9)


def _nearest(points: FloatArray, fitted: FloatArray, n_rows: int = 2_000) -> Iterator[tuple[int, IntArray]]:
    """For blocks of points, the first's place and the nearest fitted point of each."""
    squares = (fitted**2).sum(axis=1)
    for start in range(0, len(points), n_rows):
        distances = (
            squares - 2 * points[start : start + n_rows] @ fitted.T
        )  # (n_rows, n_fitted), but a constant
        yield start, distances.argmin(axis=1)


def _typical_first(members: IntArray, vectors: FloatArray) -> list[int]:
    nearness = vectors[members] @ vectors[members].mean(axis=0)
    order: list[int] = members[np.lexsort((members, -nearness))].tolist()
    return order


def _name(document: ClusteredDocument) -> str:
    return document.title or PurePath(document.path).name


def _labels(
    members: Sequence[IntArray], words: Sequence[frozenset[str]], in_title: Sequence[frozenset[str]]
) -> list[str]:
    """For each cluster the words that many of its documents have, also in titles, and few others."""
    n_with = Counter(word for one in words for word in one)
    labels = []
    for places in members:
        n_inside = Counter(word for place in places for word in words[place])
        n_titles = Counter(word for place in places for word in in_title[place])
        scores = {
            word: (n + n_titles[word]) / len(places) * np.log(len(words) / n_with[word])
            for word, n in n_inside.items()
            if n >= max(2, LEAST_SHARE * len(places))
        }
        chosen: dict[str, str] = {}  # by stem
        for word in sorted(scores, key=lambda word: (-scores[word], word)):
            chosen.setdefault(stem(word), word)
            if len(chosen) == MAX_LABEL_WORDS:
                break
        labels.append(", ".join(chosen.values()))
    return labels


def _scikit(module: str) -> Any:  # noqa: ANN401 - a module of a library that may be missing
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MinisearchError(f"clusters need scikit-learn: {install_line('analysis')}") from error
