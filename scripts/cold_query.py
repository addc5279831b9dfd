"""Measure a query in a new process: started, results printed, ended.

    python scripts/cold_query.py [--index FOLDER]
    python scripts/cold_query.py --sizes 1000 10000 100000

The first form runs `minisearch query` and `python -c "import torch"` in turn; the ratio is the median of the
rounds' own.  The import of minisearch is timed inside the process.  Then it runs the same query while
`minisearch serve` serves the index, in turn with `python -c pass` and `python -c "import click"`, which no
command can be faster than.

The second form compares indexes of several sizes.  Their passages are synthetic: a line of data/docs, and
random words by Zipf's law.  Their vectors are random.  Both are put into the store directly.  The queries
(`QUERIES`) run in turn, in the real command with the real model.  Their words are as common as in data/docs,
whatever the size of the index.

In both forms the first round only fills the page cache.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import machine, option_parser, timed_s

from minisearch import MiniSearch, SentenceTransformer
from minisearch.manifest import DEFAULT_MODEL
from minisearch.paths import IndexLocation
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk

QUERY = "undo my last commit but keep the changes"
QUERIES = (QUERY, "how do I list the files of an archive", "set a limit for memory")
WORDS_A_PASSAGE = 60
N_WORDS = 50_000
PASSAGES_A_DOCUMENT = 10
DOCS = Path(__file__).parents[1] / "data" / "docs"
TIMED_IMPORT = "import time; t = time.perf_counter(); import minisearch; print(time.perf_counter() - t)"


def output(*command: str | Path) -> str:
    """What a command printed; the script ends with it when it fails."""
    finished = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    if finished.returncode:
        sys.exit(f"{command} ended with {finished.returncode}")
    return finished.stdout


def seconds(*command: str | Path) -> float:
    """How long a command takes, from start to end."""
    return timed_s(lambda: output(*command))


def measure(index: Path, n_rounds: int) -> dict[str, str]:
    """Every figure for one index."""
    query = ("-m", "minisearch", "query", QUERY, "--index", index, "--offline")
    if not output(*query).strip():
        sys.exit(f"{index} has no answer to {QUERY!r}: give an index that has")
    pairs = [(seconds(*query), seconds("-c", "import torch")) for _ in range(n_rounds + 1)][1:]
    imports = [float(output("-c", TIMED_IMPORT)) for _ in range(n_rounds)]
    warm = warm_seconds(index, query, n_rounds)
    query_s, torch_s = (statistics.median(taken) for taken in zip(*pairs, strict=True))
    share = statistics.median(query_s / torch_s for query_s, torch_s in pairs)
    return {
        "a cold `minisearch query`": f"{query_s:.3f} s",
        '`python -c "import torch"`': f"{torch_s:.3f} s",
        "query ÷ import of torch": f"{share:.2f}",
        "`import minisearch`": f"{statistics.median(imports):.3f} s",
        "`minisearch query` with a server": f"{warm[0]:.3f} s",
        '`python -c "import click"`': f"{warm[1]:.3f} s",
        "`python -c pass`": f"{warm[2]:.3f} s",
    }


def warm_seconds(index: Path, query: Sequence[str | Path], n_rounds: int) -> list[float]:
    """Median seconds of a query that a server answers, of an import of click, and of an empty program."""
    command = [sys.executable, "-m", "minisearch", "serve", "--port", "0", "--offline", "--index", str(index)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            while not IndexLocation(index).socket.exists():
                if server.poll() is not None:
                    sys.exit("the server has ended")
                time.sleep(0.1)
            programs = (query, ("-c", "import click"), ("-c", "pass"))
            rounds = [[seconds(*program) for program in programs] for _ in range(2 * n_rounds + 1)][1:]
        finally:
            server.terminate()
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]


def build(folder: Path, n_passages: int) -> None:
    """An index of synthetic passages, put into the store without the model."""
    rng = np.random.default_rng(n_passages)
    sentences = [
        line.strip() for path in sorted(DOCS.rglob("*.md")) for line in path.read_text().splitlines() if line
    ]
    encoder = SentenceTransformer.from_pretrained(DEFAULT_MODEL, offline=True)
    (first := Path(folder, "first.md")).write_text("# First\n\nThe first document.\n")
    with MiniSearch(folder / "index", encoder=encoder) as ms:
        ms.index(first)
    with LocalStore(folder / "index" / "minisearch.db", writable=True) as store:
        for start in range(0, n_passages, 1_000):
            with store.snapshot():
                for n in range(start, min(start + 1_000, n_passages), PASSAGES_A_DOCUMENT):
                    texts = [_text(rng, sentences) for _ in range(PASSAGES_A_DOCUMENT)]
                    vectors = rng.normal(size=(len(texts), encoder.dimension)).astype(np.float32)
                    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                    chunks = [
                        Chunk(0, len(text), text, 0, len(text.encode()), 1, 1, "", WORDS_A_PASSAGE)
                        for text in texts
                    ]
                    stamp = FileStamp(n_bytes=1, mtime_ns=0, ctime_ns=0, read_at_ns=0)
                    document = StoredDocument(f"{n}.md", "markdown", texts[0][:40], stamp, b"", "synthetic")
                    store.put(document, chunks, vectors)
        store.index.publish("faiss", encoder.dimension)


def _text(rng: np.random.Generator, sentences: Sequence[str]) -> str:
    words = (f"w{word}" for word in rng.zipf(1.3, WORDS_A_PASSAGE) % N_WORDS)
    return f"{sentences[int(rng.integers(len(sentences)))]} {' '.join(words)}"


def compare_sizes(sizes: Sequence[int], n_rounds: int, scratch: Path) -> None:
    """Print how long a query takes in indexes of these sizes."""
    for n in sizes:
        (scratch / str(n)).mkdir()
        build(scratch / str(n), n)
    taken: dict[int, list[float]] = {n: [] for n in sizes}
    for number in range(n_rounds + 1):
        for query in QUERIES:
            for n in sizes:  # in turn, so that a busy machine slows all of them
                index = scratch / str(n) / "index"
                time_s = seconds("-m", "minisearch", "query", query, "--index", index, "--offline")
                if number:
                    taken[n].append(time_s)
    smallest = statistics.median(taken[sizes[0]])
    print("| passages | on disk | a cold `minisearch query` | ÷ the smallest |")
    print("|---|---|---|---|")
    for n in sizes:
        n_bytes = sum(path.stat().st_size for path in (scratch / str(n) / "index").iterdir())
        median_s = statistics.median(taken[n])
        print(f"| {n:,} | {n_bytes / 1e6:,.0f} MB | {median_s:.3f} s | {median_s / smallest:.2f} |")


def main(arguments: Sequence[str]) -> int:
    """Print the figures as a table."""
    parser = option_parser(__doc__)
    parser.add_argument("--index", type=Path, help="an index to ask; otherwise one is made of data/docs")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of passages to compare, ascending")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args(arguments)
    print(f"Machine: {machine()}\n")
    with tempfile.TemporaryDirectory() as scratch:
        if options.sizes:
            compare_sizes(options.sizes, options.rounds, Path(scratch))
            return 0
        index = options.index or Path(scratch, "index")
        if not options.index:
            output("-m", "minisearch", "index", DOCS, "--index", index, "--offline")
        for name, value in measure(index, options.rounds).items():
            print(f"| {name} | {value} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
