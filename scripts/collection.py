"""Measure what looks at a whole collection: clusters and duplicates.

    python scripts/collection.py [--sizes 10000 100000] [--sts FILE.csv]

The first table compares clusters with folders: the adjusted Rand index (0 by chance, 1 for the same groups)
of the clusters of data/docs, and how often the nearest document is in the same folder.  The second plants
copies of the files of data/docs and counts how many are found, and how many of those found were planted.  The
third takes synthetic indexes (see cold_query.py) of several sizes: time and the most memory of a process of
its own, and the exponents with which they grow.  ``--sts`` takes sentence1, sentence2, score (0 to 5) and
says what a least cosine makes of them: how many pairs of 4 and more are near enough, and how many of 2.5 and
less are not.
"""

from __future__ import annotations

import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import cold_query
import numpy as np
from measuring import machine, option_parser, peak_mb, table, timed_s
from sklearn.metrics import adjusted_rand_score

from minisearch import MiniSearch, SentenceTransformer
from minisearch.manifest import DEFAULT_MODEL

DOCS = Path(__file__).parents[1] / "data" / "docs"


def agreement() -> list[list[str]]:
    """Clusters and folders of data/docs."""
    with tempfile.TemporaryDirectory() as folder, MiniSearch(Path(folder, "index")) as ms:
        ms.index(DOCS)
        found = ms.cluster()
        paths = [path for path in sorted(DOCS.rglob("*")) if path.is_file()]
        folder_of = {path.name: path.relative_to(DOCS).parts[0] for path in paths}
        label_of = {Path(d.path).name: n for n, one in enumerate(found.clusters) for d in one.documents}
        label_of |= {Path(d.path).name: -1 - n for n, d in enumerate(found.others)}
        names = sorted(label_of)
        index = adjusted_rand_score([folder_of[name] for name in names], [label_of[name] for name in names])
        nearest = [ms.similar(path, k=1, by="document")[0].path for path in paths if path.name in label_of]
        known = [path for path in paths if path.name in label_of]
        share = np.mean(
            [folder_of[a.name] == folder_of[Path(b).name] for a, b in zip(known, nearest, strict=True)]
        )
    return [
        [
            "documents, folders, clusters",
            f"{len(names)}, {len(set(folder_of.values()))}, {len(found.clusters)}",
        ],
        ["adjusted Rand index of the clusters", f"{index:.2f}"],
        ["the nearest document is in the same folder", f"{share:.2f}"],
    ]


def planted() -> list[list[str]]:
    """Recall and precision of near copies, by how the copy was changed."""
    random_ = random.Random(0)  # noqa: S311 - to plant copies
    rows = []
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
    for name, share in (
        *(("as it is", 0.0), ("1% of the words replaced", 0.01), ("3%", 0.03), ("5%", 0.05), ("10%", 0.1)),
        *(("20%", 0.2), ("a paragraph more", -1.0), ("the first half", -2.0)),
    ):
        wanted, found = set(), set()
        with tempfile.TemporaryDirectory() as temporary, MiniSearch(Path(temporary, "index")) as ms:
            folder = Path(temporary, "files")
            folder.mkdir()
            for n, (path, text) in enumerate(texts.items()):
                (folder / f"{n}.md").write_text(text, encoding="utf-8")
                (folder / f"{n}-copy.md").write_text(changed(text, share, random_), encoding="utf-8")
                wanted.add(frozenset((f"{n}.md", f"{n}-copy.md")))
                del path
            ms.index(folder)
            for group in ms.duplicates().groups:
                names = [Path(one).name for one in (group.keep, *(copy.other for copy in group.copies))]
                found |= {frozenset(pair) for pair in combinations(names, 2)}
        recall, precision = len(found & wanted) / len(wanted), len(found & wanted) / max(len(found), 1)
        rows.append([name, f"{recall:.2f}", f"{precision:.2f}"])
    return rows


def changed(text: str, share: float, random_: random.Random) -> str:
    """A text with a share of its words replaced; -1 adds a paragraph, -2 cuts it in half."""
    words = text.split(" ")
    if share == -2:
        return " ".join(words[: len(words) // 2])
    if share == -1:
        return f"{text}\n\n{' '.join(random_.choices(words, k=80))}\n"
    for place in random_.sample(range(len(words)), round(share * len(words))):
        words[place] = f"word{random_.randrange(10**6)}"
    return " ".join(words)


def grown(sizes: list[int]) -> list[list[str]]:
    """Time and memory of each verb by the number of passages."""
    figures: dict[str, list[tuple[float, float]]] = {"cluster": [], "duplicates": []}
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            folder = Path(temporary, str(size))
            folder.mkdir()
            cold_query.build(folder, size)
            for verb, taken in figures.items():
                command = [sys.executable, __file__, "--one", verb, "--index", str(folder / "index")]
                taken.append(
                    tuple(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
                )
    rows = []
    for verb, taken in figures.items():
        for size, (time_s, mb) in zip(sizes, taken, strict=True):
            rows.append([verb, f"{size:,}", f"{time_s:.1f} s", f"{mb:,.0f} MB"])
        if len(sizes) > 1:
            ratio = math.log(sizes[-1] / sizes[0])
            exponents = [math.log(max(b, 1e-9) / a) / ratio for a, b in zip(taken[0], taken[-1], strict=True)]
            rows.append([verb, "exponent", f"{exponents[0]:.2f}", f"{exponents[1]:.2f}"])
    return rows


def least_cosines(path: Path) -> list[list[str]]:
    """What different least cosines make of pairs of sentences."""
    with path.open(newline="", encoding="utf-8") as file:
        pairs = list(csv.reader(file))
    encoder = SentenceTransformer.from_pretrained(DEFAULT_MODEL, offline=True)
    one, other = (encoder.encode([pair[place] for pair in pairs]) for place in (0, 1))
    cosines, scores = (one * other).sum(axis=1), np.array([float(pair[2]) for pair in pairs])
    same, different = cosines[scores >= 4], cosines[scores <= 2.5]
    return [
        [f"{least:.2f}", f"{(same >= least).mean():.2f}", f"{(different < least).mean():.2f}"]
        for least in (0.6, 0.65, 0.7, 0.75, 0.8)
    ]


def main() -> None:
    """Print the tables."""
    parser = option_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[], help="numbers of passages, ascending")
    parser.add_argument("--sts", type=Path, help="pairs of sentences, such as the STS benchmark's")
    parser.add_argument("--one", help="a verb to time, for the parent process")
    parser.add_argument("--index", type=Path)
    given = parser.parse_args()
    if given.one:
        with MiniSearch(given.index) as ms:
            print(json.dumps([timed_s(getattr(ms, given.one)), peak_mb()]))
        return
    print(machine())
    if given.sts:
        print(table(["Least cosine", "the same, near enough", "another, not"], least_cosines(given.sts)))
        return
    print(table(["Clusters of data/docs", ""], agreement()))
    print(table(["Copies", "found", "of those found"], planted()))
    if given.sizes:
        print(table(["", "passages", "time", "most memory"], grown(given.sizes)))


if __name__ == "__main__":
    main()
