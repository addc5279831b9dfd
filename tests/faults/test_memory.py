"""Indexing in bounded memory: much text takes no more of it than little; too little of it harms nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import minisearch
from tests.faults.invariants import assert_whole, state
from tests.faults.processes import CHECKOUT, environment

# An encoder that costs next to nothing: what is measured is everything else.
QUICK = """
import sys, zlib
import numpy as np
from tests import fakes
class Quick(fakes.HashingEncoder):
    def encode(self, texts):
        drawn = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dimension, np.float32)
                 for text in texts]
        vectors = np.array(drawn, np.float32).reshape(len(texts), self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
fakes.HashingEncoder = Quick
"""
# Everything is loaded, then there are so many megabytes more.
LIMIT = """
from tests.faults import limited
import resource
limited.load_everything()
limit = limited.memory_kb("VmSize") * 1_000 + {mb} * 1_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
"""


def write_text(folder: Path, megabytes: float, *, file_mb: float) -> None:
    """So much text, no paragraph like another, in files of one size."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    words = np.array([f"w{number:05}" for number in range(20_000)])
    for number in range(round(megabytes / file_mb)):
        drawn = words[rng.integers(0, len(words), round(file_mb * 1_000_000 / 7))]
        paragraphs = (" ".join(drawn[start : start + 150]) for start in range(0, len(drawn), 150))
        (folder / f"t{number:05}.md").write_text("\n\n".join(paragraphs) + "\n")


def index_in(mb: int, index: Path, folder: Path, megabytes: float) -> dict[str, float]:
    code = f"{QUICK}from tests.faults.limited import main\nmain(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, index, folder, str(mb)],
        env=environment(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["problems"] == []
    assert sum(told["documents"].values()) >= 0.99 * 1_000_000 * megabytes
    assert told["reports"][1]["added"] == told["reports"][1]["updated"] == 0
    return told


def test_a_hundred_megabytes_of_text_are_indexed_in_bounded_memory(tmp_path, often, tell):
    megabytes = often(2, 100)
    write_text(tmp_path / "docs", megabytes, file_mb=0.5)
    told = index_in(1_500, tmp_path / "index", tmp_path / "docs", megabytes)
    assert told["peak_mb"] < told["before_mb"] + 500
    tell(
        "memory while indexing",
        f"{megabytes} MB of text, {told['before_mb']:.0f} MB before, {told['peak_mb']:.0f} MB at the most",
    )


@pytest.mark.parametrize("mb", [5, 12, 18, 30])
def test_too_little_memory_is_one_line_and_the_index_stays_whole(tmp_path, mb):
    docs, index = tmp_path / "docs", tmp_path / "index"
    write_text(docs, 0.05, file_mb=0.01)
    assert minisearch("index", docs, "--index", index).returncode == 0
    old = state(index)
    write_text(docs, 1, file_mb=0.5)  # in the place of the first two
    done = minisearch("index", docs, "--index", index, first=QUICK + LIMIT.format(mb=mb), timeout_s=300)
    if done.returncode:
        *warnings, error = done.stderr.replace(str(tmp_path), "").splitlines()
        assert done.returncode == 1 and error.startswith("Error: "), done.stderr
        # SQLite calls it an I/O error where a file cannot be mapped, and Python 3.10 knows no better.
        assert "memory" in error or sys.version_info < (3, 11), done.stderr
        # The vector file may not fit either: its warning is of the same cause.
        assert all(one.startswith("minisearch: ") and "memory" in one for one in warnings), done.stderr
    else:
        assert mb > 5, "nothing needs as little"
    assert_whole(index)
    new = state(index)
    assert old.keys() == new.keys()
    for path in old:
        assert new[path] == old[path] or path.endswith(("t00000.md", "t00001.md"))
