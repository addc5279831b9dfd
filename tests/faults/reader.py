"""A process that asks an index, again and again, and tells of any answer that is not of one moment.

    python -m tests.faults.reader INDEX STOP

It says that it is ready, and asks until there is a file STOP.  Every passage of a document holds the same
word ``version<number>``; what it has found is one line of JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

from minisearch import MiniSearch
from tests.fakes import HashingEncoder

VERSION = re.compile(r"version(\d+)")


def main(index: str, stop: str) -> None:
    errors: list[str] = []
    latencies_s: list[float] = []
    generation = n_opened = 0
    seen: dict[str, int] = defaultdict(int)
    print("ready", flush=True)
    while not (n_opened and Path(stop).exists()):
        n_opened += 1
        try:
            with MiniSearch(Path(index), encoder=HashingEncoder()) as ms:
                for number in range(20):
                    started_s = time.perf_counter()
                    found = ms.query(
                        f"w{number} river bread", 30, by="chunk", mode=("hybrid", "dense")[number % 2]
                    )
                    latencies_s.append(time.perf_counter() - started_s)
                    versions: dict[str, set[int]] = defaultdict(set)
                    for result in found:
                        versions[result.path] |= set(map(int, VERSION.findall(result.text)))
                    for path, of_document in versions.items():
                        if len(of_document) != 1:
                            errors.append(f"{path}: versions {sorted(of_document)} in one answer")
                        elif min(of_document) < seen[path]:
                            errors.append(f"{path}: version {min(of_document)} after {seen[path]}")
                        seen[path] = max(of_document)
                    now = ms.status().generation
                    if now < generation:
                        errors.append(f"generation {now} after {generation}")
                    generation = now
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    latencies_s.sort()
    told = {
        "n_queries": len(latencies_s),
        "n_opened": n_opened,
        "errors": errors[:20],
        "p99_s": latencies_s[int(0.99 * len(latencies_s))] if latencies_s else None,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
