"""k results, or every match: a filtered question on every backend, against plain Python over the documents.

All cosines are multiples of 1/4096, which float32 holds exactly in whatever order they are summed.  So what
is expected is computed in whole numbers, and an exact backend has to give the very same passages in order.
Every case asks by meaning and by chunk; the other modes share the filter, and have their tests elsewhere.
"""

from __future__ import annotations

import math
import pathlib
import random
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.filters import And, Before, Contains, Extension, Field, Language, Not, Or, Path, Since
from minisearch.paths import DATABASE
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.vectors import load_backend
from tests.backends import INSTALLED
from tests.conftest import TORTURE_COUNTS
from tests.fakes import HashingEncoder
from tests.plain_filters import (
    FINITE,
    HOSTILE,
    LANGUAGES,
    MOMENTS,
    NAMES,
    PATHS,
    PATTERNS,
    PHRASES,
    TEXTS,
    VALUES,
    is_at,
    is_ignored,
    is_left,
    ns,
)
from tests.stores.store_cases import a_chunk, assert_sound

DIMENSION, UNIT = 16, 64  # every vector is whole numbers over 64, their squares' sum 4096
N_DOCUMENTS, N_CHANGED = 240, 25
KS = [1, 2, 3, 10, 20, 20, 30, 100, 600]
MTIMES = [0, -(2**63), 2**63 - 1, *(ns(moment) for moment in MOMENTS[:4])]
OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "contains"]

# --- vectors whose cosines are exact ----------------------------------------------------------------


def whole_vector(rng, side):
    """(16,) whole numbers of length 64, on one ``side`` of the space or the other (1 or -1)."""
    head = np.rint([side * 52, *rng.normal(0, 8, DIMENSION - 5)]).astype(np.int64)
    while (rest := UNIT**2 - int(head @ head)) < 0:
        head //= 2
    return np.array([*head, *rng.permutation(four_squares(rest))], np.int64)


@cache
def four_squares(n):
    """Four whole numbers whose squares add up to n: there always are some (Lagrange)."""
    for a in range(math.isqrt(n), -1, -1):
        for b in range(math.isqrt(n - a * a), -1, -1):
            for c in range(math.isqrt(n - a * a - b * b), -1, -1):
                rest = n - a * a - b * b - c * c
                if math.isqrt(rest) ** 2 == rest:
                    return a, b, c, math.isqrt(rest)
    raise AssertionError(n)


class ExactEncoder(HashingEncoder):
    def __init__(self):
        super().__init__("exact", dimension=DIMENSION)

    def encode(self, texts):
        return np.array([whole_of(text) for text in texts], np.float32) / np.float32(UNIT)


def whole_of(text):
    rng = np.random.default_rng(zlib.crc32(text.encode("utf-8", "replace")))
    return whole_vector(rng, rng.choice([1, -1]))


# --- a corpus, in an index and as a list ------------------------------------------------------------------


@dataclass
class Corpus:
    """Documents in a real index; what it holds by chunk id: the document, the chunk, its whole vector."""

    ms: MiniSearch
    folder: pathlib.Path
    held: dict = field(default_factory=dict)

    def change(self, rng, n):
        """Put n random documents, some in the place of others, and remove a few."""
        numbers = np.random.default_rng(rng.randrange(2**32))
        with LocalStore(self.folder / ".minisearch" / DATABASE, writable=True) as store, store.snapshot():
            known = {document.path: document.id for document in store.documents().values()}
            gone = [path for path in known if rng.random() < 0.1 or path == "seed.md"]
            store.remove([known[path] for path in gone])
            self._forget(gone)
            for _ in range(n):
                self._put(store, rng, numbers)

    def _forget(self, paths):
        self.held = {id_: one for id_, one in self.held.items() if one[0].path not in paths}

    def _put(self, store, rng, numbers):
        document = a_document(rng)
        chunks = [
            a_chunk(rng.choice(TEXTS), rng.choice(["", "lava", "東京"])) for _ in range(rng.randint(1, 4))
        ]
        side = 1 if document.language in LANGUAGES[:2] else -1
        vectors = [whole_vector(numbers, side) for _ in chunks]
        if rng.random() < 0.2 and self.held:  # a copy ties with what it is a copy of
            vectors[0] = rng.choice(list(self.held.values()))[2]
        store.put(document, chunks, np.array(vectors, np.float32) / np.float32(UNIT))
        self._forget({document.path})
        ids = store.chunk_ids().tolist()[-len(chunks) :]
        self.held |= dict(
            zip(ids, ((document, *two) for two in zip(chunks, vectors, strict=True)), strict=True)
        )

    def expected(self, where, query):
        """(dot, id) of every chunk that the filter leaves, best first."""
        vector = whole_of(query)
        is_of_passages, known = "Contains" in repr(where), {}
        left = []
        for id_, (document, chunk, own) in self.held.items():
            key = id_ if is_of_passages else document.path
            if key not in known:
                known[key] = is_left(where, document, chunk, self.is_at)
            if known[key]:
                left.append((int(own @ vector), id_))
        return sorted(left, key=lambda one: (-one[0], one[1]))

    def is_at(self, pattern, path):
        """Whether a pattern, written in the folder that holds the index, is of this stored path.

        A name, or anything after "**/", is looked for at any depth; what has a slash in it is of one place
        on the whole disk, or of that place in the folder if the disk's has nothing to do with the folder.
        """
        if "/" not in pattern.rstrip("/") or pattern.startswith("**/"):
            return is_at(pattern, path)
        pattern = re.sub("^/+", "/", pattern)
        place = pattern if pattern.startswith("/") else f"{escaped(self.folder)}/{pattern}"
        absolute = path if path.startswith("/") else f"{self.folder}/{path}"
        if not path.startswith("/") and pattern.startswith("/") and not leads_to(place, self.folder):
            absolute = path
        return is_ignored(place, absolute)


