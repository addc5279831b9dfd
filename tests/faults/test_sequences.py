"""Any sequence of additions, edits, deletions, renames, crashes and reopenings, against a plain dict."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from minisearch import MiniSearch
from minisearch.storage import Store
from tests.fakes import HashingEncoder

WORDS = ("river", "stone", "bread", "salt", "window", "cloud", "paper", "garden")
NAMES = st.sampled_from(["a.md", "b.md", "c.txt", "sub/d.md", "sub/e.txt", "ein öl.md"])
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


class Crash(BaseException):
    """The process dies here; nothing below may catch it."""


class CountingEncoder(HashingEncoder):
    """It counts the passages it was given, and not the questions."""

    n_passages = 0

    def encode_document(self, texts):
        self.n_passages += len(texts)
        return super().encode_document(texts)


class Index(RuleBasedStateMachine):
    """Files on the disk, what of them should be in the index, and the index."""

    backend = "flat"
    n_steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folder, self.index_folder = self.root / "docs", self.root / ".minisearch"
        self.folder.mkdir()
        self.encoder = CountingEncoder()
        self.files: dict[str, str] = {}
        self.indexed: dict[str, str] = {}
        self.before: dict[str, str] | None = None  # what the last change replaced
        self.ms = MiniSearch(self.index_folder, encoder=self.encoder)

    def teardown(self) -> None:
        self.ms.close()
        shutil.rmtree(self.root)

    @initialize(text=TEXTS)
    def begin(self, text: str) -> None:
        self.write("a.md", text)
        self.ms.index(self.folder, backend=self.backend)
        self.indexed = dict(self.files)

    # --- the disk ------------------------------------------------------------------------------------

    @rule(name=NAMES, text=TEXTS)
    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.files[name] = text

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / name).unlink()
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), to=NAMES)
    def rename(self, data: st.DataObject, to: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / to).parent.mkdir(exist_ok=True)
        (self.folder / name).rename(self.folder / to)
        self.files[to] = self.files.pop(name)

    # --- the index -----------------------------------------------------------------------------------

    @rule()
    def index(self) -> None:
        known = set(self.indexed.values()) | set((self.before or {}).values())
        n_before = self.encoder.n_passages
        report = self.ms.index(self.folder, prune=True)
        if self.indexed != self.files:
            self.before = self.indexed
        assert report.removed == len(self.indexed.keys() - self.files.keys())
        assert report.added == len(self.files.keys() - self.indexed.keys())
        n_new = len(set(self.files.values()) - known)
        assert self.encoder.n_passages - n_before <= n_new, "a stored text is not embedded again"
        self.indexed = dict(self.files)

    @rule(n_puts=st.integers(0, 3))
    def crash_while_indexing(self, n_puts: int) -> None:
        put, remove, left = Store.put, Store.remove, [n_puts]
        state = dict(self.indexed)

        def dying_put(store, document, *rest, **options):
            if not left[0]:
                raise Crash
            left[0] -= 1
            put(store, document, *rest, **options)
            name = Path(document.path).relative_to("docs").as_posix()
            state[name] = self.files[name]

        def told_remove(store, document_ids, **options):
            ids = list(document_ids)
            names = {document.id: path for path, document in store.documents().items()}
            remove(store, ids, **options)
            for id_ in ids:
                del state[Path(names[id_]).relative_to("docs").as_posix()]

        Store.put, Store.remove = dying_put, told_remove  # type: ignore[method-assign]
        try:
            with contextlib.suppress(Crash):
                self.ms.index(self.folder, prune=True)
        finally:
            Store.put, Store.remove = put, remove  # type: ignore[method-assign]
        if state != self.indexed:
            self.before = self.indexed
        self.indexed = state

    @rule(backend=st.sampled_from(["flat", "faiss", "annoy"]))
    def rebuild(self, backend: str) -> None:
        self.ms.rebuild(backend if type(self).backend == "any" else type(self).backend)

    @rule()
    def reopen(self) -> None:
        self.ms.close()
        self.ms = MiniSearch(self.index_folder, encoder=self.encoder)

    @precondition(lambda self: self.before is not None)
    @rule()
    def roll_back(self) -> None:
        self.ms.rollback()
        assert self.before is not None
        self.indexed, self.before = self.before, self.indexed

    # --- what must hold ------------------------------------------------------------------------------

    @invariant()
    def the_answers_are_those_of_a_plain_dict(self) -> None:
        if not self.index_folder.exists():
            return
        type(self).n_steps += 1
        if not self.indexed:
            assert self.ms.status().n_documents == 0
            return
        text = "river bread"
        (question,) = self.encoder.encode_query([text])
        names = sorted(self.indexed)
        vectors = self.encoder.encode([self.indexed[name] for name in names])
        expected = {name: float(score) for name, score in zip(names, vectors @ question, strict=True)}
        found = self.ms.query(text, len(names) + 3, mode="dense", by="chunk")
        scores = {
            Path(hit.path).resolve().relative_to(self.folder.resolve()).as_posix(): hit.score for hit in found
        }
        assert scores.keys() == expected.keys()
        assert np.allclose([scores[name] for name in names], [expected[name] for name in names], atol=1e-5)
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
        with_word = {name for name in names if "stone" in self.indexed[name].split()}
        hits = self.ms.query("stone", 50, mode="lexical", by="chunk")
        assert {
            Path(hit.path).resolve().relative_to(self.folder.resolve()).as_posix() for hit in hits
        } == with_word


@pytest.mark.parametrize("backend", ["flat", "faiss", "annoy"])
def test_every_sequence_of_operations_answers_as_a_dict_would(backend, often, tell, fault_seed):
    machine = type(f"Index_{backend}", (Index,), {"backend": backend, "n_steps": 0})
    n = often(20, 10_000)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=n,
            stateful_step_count=10,
            deadline=None,
            derandomize=fault_seed == 0,
            suppress_health_check=list(HealthCheck),
        ),
    )
    tell(
        f"sequences of operations, {backend}",
        f"{n:,} sequences, {machine.n_steps:,} states compared, 0 mismatches",
    )
