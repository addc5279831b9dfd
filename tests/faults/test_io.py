"""Every call that changes an index's files fails on purpose: the old state or the new one, never a mix.

The calls are the C library's, of SQLite, FAISS, Annoy and Python alike: a small library that is preloaded
makes the n-th of them fail, write half, find the disk full, or kill the process there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends import INSTALLED
from tests.faults.invariants import assert_same_as_new, assert_whole, state, write_documents
from tests.faults.processes import command, environment

SOURCE = Path(__file__).with_name("faulty_io.c")
N_DOCUMENTS = 5


@pytest.fixture(scope="session")
def faulty_io(tmp_path_factory) -> Path:
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("needs a C compiler, and Linux")
    library = tmp_path_factory.mktemp("faulty") / "faulty_io.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Werror", "-o", library, SOURCE, "-ldl"], check=True
    )
    return library


@dataclass(frozen=True)
class Stage:
    """A place to run in: documents, and an index of an earlier state of them."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "docs"

    @property
    def index(self) -> Path:
        return self.root / ".minisearch"

    def run(
        self, library: Path, arguments: list[object], *, at: int, kind: str
    ) -> tuple[int, str, int, bool]:
        """Exit code, standard error, the calls made, and whether one of them failed."""
        log = self.root / "log"
        log.unlink(missing_ok=True)
        env = environment() | {
            "LD_PRELOAD": str(library),
            "FAULT_FOLDER": str(self.index),
            "FAULT_AT": str(at),
            "FAULT_KIND": kind,
            "FAULT_LOG": str(log),
        }
        done = subprocess.run(
            command(*arguments), env=env, capture_output=True, text=True, timeout=120, check=False
        )
        told = log.read_text() if log.exists() else "0"
        return done.returncode, done.stderr, int(told.rstrip("!")), told.endswith("!")


@pytest.fixture
def stage(tmp_path) -> Stage:
    stage = Stage(tmp_path)
    write_documents(stage.folder, N_DOCUMENTS, seed=1)
    return stage


ACTIONS = {
    "update": lambda stage: ["index", stage.index, stage.folder],
    "rebuild": lambda stage: ["rebuild", stage.index, "annoy" if "annoy" in INSTALLED else "flat"],
}


@pytest.mark.parametrize("kind", ["EIO", "ENOSPC", "SHORT", "KILL"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_call_that_fails_leaves_the_old_state_or_the_new(
    stage, faulty_io, action, kind, is_torture, fault_seed, tell
):
    arguments = ACTIONS[action](stage)
    before_folder, before_index = stage.root / "before-docs", stage.root / "before-index"
    assert stage.run(faulty_io, ["index", stage.index, stage.folder], at=0, kind=kind)[0] == 0
    shutil.copytree(stage.folder, before_folder)
    shutil.copytree(stage.index, before_index)
    if action == "update":
        first, second, *_ = sorted(stage.folder.iterdir())
        first.write_text("# Edited\n\nThe river is w7 now.\n")
        second.unlink()
        write_documents(stage.folder, 1, seed=7, first=50)
    old = state(stage.index)
    code, errors, n_calls, _ = stage.run(faulty_io, arguments, at=0, kind=kind)
    assert code == 0, errors
    new = state(stage.index)
    wanted = range(1, n_calls + 1)
    if not is_torture:  # a few spread over all, the last ones of publishing among them
        wanted = sorted({*range(1 + fault_seed % 7, n_calls + 1, max(1, n_calls // 3)), n_calls - 1})
    n_failed = n_survived = 0
    for at in wanted:
        shutil.rmtree(stage.index)
        shutil.copytree(before_index, stage.index)
        code, errors, _, has_failed = stage.run(faulty_io, arguments, at=at, kind=kind)
        n_failed += has_failed
        n_survived += has_failed and code == 0
        where = f"{kind} at call {at} of {n_calls}: {errors}"
        if kind == "KILL":
            assert code in {0, -signal.SIGKILL}, where
        else:
            assert code in {0, 1}, where
            assert "Traceback" not in errors, where
            if code:
                assert errors.startswith("Error: ") and errors.count("\n") == 1, where
        assert_whole(stage.index)
        for path, document in state(stage.index).items():
            assert document in (old.get(path), new.get(path)), where
        if kind != "KILL":
            left = [name for name in os.listdir(stage.index) if name.endswith(".tmp")]
            assert not left, where
        assert_same_as_new(stage.index, stage.folder)
        assert not [name for name in os.listdir(stage.index) if name.endswith(".tmp")], where
    tell(
        f"{kind} at a call of {action}",
        f"{n_failed} of {n_calls} calls failed on purpose, {n_survived} of them without harm; 0 mixes",
    )