@cache
def leads_to(pattern, folder):
    """Whether some path below the folder could match: names that stand for themselves, and "*" and "**"."""
    names, parts = pattern.strip("/").split("/"), str(folder).strip("/").split("/")
    n = names.index("**") if "**" in names else len(names)
    return all(is_ignored(f"/{name}", part) for name, part in zip(names[:n], parts, strict=False))


def escaped(path):
    return re.sub(r"([\\*?\[])", r"\\\1", str(path))


def a_document(rng):
    path = rng.choice(PATHS)
    if rng.random() < 0.8:  # most under a name of their own
        name, dot, end = path.rpartition(".")
        path = f"{name or 'x'}{rng.randrange(1_000)}{dot}{end}"
    own = {
        rng.choice(NAMES): tuple(rng.choice(VALUES) for _ in range(rng.randint(0, 3)))
        for _ in range(rng.randint(0, 4))
    }
    stamp = FileStamp(1, rng.choice(MTIMES), 2, 3)
    title = rng.choice(["", "kelp", "東京"])
    return StoredDocument(
        path, "markdown", title, stamp, b"", "", rng.choice([*LANGUAGES, LANGUAGES[2]]), own
    )


# --- filters -----------------------------------------------------------------------------------------


def a_tree(rng, corpus, depth=3):
    kind = rng.random() if depth else 1.0
    if kind < 0.2:
        return And(tuple(a_tree(rng, corpus, depth - 1) for _ in range(rng.randint(0, 3))))
    if kind < 0.5:
        return Or(tuple(a_tree(rng, corpus, depth - 1) for _ in range(rng.randint(0, 3))))
    if kind < 0.65:
        return Not(a_tree(rng, corpus, depth - 1))
    return rng.choice(LEAVES)(rng, corpus)


def a_field(rng, _=None):
    if rng.random() < 0.1:
        return Field(rng.choice(NAMES), rng.choice(["=", "!="]), rng.random() < 0.5)
    names, values = [*NAMES, "AUTHOR", "É", "SS"], [*HOSTILE, *FINITE]
    return Field(rng.choice(names), rng.choice(OPERATORS), rng.choice(values), is_exact=rng.random() < 0.3)


def a_path(rng, corpus):
    pattern = rng.choice(PATTERNS)
    if "/" in pattern.rstrip("/") and rng.random() < 0.5:
        folder = rng.choice([escaped(corpus.folder), "/abs", "", "/*", f"{corpus.folder.parent}/*", "/**"])
        pattern = f"{folder}/{pattern.lstrip('/')}"
    return Path(pattern)


def a_list(rng, _=None):
    """One of several values of a field."""
    name, is_exact, values = rng.choice(NAMES), rng.random() < 0.3, [*HOSTILE, *FINITE, True, False]
    return Or(tuple(Field(name, "=", one, is_exact) for one in rng.choices(values, k=rng.randint(1, 20))))


LEAVES = [
    a_path,
    a_path,
    a_field,
    a_field,
    a_field,
    a_list,
    lambda rng, _: Extension(rng.choice(["md", ".md", "MD", "tar.gz", "gz", "'", "é", "\ud800", "\0"])),
    lambda rng, _: Language(rng.choice([*LANGUAGES, "Python", "\ud800", "\0"])),
    lambda rng, _: Since(rng.choice(MOMENTS)),
    lambda rng, _: Before(rng.choice(MOMENTS)),
    lambda rng, _: Contains(rng.choice(PHRASES)),
]


