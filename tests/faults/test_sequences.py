"""Any sequence of additions, edits, deletions, renames, crashes and reopenings, against a plain dict."""

from __future__ import annotations

import os
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
from minisearch.manifest import BACKENDS
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder

WORDS = ("river", "stone", "bread", "salt", "window", "cloud", "paper", "garden")
NAMES = st.sampled_from(["a.md", "b.md", "c.txt", "sub/d.md", "sub/e.txt", "ein öl.md"])
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
IN_MEMORY = "/dev/shm"  # no power is cut here: waiting for a disk would prove nothing


class Crash(BaseException):
    """The process dies here; nothing below may catch it."""


class RememberingEncoder(HashingEncoder):
    """It remembers the passages it was given, and not the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: list[str] = []

    def encode_document(self, texts):
        self.passages += texts
        return super().encode_document(texts)


class Index(RuleBasedStateMachine):
    """Files on the disk, what of them should be in the index, and the index."""

    backend = "flat"
    n_steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None))
        self.folder, self.index_folder = self.root / "docs", self.root / ".minisearch"
        self.folder.mkdir()
        self.encoder = RememberingEncoder()
        self.stored: set[str] = set()  # every text that was in the index since something was removed
        self.let_go: set[str] = set()  # what that was: known until the next change
        self.files: dict[str, str] = {}
        self.indexed: dict[str, str] = {}
        self.before: dict[str, str] | None = None  # what the last change replaced
        self.is_under_way = False  # whether that was of a run that was cut short
        self.ms = MiniSearch(self.index_folder, encoder=self.encoder)

    def teardown(self) -> None:
        self.ms.close()
        shutil.rmtree(self.root)

    @initialize(text=TEXTS)
    def begin(self, text: str) -> None:
        self.write("a.md", text)
        self.ms.index(self.folder, backend=self.backend)
        self.settle(dict(self.files))

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
        self.encoder.passages.clear()
        report = self.ms.index(self.folder, prune=True)
        assert report.removed == len(self.indexed.keys() - self.files.keys())
        assert report.added == len(self.files.keys() - self.indexed.keys())
        passages = self.encoder.passages
        assert len(set(passages)) == len(passages), "no text is embedded twice"
        assert not self.stored.intersection(passages), "a text that was ever stored has its vector"
        self.settle(dict(self.files))

    def settle(self, indexed: dict[str, str], *, is_cut_short: bool = False) -> None:
        """Say what is in the index now; a run that was cut short and the next to change it are one change."""
        if indexed != self.indexed:
            if not self.is_under_way:
                self.before = self.indexed
            self.is_under_way = is_cut_short
            self.stored -= self.let_go
            self.let_go = set()
        self.indexed = indexed
        self.stored |= set(indexed.values())

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), name=NAMES)
    def change(self, data: st.DataObject, name: str) -> None:
        """One file becomes what it, or another, may have been before."""
        self.write(name, data.draw(st.sampled_from(sorted(self.stored)) | TEXTS))
        self.index()

    @rule(n_puts=st.integers(0, 3))
    def crash_while_indexing(self, n_puts: int) -> None:
        put, remove, left = LocalStore.put, LocalStore.remove, [n_puts]
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

        LocalStore.put, LocalStore.remove = dying_put, told_remove  # type: ignore[method-assign]
        is_cut_short = False
        try:
            self.ms.index(self.folder, prune=True)
        except Crash:
            is_cut_short = True
        finally:
            LocalStore.put, LocalStore.remove = put, remove  # type: ignore[method-assign]
        self.settle(state, is_cut_short=is_cut_short)

    @precondition(lambda self: self.indexed)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.indexed)))
        self.ms.remove(self.folder / name)
        kept = self.indexed.copy()
        del kept[name]
        self.is_under_way = False
        self.settle(kept)
        self.stored = {*self.before.values()}  # to go back; the rest is forgotten
        self.let_go = {self.before[name]}

    @rule()
    def rebuild(self) -> None:
        self.ms.rebuild()

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
        self.is_under_way = False

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
        (query,) = self.encoder.encode_query([text])
        names = sorted(self.indexed)
        vectors = self.encoder.encode([f"{Path(name).stem} {self.indexed[name]}" for name in names])
        expected = {name: float(score) for name, score in zip(names, vectors @ query, strict=True)}
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


def test_a_branch_that_comes_back_after_an_edit_is_not_embedded_again():
    state = Index()
    try:
        state.begin("river stone")
        for texts in (("bread", "salt"), ("window", "cloud"), ("window", "paper"), ("garden", "garden")):
            state.write("b.md", texts[0])
            state.write("sub/d.md", texts[1])
            state.index()
        state.encoder.passages.clear()
        for texts in (("bread", "salt"), ("garden", "paper"), ("window", "cloud")):
            state.write("b.md", texts[0])
            state.write("sub/d.md", texts[1])
            state.index()
            state.the_answers_are_those_of_a_plain_dict()
            assert state.encoder.passages == []
    finally:
        state.teardown()


@pytest.mark.parametrize("backend", BACKENDS)
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
