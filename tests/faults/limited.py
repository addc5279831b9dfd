"""A process that indexes a folder twice within bounded memory, and tells what came of it.

    python -m tests.faults.limited INDEX FOLDER MB [MAX_BYTES] [UID]

MB is how much address space it may take beyond what it has once everything is loaded.  Files are taken up to
MAX_BYTES.  With UID it indexes as that user, once root has loaded all.  The last line of standard output is
one JSON object: both reports, the documents, and the peak of memory.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from minisearch import MiniSearch
from minisearch.manifest import FileChoice
from minisearch.parsers import registry
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder


def main(index: str, folder: str, mb: str, max_bytes: str = "0", uid: str = "0") -> None:
    load_everything()
    if int(uid):
        os.seteuid(int(uid))
    limit = memory_kb("VmSize") * 1_000 + int(mb) * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    before_kb = memory_kb("VmRSS")
    choice = FileChoice(max_bytes=int(max_bytes)) if int(max_bytes) else None
    reports, times_s = [], []
    for _ in range(2):
        started_s = time.perf_counter()
        with MiniSearch(Path(index), encoder=HashingEncoder(max_tokens=254)) as ms:
            reports.append(dataclasses.asdict(ms.index(folder, choice=choice)))
        times_s.append(time.perf_counter() - started_s)
    with LocalStore(Path(index) / "minisearch.db") as store:
        documents = {path: document.n_bytes_indexed for path, document in store.documents().items()}
        problems = store.check(deep=True)
    peak_kb = memory_kb("VmHWM")
    for sandbox in (registry.CODE_SANDBOX, registry.SANDBOX):  # what a process took is told once it has ended
        sandbox.close()
    told = {
        "reports": reports,
        "times_s": times_s,
        "documents": documents,
        "problems": problems,
        "before_mb": before_kb / 1_000,
        "peak_mb": peak_kb / 1_000,
        "sandbox_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_000,
    }
    print("\n" + json.dumps(told))


def load_everything() -> None:
    """Index one file, so that what follows takes no memory, and needs no right, to load a library."""
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "a.md").write_text("# One\n\nBread and water.\n")
        with MiniSearch(Path(temporary) / "index", encoder=HashingEncoder()) as ms:
            ms.index(temporary)


def memory_kb(what: str) -> int:
    """What the kernel says of this process: VmSize, VmRSS, or VmHWM, the most it has held."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