def a_tree_of_fields(rng, depth=3):
    """One that a text can say."""
    kind = rng.random() if depth else 1.0
    if kind < 0.4:
        parts = tuple(a_tree_of_fields(rng, depth - 1) for _ in range(rng.randint(2, 3)))
        return rng.choice([And, Or])(parts)
    if kind < 0.55:
        return Not(a_tree_of_fields(rng, depth - 1))
    own = a_field(rng)
    name = own.name if re.fullmatch(r"[\w.-]+", own.name) else "author"
    return Field(name, own.operator, 7 if own.value == 10**400 else own.value)


def as_text(where, rng):
    """The tree as ``--where`` takes it."""
    match where:
        case And(parts) | Or(parts):
            word = rng.choice([" and ", " AND\n"] if isinstance(where, And) else [" or ", " Or "])
            return word.join(f"({as_text(part, rng)})" for part in parts)
        case Not(part):
            return f"not ({as_text(part, rng)})"
    value, quote = where.value, rng.choice("'\"")
    if isinstance(value, str):
        shown = quote + value.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote
    else:
        shown = str(value) if isinstance(value, bool) else repr(float(value))
    return f"{where.name} {where.operator} {shown}"


# --- the contract ------------------------------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch):
    """Candidates are asked for where a scan would be quicker, so that small corpora try them."""
    for name in set(INSTALLED) - {"flat"}:
        monkeypatch.setattr(load_backend(name), "rows_per_candidate", 1)


@pytest.mark.parametrize("backend", ["flat", "faiss", "faiss graph", "annoy"])
def test_a_filtered_query_has_k_results_or_every_match(backend, eager, tmp_path, pytestconfig, monkeypatch):
    name = backend.split()[0]
    if backend == "faiss graph":
        monkeypatch.setattr(load_backend(name), "hnsw_from", 0)
    is_long = pytestconfig.getoption("--torture")
    rng = random.Random(f"{pytestconfig.getoption('--fault-seed')} {backend}")
    n_corpora, n_filters = (8, 325) if is_long else (2, 160)
    tally = Counter()
    for number in range(n_corpora):
        folder = tmp_path / f"{number} [of] 2"
        folder.mkdir()
        (folder / "seed.md").write_text("seed")
        monkeypatch.chdir(folder)  # where its patterns are written
        with MiniSearch(folder / ".minisearch", encoder=ExactEncoder()) as ms:
            ms.index(folder)
            corpus = Corpus(ms, folder)
            corpus.change(rng, N_DOCUMENTS)
            ms.rebuild(name)
            corpus.change(rng, N_CHANGED)  # a base, what came since and what went
            for _ in range(n_filters):
                tally += ask(corpus, rng, is_exact=backend in {"flat", "faiss"})
        assert_sound(folder / ".minisearch" / DATABASE)
    assert tally["cases"] == n_corpora * n_filters
    assert tally["nearest"] >= 0.999 * tally["wanted"], "few vectors hide nothing from a graph or a forest"
    assert tally["as text"] > tally["cases"] / 10
    assert tally["every match"] and tally["k of more"] and tally["nothing"]
    assert bool(tally["widen"]) == (backend in {"faiss graph", "annoy"}), "both plans are tried"
    pytestconfig.stash[TORTURE_COUNTS][f"filtered questions, {backend}"] = (
        f"{tally['cases']:,} of corpus, filter and k, 0 mismatches with plain Python; "
        f"{tally['nothing']:,} without a match, {tally['as text']:,} as text, {tally['widen']:,} widened"
    )


def ask(corpus, rng, *, is_exact):
    """One case, checked; what it was."""
    k, query = rng.choice(KS), f"question {rng.randrange(10**6)}"
    is_text = rng.random() < 0.2
    where = a_tree_of_fields(rng) if is_text else a_tree(rng, corpus)
    if rng.random() < 0.08:  # all that is nearest to half of the questions is filtered out
        where, is_text, k = ~(Language(LANGUAGES[0]) | Language(LANGUAGES[1])), False, rng.choice([1, 20])
    given = as_text(where, rng) if is_text else where
    expected = corpus.expected(where, query)
    found = corpus.ms.query(query, k, mode="dense", by="chunk", where=given)
    got = [(round(hit.score * UNIT**2), hit.chunk_id) for hit in found]
    assert found.n_matching == len(expected), given
    assert len(got) == min(k, len(expected)), given
    assert set(got) <= set(expected), given
    assert got == sorted(got, key=lambda one: (-one[0], one[1])), given
    if is_exact or found.plan == "scan":
        assert got == expected[:k], given
    return Counter(
        {
            "cases": 1,
            "wanted": len(got),
            "nearest": len(set(got) & set(expected[:k])),
            "as text": int(is_text),
            "nothing": int(not expected),
            "every match": int(0 < len(expected) <= k),
            "k of more": int(len(expected) > k),
            found.plan: 1,
        }
    )
