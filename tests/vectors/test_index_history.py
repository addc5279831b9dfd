"""Any history of adding, removing, merging, saving and loading, against a dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.vectors.index_cases import ALL_BACKENDS, brute_force, index_class, unit_rows

# Few enough that a history holds many copies of one vector.
POOL = unit_rows(150, dimension=8)
QUERIES = unit_rows(30, dimension=8, seed=1)


class History(RuleBasedStateMachine):
    backend: type
    is_exact: bool

    @initialize(n=st.integers(0, 400), seed=st.integers(0, 99))
    def build(self, n, seed):
        rows = np.random.default_rng(seed).integers(0, 150, n)
        self.live = dict(enumerate(rows.tolist(), start=1))  # id -> row of POOL
        self.next_id = n + 1
        self.merge()

    @rule(rows=st.lists(st.integers(0, 149), max_size=30))
    def add(self, rows):
        new = dict(enumerate(rows, start=self.next_id))
        self.next_id += len(rows) + 1
        self.live |= new
        self.added |= new
        self.tell_changes()

    @rule(data=st.data(), share=st.floats(0, 1))
    def remove(self, data, share):
        ids = data.draw(st.permutations(sorted(self.live)))[: int(share * len(self.live))]
        for id_ in ids:
            del self.live[id_]
        self.removed.update(ids)
        self.tell_changes()

    @rule()
    def merge(self):
        self.added, self.removed = {}, set()
        self.index = self.backend.build(*as_arrays(self.live))

    @rule()
    def save_and_load(self):
        self.merge()
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder) / "base")
            self.index = self.backend.load(Path(folder) / "base", as_arrays(self.live)[0], 8)

    @rule(query=st.sampled_from(list(QUERIES)), k=st.integers(1, 60))
    def search(self, query, k):
        [hits] = self.index.search(query[None], k)
        everything = brute_force(*as_arrays(self.live), query, len(self.live))
        expected = everything[:k] if self.is_exact else [hit for hit in everything if hit[0] in hits.ids]
        assert hits.ids.tolist() == [id_ for id_, _ in expected]
        np.testing.assert_allclose(hits.scores, [score for _, score in expected], atol=1e-6)
        assert len(hits) == min(k, len(self.live))

    @invariant()
    def it_holds_what_is_live(self):
        assert self.index.ids.tolist() == sorted(self.live)
        assert len(self.index) == len(self.live)

    def tell_changes(self):
        self.index.set_changes(*as_arrays(self.added), np.array(sorted(self.removed), np.int64))


def as_arrays(rows_by_id):
    ids = np.array(sorted(rows_by_id), np.int64)
    rows = np.array([rows_by_id[id_] for id_ in ids.tolist()], np.int64)
    return ids, POOL[rows]


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_an_index_follows_its_history(name):
    class ThisHistory(History):
        backend = index_class(name)
        is_exact = name == "flat"

    run_state_machine_as_test(
        ThisHistory, settings=settings(max_examples=40, stateful_step_count=20, deadline=None)
    )
