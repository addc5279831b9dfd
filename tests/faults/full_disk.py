"""A small disk that runs full under the real command: to be run where mounts are one's own.

    unshare -rm python -m tests.faults.full_disk ROOT MEGABYTES N SEED

A tmpfs of so many megabytes is mounted on ``ROOT/disk``.  N times each, with room left for a part of what it
takes, an index is made, updated, rebuilt and copied; what must hold is asserted.  The last line counts.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from minisearch.errors import StoreError
from tests.backends import INSTALLED
from tests.faults.commands import assert_one_error, minisearch
from tests.faults.damaged import answers, difference
from tests.faults.invariants import assert_whole, state, write_documents

PAGE = 4096


def main(root: str, megabytes: str, n: str, seed: str) -> None:
    disk = Disk(Path(root) / "disk", Path(root))
    disk.path.mkdir()
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk.path)], check=True)
    write_documents(disk.docs, 30, seed=1)
    rng = random.Random(f"{megabytes} {seed}")
    counts: Counter[str] = Counter()
    for _ in range(int(n)):
        for action in (make, ask, update, rebuild, copy):
            counts[action(disk, rng)] += 1
    print(json.dumps(counts))


@dataclass(frozen=True)
class Disk:
    """A disk with an index on it, documents elsewhere."""

    path: Path
    root: Path

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def docs(self) -> Path:
        return self.root / "docs"

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self, room: int) -> None:
        """Leave room for so many bytes."""
        free = os.statvfs(self.path).f_bavail * PAGE
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(PAGE, free - room // PAGE * PAGE))

    def used(self) -> int:
        return sum(path.stat().st_blocks * 512 for path in self.index.iterdir())

    def run(self, *arguments: object, rng: random.Random, at_most: int) -> bool:
        """Run a command with room for no more than that; whether it failed, as it should then."""
        self.fill(int(at_most * rng.random() ** 2))
        done = minisearch(*arguments, "--index", self.index)
        if done.returncode == 0:
            assert not done.stderr, done.stderr
        else:
            assert_one_error(done, str(self.path), "bytes free")
        left = [str(path) for path in self.path.rglob("*") if path.suffix in {".tmp", ".unfinished"}]
        assert not left, (left, done.stderr)
        return done.returncode != 0

    def run_with_room(self, *arguments: object) -> None:
        self.ballast.unlink(missing_ok=True)
        done = minisearch(*arguments, "--index", self.index)
        assert done.returncode == 0, done.stderr


def make(disk: Disk, rng: random.Random) -> str:
    shutil.rmtree(disk.index, ignore_errors=True)
    has_failed = disk.run("index", disk.docs, rng=rng, at_most=800_000)
    if (disk.index / "minisearch.db").exists():
        try:
            stored = state(disk.index)
        except StoreError as error:
            assert "minisearch index" in str(error) or "bytes free" in str(error), error
        else:
            assert_whole(disk.index)
            assert set(stored) <= {str(path) for path in disk.docs.iterdir()}
    disk.run_with_room("index", disk.docs)
    assert_whole(disk.index)
    assert len(state(disk.index)) == len(list(disk.docs.iterdir()))
    return f"index {'failed' if has_failed else 'had room'}"


def ask(disk: Disk, rng: random.Random) -> str:
    """Asking writes nothing that would need room, not even SQLite's own files."""
    before = answers(disk.index)
    for name in ("minisearch.db-shm", "minisearch.db-wal"):
        (disk.index / name).unlink(missing_ok=True)
    disk.fill(0)
    done = minisearch("query", "w1 w2", "--index", disk.index)
    assert done.returncode == 0, done.stderr
    assert not difference(answers(disk.index), before)
    disk.ballast.unlink()
    return "query had no room, and needed none"


def update(disk: Disk, rng: random.Random) -> str:
    old = state(disk.index)
    for path in rng.sample(sorted(disk.docs.iterdir()), 15):
        path.write_text(path.read_text() + f"\n\nMore of w{rng.randrange(500)} and w{rng.randrange(500)}.\n")
    has_failed = disk.run("index", disk.docs, rng=rng, at_most=disk.used())
    between = state(disk.index)
    assert_whole(disk.index)
    answers(disk.index)
    disk.run_with_room("index", disk.docs)
    assert_whole(disk.index)
    new = state(disk.index)
    assert all(between[path] in (old[path], new[path]) for path in old), "a document of neither state"
    return f"update {'failed' if has_failed else 'had room'}"


def rebuild(disk: Disk, rng: random.Random) -> str:
    before, backend = answers(disk.index), rng.choice(sorted(INSTALLED, reverse=True))
    has_failed = disk.run("rebuild", "--backend", backend, rng=rng, at_most=60_000)
    assert not difference(answers(disk.index), before)
    disk.run_with_room("rebuild", "--backend", backend)
    assert not difference(answers(disk.index), before)
    return f"rebuild {'failed' if has_failed else 'had room'}"


def copy(disk: Disk, rng: random.Random) -> str:
    before, backup = answers(disk.index), disk.path / "backup.db"
    has_failed = disk.run("backup", backup, rng=rng, at_most=2 * disk.used())
    assert not difference(answers(disk.index), before)
    assert backup.exists() != has_failed
    backup.unlink(missing_ok=True)
    disk.run_with_room("backup", backup)
    backup.unlink()
    return f"backup {'failed' if has_failed else 'had room'}"


if __name__ == "__main__":
    main(*sys.argv[1:])
